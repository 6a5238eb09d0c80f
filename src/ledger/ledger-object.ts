// The Durable Object that keeps one subject's record, budgets and leases. It must never be lost and no SQL of a person
// reaches it. What a method writes, it writes in one step: a crash leaves either all of it or nothing.
import { DurableObject } from "cloudflare:workers";
import type { OpenedHandle, SpentHandle } from "../lib/handle.ts";
import type { Identity } from "../lib/identity.ts";
import { newId } from "../lib/ids.ts";
import type { MemberRecord } from "../policy/model.ts";
import { createFillWarnings } from "./fill-warnings.ts";
import type { FillWarnings, WarnOperator } from "./fill-warnings.ts";
import { createHandleTable } from "./handles.ts";
import type { HandleLedger, HandleTable } from "./handles.ts";
import type { MemberCopy, OpenMemberCopy, ToldMember } from "./member-roles.ts";
import { createRecords } from "./records.ts";
import type { RecordLimits, Records } from "./records.ts";
import { createSlots } from "./slots.ts";
import type { Slots } from "./slots.ts";
import { INTERRUPTED } from "./record.ts";
import type {
  AfterCall,
  Attempt,
  BeginResult,
  CommitResult,
  Ledger,
  LedgerRecord,
  NoteLedger,
  NoteResult,
  Outcome,
  Room,
} from "./record.ts";

export interface LedgerLimits extends RecordLimits {
  /** How long a query waits while another one of the same person runs on its source. */
  readonly queueSeconds: number;
}

const MARKS = "CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, at_ms INTEGER NOT NULL)";

export interface LedgerOptions {
  readonly limits: LedgerLimits;
  /** When the only process that serves began. Absent in a deployment, where a call may outlive its ledger's memory. */
  readonly aloneSinceMs?: number | undefined;
  readonly openMemberCopy: OpenMemberCopy;
  /** What the subject has is other than before, and nobody else knows. */
  readonly onMemberChanged: (identity: Identity, record: MemberRecord) => Promise<void>;
  readonly onError: (error: unknown) => void;
  readonly warn: WarnOperator;
}

/** Keeps the records, budgets, query locks and roles of one owner: class `LEDGER` of the wrangler configuration. */
export class LedgerObject<E = unknown> extends DurableObject<E> implements Ledger, NoteLedger, HandleLedger {
  readonly #sql: SqlStorage;
  readonly #records: Records;
  readonly #handles: HandleTable;
  readonly #slots: Slots;
  readonly #options: LedgerOptions;
  readonly #member: MemberCopy;
  readonly #warnings: FillWarnings;
  #isComparing = false;

  constructor(ctx: DurableObjectState, env: E, options: LedgerOptions) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#options = options;
    this.#sql.exec(MARKS);
    const { limits, warn } = this.#options;
    const { queueSeconds, leaseSeconds, outboxBytes } = limits;
    this.#warnings = createFillWarnings(this.#sql, { owner: ctx.id.name ?? "", outboxBytes, warn });
    this.#records = createRecords(this.#sql, limits, this.#warnings.halfFull);
    this.#handles = createHandleTable(this.#sql);
    this.#slots = createSlots(this.#sql, { queueSeconds, holdSeconds: leaseSeconds }, Date.now);
    if (this.#options.aloneSinceMs !== undefined) this.#slots.releaseBefore(this.#options.aloneSinceMs);
    this.#member = this.#options.openMemberCopy(this.#sql, Date.now);
  }

