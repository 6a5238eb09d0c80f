// The audit record that the ledger stores for every call (who asked what, which rules decided, what was returned), and the interface of
// the ledger. A record never contains a value that a source returned, except keys of rows where the policy asks for them.
import type { ErrorCode } from "../errors.ts";
import type { RecordedKeys } from "./record-keys.ts";
import type { DefenceCode } from "../sql/defence-refusal.ts";
import type { AccessGrant, Identity } from "../lib/identity.ts";
import type { BudgetState } from "./budget-limits.ts";
import type { Pause, PauseSnapshot } from "./pause-model.ts";
import type { MemberRecord } from "../policy/model.ts";

/** The part of an audit record that is known when the call begins. */
export interface Attempt {
  /** The id of the call and of its lease: unguessable and new for each call. */
  readonly call: string;
  readonly subjectId: string;
  /** The subject id of the owner when a personal access token makes the call; null when a user does. */
  readonly owner: string | null;
  /** The OAuth client that acts for the subject. */
  readonly clientId: string;
  /** The operation: `query`, `fetch`, `list resources`, … */
  readonly operation: string;
  /**
   * The request as the user wrote it (SQL, a search text, an id), truncated when it is long. Bound values are not stored, and
   * literals of SQL only when the policy file asks for it.
   */
  readonly asked: string;
  /** What the request names: a source, a dataset, an id or a URI. Absent when it names nothing. */
  readonly resource?: string;
  /** The protocol era of the client. Absent for the server's own pages and for events without a request. */
  readonly era?: "2025" | "2026";
  /** A digest of the session's id. Absent without a session. */
  readonly session?: string;
  /** The id of the platform's trace of the call. Absent where it keeps none. */
  readonly trace?: string;
}

/** The part of an audit record that is known when the call ends. */
export interface Outcome {
  readonly result: "answered" | "denied" | "failed" | "interrupted";
  /** The error code when the call was not answered. */
  readonly code: ErrorCode | null;
  /** The roles of the subject when the call was decided. */
  readonly roles: readonly string[];
  /** The datasets that the call could read. */
  readonly datasets: readonly string[];
  /** The ids of the rules that decided. */
  readonly rules: readonly string[];
  /** What was requested and denied, as `dataset: reason`. */
  readonly denials: readonly string[];
  /** The columns that were read, as `source.table.column`. Absent when no dataset was read. */
  readonly columns?: readonly string[];
  /** The rows that were returned, of the datasets whose policy asks for it. Absent when none was read. */
  readonly keys?: RecordedKeys;
  /** Masked columns, as `source.table.column:mask`. */
  readonly masked: readonly string[];
  /** Returned text that outsiders wrote, by dataset or `source.table.column`. */
  readonly untrusted: readonly string[];
  /** The number of rows and documents that were returned. */
  readonly rows: number;
  /** The size of the answer as JSON. Absent when there was no answer. */
  readonly bytes?: number;
  readonly cut: boolean;
  /** The id of the stored result; null when none was stored. */
  readonly kept: string | null;
  /** The subject id of the user who approved a change that was applied, or `policy`. Absent for anything else. */
  readonly approver?: string;
}

/** One link of a subject's hash chain. */
export interface LedgerRecord {
  /** 1, 2, 3, … without gaps. */
  readonly seq: number;
  /** JSON of the attempt, the outcome and the times. The value of an erased field is null. */
  readonly body: string;
  /** JSON list of the fields' salts, or of the hashes of erased fields; null when an earlier version wrote the record. */
  readonly salts: string | null;
  /** 64 hex digits; see `hashRecord`. */
  readonly hash: string;
}

/** What a call needs to store a result in its subject's workspace and to use the stored ones. */
export interface ResultTicket {
  /** The number of the result that the call may store, which no other result of the subject has; null when it stores none. */
  readonly number: number | null;
  /**
   * The subject's last calls that were committed with a result. Their results may still be pending in the workspace, and this list makes
   * them usable.
   */
  readonly committedCalls: readonly string[];
}

