// The describe operation: what this person may see, names first, then one source, then one dataset in full.
import type { Organisation } from "../config.ts";
import type { Subject } from "../policy/model.ts";
import { isRowRestricted, maskOf, visibleColumns } from "../policy/views.ts";
import type { ViewColumn } from "../policy/views.ts";
import type { OpenTable } from "../sources/source.ts";
import { WORKSPACE } from "../sources/workspace.ts";
import { findTarget, notFound } from "./catalogue.ts";
import type { Catalogue, OpenDocuments, OpenSource, OpenTables } from "./catalogue.ts";
import type { Answered } from "./recorded.ts";
import { columnsOf, findResult, recordOf, resultNameOf, summarise as summariseResult } from "./results.ts";
import { untrustedColumnsOf } from "./untrusted.ts";
import type { OpenWorkspace, UsableResult, WorkspaceAccess } from "./workspace.ts";

export interface SourceSummary {
  readonly source: string;
  readonly kind: "d1" | "kv";
  readonly title: string;
  readonly description: string;
  readonly datasets: readonly string[];
}

export interface ColumnDescription {
  readonly name: string;
  readonly type: string;
  readonly description: string;
  /** How it is masked for this person, `hidden|clear` where it differs by row. Absent when shown in clear. */
  readonly masked?: string;
  /** There, and true, when fetch gives the value of one of its tokens. */
  readonly reveal?: true;
  /** There, and true, when outsiders write its text. */
  readonly untrusted?: true;
}

export interface TableDescription {
  readonly kind: "table";
  readonly dataset: string;
  readonly source: string;
  readonly description: string;
  /** How to ask for it. */
  readonly use: string;
  readonly table: string;
  readonly key?: string;
  readonly rows: "all" | "only those your rules allow";
  readonly columns: readonly ColumnDescription[];
  readonly rules: readonly string[];
}

export interface DocumentsDescription {
  readonly kind: "documents";
  readonly dataset: string;
  readonly source: string;
  readonly description: string;
  readonly use: string;
  readonly rules: readonly string[];
}

export interface Overview {
  readonly organisation: string;
  readonly roles: readonly string[];
  readonly sources: readonly SourceSummary[];
  /** The next step, or why there is nothing. */
  readonly hint: string;
}

export interface SourceOverview {
  readonly source: string;
  readonly title: string;
  readonly description: string;
  readonly datasets: readonly { readonly dataset: string; readonly description: string }[];
}

/** A kept result. */
export interface ResultDescription {
  readonly kind: "result";
  readonly dataset: string;
  readonly source: string;
  readonly description: string;
  readonly use: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** When it goes, at the latest. */
  readonly until: string;
  readonly masked: readonly string[];
  readonly rules: readonly string[];
}

export type Description = Overview | SourceOverview | TableDescription | DocumentsDescription | ResultDescription;

/** Without a name: all sources. With a source's name: its datasets. With a dataset's: its columns. */
export async function describe(
  catalogue: Catalogue,
  workspace: WorkspaceAccess,
  subject: Subject,
  organisation: Organisation,
  name: string | undefined,
): Promise<Answered<Description>> {
  if (name === undefined) return describeAll(catalogue.open, subject, organisation);
  if (name === WORKSPACE) return describeWorkspace(await workspace.open());
  const result = resultNameOf(name);
  if (result !== undefined) return describeResult(findResult(await workspace.open(), result.id));
  const source = catalogue.open.find((open) => open.kind === "d1" && open.source.declaration.name === name);
  if (source?.kind === "d1") return describeSource(source);
  const target = findTarget(catalogue, name);
  if (target?.kind === "table") return answered(describeTable(target.table));
  if (target?.kind === "documents") return answered(describeDocuments(target.open));
  throw notFound(catalogue, name);
}

function describeAll(open: readonly OpenSource[], subject: Subject, organisation: Organisation): Answered<Overview> {
  const sources = open.map(summarise);
  const hint = hintFor(subject, sources, organisation.contact);
  const answer = { organisation: organisation.name, roles: subject.roles, sources, hint };
  return { answer, datasets: sources.flatMap((source) => source.datasets), rules: open.flatMap(rulesOf) };
}

