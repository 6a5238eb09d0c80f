// Wraps every operation in an audit record: one ledger call before anything is read, and one before anything is returned. The operations
// themselves are in other files.
import { AppError } from "../errors.ts";
import { describeNearBudgets, describeSpentBudget } from "./budget-limits.ts";
import type { RecordedKeys } from "./record-keys.ts";
import { boundRequestText } from "./record-size.ts";
import type {
  Attempt,
  BeginRefusal,
  CommitOptions,
  Ledger,
  Outcome,
  RecordPriority,
  ResultTicket,
} from "./audit-record.ts";
import { byteLength } from "../lib/bytes.ts";
import { getOwnerId } from "../lib/identity.ts";
import { resolveSubject } from "../policy/evaluate.ts";
import { createGrantsDigest } from "../policy/grants-digest.ts";
import { DefenceRefusal } from "../sql/defence-refusal.ts";
import type { DefenceCode } from "../sql/defence-refusal.ts";
import { createPausedError } from "./pause-model.ts";
import type { Policy, Subject } from "../policy/model.ts";
import type { LoggedStatement } from "./call-log.ts";
import { NO_SPANS } from "../lib/spans.ts";
import type { Spans, WithSpan } from "../lib/spans.ts";
import type { Caller } from "../lib/identity.ts";

/** What an operation returns: the answer, and the outcome for its audit record. */
export interface Audited<T> {
  readonly answer: T;
  readonly datasets: readonly string[];
  readonly rules: readonly string[];
  /** The columns that were read, as `source.table.column`. */
  readonly columns?: readonly string[];
  /** The rows in the answer, of the datasets whose policy asks for it. */
  readonly keys?: RecordedKeys;
  readonly masked?: readonly string[];
  /** Datasets and columns in the answer with text that outsiders wrote. */
  readonly untrusted?: readonly string[];
  /** The number of rows and documents in the answer. */
  readonly rows?: number;
  readonly cut?: boolean;
  /** The id of the result that stores its rows. */
  readonly result?: string;
  /**
   * Stores that result as pending: no call can use it before the ledger names this one as committed; absent when it is stored already. Runs
   * while the audit record is written. When it fails, the call fails.
   */
  readonly keep?: () => Promise<void>;
  /** The D1 bookmark of the locked source after the read. */
  readonly bookmark?: string | null;
}

/** The request of a caller, as its audit record names it. */
export interface AuditRequest {
  readonly operation: string;
  /** The request as the user wrote it, without what a record must not hold. */
  readonly requestText: string;
  /** What the request names: a source, a dataset, an id or a URI. */
  readonly resource?: string | undefined;
  /** The maximum number of returned rows, reserved from the user's rows of the day. */
  readonly reservedRows: number;
  /** The source on which only one call of the user runs at a time; null for an operation that costs the source little. */
  readonly lockedSource: string | null;
  /** The statement of a query, as the log names it. */
  readonly statement?: LoggedStatement | undefined;
  /** How many masking tokens the request may exchange for values. None by default. */
  readonly reservedReveals?: number;
  /** `call` by default. */
  readonly priority?: RecordPriority;
  /** Whether the answer may store a result. False by default. */
  readonly mayStoreResult?: boolean;
}

/** What the audit needs. Without spans, calls are in no trace and have no trace id. */
export interface AuditDependencies extends Partial<Spans> {
  readonly policy: Policy;
  /** Opens the ledger of a user, which also records the calls of their personal access tokens. */
  readonly openLedger: (ownerId: string) => Ledger;
  readonly newId: () => string;
  /** Names whom a user asks when an operator has paused something. */
  readonly organisation?: { readonly contact: string };
  /** Called with each resolved subject before it is served. An error fails the call. */
  readonly onSubject?: (subject: Subject) => Promise<void>;
  /** Continues work after the response was sent. */
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/** A refusal by the policy. Only the audit record names what was denied; the message must not reveal it. */
export class DeniedError extends AppError {
  /** What was requested and denied, as `dataset: reason`. */
  readonly denials: readonly string[];
  readonly rules: readonly string[];

