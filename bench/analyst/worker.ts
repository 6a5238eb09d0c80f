// The Worker of the analyst benchmark: runs one statement, governed or directly, a number of times; run.ts takes the time.
import { openSources } from "../../src/app/open-sources.ts";
import { AppError } from "../../src/errors.ts";
import { parseMaskingTokenKey } from "../../src/masking-tokens/masking-token-store.ts";
import { evaluate, resolveSubject } from "../../src/policy/evaluate.ts";
import { NO_MEMBER_RECORD } from "../../src/policy/model.ts";
import type { TableSource, VisibleTable } from "../../src/read/source.ts";
import { toJsonCell } from "../../src/sql/result-encoding.ts";
import type { JsonCell } from "../../src/sql/result-encoding.ts";
import { parseStatement } from "../../src/sql/statement.ts";
import { config } from "./policy.ts";
import { BARS, MASKING_TOKEN_KEY } from "./roles.ts";
import type { Role } from "./roles.ts";

/** A request of run.ts. */
export interface RunRequest {
  readonly way: "direct" | "governed";
  readonly role: Role;
  readonly sql: string;
  /** How often to run the statement, each time with another text. */
  readonly times: number;
}

/** The rows of the last run, or why it was refused. */
export type RunAnswer =
  | { readonly kind: "rows"; readonly rows: readonly (readonly JsonCell[])[]; readonly isCut: boolean }
  | { readonly kind: "refused"; readonly code: string; readonly message: string };

type BenchEnv = Readonly<Record<(typeof BARS)[Role]["directBinding"], D1Database>>;

const { policy, limits } = config;
const READ_OPTIONS = {
  maxReadRows: limits.storedRows,
  maxValueBytes: limits.maxResultBytes,
  maxTotalBytes: limits.storedBytes,
  bookmark: null,
};

let source: TableSource | undefined;
/** Appended to statements as a comment, so that every text is new, as an analyst's is. */
let statementNumber = 0;

function openSource(env: BenchEnv, context: ExecutionContext): TableSource {
  const [opened] = openSources(policy, env, {
    maxQuerySteps: limits.maxQuerySteps,
    maskingTokenKey: parseMaskingTokenKey(MASKING_TOKEN_KEY),
    log: console.error,
    waitUntil: (work) => context.waitUntil(work),
    // Only sources of documents use the index.
    index: { database: env.SHOP_DB, now: Date.now, reindexDocuments: 0, indexSeconds: 0 },
  });
  if (opened?.kind !== "d1") throw new TypeError("the policy declares no D1 source");
  return opened;
}

function listVisibleTables(role: Role): readonly VisibleTable[] {
  const identity = { subjectId: role, email: `${role}@harbor.example`, groups: [] };
  const subject = resolveSubject(policy, identity, NO_MEMBER_RECORD);
  return policy.datasets.flatMap((dataset) => {
    const decision = evaluate(policy, subject, dataset, "read");
    return dataset.kind === "table" && decision.allowed ? [{ dataset, decision }] : [];
  });
}

async function runOnce(env: BenchEnv, table: TableSource, { way, role, sql }: RunRequest): Promise<RunAnswer> {
  const text = `${sql}\n-- ${(statementNumber += 1)}`;
  if (way === "direct") {
    const rows = await env[BARS[role].directBinding].prepare(text).raw<JsonCell[]>();
    return { kind: "rows", rows, isCut: false };
  }
  try {
    const read = await table.read(listVisibleTables(role), parseStatement(text), [], READ_OPTIONS);
    return { kind: "rows", rows: read.rows.map((row) => row.map(toJsonCell)), isCut: read.hasMore };
  } catch (error) {
    // Anything else is a defect, which ends the benchmark.
    if (!(error instanceof AppError)) throw error;
    return { kind: "refused", code: error.code, message: error.publicMessage };
  }
}

export default {
  async fetch(request: Request, env: BenchEnv, context: ExecutionContext): Promise<Response> {
    const run: RunRequest = await request.json();
    source ??= openSource(env, context);
    let answer: RunAnswer = { kind: "rows", rows: [], isCut: false };
    for (let times = run.times; times > 0; times -= 1) answer = await runOnce(env, source, run);
    // A timed request returns no rows, because both ways would spend the same time on them.
    return Response.json(run.times > 1 ? answer.kind : answer);
  },
};
