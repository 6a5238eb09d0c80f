// What the ledger keeps of every call: who asked what, which rules decided, and what left. Never a value that a source
// returned.
import type { ErrorCode } from "../errors.ts";
import type { Identity } from "../lib/identity.ts";
import type { MemberRecord } from "../policy/model.ts";

/** What is known when a call begins. */
export interface Attempt {
  /** Unguessable, new for each call; also the id of the call's lease. */
  readonly call: string;
  readonly subjectId: string;
  /** The subject id of the person whose access token calls; null when a person does. */
  readonly owner: string | null;
  /** The OAuth client that acts for the subject. */
  readonly clientId: string;
  /** The operation: `query`, `fetch`, `list resources`, … */
  readonly operation: string;
  /** What was asked, as the person wrote it: SQL, a search text, an id; cut when it is long. Bound values are not kept. */
  readonly asked: string;
}

/** What became of it. */
export interface Outcome {
  readonly result: "answered" | "denied" | "failed" | "interrupted";
  /** The error's code when nothing was answered. */
  readonly code: ErrorCode | null;
  /** The roles under which it was decided. */
  readonly roles: readonly string[];
  /** The datasets in reach of the call. */
  readonly datasets: readonly string[];
  /** The rules that decided, by id. */
  readonly rules: readonly string[];
  /** What was asked for and not granted, as `dataset: reason`. */
  readonly denials: readonly string[];
  /** Columns that were masked, as `source.table.column:mask`. */
  readonly masked: readonly string[];
  /** Text that outsiders wrote and that left, by dataset or `source.table.column`. */
  readonly untrusted: readonly string[];
  /** Rows and documents that left. */
  readonly rows: number;
  readonly cut: boolean;
  /** The id of the result that was kept; null when none was. */
  readonly kept: string | null;
}

/** One link of a subject's chain. */
export interface LedgerRecord {
  /** 1, 2, 3, … without gaps. */
  readonly seq: number;
  /** JSON of attempt, outcome and times, exactly as hashed. */
  readonly body: string;
  /** SHA-256 over the previous hash and the body, 64 hex digits. */
  readonly hash: string;
}

export type BeginResult =
  /** `bookmark`: how new the slot's source was when the subject last read it. `member`: the subject's record in the members table. */
  | { readonly ok: true; readonly bookmark: string | null; readonly member: MemberRecord }
  | { readonly ok: false; readonly reason: "members_unavailable" }
  | { readonly ok: false; readonly reason: "record_full" }
  | { readonly ok: false; readonly reason: "rows_spent"; readonly rowsPerDay: number }
  | { readonly ok: false; readonly reason: "busy" };

export type CommitResult =
  { readonly ok: true; readonly seq: number } | { readonly ok: false; readonly reason: "no_lease" };

/**
 * What room in a ledger is for. Each kind may fill more of it than the one before, so that calls leave room for what happens to
 * the person (`event`: a connection ended, an ended token used), both for a look at what could be taken away (`listing`), and all for
 * what takes access away (`revocation`).
 */
export type Room = "call" | "event" | "listing" | "revocation";

/** What stays of a call besides its record. */
export interface AfterCall {
  /** A slot that is `kept` stays the call's until `release`, as its query still runs. */
  readonly slot: "freed" | "kept";
  /** How new the slot's source was; null when nothing was read. */
  readonly bookmark: string | null;
}

/** The ledger as the gateway calls it: once before anything is read, once before anything leaves. */
export interface Ledger {
  /**
   * Makes sure of the caller's record in the members table; reserves room for the record and `maxRows` of the day's rows, leased until a deadline; and the slot, if one is named,
   * after waiting for a turn. `room` is `call` unless it is given.
   */
  begin(attempt: Attempt, identity: Identity, maxRows: number, slot: string | null, room?: Room): Promise<BeginResult>;
  /** Writes the record and settles the reservation. Repeating it for the same call changes nothing. */
  commit(call: string, outcome: Outcome, after: AfterCall): Promise<CommitResult>;
  /** Frees the slot of a call that kept it. */
  release(call: string): Promise<void>;
}

/** The ledger as those call it to whom something happens that concerns a subject. */
export interface NoteLedger {
  /**
   * Writes the record of something that happened to the subject at `atMs` and that no call asked for. Repeating it changes
   * nothing. Whoever calls this sees to it that nobody can cause many.
   */
  note(attempt: Attempt, outcome: Outcome, atMs: number): Promise<NoteResult>;
}

export type NoteResult = { readonly ok: true } | { readonly ok: false; readonly reason: "record_full" };

export const INTERRUPTED: Outcome = {
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
