// The frame around every operation: exactly one ledger call before anything is read and one before anything leaves.
// What the operation does inside is its own file.
import { AppError } from "../errors.ts";
import { boundAsked } from "../ledger/record-size.ts";
import type { AfterCall, Ledger, Outcome, Room } from "../ledger/record.ts";
import { ownerIdOf } from "../lib/identity.ts";
import { resolveSubject } from "../policy/evaluate.ts";
import { createGrantsDigest } from "../policy/grants-digest.ts";
import type { Policy, Subject } from "../policy/model.ts";
import type { AskedStatement } from "./call-log.ts";
import type { Caller } from "../lib/identity.ts";

/** What an operation hands back: the answer, and what the record says of it. */
export interface Answered<T> {
  readonly answer: T;
  readonly datasets: readonly string[];
  readonly rules: readonly string[];
  readonly masked?: readonly string[];
  /** Datasets and columns of which text that outsiders wrote leaves. */
  readonly untrusted?: readonly string[];
  /** Rows and documents that leave. */
  readonly rows?: number;
  readonly cut?: boolean;
  /** The id under which its rows were kept. */
  readonly result?: string;
  /** How new the slot's source was. */
  readonly bookmark?: string | null;
}

/** What a caller asks for, as the record names it. */
export interface Asked {
  readonly operation: string;
  /** What the person wrote. */
  readonly asked: string;
  /** Rows that may leave at most, reserved from the day's budget. */
  readonly maxRows: number;
  /** The source that it works on alone of all the person's calls; null for what costs a source little. */
  readonly slot: string | null;
  /** Of a query, as the log names it. */
  readonly statement?: AskedStatement | undefined;
  /** `call` unless it is given. */
  readonly room?: Room;
}

export interface RecorderDependencies {
  readonly policy: Policy;
  /** The ledger of a person, in which the calls of their access tokens are too. */
  readonly ledgerOf: (ownerId: string) => Ledger;
  readonly newId: () => string;
  /** Sees each subject as it was resolved, before it is served. Must not throw. */
  readonly onSubject?: (subject: Subject) => Promise<void>;
  /** Goes on with work after the answer has left. */
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/** A refusal that the policy led to. What it was about stands in the record alone: the message must not tell. */
export class Denied extends AppError {
  /** `dataset: reason`, of what was asked for and is not granted. */
  readonly denials: readonly string[];
  readonly rules: readonly string[];

  constructor(error: AppError, denials: readonly string[], rules: readonly string[]) {
    super(error.code, error.publicMessage, { cause: error.cause, isMissing: error.isMissing });
    this.denials = denials;
    this.rules = rules;
  }
}

/** The person was told to stop waiting; the database works on. */
export class StillRunning extends AppError {
  /** Settles when the database is done. */
  readonly work: Promise<unknown>;

  constructor(error: AppError, work: Promise<unknown>) {
    super(error.code, error.publicMessage, { cause: error.cause });
    this.work = work;
  }
}

/** A call that has begun. */
export interface Call {
  /** Unguessable, new for each. */
  readonly id: string;
  readonly subject: Subject;
  /** How new the slot's source was when the subject last read it. */
  readonly bookmark: string | null;
  /** Of the grants that decide this call: another one as soon as they change. */
  readonly grantsDigest: () => string;
}

export type Recorder = <T>(caller: Caller, asked: Asked, work: (call: Call) => Promise<Answered<T>>) => Promise<T>;

/**
 * Builds the frame. Whatever the operation does, one record is committed before its answer or its error leaves; if the
 * record cannot be written, the call fails and nothing leaves.
 * Errors: `record_full`, `limit_reached`, `interrupted`, and the operation's own.
 */
export function createRecorder({ policy, ledgerOf, newId, onSubject, waitUntil }: RecorderDependencies): Recorder {
  const digestOf = createGrantsDigest(policy);
  return async (caller, { operation, asked, maxRows, slot, room = "call" }, work) => {
    const { identity, clientId } = caller;
    const { subjectId, token } = identity;
    const call = newId();
    const owner = token?.ownerId ?? null;
    const ledger = (): Ledger => ledgerOf(ownerIdOf(identity));
    const attempt = { call, subjectId, owner, clientId, operation, asked: await boundAsked(asked) };
    const begun = await ledger().begin(attempt, identity, maxRows, slot, room);
    if (!begun.ok) throw refusal(begun);
    const subject = resolveSubject(policy, identity, begun.member);
    const { roles } = subject;
    const grantsDigest = (): string => digestOf(subject);
    caller.noteGrants?.({ call, digest: grantsDigest() });
    let answered;
    try {
      await onSubject?.(subject);
      answered = await work({ id: call, subject, bookmark: begun.bookmark, grantsDigest });
    } catch (thrown) {
      const isRunning = thrown instanceof StillRunning;
      const after = { slot: isRunning ? "kept" : "freed", bookmark: null } as const;
      const release = async (): Promise<void> => ledger().release(call);
      // However the query ends, and also when its record fails, the next one may run then.
      if (isRunning) waitUntil(thrown.work.then(release, release));
      await commit(ledger, call, { ...failure(thrown), roles }, after, thrown);
      throw thrown;
    }
    await commit(
      ledger,
      call,
      { ...success(answered), roles },
      {
        slot: "freed",
        bookmark: answered.bookmark ?? null,
      },
    );
    return answered.answer;
  };
}

/** Tries twice: the ledger's object may have moved in between, and repeating a commit changes nothing. */
async function commit(
  ledger: () => Ledger,
  call: string,
  outcome: Outcome,
  after: AfterCall,
  cause?: unknown,
): Promise<void> {
  const committed = await ledger()
    .commit(call, outcome, after)
    .catch(async () => ledger().commit(call, outcome, after));
  if (!committed.ok)
    throw new AppError("interrupted", "The call took too long and was given up. Try a narrower one.", { cause });
}

function refusal(begun: Extract<Awaited<ReturnType<Ledger["begin"]>>, { ok: false }>): AppError {
  switch (begun.reason) {
    case "record_full":
      return new AppError(
        "record_full",
        "The record of your calls is full, so no new call of yours or of your access tokens can be recorded, and none is served. It does not empty by itself: the operator of this server makes room by raising limits.outboxBytes. On the server's own pages you can still end connections and revoke access tokens.",
      );
    case "members_unavailable":
      return new AppError("source_unavailable", "The list of members does not answer. Try again in a minute.");
    case "busy":
      return new AppError(
        "limit_reached",
        "Another query of yours, or of one of your access tokens, is still running on this source. Wait for it, then try again; ask one thing at a time.",
      );
    case "rows_spent":
      return new AppError(
        "limit_reached",
        `Your rows for today are used up (${begun.rowsPerDay} per UTC day, together with your access tokens). Ask for fewer rows with limit, or continue after 00:00 UTC.`,
      );
  }
}

type Decided = Omit<Outcome, "roles">;

function success(answered: Answered<unknown>): Decided {
  const { datasets, rules, masked = [], untrusted = [], rows = 0, cut = false, result: kept = null } = answered;
  return { result: "answered", code: null, datasets, rules, denials: [], masked, untrusted, rows, cut, kept };
}

function failure(thrown: unknown): Decided {
  const nothing = { datasets: [], masked: [], untrusted: [], rows: 0, cut: false, kept: null };
  const code = thrown instanceof AppError ? thrown.code : "internal";
  if (thrown instanceof Denied)
    return { result: "denied", code, rules: thrown.rules, denials: thrown.denials, ...nothing };
  return { result: code === "not_found" ? "denied" : "failed", code, rules: [], denials: [], ...nothing };
}
