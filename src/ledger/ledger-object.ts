// The Durable Object that keeps one subject's record, budgets and leases. It must never be lost and no SQL of a person
// reaches it. What a method writes, it writes in one step: a crash leaves either all of it or nothing.
import { DurableObject } from "cloudflare:workers";
import { GENESIS, linkHash } from "./chain.ts";
import type { OpenedHandle, SpentHandle } from "../lib/handle.ts";
import type { Identity } from "../lib/identity.ts";
import { newId } from "../lib/ids.ts";
import type { MemberRecord } from "../policy/model.ts";
import { createHandleTable } from "./handles.ts";
import type { HandleLedger, HandleTable } from "./handles.ts";
import { createMemberCopy } from "./member-copy.ts";
import type { MemberCopy, MemberDirectory, ToldMember } from "./member-copy.ts";
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
} from "./record.ts";

export interface LedgerLimits {
  /** How long a query waits while another one of the same person runs on its source. */
  readonly queueSeconds: number;
  /** Bytes of records that may wait here; past them new work is refused. */
  readonly outboxBytes: number;
  /** Rows that may leave for one subject per UTC day. */
  readonly rowsPerDay: number;
  /** How long a call may take between begin and commit before it counts as interrupted. */
  readonly leaseSeconds: number;
}

/** Room kept for what commit adds to an attempt. */
const OUTCOME_BYTES = 4096;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS record (seq INTEGER PRIMARY KEY, call TEXT NOT NULL UNIQUE, body TEXT NOT NULL, hash TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS head (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, hash TEXT NOT NULL, bytes INTEGER NOT NULL);
  INSERT OR IGNORE INTO head (id, seq, hash, bytes) VALUES (1, 0, '${GENESIS}', 0);
  CREATE TABLE IF NOT EXISTS lease (call TEXT PRIMARY KEY, attempt TEXT NOT NULL, began_ms INTEGER NOT NULL, deadline_ms INTEGER NOT NULL, day TEXT NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, at_ms INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS budget (day TEXT PRIMARY KEY, rows INTEGER NOT NULL);
`;

type Refused = Extract<BeginResult, { ok: false }>;

interface Lease {
  readonly call: string;
  readonly attempt: string;
  readonly beganMs: number;
  readonly day: string;
}

export type LedgerObjectClass<E> = new (
  ctx: DurableObjectState,
  env: E,
) => DurableObject<E> &
  Ledger &
  NoteLedger &
  HandleLedger & {
    records(afterSeq: number, limit: number): Promise<readonly LedgerRecord[]>;
    /** Takes what the members table now says of the subject's email, and records it if it changes anything. */
    takeMember(member: ToldMember, by: string): Promise<void>;
  };

export interface LedgerOptions {
  readonly limits: LedgerLimits;
  readonly members: MemberDirectory;
  /** What the subject has is other than before, and nobody else knows. */
  readonly onMemberChanged: (identity: Identity, record: MemberRecord) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

/** The ledger class of a deployment. `optionsOf` is called once per object in memory. */
export function defineLedgerObject<E>(optionsOf: (env: E) => LedgerOptions): LedgerObjectClass<E> {
  return class LedgerObject extends DurableObject<E> implements Ledger, NoteLedger, HandleLedger {
    readonly #sql: SqlStorage;
    readonly #limits: LedgerLimits;
    readonly #handles: HandleTable;
    readonly #slots: Slots;
    readonly #options: LedgerOptions;
    readonly #member: MemberCopy;
    #isComparing = false;

    constructor(ctx: DurableObjectState, env: E) {
      super(ctx, env);
      this.#sql = ctx.storage.sql;
      this.#options = optionsOf(env);
      this.#limits = this.#options.limits;
      this.#sql.exec(SCHEMA);
      this.#handles = createHandleTable(this.#sql);
      const { queueSeconds, leaseSeconds } = this.#limits;
      this.#slots = createSlots(this.#sql, { queueSeconds, holdSeconds: leaseSeconds }, Date.now);
      this.#member = createMemberCopy(this.#sql, this.#options.members, Date.now);
    }

    async begin(attempt: Attempt, identity: Identity, maxRows: number, slot: string | null): Promise<BeginResult> {
      try {
        await this.#member.ensure(identity);
      } catch (error) {
        this.#options.onError(error);
        return { ok: false, reason: "members_unavailable" };
      }
      if (slot !== null && !(await this.#slots.take(slot, attempt.call))) return { ok: false, reason: "busy" };
      const refused = this.#reserve(attempt, maxRows);
      if (refused === undefined) {
        this.#compareLater(identity);
        const bookmark = slot === null ? null : this.#slots.bookmark(slot);
        // Read last: while the call waited for its slot the roles may have changed.
        return { ok: true, bookmark, member: this.#member.current() };
      }
      this.#slots.release(attempt.call);
      return refused;
    }

    async takeMember(member: ToldMember, by: string): Promise<void> {
      this.ctx.storage.transactionSync(() => {
        if (this.#member.take(member)) this.#recordMember(by);
      });
    }

    /** Behind the answer, so that it costs the caller nothing: what nobody told of is known to the next call at the latest. */
    #compareLater(identity: Identity): void {
      if (this.#isComparing || !this.#member.isDue()) return;
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
      const nowMs = Date.now();
      const call = newId();
      const asked = JSON.stringify({ by, roles, attributes: Object.keys(attributes) });
      const attempt: Attempt = {
        call,
        subjectId: this.ctx.id.name ?? "",
        owner: null,
        clientId: "",
        operation: "member changed",
        asked,
      };
      const outcome: Outcome = { ...INTERRUPTED, result: "answered", code: null, roles };
      this.#append({ call, attempt: JSON.stringify(attempt), beganMs: nowMs, day: dayOf(nowMs) }, outcome, nowMs);
    }

    #reserve(attempt: Attempt, maxRows: number): Refused | undefined {
      return this.ctx.storage.transactionSync((): Refused | undefined => {
        const nowMs = Date.now();
        this.#closeInterrupted(nowMs);
        const body = JSON.stringify(attempt);
        const bytes = byteLength(body) + OUTCOME_BYTES;
        if (this.#bytesHeld() + bytes > this.#limits.outboxBytes) return { ok: false, reason: "record_full" };
        const day = dayOf(nowMs);
        const { rowsPerDay } = this.#limits;
        if (maxRows > 0 && this.#rowsHeld(day) + maxRows > rowsPerDay)
          return { ok: false, reason: "rows_spent", rowsPerDay };
        this.#sql.exec(
          "INSERT INTO lease (call, attempt, began_ms, deadline_ms, day, rows, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)",
          attempt.call,
          body,
          nowMs,
          nowMs + this.#limits.leaseSeconds * 1000,
          day,
          maxRows,
          bytes,
        );
        return undefined;
      });
    }

    async commit(call: string, outcome: Outcome, { slot, bookmark }: AfterCall): Promise<CommitResult> {
      const committed = this.#settle(call, outcome);
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
      return this.ctx.storage.transactionSync((): NoteResult => {
        if (this.#seqOf(attempt.call) !== undefined) return { ok: true };
        const body = JSON.stringify(attempt);
        if (this.#bytesHeld() + byteLength(body) + OUTCOME_BYTES > this.#limits.outboxBytes)
          return { ok: false, reason: "record_full" };
        const nowMs = Date.now();
        this.#append({ call: attempt.call, attempt: body, beganMs: atMs, day: dayOf(nowMs) }, outcome, nowMs);
        return { ok: true };
      });
    }

    #settle(call: string, outcome: Outcome): CommitResult {
      return this.ctx.storage.transactionSync((): CommitResult => {
        const known = this.#seqOf(call);
        // Swept already as interrupted, or committed by an earlier try of the same call.
        const [lease] = this.#leases("call = ?", call);
        if (lease === undefined) return known === undefined ? noLease : this.#repeated(known, outcome);
        return { ok: true, seq: this.#append(lease, outcome, Date.now()) };
      });
    }

    /** Records in order, from `afterSeq` on, at most `limit`. */
    async records(afterSeq: number, limit: number): Promise<readonly LedgerRecord[]> {
      return this.#sql
        .exec<{ seq: number; body: string; hash: string }>(
          "SELECT seq, body, hash FROM record WHERE seq > ? ORDER BY seq LIMIT ?",
          afterSeq,
          limit,
        )
        .toArray();
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

    /** A call whose process died, or that outlived its lease, left no answer; its attempt is recorded all the same. */
    #closeInterrupted(nowMs: number): void {
      for (const lease of this.#leases("deadline_ms <= ?", nowMs)) this.#append(lease, INTERRUPTED, nowMs);
    }

    #leases(where: string, value: string | number): readonly Lease[] {
      return this.#sql
        .exec<{ call: string; attempt: string; beganMs: number; day: string }>(
          `SELECT call, attempt, began_ms AS beganMs, day FROM lease WHERE ${where}`,
          value,
        )
        .toArray();
    }

    #append(lease: Lease, outcome: Outcome, nowMs: number): number {
      const head = this.#sql.exec<{ seq: number; hash: string }>("SELECT seq, hash FROM head").one();
      const seq = head.seq + 1;
      const attempt: unknown = JSON.parse(lease.attempt);
      const times = { began: new Date(lease.beganMs).toISOString(), ended: new Date(nowMs).toISOString() };
      const body = JSON.stringify({ attempt, outcome, ...times });
      const hash = linkHash(head.hash, body);
      this.#sql.exec("INSERT INTO record (seq, call, body, hash) VALUES (?, ?, ?, ?)", seq, lease.call, body, hash);
      this.#sql.exec("UPDATE head SET seq = ?, hash = ?, bytes = bytes + ?", seq, hash, byteLength(body));
      this.#sql.exec("DELETE FROM lease WHERE call = ?", lease.call);
      this.#sql.exec(
        "INSERT INTO budget (day, rows) VALUES (?1, ?2) ON CONFLICT (day) DO UPDATE SET rows = rows + ?2",
        lease.day,
        outcome.rows,
      );
      this.#sql.exec("DELETE FROM budget WHERE day < ?", dayOf(nowMs - 7 * 86_400_000));
      return seq;
    }

    #repeated(seq: number, outcome: Outcome): CommitResult {
      const [record] = this.#sql.exec<{ body: string }>("SELECT body FROM record WHERE seq = ?", seq);
      const { outcome: written } = JSON.parse(record?.body ?? "{}") as { outcome?: Outcome };
      return JSON.stringify(written) === JSON.stringify(outcome) ? { ok: true, seq } : noLease;
    }

    /** The record of a call, if there is one. */
    #seqOf(call: string): number | undefined {
      return this.#sql.exec<{ seq: number }>("SELECT seq FROM record WHERE call = ?", call).toArray()[0]?.seq;
    }

    #bytesHeld(): number {
      return this.#sql
        .exec<{ bytes: number }>(
          "SELECT (SELECT bytes FROM head) + (SELECT coalesce(sum(bytes), 0) FROM lease) AS bytes",
        )
        .one().bytes;
    }

    #rowsHeld(day: string): number {
      return this.#sql
        .exec<{ rows: number }>(
          "SELECT coalesce((SELECT rows FROM budget WHERE day = ?1), 0) + (SELECT coalesce(sum(rows), 0) FROM lease WHERE day = ?1) AS rows",
          day,
        )
        .one().rows;
    }
  };
}

const noLease = { ok: false, reason: "no_lease" } as const;

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** The UTC day, `2026-11-21`. */
function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
