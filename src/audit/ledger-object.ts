// The Durable Object that stores the audit records, row budgets and leases of one owner. Its data must never be lost, and no user's
// SQL reaches it. Writes that belong together happen without an await between them, so a crash leaves all of them or none.
import { DurableObject } from "cloudflare:workers";
import type { NewHandle, SpentHandle } from "../lib/handle.ts";
import type { Identity } from "../lib/identity.ts";
import { createDueQueue } from "../lib/due-queue.ts";
import type { DueQueue } from "../lib/due-queue.ts";
import { openLayout } from "../lib/storage-layout.ts";
import { LEDGER_LAYOUT } from "./ledger-layout.ts";
import type { MemberRecord } from "../policy/model.ts";
import { createFillWarnings } from "./storage-warnings.ts";
import type { FillWarnings, WarnOperator } from "./storage-warnings.ts";
import { createHandleTable } from "./single-use-handles.ts";
import type { HandleLedger, HandleTable } from "./single-use-handles.ts";
import type { RoleCache, OpenRoleCache, PropagatedMember } from "./role-cache-contract.ts";
import { createRecords } from "./records.ts";
import type { RecordLimits, Records } from "./records.ts";
import type { AuditRecordStore } from "./audit-record-store.ts";
import { createOwnRecords } from "./own-records.ts";
import type { OwnRecords } from "./own-records.ts";
import { createFlushTasks } from "./record-flush.ts";
import type { FlushTasks } from "./record-flush.ts";
import type { ChainHead } from "./record-chain.ts";
import { createSentRecords } from "./sent-records.ts";
import { createQueryLocks } from "./query-locks.ts";
import type { QueryLocks } from "./query-locks.ts";
import { createEndedGrants } from "./ended-grants.ts";
import type { EndedGrants } from "./ended-grants.ts";
import { createResultNumbers } from "./result-numbers.ts";
import type { ResultNumbers } from "./result-numbers.ts";
import { INTERRUPTED_OUTCOME } from "./audit-record.ts";
import type {
  CommitOptions,
  Attempt,
  BeginOptions,
  BeginResult,
  EndedAccess,
  CommitResult,
  Ledger,
  LedgerRecord,
  EventLedger,
  AppendResult,
  GrantLedger,
  Outcome,
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

const GRANT_ENDED = { ok: false, reason: "grant_ended" } as const;

/** The limits of one ledger. */
interface LedgerLimits extends RecordLimits {
  /** How long a query waits while another query of the same owner runs on its source. */
  readonly queueSeconds: number;
}

/** What a LedgerObject is created with. */
export interface LedgerOptions {
  readonly limits: LedgerLimits;
  /**
   * When the only process that serves requests started, in milliseconds since the epoch. Absent in a deployment, where a call may
   * outlive its ledger's memory.
   */
  readonly soleProcessStartedMs?: number | undefined;
  readonly openRoleCache: OpenRoleCache;
  /** Where records are sent. Absent where they stay in the ledger. */
  readonly recordStore?: Pick<AuditRecordStore, "append" | "ping">;
  /**
   * Reads how many results a subject's workspace has numbered, once for each subject: an earlier version numbered results there. Absent
   * where no call stores results.
   */
  readonly readLastResultNumber?: (subjectId: string) => Promise<number>;
  /** Called when a comparison with the members table finds a change that was not propagated. */
  readonly onMemberChanged: (identity: Identity, record: MemberRecord) => Promise<void>;
  readonly onError: (error: unknown) => void;
  readonly warn: WarnOperator;
}

/** Stores the records, budgets, query locks and cached roles of one owner. The wrangler configuration binds it as `LEDGER`. */
export class LedgerObject<E = unknown>
  extends DurableObject<E>
  implements Ledger, EventLedger, ResultLedger, GrantLedger, HandleLedger, RemovalLedger
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
  #isRefreshing = false;

  constructor(ctx: DurableObjectState, env: E, options: LedgerOptions) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#options = options;
    openLayout(ctx.storage, LEDGER_LAYOUT);
    const { limits, warn } = this.#options;
    const { queueSeconds, leaseSeconds, maxAuditBytes } = limits;
    this.#warnings = createFillWarnings(this.#sql, { subjectId: ctx.id.name ?? "", maxAuditBytes, warn });
    this.#resultNumbers = createResultNumbers(this.#sql);
    this.#records = createRecords(this.#sql, limits, this.#resultNumbers, {
      onHalfFull: this.#warnings.warnHalfFull,
      onAppend: () => this.#enqueueFlush(),
    });
    this.#ownRecords = createOwnRecords(this.#sql, this.#records, ctx.id.name ?? "", Date.now);
    this.#due = createDueQueue(ctx.storage, {
      now: Date.now,
      onError: (task, error) => {
        options.onError(error);
        if (task === "flush") this.#warnings.warnDelayed(this.#records.readStoredBytes(), Date.now());
      },
    });
    this.#endedGrants = createEndedGrants(this.#sql);
    this.#handles = createHandleTable(this.#sql);
    this.#queryLocks = createQueryLocks(this.#sql, { queueSeconds, maxHoldSeconds: leaseSeconds }, Date.now);
    if (this.#options.soleProcessStartedMs !== undefined)
      this.#queryLocks.releaseHeldBefore(this.#options.soleProcessStartedMs);
    this.#roleCache = this.#options.openRoleCache(this.#sql, Date.now);
  }

  async begin(
    attempt: Attempt,
    identity: Identity,
    reservedRows: number,
    lockedSource: string | null,
    priority: RecordPriority = "call",
    { mayStoreResult = false, reservedReveals = 0, grant }: BeginOptions = {},
  ): Promise<BeginResult> {
    const access = grant ?? (identity.token === undefined ? undefined : { grantId: identity.token.id });
    const hasGrantEnded = (): boolean => access !== undefined && this.#endedGrants.hasEnded(access, Date.now());
    if (hasGrantEnded()) return GRANT_ENDED;
    try {
      await this.#roleCache.ensureLoaded(identity);
    } catch (error) {
      this.#options.onError(error);
      return { ok: false, reason: "members_unavailable" };
    }
    try {
      if (mayStoreResult) await this.#ensureNumbersStarted(attempt.subjectId);
    } catch (error) {
      this.#options.onError(error);
      return { ok: false, reason: "workspace_unavailable" };
    }
    if (lockedSource !== null) {
      if (!(await this.#queryLocks.acquire(lockedSource, attempt.call))) return { ok: false, reason: "busy" };
      // While it waited, a call of the same user under another email address may have replaced the cached roles.
      try {
        await this.#roleCache.ensureLoaded(identity);
      } catch (error) {
        this.#options.onError(error);
        this.#queryLocks.release(attempt.call);
        return { ok: false, reason: "members_unavailable" };
      }
    }
    // It may have ended while the call waited.
    if (hasGrantEnded()) {
      this.#queryLocks.release(attempt.call);
      return GRANT_ENDED;
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
    await this.#due.runDue({
      "end expired": async () => this.ctx.storage.transactionSync(() => this.#records.endExpired(Date.now())),
      ...this.#createFlushTasks(),
    });
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

  async commit(call: string, outcome: Outcome, { queryLock, bookmark }: CommitOptions): Promise<CommitResult> {
    const committed = this.ctx.storage.transactionSync(() => this.#records.commit(call, outcome, Date.now()));
    if (committed.ok && outcome.untrusted.length > 0) this.#flagUntrusted();
    if (bookmark !== null) this.#queryLocks.storeBookmark(call, bookmark);
    if (queryLock === "freed") this.#queryLocks.release(call);
    return committed;
  }

  /**
   * Stores when outsiders' text last reached this owner's assistant. Approvals will read it: from then on, a change that the assistant
   * asks for may follow instructions in that text.
   */
  #flagUntrusted(): void {
    this.#sql.exec(
      "INSERT INTO flag (name, at_ms) VALUES ('untrusted', ?1) ON CONFLICT (name) DO UPDATE SET at_ms = ?1",
      Date.now(),
    );
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
    const outcome: Outcome = { ...INTERRUPTED_OUTCOME, result: "answered", code: null };
    this.ctx.storage.transactionSync(() => this.#records.appendAlways(attempt, outcome, Date.now()));
  }

  async settleResults(calls: readonly string[]): Promise<SettledCalls> {
    return this.ctx.storage.transactionSync(() => this.#records.settleResults(calls, Date.now()));
  }

  async appendEvent(attempt: Attempt, outcome: Outcome, atMs: number): Promise<AppendResult> {
    const appended = this.ctx.storage.transactionSync(() =>
      this.#records.appendEvent(attempt, outcome, atMs, Date.now()),
    );
    if (!appended.ok) this.#warnings.warnFull(this.#records.readStoredBytes(), Date.now());
    return appended;
  }

  /** Lists at most `limit` records after `afterSeq` that are still here, in order. For tests. */
  async listRecords(afterSeq: number, limit: number): Promise<readonly LedgerRecord[]> {
    return this.#records.list(afterSeq, limit);
  }

  /** Reads up to which record the chain was sent. */
  async readSentHead(): Promise<ChainHead> {
    this.#due.resume();
    return createSentRecords(this.#sql).readHead();
  }

  async openHandle(newHandle: NewHandle): Promise<string | undefined> {
    return this.ctx.storage.transactionSync(() => this.#handles.open(newHandle, Date.now()));
  }

  async spendHandle(handle: string, binding: string): Promise<SpentHandle> {
    return this.ctx.storage.transactionSync(() => this.#handles.spend(handle, binding, Date.now()));
  }

  async recordHandleOutcome(handle: string, outcome: string, next: NewHandle | undefined): Promise<boolean> {
    return this.ctx.storage.transactionSync(() => {
      if (next !== undefined && this.#handles.open(next, Date.now()) === undefined) return false;
      this.#handles.recordOutcome(handle, outcome);
      return true;
    });
  }
}
