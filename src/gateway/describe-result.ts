// Describes stored results for the describe operation: the list of all results, and one result with its columns.
import { WORKSPACE } from "../results/workspace-source.ts";
import { listLineageRules } from "../results/lineage.ts";
import type { SourceOverview } from "./describe-overview.ts";
import type { Audited } from "../audit/audit.ts";
import {
  describeResultColumns,
  listIncompleteResults,
  buildAuditFields,
  summariseResult,
} from "../results/stored-results.ts";
import type { VisibleWorkspace, VisibleResult } from "../results/workspace-access.ts";

/** One stored result in full. */
export interface ResultDescription {
  readonly kind: "result";
  readonly dataset: string;
  readonly source: string;
  readonly description: string;
  readonly use: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Results that lack rows: this one, or those that it is based on; absent if there are none. */
  readonly incomplete?: readonly string[];
  /** When the result expires, as an ISO time; it may be deleted earlier. */
  readonly until: string;
  readonly masked: readonly string[];
  /** How exact the masked columns are that its rows were computed with; absent if there are none. */
  readonly inexact?: readonly string[];
  readonly rules: readonly string[];
}

/** Describes the workspace as a source whose datasets are the stored results. */
export function describeWorkspace({ source, results }: VisibleWorkspace): Audited<SourceOverview> {
  const { name, title, description } = source.declaration;
  const datasets = results.map((result) => ({
    dataset: `${WORKSPACE}.${result.id}`,
    description: summariseResult(result),
  }));
  const hint = datasets.length === 0 ? ". No results are stored now: each query stores its rows as one." : "";
  return { answer: { source: name, title, description: `${description}${hint}`, datasets }, datasets: [], rules: [] };
}

/** Describes one result in full. */
export function describeResult(result: VisibleResult): Audited<ResultDescription> {
  const { id, origin, expiresAtMs } = result;
  const incomplete = listIncompleteResults(result);
  const description = {
    kind: "result" as const,
    dataset: `${WORKSPACE}.${id}`,
    source: WORKSPACE,
    description: summariseResult(result),
    use: `query with source "${WORKSPACE}" and the table name ${id}, or fetch ${id}`,
    columns: describeResultColumns(result),
    ...(incomplete.length > 0 ? { incomplete } : {}),
    until: new Date(expiresAtMs).toISOString(),
    masked: origin.masked,
    ...(origin.inexact.length > 0 ? { inexact: origin.inexact } : {}),
    rules: listLineageRules(origin),
  };
  const { datasets, rules, masked } = buildAuditFields(origin);
  return { answer: description, datasets, rules, masked };
}
