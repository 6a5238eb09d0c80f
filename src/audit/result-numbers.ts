// The numbers of results (r1, r2, …) in one ledger, for the owner's workspace and those of their personal access tokens, and the calls
// that were last committed with a result. The functions do not open a transaction; their callers do.
import * as z from "zod";
import type { Attempt, Outcome, ResultNumberOfSubject, ResultTicket } from "./audit-record.ts";

/** Assigns the numbers of results. */
export interface ResultNumbers {
  /** Whether numbers of this subject were assigned before. */
  isStarted(subjectId: string): boolean;
  /** Goes on after a number that the subject's workspace has used. Never goes back. */
  continueAfter(subjectId: string, lastNumber: number): void;
  /** Gives a call that begins its ticket. Only a call that may store a result gets a number, which it holds until it ends. */
  issue(attempt: Pick<Attempt, "call" | "subjectId">, mayStoreResult: boolean): ResultTicket;
  /** Takes back the number of a call that ends with this outcome, if it holds one. */
  settle(call: string, outcome: Outcome): void;
  /** Forgets that a call was committed with a result. */
  forgetCall(subjectId: string, call: string): void;
  /** Lists the subjects that numbers were assigned to, with the last of each. */
  list(): readonly ResultNumberOfSubject[];
}

/**
 * How many committed calls a ticket names. Each call that stores a result makes the results of the calls before it usable, and the
 * workspace asks about results whose calls have dropped out of the list, as when many calls run at a time.
 */
const MAX_COMMITTED_CALLS = 8;

const callsSchema = z.array(z.string());

/** Creates the numbers in the SQLite database of a ledger. */
export function createResultNumbers(sql: SqlStorage): ResultNumbers {
  const read = (subjectId: string): { readonly last: number; readonly calls: readonly string[] } | undefined => {
    const [row] = sql.exec<{ last: number; calls: string }>(
      "SELECT last, committed_calls AS calls FROM result_number WHERE subject_id = ?",
      subjectId,
    );
    return row && { last: row.last, calls: callsSchema.parse(JSON.parse(row.calls)) };
  };
  const write = (subjectId: string, last: number, calls: readonly string[]): void =>
    void sql.exec(
      "INSERT OR REPLACE INTO result_number (subject_id, last, committed_calls) VALUES (?, ?, ?)",
      subjectId,
      last,
      JSON.stringify(calls),
    );
  /** The highest number that a running call of the subject holds. */
  const findHeldNumber = (subjectId: string): number =>
    sql
      .exec<{ held: number | null }>("SELECT max(number) AS held FROM result_lease WHERE subject_id = ?", subjectId)
      .one().held ?? 0;

  return {
    isStarted: (subjectId) => read(subjectId) !== undefined,
    continueAfter(subjectId, lastNumber) {
      const { last = 0, calls = [] } = read(subjectId) ?? {};
      write(subjectId, Math.max(last, lastNumber), calls);
    },
    issue({ call, subjectId }, mayStoreResult) {
      const { last = 0, calls = [] } = read(subjectId) ?? {};
      if (!mayStoreResult) return { number: null, committedCalls: calls };
      const number = Math.max(last, findHeldNumber(subjectId)) + 1;
      sql.exec("INSERT INTO result_lease (call, subject_id, number) VALUES (?, ?, ?)", call, subjectId, number);
      return { number, committedCalls: calls };
    },
    settle(call, outcome) {
      const [held] = sql.exec<{ subjectId: string; number: number }>(
        "DELETE FROM result_lease WHERE call = ? RETURNING subject_id AS subjectId, number",
        call,
      );
      if (held === undefined) return;
      const { subjectId, number } = held;
      const isKept = outcome.kept === `r${number}`;
      // The number of a call that ended without a result was never sent to the workspace, so a later call may have it. Of an interrupted
      // call that is not known.
      if (!isKept && outcome.result !== "interrupted") return;
      const { last = 0, calls = [] } = read(subjectId) ?? {};
      const committedCalls = isKept ? [...calls, call].slice(-MAX_COMMITTED_CALLS) : calls;
      write(subjectId, Math.max(last, number), committedCalls);
    },
    list: () =>
      sql
        .exec<{ subjectId: string; last: number }>("SELECT subject_id AS subjectId, last FROM result_number")
        .toArray(),
    forgetCall(subjectId, call) {
      const row = read(subjectId);
      if (row?.calls.includes(call) === true)
        write(
          subjectId,
          row.last,
          row.calls.filter((committed) => committed !== call),
        );
    },
  };
}
