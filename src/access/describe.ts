// The describe operation: what this person may see, names first, then one source, then one dataset in full.
import { disclosureName } from "../policy/masks.ts";
import type { Subject } from "../policy/model.ts";
import { isRowRestricted, visibleColumns } from "../policy/views.ts";
import type { ViewColumn } from "../policy/views.ts";
import type { OpenTable } from "../sources/source.ts";
import { findTarget, notFound } from "./catalogue.ts";
import type { OpenSource } from "./catalogue.ts";
import type { Answered } from "./recorded.ts";

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
  /** How it is masked for this person; `by row: email, clear` when it differs. Absent when shown in clear. */
  readonly masked?: string;
}

export interface DatasetDescription {
  readonly dataset: string;
  readonly source: string;
  readonly kind: "table" | "documents";
  readonly description: string;
  /** How to ask for it. */
  readonly use: string;
  readonly table?: string;
  readonly key?: string;
  readonly rows?: "all" | "only those your rules allow";
  readonly columns?: readonly ColumnDescription[];
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

export type Description = Overview | SourceOverview | DatasetDescription;

/** Without a name: all sources. With a source's name: its datasets. With a dataset's: its columns. */
export function describe(
  catalogue: readonly OpenSource[],
  subject: Subject,
  organisation: { readonly name: string; readonly contact: string },
  name: string | undefined,
): Answered<Description> {
  if (name === undefined) {
    const sources = catalogue.map(summarise);
    const answer = {
      organisation: organisation.name,
      roles: subject.roles,
      sources,
      hint: hintFor(subject, sources, organisation.contact),
    };
    return { answer, datasets: sources.flatMap((source) => source.datasets), rules: catalogue.flatMap(rulesOf) };
  }
  const source = catalogue.find((open) => open.source.declaration.name === name && open.kind === "d1");
  if (source !== undefined && source.kind === "d1") {
    const { title, description } = source.source.declaration;
    const datasets = source.tables.map(({ dataset }) => ({ dataset: dataset.id, description: dataset.description }));
    return {
      answer: { source: name, title, description, datasets },
      datasets: datasets.map((one) => one.dataset),
      rules: rulesOf(source),
    };
  }
  const target = findTarget(catalogue, name);
  if (target?.kind === "table") return answered(describeTable(target.table));
  if (target?.kind === "documents") {
    const { dataset, decision } = target.open;
    return answered({
      dataset: dataset.id,
      source: dataset.source,
      kind: "documents",
      description: dataset.description,
      use: "search for words in it, then fetch a document by its id",
      rules: decision.rules,
    });
  }
  throw notFound(name);
}

/** One table with its columns as this subject sees them. */
export function describeTable({ dataset, decision }: OpenTable): DatasetDescription {
  return {
    dataset: dataset.id,
    source: dataset.source,
    kind: "table",
    description: dataset.description,
    use: `query with source "${dataset.source}" and the table name ${dataset.table}`,
    table: dataset.table,
    ...(dataset.key === null ? {} : { key: dataset.key }),
    rows: isRowRestricted(decision) ? "only those your rules allow" : "all",
    columns: visibleColumns(decision, dataset).map(describeColumn),
    rules: decision.rules,
  };
}

function describeColumn({ name, type, description, disclosures }: ViewColumn): ColumnDescription {
  const names = disclosures.map((disclosure) => (disclosure.kind === "hidden" ? "null" : disclosureName(disclosure)));
  if (names.length === 1 && names[0] === "clear") return { name, type, description };
  return { name, type, description, masked: names.length === 1 ? names.join() : `by row: ${names.join(", ")}` };
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
    return "Call describe with a dataset for its columns, then query. search finds documents and columns by words.";
  if (subject.roles.length === 0)
    return `This person has no role here, so there is nothing to read. ${contact} can give one.`;
  return `The roles of this person open no data. ${contact} can change that.`;
}

function answered(answer: DatasetDescription): Answered<Description> {
  return { answer, datasets: [answer.dataset], rules: answer.rules };
}
