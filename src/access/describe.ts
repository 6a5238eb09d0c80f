// The describe operation: what this person may see, names first, then one source, then one dataset in full.
import type { Organisation } from "../config.ts";
import { AppError } from "../errors.ts";
import type { Policy, SavedQuery, Subject } from "../policy/model.ts";
import { savedFor } from "../policy/saved.ts";
import { grantingRules } from "../policy/views.ts";
import type { OpenTable } from "../sources/source.ts";
import { WORKSPACE } from "../sources/workspace.ts";
import { findTarget, notFound } from "./catalogue.ts";
import type { Catalogue, OpenDocuments, OpenSource, OpenTables } from "./catalogue.ts";
import { describeResult, describeWorkspace } from "./describe-result.ts";
import type { ResultDescription } from "./describe-result.ts";
import { describeTable } from "./describe-table.ts";
import type { TableDescription } from "./describe-table.ts";
import { MAX_LISTED, groupNames, matches } from "./groups.ts";
import type { Overview, SourceOverview, SourceSummary } from "./overview.ts";
import type { Answered } from "./recorded.ts";
import { findResult, resultNameOf } from "./results.ts";
import { describeSaved } from "./saved.ts";
import type { SavedDescription } from "./saved.ts";
import { stepUpHint } from "./step-up.ts";
import type { WorkspaceAccess } from "./workspace.ts";

export interface DocumentsDescription {
  readonly kind: "documents";
  readonly dataset: string;
  readonly source: string;
  readonly description: string;
  readonly use: string;
  readonly rules: readonly string[];
}

export type Description =
  Overview | SourceOverview | TableDescription | DocumentsDescription | ResultDescription | SavedDescription;

/** Who asks, under which policy. */
export interface Asker {
  readonly policy: Policy;
  readonly subject: Subject;
  readonly organisation: Organisation;
}

/** Without a name: all sources. With a source's name: its datasets. With a dataset's: its columns. */
export async function describe(
  catalogue: Catalogue,
  workspace: WorkspaceAccess,
  asker: Asker,
  name: string | undefined,
): Promise<Answered<Description>> {
  const own = savedFor(asker.policy, asker.subject);
  if (name === undefined) return describeAll(catalogue.open, asker, own);
  const saved = own.find((query) => query.name === name);
  if (saved !== undefined) return { answer: describeSaved(saved), datasets: [], rules: [] };
  if (name === WORKSPACE) return describeWorkspace(await workspace.open());
  const result = resultNameOf(name);
  if (result !== undefined) return describeResult(findResult(await workspace.open(), result.id));
  const sources = catalogue.open.filter((open): open is OpenTables => open.kind === "d1");
  const source = sources.find((open) => open.source.declaration.name === name);
  if (source !== undefined) return describeSource(source);
  const group = sources.find((open) => name.endsWith("*") && name.startsWith(`${open.source.declaration.name}.`));
  if (group !== undefined) return describeGroup(group, name);
  const target = findTarget(catalogue, name);
  if (target?.kind === "table") return answered(describeTable(target.table, target.open.tables), target.table);
  if (target?.kind === "documents") return answered(describeDocuments(target.open), target.open);
  throw notFound(catalogue, name);
}

function describeAll(open: readonly OpenSource[], asker: Asker, own: readonly SavedQuery[]): Answered<Overview> {
  const { policy, subject, organisation } = asker;
  const sources = open.map(summarise);
  // Who has no role is told so by the hint itself.
  const isTold = policy.sources.length === 0 || subject.roles.length === 0;
  const stepUp = isTold ? "" : stepUpHint(policy, subject, organisation);
  const next = hintFor(asker, sources.length > 0, own.length > 0);
  const hint = stepUp === "" ? next : `${next} ${stepUp}`;
  const saved = own.map(describeSaved);
  const answer = {
    organisation: organisation.name,
    roles: subject.roles,
    sources,
    ...(saved.length > 0 ? { saved } : {}),
    hint,
  };
  const recorded = open.map(recordedOf);
  return {
    answer,
    datasets: recorded.flatMap(({ datasets }) => datasets),
    rules: recorded.flatMap(({ rules }) => rules),
  };
}

