// Explains a query to an operator: takes it the way of a user's query, with sources whose last step explains the statement in place of
// running it. The command line calls this; no user can.
import type { Gatehouse } from "../config/define-gatehouse.ts";
import { AppError } from "../errors.ts";
import type { ErrorCode } from "../errors.ts";
import type { Subject } from "../policy/model.ts";
import { withoutSavedOnlyRoles } from "../policy/saved-query.ts";
import type { AttemptTrace, ReadTrace, TracedLayer } from "../read/read-trace.ts";
import type { Source } from "../read/source.ts";
import type { SqlValue } from "../sql/parameters.ts";
import { parseStatement } from "../sql/statement.ts";
import { isNamed, openTables, readSource } from "./query.ts";
import { addRoleHint, buildRoleHint } from "./role-hint.ts";
import { listVisibleDatasets } from "./visible-datasets.ts";

/** A step that can refuse a query: of the gateway, or a layer of the read pipeline. */
export type ExplainedStep = "statement" | "source" | "parameters" | TracedLayer;

/** What would happen to a query. */
export interface QueryExplanation {
  /** Why the query is refused, in the words that the assistant gets; null if it would run. */
  readonly refusal: { readonly step: ExplainedStep; readonly code: ErrorCode; readonly message: string } | null;
  /** Ids of the source's datasets that the statement names. */
  readonly datasets: readonly string[];
  /** The attempts at the read; none if the query was refused before. */
  readonly attempts: readonly AttemptTrace[];
}

/** The configuration, and sources that `trace` records. */
interface ExplainDependencies {
  readonly config: Gatehouse;
  readonly sources: readonly Source[];
  readonly trace: ReadTrace;
}

interface ExplainedQuery {
  readonly source: string;
  readonly sql: string;
  readonly params: readonly SqlValue[];
}

/** Explains a query of a user over a source. Reads no row. An error that is no refusal is thrown. */
export async function explainQuery(
  { config, sources, trace }: ExplainDependencies,
  subject: Subject,
  { source, sql, params }: ExplainedQuery,
): Promise<QueryExplanation> {
  const { policy, organisation, limits } = config;
  const { maxResultBytes: shownBytes, storedRows, storedBytes, querySeconds } = limits;
  let step: ExplainedStep = "statement";
  let datasets: readonly string[] = [];
  try {
    const statement = parseStatement(sql);
    datasets = policy.datasets.filter((dataset) => isNamed(statement, source, dataset.id)).map(({ id }) => id);
    step = "source";
    const visible = listVisibleDatasets(policy, sources, withoutSavedOnlyRoles(policy, subject));
    const querySource = openTables(visible, { source, saved: null });
    step = "parameters";
    const bounds = { shownBytes, storedRows, storedBytes, querySeconds };
    await readSource(querySource, visible, statement, { source, params, bookmark: null, ...bounds });
    return { refusal: null, datasets, attempts: trace.attempts };
  } catch (thrown) {
    const error = addRoleHint(thrown, () => buildRoleHint(policy, subject, organisation));
    if (!(error instanceof AppError)) throw error;
    const refusing = trace.attempts.at(-1)?.verdicts.find(({ refusal }) => refusal !== null);
    const refusal = { step: refusing?.layer ?? step, code: error.code, message: error.publicMessage };
    return { refusal, datasets, attempts: trace.attempts };
  }
}