/** Why a call cannot begin. `grant_ended`: the grant or the access token of the caller has ended. */
export type BeginRefusal =
  | { readonly ok: false; readonly reason: "grant_ended" }
  | { readonly ok: false; readonly reason: "members_unavailable" }
  | { readonly ok: false; readonly reason: "workspace_unavailable" }
  | { readonly ok: false; readonly reason: "record_full" }
  | { readonly ok: false; readonly reason: "budget_spent"; readonly budget: BudgetState }
  | { readonly ok: false; readonly reason: "paused"; readonly pause: Pause }
  | { readonly ok: false; readonly reason: "busy" };

/** The result of `Ledger.begin`. */
export type BeginResult =
  | {
      readonly ok: true;
      /** The D1 bookmark of the subject's last read of the locked source. */
      readonly bookmark: string | null;
      /** The subject's record in the members table. */
      readonly member: MemberRecord;
      readonly results: ResultTicket;
      /** The limits of the day that the caller has nearly reached. */
      readonly nearLimits: readonly BudgetState[];
      /** The sources that an operator has paused. */
      readonly pausedSources: readonly Pause[];
      /** When text of outsiders last reached the owner's assistants, in milliseconds since the epoch; null if it never did. */
      readonly untrustedMs: number | null;
    }
  | BeginRefusal;

/**
 * The result of `Ledger.commit`. `no_lease`: the call outlived its lease, or was committed with another outcome. `paused`: an operator has
 * paused it since it began, and its record says so.
 */
export type CommitResult =
  | { readonly ok: true; readonly seq: number }
  | { readonly ok: false; readonly reason: "no_lease" }
  | { readonly ok: false; readonly reason: "paused"; readonly pause: Pause };

/**
 * What a record is for, which decides how full the ledger may get with it. Each priority may fill more than the one before: calls leave
 * room for events of the user (`event`: a connection ended, an ended access token was used), both leave room for lists of what can be
 * revoked (`listing`), and all leave room for what takes access away (`revocation`).
 */
export type RecordPriority = "call" | "event" | "listing" | "revocation";

/** What `commit` stores besides the record. */
export interface CommitOptions {
  /** `kept` when the query still runs: the call then holds its lock until `release`. */
  readonly queryLock: "freed" | "kept";
  /** The D1 bookmark of the locked source after the read; null when nothing was read. */
  readonly bookmark: string | null;
  /** The code of the defence that refused the call, for the operator's log. */
  readonly defence?: DefenceCode | undefined;
}

/** What else `begin` may be asked for. */
export interface BeginOptions {
  /** Whether the call may store a result, so that it needs a number for it. */
  readonly mayStoreResult?: boolean;
  /** How many masking tokens the call may exchange for values. None by default. */
  readonly reservedReveals?: number;
  /** The grant of the caller, which may have ended since the Worker read its access token. */
  readonly grant?: AccessGrant | undefined;
}

/** The ledger as the gateway calls it: once before anything is read, and once before anything is returned. */
export interface Ledger {
  /**
   * Begins a call. Loads the caller's member record, and reserves room for the audit record and `reservedRows` of the day's rows until
   * the lease ends. Waits for the query lock of `lockedSource` when it is given. `priority` is `call` by default.
   */
  begin(
    attempt: Attempt,
    identity: Identity,
    reservedRows: number,
    lockedSource: string | null,
    priority?: RecordPriority,
    options?: BeginOptions,
  ): Promise<BeginResult>;
  /** Writes the record and replaces the reserved rows with the returned rows. Repeating it for the same call changes nothing. */
  commit(call: string, outcome: Outcome, after: CommitOptions): Promise<CommitResult>;
  /** Frees the query lock of a call that was committed with `queryLock: "kept"`. */
  release(call: string): Promise<void>;
  /**
   * Records that a committed call failed after all, because its result could not be stored: its answer did not leave. If the workspace
   * stored the result and only its reply was lost, the result stays pending and is deleted, unless a call that began before this report was
   * already told that the call was committed: then its user may use the result, which their grants allowed. Repeating it changes nothing.
   */
  reportUnstored(call: string, unstored: UnstoredResult): Promise<void>;
}