function describeSource(open: OpenTables): Answered<SourceOverview> {
  const { name, title, description } = open.source.declaration;
  const isMany = open.tables.length > MAX_LISTED;
  if (!isMany) return listed({ source: name, title, description }, open.tables);
  const groups = groupNames(open.tables.map(({ dataset }) => dataset.table));
  const hint = `${open.tables.length} tables, told in groups. describe ${name}.order* would list those that begin so.`;
  return { answer: { source: name, title, description, groups, hint }, datasets: [`${name}.*`], rules: [] };
}

/** `shop.order*`: the tables whose names begin so. */
function describeGroup(open: OpenTables, pattern: string): Answered<SourceOverview> {
  const { name, title, description } = open.source.declaration;
  const tables = open.tables.filter(({ dataset }) => matches(pattern, dataset.id));
  if (tables.length === 0)
    throw new AppError(
      "not_found",
      `No table of ${name} that you may read begins so. Call describe ${name} for what there is.`,
      { isMissing: true },
    );
  const hint =
    tables.length > MAX_LISTED
      ? `The first ${MAX_LISTED} of ${tables.length}: give more letters before the star.`
      : undefined;
  return listed(
    { source: name, title, description, ...(hint === undefined ? {} : { hint }) },
    tables.slice(0, MAX_LISTED),
  );
}

function listed(about: SourceOverview, tables: readonly OpenTable[]): Answered<SourceOverview> {
  const datasets = tables.map(({ dataset }) => ({ dataset: dataset.id, description: shortened(dataset.description) }));
  return {
    answer: { ...about, datasets },
    datasets: datasets.map((one) => one.dataset),
    rules: tables.flatMap((table) => table.decision.rules),
  };
}

const SUMMARY_LENGTH = 120;

function shortened(text: string): string {
  return text.length <= SUMMARY_LENGTH ? text : `${text.slice(0, SUMMARY_LENGTH - 1).toWellFormed()}…`;
}

function describeDocuments({ dataset, decision }: OpenDocuments): DocumentsDescription {
  return {
    kind: "documents",
    dataset: dataset.id,
    source: dataset.source,
    description: dataset.description,
    use: "search for words in it, then fetch a document by its id",
    rules: grantingRules(decision),
  };
}

function summarise(open: OpenSource): SourceSummary {
  const { name, kind, title, description } = open.source.declaration;
  if (open.kind === "kv") return { source: name, kind, title, description, datasets: [open.dataset.id] };
  const isMany = open.tables.length > MAX_LISTED;
  const names = isMany
    ? groupNames(open.tables.map(({ dataset }) => dataset.table)).map((group) => `${name}.${group}`)
    : open.tables.map((table) => table.dataset.id);
  return { source: name, kind, title, description, datasets: names };
}

/** What a record names of a source that was told of: all of its tables as one, where they are many. */
function recordedOf(open: OpenSource): { readonly datasets: readonly string[]; readonly rules: readonly string[] } {
  if (open.kind === "kv") return { datasets: [open.dataset.id], rules: open.decision.rules };
  if (open.tables.length > MAX_LISTED) return { datasets: [`${open.source.declaration.name}.*`], rules: [] };
  return {
    datasets: open.tables.map(({ dataset }) => dataset.id),
    rules: open.tables.flatMap(({ decision }) => decision.rules),
  };
}

/** For a deployment that serves nothing yet. */
const NO_SOURCES =
  "This server has no data sources yet. Whoever runs it declares them: npm run introspect reads a database, and its start page lists the steps.";

function hintFor({ policy, subject, organisation }: Asker, hasSources: boolean, hasSaved: boolean): string {
  const { contact } = organisation;
  if (policy.sources.length === 0) return NO_SOURCES;
  if (!hasSources && hasSaved) return "Run a saved query: query with saved and params.";
  if (hasSources)
    return "Call describe with a dataset for its columns, then query. search finds documents and columns by words. Results of query are kept: describe workspace.";
  if (subject.roles.length === 0) return `There is nothing to read. ${stepUpHint(policy, subject, organisation)}`;
  return `The roles of this person open no data. ${contact} can change that.`;
}

function answered(
  answer: TableDescription | DocumentsDescription,
  { decision }: OpenTable | OpenDocuments,
): Answered<Description> {
  return { answer, datasets: [answer.dataset], rules: decision.rules };
}
