// The Durable Object that stores the audit records, row budgets and leases of one owner. Its data must never be lost, and no user's
// SQL reaches it. Writes that belong together happen without an await between them, so a crash leaves all of them or none.
import { DurableObject } from "cloudflare:workers";
import type { NewHandle, OpenedHandle, SpentHandle } from "../lib/handle.ts";
import type { Identity } from "../lib/identity.ts";
import { createDueQueue } from "../lib/due-queue.ts";
import type { DueQueue } from "../lib/due-queue.ts";
import { openLayout } from "../lib/storage-layout.ts";
import { LEDGER_LAYOUT } from "./ledger-layout.ts";
import type { LedgerOptions } from "./ledger-options.ts";
import { flagUntrusted, readUntrustedMs } from "./untrusted-flag.ts";
import { createFillWarnings } from "./storage-warnings.ts";
import type { FillWarnings } from "./storage-warnings.ts";
import { createHandleTable } from "./single-use-handles.ts";
import type { HandleLedger, HandleTable } from "./single-use-handles.ts";
import type { RoleCache, PropagatedMember } from "./role-cache-contract.ts";
import { createRecords } from "./records.ts";
import type { Records } from "./records.ts";
import type { ErasedLedger, ErasureLedger, LedgerErasure } from "./erasure.ts";
import { eraseOwnRecords } from "./own-erasure.ts";
import { createOwnRecords } from "./own-records.ts";
import type { OwnRecords } from "./own-records.ts";
import { createFlushTasks, sendAgain } from "./record-flush.ts";
import type { FlushTasks } from "./record-flush.ts";
import type { ChainHead } from "./record-chain.ts";
import { createSentRecords } from "./sent-records.ts";
import { createQueryLocks } from "./query-locks.ts";
import type { QueryLocks } from "./query-locks.ts";
import { createEndedGrants } from "./ended-grants.ts";
import type { EndedGrants } from "./ended-grants.ts";
import { createCallChecks } from "./call-checks.ts";
import type { CallChecks } from "./call-checks.ts";
import type { PauseSnapshot } from "./pause-model.ts";
import { createResultNumbers } from "./result-numbers.ts";
import type { ResultNumbers } from "./result-numbers.ts";
import { EVENT_OUTCOME } from "./audit-record.ts";
import { boundAttempt } from "./record-size.ts";
import type {
  CommitOptions,
  Attempt,
  BeginOptions,
  BeginRefusal,
  BeginResult,
  EndedAccess,
  CommitResult,
  Ledger,
  LedgerRecord,
  EventLedger,
  AppendResult,
  GrantLedger,
  Outcome,
  PauseLedger,
  RecordPriority,
  RemovalLedger,
  ResultLedger,
  ResultNumberOfSubject,
  SettledCalls,
  UnfinishedWork,
  UnstoredResult,
} from "./audit-record.ts";

/** How long records wait, so that those of several calls are sent together. */
const FLUSH_DELAY_MS = 10_000;

const MEMBERS_UNAVAILABLE = { ok: false, reason: "members_unavailable" } as const;
const GRANT_ENDED = { ok: false, reason: "grant_ended" } as const;

