// The describe operation: what this user may read, in three steps: an overview, one source, one dataset in full.
import { pickDescription } from "./description.ts";
import { describeAllHidden } from "./all-hidden.ts";
import { shortenText } from "../lib/text-cut.ts";
import type { Organisation } from "../config/define-gatehouse.ts";
import { AppError } from "../errors.ts";
import type { Policy, SavedQuery, Subject } from "../policy/model.ts";
import { listSavedQueries } from "../policy/saved-query.ts";
import { listGrantingRules } from "../policy/guard-view.ts";
import type { VisibleTable } from "../read/source.ts";
import { WORKSPACE } from "../results/workspace-source.ts";
import { findTarget, createNotFoundDenial } from "./visible-datasets.ts";
import type { VisibleDatasets, VisibleDocuments, VisibleSource, VisibleTables } from "./visible-datasets.ts";
import { describeResult, describeWorkspace } from "./describe-result.ts";
import type { ResultDescription } from "./describe-result.ts";
import { describeChanges } from "./describe-changes.ts";
import { describeTable } from "./describe-table.ts";
import type { TableDescription } from "./describe-table.ts";
import { MAX_LISTED_TABLES, groupByPrefix, matchesPrefix } from "./table-prefixes.ts";
import type { Overview, SourceOverview, SourceSummary } from "./describe-overview.ts";
import type { Audited } from "../audit/audit.ts";
import { findResult, parseResultName } from "../results/stored-results.ts";
import { describeSavedQuery } from "../saved-queries/saved-queries.ts";
import type { SavedQueryDescription } from "../saved-queries/saved-queries.ts";
import { buildRoleHint } from "./role-hint.ts";
import type { WorkspaceAccess } from "../results/workspace-access.ts";

interface DocumentsDescription {
  readonly kind: "documents";
  readonly dataset: string;
  readonly source: string;
  readonly description: string;
  readonly use: string;
  readonly rules: readonly string[];
}

/** Any answer of describe. */
export type Description =
  Overview | SourceOverview | TableDescription | DocumentsDescription | ResultDescription | SavedQueryDescription;

/** The user and the policy that applies to them. */
interface DescribeContext {
  readonly policy: Policy;
  readonly subject: Subject;
  readonly organisation: Organisation;
}

/**
 * Describes everything (no name), a source and its datasets, a group of tables (`shop.order*`), a dataset and its columns, a stored
 * result, or a saved query. Errors: `not_found`.
 */
export async function describe(
  datasets: VisibleDatasets,
  workspace: WorkspaceAccess,
  context: DescribeContext,
  name: string | undefined,
): Promise<Audited<Description>> {
  const savedQueries = listSavedQueries(context.policy, context.subject);
  if (name === undefined) return describeAll(datasets.sources, context, savedQueries);
  const saved = savedQueries.find((query) => query.name === name);
  if (saved !== undefined) return { answer: describeSavedQuery(saved), datasets: [], rules: [] };
  if (name === WORKSPACE) return describeWorkspace(await workspace.open());
  const result = parseResultName(name);
  if (result !== undefined) return describeResult(findResult(await workspace.open(), result.id));
  const sources = datasets.sources.filter((visible): visible is VisibleTables => visible.kind === "d1");
  const source = sources.find((visible) => visible.source.declaration.name === name);
  if (source !== undefined) return describeSource(source);
  const group = sources.find((visible) => name.endsWith("*") && name.startsWith(`${visible.source.declaration.name}.`));
  if (group !== undefined) return describeGroup(group, name);
  const target = findTarget(datasets, name);
  if (target?.kind === "table") {
    const changes = describeChanges(context.policy, context.subject, target.table.dataset);
    const table = describeTable(target.table, target.visible.tables);
    return toAudited(changes === undefined ? table : { ...table, changes }, target.table);
  }
  if (target?.kind === "documents") return toAudited(describeDocuments(target.visible), target.visible);
  throw createNotFoundDenial(datasets, name);
}

function describeAll(
  visibleSources: readonly VisibleSource[],
  context: DescribeContext,
  savedQueries: readonly SavedQuery[],
): Audited<Overview> {
  const { policy, subject, organisation } = context;
  const sources = visibleSources.map(summariseSource);
  // For a user without roles, the next step already includes the role hint.
  const isHintRedundant = policy.sources.length === 0 || subject.roles.length === 0;
  const roleHint = isHintRedundant ? "" : buildRoleHint(policy, subject, organisation);
  const nextStep = buildHint(context, sources.length > 0, savedQueries.length > 0);
  const hint = roleHint === "" ? nextStep : `${nextStep} ${roleHint}`;
  const saved = savedQueries.map(describeSavedQuery);
  const answer = {
    organisation: organisation.name,
    roles: subject.roles,
    sources,
    ...(saved.length > 0 ? { saved } : {}),
    hint,
  };
  const auditFields = visibleSources.map(buildSourceAuditFields);
  return {
    answer,
    datasets: auditFields.flatMap(({ datasets }) => datasets),
    rules: auditFields.flatMap(({ rules }) => rules),
  };
}

