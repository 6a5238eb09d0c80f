// The Durable Object that stores the audit records, row budgets and leases of one owner. Its data must never be lost, and no user's
// SQL reaches it. Writes that belong together happen without an await between them, so a crash leaves all of them or none.
import { DurableObject } from "cloudflare:workers";
import type { NewHandle, SpentHandle } from "../lib/handle.ts";
import type { Identity } from "../lib/identity.ts";
import { newId } from "../lib/ids.ts";
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
  ResultLedger,
  SettledCalls,
  UnstoredResult,
} from "./audit-record.ts";

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
  implements Ledger, EventLedger, ResultLedger, GrantLedger, HandleLedger
{
  readonly #sql: SqlStorage;
  readonly #records: Records;
  readonly #resultNumbers: ResultNumbers;
  readonly #endedGrants: EndedGrants;
  readonly #handles: HandleTable;
  readonly #queryLocks: QueryLocks;
  readonly #options: LedgerOptions;
  readonly #roleCache: RoleCache;
  readonly #warnings: FillWarnings;
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
    this.#records = createRecords(this.#sql, limits, this.#resultNumbers, this.#warnings.warnHalfFull);
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
    { mayStoreResult = false, grant }: BeginOptions = {},
  ): Promise<BeginResult> {
    const hasGrantEnded = (): boolean => grant !== undefined && this.#endedGrants.hasEnded(grant, Date.now());
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
      this.#records.reserve(attempt, { rows: reservedRows, priority, mayStoreResult }, Date.now()),
    );
    if (reserved.ok) {
      this.#refreshInBackground(identity);
      const bookmark = lockedSource === null ? null : this.#queryLocks.readBookmark(lockedSource);
      // Read last, because the roles may have changed while the call waited for its lock.
      return { ok: true, bookmark, member: this.#roleCache.getMember(identity), results: reserved.results };
    }
    this.#queryLocks.release(attempt.call);
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
      if (this.#roleCache.apply(member)) this.#recordMemberChange(changedBy);
    });
  }

  /** Compares the cached roles with the members table without delaying the call. Changes that were not propagated act at the next call. */
  #refreshInBackground(identity: Identity): void {
    const caller = identity.token === undefined ? "person" : "token";
    if (this.#isRefreshing || !this.#roleCache.isStale(caller)) return;
    this.#isRefreshing = true;
    const refresh = async (): Promise<void> => {
      if (!(await this.#roleCache.refresh(identity))) return;
      this.#recordMemberChange("unknown");
      await this.#options.onMemberChanged(identity, this.#roleCache.getMember());
    };
    // A failed comparison stores nothing, so the next call tries again.
    this.ctx.waitUntil(
      refresh()
        .catch(this.#options.onError)
        .finally(() => (this.#isRefreshing = false)),
    );
  }

  /** Records a change of the owner's roles or attributes in the owner's own chain, whoever made the change. */
  #recordMemberChange(changedBy: string): void {
    const { roles, attributes } = this.#roleCache.getMember();
    const requestText = JSON.stringify({ by: changedBy, roles, attributes: Object.keys(attributes) });
    const attempt: Attempt = {
      call: newId(),
      subjectId: this.ctx.id.name ?? "",
      owner: null,
      clientId: "",
      operation: "member changed",
      asked: requestText,
    };
    const outcome: Outcome = { ...INTERRUPTED_OUTCOME, result: "answered", code: null, roles };
    this.#records.appendAlways(attempt, outcome, Date.now());
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

  /** Lists at most `limit` records after `afterSeq`, in order. The command that verifies the audit chain will use it. */
  async listRecords(afterSeq: number, limit: number): Promise<readonly LedgerRecord[]> {
    return this.#records.list(afterSeq, limit);
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