function describeSource(open: OpenTables): Answered<SourceOverview> {
  const { name, title, description } = open.source.declaration;
  const datasets = open.tables.map(({ dataset }) => ({ dataset: dataset.id, description: dataset.description }));
  return {
    answer: { source: name, title, description, datasets },
    datasets: datasets.map((one) => one.dataset),
    rules: rulesOf(open),
  };
}

function describeWorkspace({ source, results }: OpenWorkspace): Answered<SourceOverview> {
  const { name, title, description } = source.declaration;
  const datasets = results.map((result) => ({
    dataset: `${WORKSPACE}.${result.id}`,
    description: summariseResult(result),
  }));
  const hint = datasets.length === 0 ? ". None is kept now: each query keeps its own." : "";
  return { answer: { source: name, title, description: `${description}${hint}`, datasets }, datasets: [], rules: [] };
}

function describeResult(result: UsableResult): Answered<ResultDescription> {
  const { id, origin, expiresAtMs } = result;
  const answer = {
    kind: "result" as const,
    dataset: `${WORKSPACE}.${id}`,
    source: WORKSPACE,
    description: summariseResult(result),
    use: `query with source "${WORKSPACE}" and the table name ${id}, or fetch ${id}`,
    columns: columnsOf(result),
    until: new Date(expiresAtMs).toISOString(),
    masked: origin.masked,
    rules: origin.rules,
  };
  const { datasets, rules, masked } = recordOf(origin);
  return { answer, datasets, rules, masked };
}

function describeDocuments({ dataset, decision }: OpenDocuments): DocumentsDescription {
  return {
    kind: "documents",
    dataset: dataset.id,
    source: dataset.source,
    description: dataset.description,
    use: "search for words in it, then fetch a document by its id",
    rules: decision.rules,
  };
}

/** One table with its columns as this subject sees them. */
export function describeTable({ dataset, decision }: OpenTable): TableDescription {
  const untrusted = new Set(untrustedColumnsOf({ dataset, decision }));
  return {
    dataset: dataset.id,
    source: dataset.source,
    kind: "table",
    description: dataset.description,
    use: `query with source "${dataset.source}" and the table name ${dataset.table}`,
    table: dataset.table,
    ...(dataset.key === null ? {} : { key: dataset.key }),
    rows: isRowRestricted(decision) ? "only those your rules allow" : "all",
    columns: visibleColumns(decision, dataset).map((column) => ({
      ...describeColumn(column),
      ...(decision.grants.some(({ reveal }) => reveal.includes(column.name)) ? { reveal: true as const } : {}),
      ...(untrusted.has(column.name) ? { untrusted: true as const } : {}),
    })),
    rules: decision.rules,
  };
}

function describeColumn(column: ViewColumn): ColumnDescription {
  const { name, type, description } = column;
  const masked = maskOf(column);
  return { name, type, description, ...(masked === null ? {} : { masked }) };
}

function summarise(open: OpenSource): SourceSummary {
  const { name, kind, title, description } = open.source.declaration;
  const datasets = open.kind === "kv" ? [open.dataset.id] : open.tables.map((table) => table.dataset.id);
  return { source: name, kind, title, description, datasets };
}

function rulesOf(open: OpenSource): readonly string[] {
  return open.kind === "kv" ? open.decision.rules : open.tables.flatMap((table) => table.decision.rules);
}

function hintFor(subject: Subject, sources: readonly SourceSummary[], contact: string): string {
  if (sources.length > 0)
    return "Call describe with a dataset for its columns, then query. search finds documents and columns by words. Results of query are kept: describe workspace.";
  if (subject.roles.length === 0)
    return `This person has no role here, so there is nothing to read. ${contact} can give one.`;
  return `The roles of this person open no data. ${contact} can change that.`;
}

function answered(answer: TableDescription | DocumentsDescription): Answered<Description> {
  return { answer, datasets: [answer.dataset], rules: answer.rules };
}