/** Why a result was not stored. */
export interface UnstoredResult {
  readonly subjectId: string;
  /** The highest number that the workspace has used, when it refused the result's number; otherwise null. */
  readonly lastNumber: number | null;
}

/** A grant, or with `tokenHash` only this access token of it. */
export interface EndedAccess {
  readonly grantId: string;
  readonly tokenHash?: string | undefined;
}

/** The ledger as the grant store tells it about the end of a grant. */
export interface GrantLedger {
  /** Stores that a grant or an access token has ended: from now on, no call begins with it. Can be repeated. */
  endAccess(ended: EndedAccess): Promise<void>;
}

/** The ledger as the removal of a member uses it. All methods can be repeated. */
export interface RemovalLedger {
  /** Says what of the owner's work is not finished, besides `call`. */
  inspectWork(call: string): Promise<UnfinishedWork>;
  /**
   * Ends the owner's unfinished work. From now on no call begins with one of the personal access tokens `patIds`, no running call commits
   * except `call`, and no question can be answered. Query locks stay until the database has answered. Returns the last number of a result
   * of each subject: once their workspaces have it, they store no result of a call that ran.
   */
  endWork(call: string, patIds: readonly string[]): Promise<readonly ResultNumberOfSubject[]>;
  /** Writes the record of the removal, even when the ledger is full. */
  recordRemoval(attempt: Attempt): Promise<void>;
}

/** What of an owner's work is not finished. */
export interface UnfinishedWork {
  /** How many calls are running. */
  readonly calls: number;
  /** How many questions of tools the owner has not answered. */
  readonly questions: number;
  /** The owner and their personal access tokens with stored results, as far as the ledger knows. */
  readonly subjectIds: readonly string[];
}

/** The last number of a result that the ledger gave to a subject. */
export interface ResultNumberOfSubject {
  readonly subjectId: string;
  readonly last: number;
}

/** The ledger as a workspace asks it about its pending results. */
export interface ResultLedger {
  /** Says what became of calls. A call in neither list was not committed, and never will be. */
  settleResults(calls: readonly string[]): Promise<SettledCalls>;
}

/** The reply of `settleResults`. */
export interface SettledCalls {
  readonly committed: readonly string[];
  /** Calls whose lease has not ended. */
  readonly running: readonly string[];
}

/** The ledger for events that concern a subject without a call, such as the end of a connection. */
export interface EventLedger {
  /**
   * Writes the record of an event of the subject at `atMs`. Repeating it with the same `attempt.call` changes nothing. The caller limits
   * how many events a user or attacker can cause.
   */
  appendEvent(attempt: Attempt, outcome: Outcome, atMs: number): Promise<AppendResult>;
}

/** The ledger as the propagation of pauses uses it. */
export interface PauseLedger {
  /** Takes what is paused. Returns false when the ledger has a newer version. Can be repeated. */
  applyPauses(snapshot: PauseSnapshot): Promise<boolean>;
}

/** The result of `EventLedger.appendEvent`. */
export type AppendResult = { readonly ok: true } | { readonly ok: false; readonly reason: "record_full" };

/** The outcome of a call that outlived its lease, and the base of other outcomes without data. */
export const INTERRUPTED_OUTCOME: Outcome = {
  result: "interrupted",
  code: "interrupted",
  roles: [],
  datasets: [],
  rules: [],
  denials: [],
  masked: [],
  untrusted: [],
  rows: 0,
  cut: false,
  kept: null,
};

/** The outcome of an event that happened and returned no data. */
export const EVENT_OUTCOME: Outcome = { ...INTERRUPTED_OUTCOME, result: "answered", code: null };
