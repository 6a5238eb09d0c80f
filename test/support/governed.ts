// Runs governed reads as the gateway does, for tests of the guard: takes a policy, an account and SQL, and returns rows or a refusal.
import { env } from "cloudflare:workers";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { AppError } from "../../src/errors.ts";
import { evaluate, resolveSubject } from "../../src/policy/evaluate.ts";
import { NO_MEMBER_RECORD } from "../../src/policy/model.ts";
import { openSources } from "../../src/app/open-sources.ts";
import { parseMaskingTokenKey } from "../../src/masking-tokens/masking-token-store.ts";
import type { VisibleTable, TableRead, TableSource } from "../../src/read/source.ts";
import { toJsonCell } from "../../src/sql/result-encoding.ts";
import type { SqlValue } from "../../src/sql/parameters.ts";
import { parseStatement } from "../../src/sql/statement.ts";

type Policied = Pick<Gatehouse, "policy">;

/** The key for masking tokens in tests. */
export const TOKEN_KEY = parseMaskingTokenKey("a key of tests, long enough to be one");
/** The options that sources of documents need. Background work is dropped. */
export const KEEPING = {
  waitUntil: (): void => {},
  index: { database: env.GATEHOUSE_DB, now: Date.now, indexSeconds: 3600, reindexDocuments: 20_000 },
};
const MAX_BYTES = 100_000;
const MAX_TOTAL_BYTES = 1_000_000;

/** Opens the D1 source of this name, or the first one. */
export function tableSource(
  { policy }: Policied,
  name?: string,
  log: (message: string) => void = () => {},
  maxQuerySteps = 1_000_000_000,
): TableSource {
  const source = openSources(policy, env, { maxQuerySteps, maskingTokenKey: TOKEN_KEY, log, ...KEEPING }).find(
    ({ kind, declaration }) => kind === "d1" && (name === undefined || declaration.name === name),
  );
  if (source?.kind !== "d1") throw new Error(`no D1 source ${name}`);
  return source;
}

/** Lists the tables of the source that the account may read. */
export function openFor({ policy }: Policied, source: TableSource, account: string): readonly VisibleTable[] {
  const subject = resolveSubject(
    policy,
    { subjectId: account, email: `${account}@harbor.example`, groups: [] },
    NO_MEMBER_RECORD,
  );
  return source.datasets.flatMap((dataset) => {
    const decision = evaluate(policy, subject, dataset, "read");
    return decision.allowed ? [{ dataset, decision }] : [];
  });
}

/** Reads under a policy as one of its accounts. */
export interface Reader {
  readonly read: (account: string, sql: string, values?: readonly SqlValue[], readRows?: number) => Promise<TableRead>;
  /** Returns the rows as JSON, or a refusal as `code: message`. Throws any other error. */
  readonly outcome: (account: string, sql: string, values?: readonly SqlValue[]) => Promise<string>;
}

/** Creates a reader over a source of the policy. */
export function createReader(policied: Policied, source: TableSource = tableSource(policied)): Reader {
  const read: Reader["read"] = async (account, sql, values = [], readRows = 100) =>
    source.read(openFor(policied, source, account), parseStatement(sql), values, {
      maxReadRows: readRows,
      maxValueBytes: MAX_BYTES,
      maxTotalBytes: MAX_TOTAL_BYTES,
      bookmark: null,
    });
  return {
    read,
    async outcome(account, sql, values) {
      try {
        return JSON.stringify((await read(account, sql, values)).rows.map((row) => row.map(toJsonCell)));
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        return `${error.code}: ${error.publicMessage}`;
      }
    },
  };
}
