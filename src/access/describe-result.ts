// Kept results as describe tells of them: all that there are, and one with its columns.
import { WORKSPACE } from "../sources/workspace.ts";
import { grantingRulesOf } from "./lineage.ts";
import type { SourceOverview } from "./overview.ts";
import type { Answered } from "./recorded.ts";
import { columnsOf, incompleteIn, recordOf, summarise as summariseResult } from "./results.ts";
import type { OpenWorkspace, UsableResult } from "./workspace.ts";

/** A kept result. */
export interface ResultDescription {
  readonly kind: "result";
  readonly dataset: string;
  readonly source: string;
  readonly description: string;
  readonly use: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** The results behind it that do not have all rows, itself included; absent when there are none. */
  readonly incomplete?: readonly string[];
  /** When it goes, at the latest. */
  readonly until: string;
  readonly masked: readonly string[];
  readonly rules: readonly string[];
}

/** The workspace as a source: its results. */
export function describeWorkspace({ source, results }: OpenWorkspace): Answered<SourceOverview> {
  const { name, title, description } = source.declaration;
  const datasets = results.map((result) => ({
    dataset: `${WORKSPACE}.${result.id}`,
    description: summariseResult(result),
  }));
  const hint = datasets.length === 0 ? ". None is kept now: each query keeps its own." : "";
  return { answer: { source: name, title, description: `${description}${hint}`, datasets }, datasets: [], rules: [] };
}

/** One result in full. */
export function describeResult(result: UsableResult): Answered<ResultDescription> {
  const { id, origin, expiresAtMs } = result;
  const incomplete = incompleteIn(result);
  const answer = {
    kind: "result" as const,
    dataset: `${WORKSPACE}.${id}`,
    source: WORKSPACE,
    description: summariseResult(result),
    use: `query with source "${WORKSPACE}" and the table name ${id}, or fetch ${id}`,
    columns: columnsOf(result),
    ...(incomplete.length > 0 ? { incomplete } : {}),
    until: new Date(expiresAtMs).toISOString(),
    masked: origin.masked,
    rules: grantingRulesOf(origin),
  };
  const { datasets, rules, masked } = recordOf(origin);
  return { answer, datasets, rules, masked };
}