  constructor(error: AppError, denials: readonly string[], rules: readonly string[]) {
    super(error.code, error.publicMessage, { cause: error.cause, isMissing: error.isMissing });
    this.denials = denials;
    this.rules = rules;
  }
}

/** The call was answered with an error because it took too long, but the database still works on it. */
export class StillRunningError extends AppError {
  /** Settles when the database has finished. */
  readonly pendingWork: Promise<unknown>;

  constructor(error: AppError, pendingWork: Promise<unknown>) {
    super(error.code, error.publicMessage, { cause: error.cause });
    this.pendingWork = pendingWork;
  }
}

/** The workspace has used the number of a result before: the ledger lost what it knew, as after a recovery to an earlier time. */
export class ResultNumberUsedError extends AppError {
  /** The highest number that the workspace has used. */
  readonly lastNumber: number;

  constructor(lastNumber: number) {
    super("interrupted", "The result could not be stored under its number. Send the query again.");
    this.lastNumber = lastNumber;
  }
}

/** A call that has begun. */
export interface AuditedCall {
  /** Unguessable and new for each call. */
  readonly id: string;
  readonly subject: Subject;
  /** The D1 bookmark of the subject's last read of the locked source. */
  readonly bookmark: string | null;
  /** The subject whose ledger records the call. */
  readonly ownerId: string;
  readonly resultTicket: ResultTicket;
  /** Returns the digest of the grants that decide this call. It changes when they change. */
  readonly grantsDigest: () => string;
  /** The id of the platform's trace that the call belongs to; null when none is recorded. */
  readonly traceId: string | null;
  /** The error for each source that an operator has paused, by name. */
  readonly pausedSources: ReadonlyMap<string, AppError>;
  /** When text of outsiders last reached the owner's assistants, in milliseconds since the epoch; null if it never did. */
  readonly untrustedMs: number | null;
}

/** Runs `work` as an audited call and returns its answer. */
export type WithAudit = <T>(
  caller: Caller,
  request: AuditRequest,
  work: (call: AuditedCall) => Promise<Audited<T>>,
) => Promise<T>;

/**
 * Creates `withAudit`. It commits one audit record before the answer or error of an operation is returned; when the record cannot be
 * written, the call fails and returns nothing. The result of an answer is stored meanwhile, and the call also fails when that fails.
 * Errors: `record_full`, `limit_reached`, `source_unavailable`, `interrupted`, and those of the operation.
 */
export function createWithAudit(dependencies: AuditDependencies): WithAudit {
  const { withSpan = NO_SPANS.withSpan, newId } = dependencies;
  const frameCall = createCallFrame({ ...dependencies, withSpan });
  return async (caller, request, work) => {
    const { operation, statement } = request;
    const call = newId();
    const source = statement?.source ?? null;
    const attributes = { call, operation, ...(source === null ? {} : { source }) };
    return withSpan("gatehouse.call", attributes, async () => frameCall(call, caller, request, work));
  };
}

/** As `WithAudit`, for a call that has its id and runs in its span. */
type CallFrame = <T>(
  call: string,
  caller: Caller,
  request: AuditRequest,
  work: (call: AuditedCall) => Promise<Audited<T>>,
) => Promise<T>;

function createCallFrame({
  policy,
  openLedger,
  onSubject,
  waitUntil,
  withSpan,
  readTraceId = NO_SPANS.readTraceId,
  organisation,
}: AuditDependencies & { readonly withSpan: WithSpan }): CallFrame {
  const digestGrants = createGrantsDigest(policy);
  const contact = organisation?.contact;
  return async (call, caller, request, work) => {
    const { reservedRows, lockedSource, priority = "call", mayStoreResult = false, reservedReveals = 0 } = request;
    const { identity } = caller;
    const { subjectId } = identity;
    const ownerId = getOwnerId(identity);
    const ledger = (): Ledger => openLedger(ownerId);
    const traceId = readTraceId();
    const attempt = await buildAttempt(call, caller, request, traceId);
    const beginOptions = { mayStoreResult, reservedReveals, grant: caller.grant };
    const beginResult = await withSpan("gatehouse.ledger.begin", { call }, async () =>
      ledger().begin(attempt, identity, reservedRows, lockedSource, priority, beginOptions),
    );
    if (!beginResult.ok) {
      if (beginResult.reason === "grant_ended") caller.onSignIn?.("ended");
      throw createRefusal(beginResult, contact);
    }
    if (caller.grant !== undefined) caller.onSignIn?.("current");
    const { bookmark, results: resultTicket, nearLimits, untrustedMs } = beginResult;
    if (nearLimits.length > 0) caller.onNotice?.(describeNearBudgets(nearLimits));
    const subject = resolveSubject(policy, identity, beginResult.member);
    const { roles } = subject;
    const pausedSources = new Map(
      beginResult.pausedSources.map((pause) => [pause.target, createPausedError(pause, contact)]),
    );
    // A stored answer may have data of a source that was paused since: it is delivered again only under the same pauses.
    const pausedNames = [...pausedSources.keys()].toSorted().map((name) => ` without ${name}`);
    const grantsDigest = (): string => `${digestGrants(subject)}${pausedNames.join("")}`;
    caller.onGrants?.({ call, digest: grantsDigest() });
    const commit = async (outcome: Outcome, options: CommitOptions, cause?: unknown): Promise<void> =>
      withSpan("gatehouse.ledger.commit", { call }, async () =>
        commitCall(ledger, call, outcome, options, { cause, contact }),
      );
    let audited;
    try {
      await onSubject?.(subject);
      const begun = { id: call, subject, bookmark, ownerId, resultTicket, grantsDigest, traceId };
      audited = await work({ ...begun, pausedSources, untrustedMs });
    } catch (thrown) {
      const isStillRunning = thrown instanceof StillRunningError;
      const queryLock = isStillRunning ? "kept" : "freed";
      const options = { queryLock, bookmark: null, defence: findDefence(thrown) } as const;
      const release = async (): Promise<void> => ledger().release(call);
      // The lock is freed when the query ends, even when it fails or its record cannot be written.
      if (isStillRunning) waitUntil(thrown.pendingWork.then(release, release));
      await commit({ ...buildFailedOutcome(thrown), roles }, options, thrown);
      throw thrown;
    }
    const options = { queryLock: "freed", bookmark: audited.bookmark ?? null } as const;
    const [committed, kept] = await Promise.allSettled([
      commit({ ...buildAnsweredOutcome(audited), roles }, options),
      audited.keep?.(),
    ]);
    if (committed.status === "rejected") throw committed.reason;
    if (kept.status === "fulfilled") return audited.answer;
    await reportUnstored(ledger(), call, subjectId, kept.reason);
    throw kept.reason;
  };
}

/** Builds the part of the record that is known before the call is decided. */
async function buildAttempt(
  call: string,
  { identity: { subjectId, token }, clientId, origin }: Caller,
  { operation, requestText, resource }: AuditRequest,
  trace: string | null,
): Promise<Attempt> {
  return {
    call,
    subjectId,
    owner: token?.ownerId ?? null,
    clientId,
    operation,
    asked: await boundRequestText(requestText),
    ...(resource === undefined ? {} : { resource: await boundRequestText(resource) }),
    ...(origin === undefined ? {} : { era: origin.era }),
    ...(typeof origin?.session === "string" ? { session: origin.session } : {}),
    ...(trace === null ? {} : { trace }),
  };
}

/** Finds the code of the defence that refused a call, also where a later layer has worded its error for the user. */
function findDefence(thrown: unknown): DefenceCode | undefined {
  if (thrown instanceof DefenceRefusal) return thrown.refusal.code;
  return thrown instanceof Error && thrown.cause !== undefined ? findDefence(thrown.cause) : undefined;
}

/** Records that the answer of a committed call does not leave. */
async function reportUnstored(ledger: Ledger, call: string, subjectId: string, error: unknown): Promise<void> {
  const lastNumber = error instanceof ResultNumberUsedError ? error.lastNumber : null;
  try {
    await ledger.reportUnstored(call, { subjectId, lastNumber });
  } catch (reportError) {
    // The record then names an answer that did not leave, which is safe. The caller gets the first error, and the log both.
    const cause = new AggregateError([error, reportError], "the result was not stored, and this was not recorded");
    throw error instanceof AppError ? new AppError(error.code, error.publicMessage, { cause }) : cause;
  }
}

/** Tries twice, because the ledger's object may have restarted during the call; repeating a commit changes nothing. */
async function commitCall(
  ledger: () => Ledger,
  call: string,
  outcome: Outcome,
  options: CommitOptions,
  { cause, contact }: { readonly cause: unknown; readonly contact: string | undefined },
): Promise<void> {
  const commitResult = await ledger()
    .commit(call, outcome, options)
    .catch(async () => ledger().commit(call, outcome, options));
  if (!commitResult.ok && commitResult.reason === "paused") throw createPausedError(commitResult.pause, contact);
  if (!commitResult.ok)
    throw new AppError("interrupted", "The call took too long and was abandoned. Ask for less.", { cause });
}

const RECORD_FULL = [
  "The record of your calls is full. No new call of yours or of your personal access tokens can be recorded, so none is served.",
  "It empties by itself once the server's own database answers again; until then the operator can raise limits.maxAuditBytes.",
  "On the server's own pages you can still end connections and revoke personal access tokens.",
].join(" ");

const BUSY = [
  "Another query, of yours or of one of your personal access tokens, is still running on this source.",
  "Wait until it ends, then try again. Send one query at a time.",
].join(" ");

function createRefusal(refusal: BeginRefusal, contact: string | undefined): AppError {
  switch (refusal.reason) {
    case "paused":
      return createPausedError(refusal.pause, contact);
    case "grant_ended":
      return new AppError("not_signed_in", "The connection was ended. Sign in again.");
    case "record_full":
      return new AppError("record_full", RECORD_FULL);
    case "members_unavailable":
      return new AppError("source_unavailable", "The members table is not available. Try again in a minute.");
    case "workspace_unavailable":
      return new AppError("source_unavailable", "Your workspace is not responding. Try again in a minute.");
    case "busy":
      return new AppError("limit_reached", BUSY);
    case "budget_spent":
      return new AppError("limit_reached", describeSpentBudget(refusal.budget));
  }
}

type OutcomeWithoutRoles = Omit<Outcome, "roles">;

function buildAnsweredOutcome(audited: Audited<unknown>): OutcomeWithoutRoles {
  const { answer, datasets, rules, columns = [], keys = {}, masked = [], untrusted = [] } = audited;
  const { rows = 0, cut = false, result: kept = null } = audited;
  const bytes = byteLength(JSON.stringify(answer) ?? "");
  const read = columns.length === 0 ? {} : { columns };
  return {
    result: "answered",
    code: null,
    datasets,
    rules,
    denials: [],
    ...read,
    ...(Object.keys(keys).length === 0 ? {} : { keys }),
    masked,
    untrusted,
    rows,
    bytes,
    cut,
    kept,
  };
}

function buildFailedOutcome(thrown: unknown): OutcomeWithoutRoles {
  const emptyOutcome = { datasets: [], masked: [], untrusted: [], rows: 0, cut: false, kept: null };
  const code = thrown instanceof AppError ? thrown.code : "internal";
  if (thrown instanceof DeniedError)
    return { result: "denied", code, rules: thrown.rules, denials: thrown.denials, ...emptyOutcome };
  return { result: code === "not_found" ? "denied" : "failed", code, rules: [], denials: [], ...emptyOutcome };
}