function describeSource(visible: VisibleTables): Audited<SourceOverview> {
  const { name, title } = visible.source.declaration;
  const about = { source: name, title, ...pickDescription(visible.source.declaration) };
  const hasManyTables = visible.tables.length > MAX_LISTED_TABLES;
  if (!hasManyTables) return listTables(about, visible.tables);
  const groups = groupByPrefix(visible.tables.map(({ dataset }) => dataset.table));
  const example = `For example, describe ${name}.order* lists the tables that start with order.`;
  const hint = `${visible.tables.length} tables, grouped by prefix. ${example}`;
  return { answer: { ...about, groups, hint }, datasets: [`${name}.*`], rules: [] };
}

/** Lists the tables of a group, such as `shop.order*`. */
function describeGroup(visible: VisibleTables, pattern: string): Audited<SourceOverview> {
  const { name, title } = visible.source.declaration;
  const tables = visible.tables.filter(({ dataset }) => matchesPrefix(pattern, dataset.id));
  if (tables.length === 0)
    throw new AppError(
      "not_found",
      `No table of ${name} that you may read starts with that prefix. Call describe ${name} to list the prefixes.`,
      { isMissing: true },
    );
  const hint =
    tables.length > MAX_LISTED_TABLES
      ? `The first ${MAX_LISTED_TABLES} of ${tables.length} tables. Use a longer prefix to narrow the list.`
      : undefined;
  return listTables(
    { source: name, title, ...pickDescription(visible.source.declaration), ...(hint === undefined ? {} : { hint }) },
    tables.slice(0, MAX_LISTED_TABLES),
  );
}

function listTables(about: SourceOverview, tables: readonly VisibleTable[]): Audited<SourceOverview> {
  const datasets = tables.map(({ dataset }) => ({
    dataset: dataset.id,
    ...pickDescription({ description: shortenText(dataset.description, MAX_SUMMARY_CHARACTERS) }),
  }));
  return {
    answer: { ...about, datasets },
    datasets: datasets.map((entry) => entry.dataset),
    rules: tables.flatMap((table) => table.decision.rules),
  };
}

const MAX_SUMMARY_CHARACTERS = 120;

function describeDocuments({ dataset, decision }: VisibleDocuments): DocumentsDescription {
  return {
    kind: "documents",
    dataset: dataset.id,
    source: dataset.source,
    description: dataset.description,
    use: "search for words in its documents, then fetch a document by its id",
    rules: listGrantingRules(decision),
  };
}

function summariseSource(visible: VisibleSource): SourceSummary {
  const { name, kind, title } = visible.source.declaration;
  const about = { source: name, kind, title, ...pickDescription(visible.source.declaration) };
  if (visible.kind === "kv") return { ...about, datasets: [visible.dataset.id] };
  const hasManyTables = visible.tables.length > MAX_LISTED_TABLES;
  const names = hasManyTables
    ? groupByPrefix(visible.tables.map(({ dataset }) => dataset.table)).map((group) => `${name}.${group}`)
    : visible.tables.map((table) => table.dataset.id);
  return { ...about, datasets: names };
}

/** Lists the datasets and rules of a described source for the audit record. Many tables are recorded as one entry, `shop.*`. */
function buildSourceAuditFields(visible: VisibleSource): {
  readonly datasets: readonly string[];
  readonly rules: readonly string[];
} {
  if (visible.kind === "kv") return { datasets: [visible.dataset.id], rules: visible.decision.rules };
  if (visible.tables.length > MAX_LISTED_TABLES)
    return { datasets: [`${visible.source.declaration.name}.*`], rules: [] };
  return {
    datasets: visible.tables.map(({ dataset }) => dataset.id),
    rules: visible.tables.flatMap(({ decision }) => decision.rules),
  };
}

/** The hint of a deployment that has no sources yet. */
const NO_SOURCES = [
  "This server has no data sources yet. Its operator declares them:",
  "npm run introspect reads a database, and the start page of the server lists the steps.",
].join(" ");

function buildHint(
  { policy, subject, organisation }: DescribeContext,
  hasSources: boolean,
  hasSavedQueries: boolean,
): string {
  const { contact } = organisation;
  if (policy.sources.length === 0) return NO_SOURCES;
  if (!hasSources && hasSavedQueries) return "Run a saved query: query with saved and params.";
  if (hasSources)
    return [
      "Call describe with a dataset for its columns, then query. search finds documents and columns by words.",
      "Query results are stored: describe workspace lists them.",
    ].join(" ");
  const allHidden = describeAllHidden(policy);
  if (allHidden !== undefined) return allHidden;
  if (subject.roles.length === 0) return `There is nothing to read. ${buildRoleHint(policy, subject, organisation)}`;
  return `The roles of this user give access to no data. ${contact} can change that.`;
}

function toAudited(
  answer: TableDescription | DocumentsDescription,
  { decision }: VisibleTable | VisibleDocuments,
): Audited<Description> {
  return { answer, datasets: [answer.dataset], rules: decision.rules };
}
