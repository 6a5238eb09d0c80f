// The frame around every operation: exactly one ledger call before anything is read and one before anything leaves.
// What the operation does inside is its own file.
import { AppError } from "../errors.ts";
import type { Ledger, Outcome } from "../ledger/record.ts";
import { resolveSubject } from "../policy/evaluate.ts";
import type { Policy, Subject } from "../policy/model.ts";
import type { Caller } from "./caller.ts";

/** What an operation hands back: the answer, and what the record says of it. */
export interface Answered<T> {
  readonly answer: T;
  readonly datasets: readonly string[];
  readonly rules: readonly string[];
  readonly masked?: readonly string[];
  readonly rows?: number;
  readonly cut?: boolean;
}

export interface Request {
  readonly operation: string;
  /** What the person wrote; kept in the record. */
  readonly asked: string;
  /** Rows that may leave at most, reserved from the day's budget. */
  readonly maxRows: number;
}

export interface RecorderDependencies {
  readonly policy: Policy;
  readonly ledgerOf: (subjectId: string) => Ledger;
  readonly newId: () => string;
}

/** Thrown inside an operation to refuse it: like an `AppError`, with the rules for the record. */
export class Denied extends AppError {
  readonly rules: readonly string[];

  constructor(code: "not_found" | "not_allowed", publicMessage: string, rules: readonly string[] = []) {
    super(code, publicMessage);
    this.rules = rules;
  }
}

export type Recorder = <T>(
  caller: Caller,
  request: Request,
  work: (subject: Subject) => Promise<Answered<T>>,
) => Promise<T>;

/**
 * Builds the frame. Whatever the operation does, one record is committed before its answer or its error leaves; if the
 * record cannot be written, the call fails and nothing leaves.
 * Errors: `record_full`, `limit_reached`, `interrupted`, and the operation's own.
 */
export function createRecorder({ policy, ledgerOf, newId }: RecorderDependencies): Recorder {
  return async (caller, { operation, asked, maxRows }, work) => {
    const subject = resolveSubject(policy, caller.identity);
    const ledger = ledgerOf(subject.subjectId);
    const call = newId();
    const { subjectId, roles } = subject;
    const begun = await ledger.begin({ call, subjectId, clientId: caller.clientId, roles, operation, asked }, maxRows);
    if (!begun.ok) throw refusal(begun);
    const commit = async (outcome: Outcome): Promise<void> => {
      const committed = await ledger.commit(call, outcome);
      if (!committed.ok)
        throw new AppError("interrupted", "The call took too long and was given up. Try a narrower one.");
    };
    let answered;
    try {
      answered = await work(subject);
    } catch (thrown) {
      await commit(failure(thrown));
      throw thrown;
    }
    const { answer, datasets, rules, masked = [], rows = 0, cut = false } = answered;
    await commit({ result: "answered", code: null, datasets, rules, masked, rows, cut });
    return answer;
  };
}

function refusal(begun: Extract<Awaited<ReturnType<Ledger["begin"]>>, { ok: false }>): AppError {
  switch (begun.reason) {
    case "record_full":
      return new AppError(
        "record_full",
        "The record of your calls is full, so no new call can be recorded and none is served. Whoever runs this server can make room.",
      );
    case "rows_spent":
      return new AppError(
        "limit_reached",
        `Your rows for today are used up (${begun.rowsPerDay} per UTC day). Ask for fewer rows with limit, or continue tomorrow.`,
      );
  }
}

function failure(thrown: unknown): Outcome {
  const nothing = { datasets: [], masked: [], rows: 0, cut: false };
  if (thrown instanceof Denied) return { result: "denied", code: thrown.code, rules: thrown.rules, ...nothing };
  return { result: "failed", code: thrown instanceof AppError ? thrown.code : "internal", rules: [], ...nothing };
}