  async begin(
    attempt: Attempt,
    identity: Identity,
    maxRows: number,
    slot: string | null,
    room: Room = "call",
  ): Promise<BeginResult> {
    try {
      await this.#member.ensure(identity);
    } catch (error) {
      this.#options.onError(error);
      return { ok: false, reason: "members_unavailable" };
    }
    if (slot !== null) {
      if (!(await this.#slots.take(slot, attempt.call))) return { ok: false, reason: "busy" };
      // While it waited, a call with another address of the same person may have replaced the copy.
      try {
        await this.#member.ensure(identity);
      } catch (error) {
        this.#options.onError(error);
        this.#slots.release(attempt.call);
        return { ok: false, reason: "members_unavailable" };
      }
    }
    const refused = this.ctx.storage.transactionSync(() => this.#records.reserve(attempt, maxRows, room, Date.now()));
    if (refused === undefined) {
      this.#compareLater(identity);
      const bookmark = slot === null ? null : this.#slots.bookmark(slot);
      // Read last: while the call waited for its slot the roles may have changed.
      return { ok: true, bookmark, member: this.#member.current(identity) };
    }
    this.#slots.release(attempt.call);
    if (refused.reason === "record_full") this.#warnings.full(this.#records.bytes(), Date.now());
    return refused;
  }

  /** Takes what the members table now says of the subject's email, and records it if it changes anything. */
  async takeMember(member: ToldMember, by: string): Promise<void> {
    this.ctx.storage.transactionSync(() => {
      if (this.#member.take(member)) this.#recordMember(by);
    });
  }

  /** Behind the answer, so that it costs the caller nothing: what nobody told of is known to the next call at the latest. */
  #compareLater(identity: Identity): void {
    const caller = identity.token === undefined ? "person" : "token";
    if (this.#isComparing || !this.#member.isDue(caller)) return;
    this.#isComparing = true;
    const compare = async (): Promise<void> => {
      if (!(await this.#member.compare(identity))) return;
      this.#recordMember("unknown");
      await this.#options.onMemberChanged(identity, this.#member.current());
    };
    // A failure is tried again with the next call: nothing was kept.
    this.ctx.waitUntil(
      compare()
        .catch(this.#options.onError)
        .finally(() => (this.#isComparing = false)),
    );
  }

  /** A change of what somebody may see stands in their own chain, whoever made it. */
  #recordMember(by: string): void {
    const { roles, attributes } = this.#member.current();
    const asked = JSON.stringify({ by, roles, attributes: Object.keys(attributes) });
    const attempt: Attempt = {
      call: newId(),
      subjectId: this.ctx.id.name ?? "",
      owner: null,
      clientId: "",
      operation: "member changed",
      asked,
    };
    const outcome: Outcome = { ...INTERRUPTED, result: "answered", code: null, roles };
    this.#records.add(attempt, outcome, Date.now());
  }

  async commit(call: string, outcome: Outcome, { slot, bookmark }: AfterCall): Promise<CommitResult> {
    const committed = this.ctx.storage.transactionSync(() => this.#records.settle(call, outcome, Date.now()));
    if (committed.ok && outcome.untrusted.length > 0) this.#markUntrusted();
    if (bookmark !== null) this.#slots.keepBookmark(call, bookmark);
    if (slot === "freed") this.#slots.release(call);
    return committed;
  }

  /** From now on a change that this subject's assistant asks for may be somebody else's idea. */
  #markUntrusted(): void {
    this.#sql.exec(
      "INSERT INTO mark (name, at_ms) VALUES ('untrusted', ?1) ON CONFLICT (name) DO UPDATE SET at_ms = ?1",
      Date.now(),
    );
  }

  async release(call: string): Promise<void> {
    this.#slots.release(call);
  }

  async note(attempt: Attempt, outcome: Outcome, atMs: number): Promise<NoteResult> {
    const noted = this.ctx.storage.transactionSync(() => this.#records.note(attempt, outcome, atMs, Date.now()));
    if (!noted.ok) this.#warnings.full(this.#records.bytes(), Date.now());
    return noted;
  }

  /** Records in order, from `afterSeq` on, at most `limit`. */
  async records(afterSeq: number, limit: number): Promise<readonly LedgerRecord[]> {
    return this.#records.list(afterSeq, limit);
  }

  async openHandle(opened: OpenedHandle): Promise<string | undefined> {
    return this.ctx.storage.transactionSync(() => this.#handles.open(opened, Date.now()));
  }

  async spendHandle(handle: string, binding: string): Promise<SpentHandle> {
    return this.ctx.storage.transactionSync(() => this.#handles.spend(handle, binding, Date.now()));
  }

  async settleHandle(handle: string, outcome: string, next: OpenedHandle | undefined): Promise<boolean> {
    return this.ctx.storage.transactionSync(() => {
      if (next !== undefined && this.#handles.open(next, Date.now()) === undefined) return false;
      this.#handles.settle(handle, outcome);
      return true;
    });
  }
}