/** Stores the records, budgets, query locks and cached roles of one owner. The wrangler configuration binds it as `LEDGER`. */
export class LedgerObject<E = unknown>
  extends DurableObject<E>
  implements Ledger, EventLedger, ResultLedger, GrantLedger, HandleLedger, RemovalLedger, ErasureLedger, PauseLedger
{
  readonly #sql: SqlStorage;
  readonly #records: Records;
  readonly #ownRecords: OwnRecords;
  readonly #resultNumbers: ResultNumbers;
  readonly #endedGrants: EndedGrants;
  readonly #handles: HandleTable;
  readonly #queryLocks: QueryLocks;
  readonly #options: LedgerOptions;
  readonly #roleCache: RoleCache;
  readonly #warnings: FillWarnings;
  readonly #due: DueQueue;
  readonly #checks: CallChecks;
  /** Records on their way to GATEHOUSE_DB. */
  readonly #sends = new Set<Promise<void>>();
  #isRefreshing = false;

  constructor(ctx: DurableObjectState, env: E, options: LedgerOptions) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#options = options;
    openLayout(ctx.storage, LEDGER_LAYOUT);
    const { limits, warn, signals } = this.#options;
    const { queueSeconds, leaseSeconds, maxAuditBytes } = limits;
    this.#warnings = createFillWarnings(this.#sql, { subjectId: ctx.id.name ?? "", maxAuditBytes, warn });
    this.#resultNumbers = createResultNumbers(this.#sql);
    this.#records = createRecords(this.#sql, limits, this.#resultNumbers, {
      onHalfFull: this.#warnings.warnHalfFull,
      onAppend: () => this.#enqueueFlush(),
    });
    const subjectId = ctx.id.name ?? "";
    this.#ownRecords = createOwnRecords(this.#sql, this.#records, subjectId, Date.now);
    this.#checks = createCallChecks(ctx.storage, { records: this.#records, subjectId, signals, now: Date.now });
    this.#due = createDueQueue(ctx.storage, {
      now: Date.now,
      onError: (task, error) => {
        if (task !== "flush" || this.#isDelayReported()) options.onError(error);
      },
    });
    this.#endedGrants = createEndedGrants(this.#sql);
    this.#handles = createHandleTable(this.#sql);
    this.#queryLocks = createQueryLocks(this.#sql, { queueSeconds, maxHoldSeconds: leaseSeconds }, Date.now);
    if (this.#options.soleProcessStartedMs !== undefined)
      this.#queryLocks.releaseHeldBefore(this.#options.soleProcessStartedMs);
    this.#roleCache = this.#options.openRoleCache(this.#sql, Date.now, this.#checks.applyPauses);
  }

  async begin(
    unbounded: Attempt,
    identity: Identity,
    reservedRows: number,
    lockedSource: string | null,
    priority: RecordPriority = "call",
    { mayStoreResult = false, reservedReveals = 0, grant }: BeginOptions = {},
  ): Promise<BeginResult> {
    const attempt = boundAttempt(unbounded);
    const access = grant ?? (identity.token === undefined ? undefined : { grantId: identity.token.id });
    const hasGrantEnded = (): boolean => access !== undefined && this.#endedGrants.hasEnded(access, Date.now());
    if (hasGrantEnded()) return GRANT_ENDED;
    if (!(await this.#loadRoles(identity))) return MEMBERS_UNAVAILABLE;
    try {
      if (mayStoreResult) await this.#ensureNumbersStarted(attempt.subjectId);
    } catch (error) {
      this.#options.onError(error);
      return { ok: false, reason: "workspace_unavailable" };
    }
    const refuse = (): BeginRefusal | undefined =>
      hasGrantEnded() ? GRANT_ENDED : this.#refuseIfPaused(attempt, identity, priority);
    const earlyRefusal = refuse();
    if (earlyRefusal !== undefined) return earlyRefusal;
    if (lockedSource !== null) {
      if (!(await this.#queryLocks.acquire(lockedSource, attempt.call))) return { ok: false, reason: "busy" };
      // While it waited, a call of the same user under another email address may have replaced the cached roles, the grant may have
      // ended, or an operator may have paused its caller.
      const refusal = (await this.#loadRoles(identity)) ? refuse() : MEMBERS_UNAVAILABLE;
      if (refusal !== undefined) {
        this.#queryLocks.release(attempt.call);
        return refusal;
      }
    }
    const reserved = this.ctx.storage.transactionSync(() =>
      this.#records.reserve(
        attempt,
        { rows: reservedRows, reveals: reservedReveals, priority, mayStoreResult },
        Date.now(),
      ),
    );
    if (reserved.ok) {
      this.#due.enqueue("end expired", Date.now() + this.#options.limits.leaseSeconds * 1000);
      this.#refreshInBackground(identity);
      const bookmark = lockedSource === null ? null : this.#queryLocks.readBookmark(lockedSource);
      // Read last, because the roles may have changed while the call waited for its lock.
      return {
        ok: true,
        bookmark,
        member: this.#roleCache.getMember(identity),
        results: reserved.results,
        nearLimits: reserved.nearLimits,
        pausedSources: this.#checks.listPausedSources(),
        untrustedMs: readUntrustedMs(this.#sql),
      };
    }
    this.#queryLocks.release(attempt.call);
    if (reserved.reason === "budget_spent" && this.#ownRecords.limitReached(reserved.budget))
      this.#warnings.warnSpent(reserved.budget);
    if (reserved.reason === "record_full") this.#warnings.warnFull(this.#records.readStoredBytes(), Date.now());
    return reserved;
  }

  /** Continues the numbers of a workspace whose results an earlier version numbered, or that has none. */
  async #ensureNumbersStarted(subjectId: string): Promise<void> {
    if (this.#resultNumbers.isStarted(subjectId)) return;
    const lastNumber = (await this.#options.readLastResultNumber?.(subjectId)) ?? 0;
    this.#resultNumbers.continueAfter(subjectId, lastNumber);
  }

  /** Loads the cached roles. Returns false when the members table is not available. */
  async #loadRoles(identity: Identity): Promise<boolean> {
    try {
      await this.#roleCache.ensureLoaded(identity);
      return true;
    } catch (error) {
      this.#options.onError(error);
      return false;
    }
  }

  #refuseIfPaused(attempt: Attempt, identity: Identity, priority: RecordPriority): BeginRefusal | undefined {
    const pause = this.#checks.findPause(attempt, identity, priority);
    if (pause === undefined) return undefined;
    // The end of the pause may not have been propagated.
    this.#refreshInBackground(identity);
    return this.#checks.refuse(attempt, pause);
  }

  async applyPauses(snapshot: PauseSnapshot): Promise<boolean> {
    return this.#checks.applyPauses(snapshot);
  }

  /** Applies a propagated change of the members table to the cached roles, and records it if it changes them. */
  async applyMember(member: PropagatedMember, changedBy: string): Promise<void> {
    this.ctx.storage.transactionSync(() => {
      if (this.#roleCache.apply(member)) this.#ownRecords.memberChanged(changedBy, this.#roleCache.getMember());
    });
  }

  /** Compares the cached roles with the members table without delaying the call. Changes that were not propagated act at the next call. */
  #refreshInBackground(identity: Identity): void {
    const caller = identity.token === undefined ? "person" : "token";
    if (this.#isRefreshing || !this.#roleCache.isStale(caller)) return;
    this.#isRefreshing = true;
    const refresh = async (): Promise<void> => {
      if (!(await this.#roleCache.refresh(identity))) return;
      this.#ownRecords.memberChanged("unknown", this.#roleCache.getMember());
      await this.#options.onMemberChanged(identity, this.#roleCache.getMember());
    };
    // A failed comparison stores nothing, so the next call tries again.
    this.ctx.waitUntil(
      refresh()
        .catch(this.#options.onError)
        .finally(() => (this.#isRefreshing = false)),
    );
  }

  #enqueueFlush(): void {
    if (this.#options.recordStore === undefined) return;
    this.#due.enqueue("flush", Date.now() + FLUSH_DELAY_MS);
  }

  /** Runs what is due: sends records, and ends calls that outlived their lease. */
  override async alarm(): Promise<void> {
    const run = this.#due.runDue({
      "end expired": async () => this.ctx.storage.transactionSync(() => this.#records.endExpired(Date.now())),
      "forget questions": async () => this.#handles.deleteOld(Date.now()),
      ...this.#createFlushTasks(),
    });
    await this.#whileSending(run);
  }

  async #whileSending(sending: Promise<void>): Promise<void> {
    this.#sends.add(sending);
    try {
      await sending;
    } finally {
      this.#sends.delete(sending);
    }
  }

  /** Warns when records have waited for long. Otherwise every ledger would report each failed try of a short outage. */
  #isDelayReported(): boolean {
    const nowMs = Date.now();
    const oldestMs = createSentRecords(this.#sql).readOldestUnsentMs();
    // A flush without records that wait has another cause than the database.
    if (oldestMs === undefined) return true;
    return this.#warnings.warnDelayed(this.#records.readStoredBytes(), oldestMs, nowMs);
  }

  #createFlushTasks(): FlushTasks {
    const { recordStore: store } = this.#options;
    if (store === undefined) return {};
    return createFlushTasks({
      ledger: this.ctx.id.name ?? "",
      records: createSentRecords(this.#sql),
      store,
      transact: (change) => this.ctx.storage.transactionSync(change),
      now: Date.now,
      onHeld: this.#warnings.warnHeld,
      retryHeldAt: (dueMs) => this.#due.enqueue("retry held", dueMs),
    });
  }

  async commit(call: string, outcome: Outcome, { queryLock, bookmark, defence }: CommitOptions): Promise<CommitResult> {
    const committed = this.#checks.commit(call, outcome, defence);
    if (committed.ok && outcome.untrusted.length > 0) flagUntrusted(this.#sql, Date.now());
    if (bookmark !== null) this.#queryLocks.storeBookmark(call, bookmark);
    if (queryLock === "freed") this.#queryLocks.release(call);
    return committed;
  }

  async release(call: string): Promise<void> {
    this.#queryLocks.release(call);
  }

  async reportUnstored(call: string, { subjectId, lastNumber }: UnstoredResult): Promise<void> {
    this.ctx.storage.transactionSync(() => {
      this.#records.appendUnstored(call, subjectId, Date.now());
      if (lastNumber !== null) this.#resultNumbers.continueAfter(subjectId, lastNumber);
    });
  }

  async endAccess(ended: EndedAccess): Promise<void> {
    this.ctx.storage.transactionSync(() => this.#endedGrants.add(ended, Date.now()));
  }

  async inspectWork(call: string): Promise<UnfinishedWork> {
    const nowMs = Date.now();
    return {
      calls: this.#records.countOthers(call, nowMs),
      questions: this.#handles.countOpen(nowMs),
      subjectIds: this.#resultNumbers.list().map(({ subjectId }) => subjectId),
    };
  }

  async endWork(call: string, patIds: readonly string[]): Promise<readonly ResultNumberOfSubject[]> {
    return this.ctx.storage.transactionSync(() => {
      const nowMs = Date.now();
      for (const grantId of patIds) this.#endedGrants.add({ grantId }, nowMs);
      this.#records.interruptOthers(call, nowMs);
      this.#handles.clear();
      return this.#resultNumbers.list();
    });
  }

  async recordRemoval(attempt: Attempt): Promise<void> {
    const outcome: Outcome = EVENT_OUTCOME;
    this.ctx.storage.transactionSync(() => this.#records.appendAlways(attempt, outcome, Date.now()));
  }

  async eraseRecords(erasure: LedgerErasure): Promise<ErasedLedger> {
    // What is on its way to GATEHOUSE_DB still has the values; once it is there, they are erased there too.
    while (this.#sends.size > 0) await Promise.allSettled(this.#sends);
    return this.ctx.storage.transactionSync(() => {
      const ledger = this.ctx.id.name ?? "";
      const dependencies = { sql: this.#sql, records: this.#records, ledger, nowMs: Date.now() };
      const erased = eraseOwnRecords(dependencies, erasure);
      if (erasure.ranges === null) this.#handles.clear();
      // The copies in GATEHOUSE_DB wait for the record of the erasure.
      this.#due.enqueue("flush", Date.now());
      return { ...erased, results: this.#resultNumbers.list() };
    });
  }

  async forgetAddress(): Promise<void> {
    this.#roleCache.forget();
  }

  async settleResults(calls: readonly string[]): Promise<SettledCalls> {
    return this.ctx.storage.transactionSync(() => this.#records.settleResults(calls, Date.now()));
  }

  async appendEvent(attempt: Attempt, outcome: Outcome, atMs: number): Promise<AppendResult> {
    const appended = this.ctx.storage.transactionSync(() =>
      this.#records.appendEvent(attempt, outcome, atMs, Date.now()),
    );
    if (appended.ok) this.#checks.observeEvent(attempt, outcome);
    else this.#warnings.warnFull(this.#records.readStoredBytes(), Date.now());
    return appended;
  }

  /** Lists at most `limit` records after `afterSeq` that are still here, in order. For tests. */
  async listRecords(afterSeq: number, limit: number): Promise<readonly LedgerRecord[]> {
    return this.#records.list(afterSeq, limit);
  }

  /** Sends records again that were sent before: those after `afterSeq` that are still here. */
  async sendAgain(afterSeq: number): Promise<void> {
    const { recordStore: store } = this.#options;
    const records = createSentRecords(this.#sql);
    if (store !== undefined)
      await this.#whileSending(sendAgain({ ledger: this.ctx.id.name ?? "", records, store }, afterSeq));
  }

  /** Reads up to which record the chain was sent. */
  async readSentHead(): Promise<ChainHead> {
    this.#due.resume();
    return createSentRecords(this.#sql).readHead();
  }

  async openHandle(newHandle: NewHandle): Promise<string | undefined> {
    this.#due.enqueue("forget questions", Date.now() + newHandle.ttlSeconds * 1000);
    return this.ctx.storage.transactionSync(() => this.#handles.open(newHandle, Date.now()));
  }

  async findHandle(call: string): Promise<OpenedHandle | undefined> {
    return this.#handles.find(call);
  }

  async spendHandle(handle: string, binding: string): Promise<SpentHandle> {
    return this.ctx.storage.transactionSync(() => this.#handles.spend(handle, binding, Date.now()));
  }

  async recordHandleOutcome(handle: string, outcome: string, next: NewHandle | undefined): Promise<boolean> {
    return this.ctx.storage.transactionSync(() => this.#handles.goOn(handle, outcome, next, Date.now()));
  }
}
