// Governed reads as the gateway makes them, for tests of the guard: a policy, an account, SQL, and what comes back.
import { env } from "cloudflare:workers";
import type { Gatehouse } from "../../src/config.ts";
import { AppError } from "../../src/errors.ts";
import { evaluate, resolveSubject } from "../../src/policy/evaluate.ts";
import { NO_RECORD } from "../../src/policy/model.ts";
import { openSources } from "../../src/sources/registry.ts";
import { parseTokenKey } from "../../src/sources/tokens.ts";
import type { OpenTable, TableRead, TableSource } from "../../src/sources/source.ts";
import { showCell } from "../../src/sql/exact.ts";
import type { SqlValue } from "../../src/sql/parameters.ts";
import { parseStatement } from "../../src/sql/statement.ts";

type Policied = Pick<Gatehouse, "policy">;

export const TOKEN_KEY = parseTokenKey("a key of tests, long enough to be one");
/** What sources of documents need; nothing goes on behind an answer. */
export const KEEPING = {
  background: (): void => {},
  index: { database: env.GATEHOUSE_DB, now: Date.now, indexSeconds: 3600, sweepDocuments: 20_000 },
};
export const MAX_BYTES = 100_000;
export const MAX_TOTAL_BYTES = 1_000_000;

/** The D1 source of this name, or the first. */
export function tableSource(
  { policy }: Policied,
  name?: string,
  log: (message: string) => void = () => {},
  maxQuerySteps = 1_000_000_000,
): TableSource {
  const source = openSources(policy, env, { maxQuerySteps, tokenKey: TOKEN_KEY, log, ...KEEPING }).find(
    ({ kind, declaration }) => kind === "d1" && (name === undefined || declaration.name === name),
  );
  if (source?.kind !== "d1") throw new Error(`no D1 source ${name}`);
  return source;
}

/** The tables of the source that the account may read. */
export function openFor({ policy }: Policied, source: TableSource, account: string): readonly OpenTable[] {
  const subject = resolveSubject(
    policy,
    { subjectId: account, email: `${account}@harbor.example`, groups: [] },
    NO_RECORD,
  );
  return source.datasets.flatMap((dataset) => {
    const decision = evaluate(policy, subject, dataset, "read");
    return decision.allowed ? [{ dataset, decision }] : [];
  });
}

export interface Reader {
  readonly read: (account: string, sql: string, values?: readonly SqlValue[], maxRows?: number) => Promise<TableRead>;
  /** The rows as JSON, or the refusal as `code: message`. Anything else is thrown. */
  readonly outcome: (account: string, sql: string, values?: readonly SqlValue[]) => Promise<string>;
}

export function createReader(policied: Policied, source: TableSource = tableSource(policied)): Reader {
  const read: Reader["read"] = async (account, sql, values = [], maxRows = 100) =>
    source.read(openFor(policied, source, account), parseStatement(sql), values, {
      maxRows,
      maxValueBytes: MAX_BYTES,
      maxTotalBytes: MAX_TOTAL_BYTES,
      bookmark: null,
    });
  return {
    read,
    async outcome(account, sql, values) {
      try {
        return JSON.stringify((await read(account, sql, values)).rows.map((row) => row.map(showCell)));
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        return `${error.code}: ${error.publicMessage}`;
      }
    },
  };
}
