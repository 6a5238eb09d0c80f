// What the server kept of a load: the records in GATEHOUSE_DB, and the calls in its log.
import { DatabaseSync } from "node:sqlite";
import { localDatabaseFile } from "../../../../cli/local-server/local.ts";
import { parseCallLine } from "../../../../src/audit/call-log.ts";
import { SAMPLE_DATABASE_ID } from "./load-server.ts";

/** A record in GATEHOUSE_DB. */
export interface LoadRecord {
  readonly email: string;
  readonly call: string;
  readonly operation: string;
  readonly asked: string;
  /** `answered`, `denied`, `failed` or `interrupted`. */
  readonly result: string;
}

/** Reads all records. The running server has the same database open. */
export function readRecords(stateDir: string): readonly LoadRecord[] {
  const database = new DatabaseSync(localDatabaseFile(stateDir, SAMPLE_DATABASE_ID), { readOnly: true, timeout: 5000 });
  try {
    const rows = database
      .prepare(
        `SELECT subject.email, body ->> '$.attempt.call' AS call, body ->> '$.attempt.operation' AS operation,
            body ->> '$.attempt.asked' AS asked, body ->> '$.outcome.result' AS result
          FROM audit_record LEFT JOIN subject ON subject.subject_id = ledger`,
      )
      .all();
    return rows.map(({ email, call, operation, asked, result }) => ({
      email: String(email),
      call: String(call),
      operation: String(operation),
      asked: String(asked),
      result: String(result),
    }));
  } finally {
    database.close();
  }
}

/** A call in the server's log. */
export interface LoggedEnd {
  readonly call: string;
  /** `answered` or an error code; undefined when the server was killed before the call ended. */
  readonly outcome: string | undefined;
}

/** Reads the calls from the output of a server. */
export function readLoggedCalls(output: string): readonly LoggedEnd[] {
  const calls = new Map<string, string | undefined>();
  for (const line of output.split("\n")) {
    const parsed = parseCallLine(line);
    if (parsed?.event === "call_begin") calls.set(parsed.call, undefined);
    if (parsed?.event === "call_end") calls.set(parsed.call, parsed.outcome);
  }
  return [...calls].map(([call, outcome]) => ({ call, outcome }));
}
