// The Durable Object of one change, the only writer of its state. It stores the approval together with the alarm that starts the apply, so
// that an approved change goes on whatever dies; after a crash it finds out from the journal in the source what happened.
import { DurableObject } from "cloudflare:workers";
import { getOwnerId } from "../lib/identity.ts";
import { createDueQueue } from "../lib/due-queue.ts";
import type { DueQueue } from "../lib/due-queue.ts";
import { createLazyTables } from "../lib/lazy-tables.ts";
import type { LazyTables } from "../lib/lazy-tables.ts";
import type { Applied, ChangeTarget, PlannedChange, Preview } from "../read/change-target.ts";
import { CHANGE_LAYOUT } from "./change-layout.ts";
import type { ChangeRpc, Decided, DecisionRequest, Proposal, Proposed } from "./change-rpc.ts";
import { END_STATES, isUnderWay } from "./change-states.ts";
import type { ChangeState, EndState } from "./change-states.ts";
import { computeProof, acceptsFormFrom, isPossibleDecider, parseStoredChange } from "./stored-change.ts";
import type { BegunRecord, ChangeEnd, EndReason, StoredChange, StoredDecision } from "./stored-change.ts";

/** What became of a change, for its audit record. */
export type ChangeResult =
  | { readonly kind: "applied"; readonly rows: number }
  | { readonly kind: "ended"; readonly state: EndState; readonly endReason: EndReason }
  /** The source did not answer, and the apply will be tried again. */
  | { readonly kind: "unknown" };

/** The rights of an approved change at the moment of its apply, with its audit record begun. */
export type Authorization =
  | { readonly kind: "allowed"; readonly planned: PlannedChange; readonly begun: BegunRecord }
  | { readonly kind: "denied"; readonly endReason: EndReason; readonly begun: BegunRecord | null };

/** What a ChangeObject is created with. */
export interface ChangeOptions {
  /** Opens the changes of a source; undefined for one that the policy does not declare any more. */
  readonly openTarget: (source: string) => ChangeTarget | undefined;
  /** How long an approved change may wait until it is applied. */
  readonly approvalSeconds: number;
  /**
   * Evaluates the rights of the requester and the approver again, and records that the apply begins. Throws when that cannot be found out
   * now.
   */
  readonly authorize: (change: StoredChange) => Promise<Authorization>;
  /** Records what became of a change, in the record that has begun or in one of its own. Can be repeated. */
  readonly record: (change: StoredChange, result: ChangeResult, begun: BegunRecord | null) => Promise<void>;
  /** How long an ended change is kept. */
  readonly retentionSeconds: number;
  /** Removes an ended change from the registry. Can be repeated. */
  readonly forget: (id: string) => Promise<void>;
  /**
   * Tells the registry, reviewers and subscribers of a state. Returns when a message to reviewers is due, in milliseconds since the epoch;
   * undefined when none is. Can be repeated.
   */
  readonly publish: (change: StoredChange) => Promise<number | undefined>;
  /** Sends the messages to reviewers that are due, and returns when to do so again; undefined when none waits. */
  readonly sendNotifications: () => Promise<number | undefined>;
  readonly onError: (error: unknown) => void;
}

/** How often a call runs what has become due meanwhile. The alarm runs the rest. */
const MAX_ROUNDS = 5;

const ENDS: Readonly<Record<Exclude<Applied["kind"], "applied" | "unknown" | "constraint">, ChangeEnd>> = {
  conflict: { state: "conflict", endReason: "rows have changed" },
  "not allowed": { state: "denied", endReason: "rows not allowed" },
  "leaves sight": { state: "failed", endReason: "leaves sight" },
  unsupported: { state: "failed", endReason: "unsupported" },
  "computed column": { state: "failed", endReason: "unsupported" },
};

const APPLIED = { state: "applied", endReason: null } as const;

/** Stores one change. The wrangler configuration binds it as `CHANGE`. */
export class ChangeObject<E = unknown> extends DurableObject<E> implements ChangeRpc {
  readonly #options: ChangeOptions;
  readonly #tables: LazyTables;
  #running: Promise<void> | undefined;
  #proposing: Promise<Proposed> | undefined;
  #isForgotten = false;
  readonly #waiting = new Set<() => void>();

  constructor(ctx: DurableObjectState, env: E, options: ChangeOptions) {
    super(ctx, env);
    this.#options = options;
    this.#tables = createLazyTables(ctx.storage, CHANGE_LAYOUT);
  }

  async propose(proposal: Proposal): Promise<Proposed> {
    // The same proposal may come several times at once. Each waits for the one before, so that it is previewed and stored once.
    while (this.#proposing !== undefined) await this.#proposing.catch(() => undefined);
    const existing = this.#read();
    if (existing !== undefined) return { kind: "stored", change: existing, isNew: false };
    this.#proposing = this.#preview(proposal).finally(() => (this.#proposing = undefined));
    return this.#proposing;
  }

  async #preview(proposal: Proposal): Promise<Proposed> {
    const { planned, needsConfirmation, ...terms } = proposal;
    const preview = await this.#requireTarget(proposal.terms.source).preview(planned);
    if (preview.kind !== "previewed") return { kind: "refused", preview };
    const stored = await this.#create(terms, planned, preview, needsConfirmation);
    await this.#work();
    return { kind: "stored", change: this.#read() ?? stored, isNew: true };
  }

  async #create(
    terms: Omit<Proposal, "planned" | "needsConfirmation">,
    { plan, previewId }: PlannedChange,
    { rows, grant: index, computedColumns }: Extract<Preview, { readonly kind: "previewed" }>,
    needsConfirmation: boolean,
  ): Promise<StoredChange> {
    const grant = plan.grants[index];
    if (grant === undefined) throw new TypeError("the preview names a grant that the plan does not have");
    const { rule, reviewers, formClients } = grant;
    const approval = grant.approval === "none" && needsConfirmation ? "requester" : grant.approval;
    const shared = { ...terms, rule, approval, reviewers, formClients, rowCount: rows, previewId };
    const proof = await computeProof(shared);
    const nowMs = Date.now();
    const decision: StoredDecision | null = approval === "none" ? { approves: true, by: "policy", atMs: nowMs } : null;
    const change: StoredChange = {
      ...shared,
      computedColumns,
      proof,
      state: decision === null ? "proposed" : "approved",
      version: 1,
      decision,
      approvalEndsMs: decision === null ? null : this.#endApproval(nowMs),
      appliedMs: null,
      endReason: null,
      attempts: 0,
      settlesAs: null,
      pendingRecord: null,
    };
    return this.#store(change, decision === null ? change.expiresMs : nowMs);
  }

  async read(): Promise<StoredChange | null> {
    await this.#work();
    return this.#read() ?? null;
  }

  async decide({ approves, proof, by, formClient }: DecisionRequest): Promise<Decided> {
    const change = this.#read();
    if (change === undefined || change.proof !== proof) return { kind: "refused" };
    if (formClient !== null && !acceptsFormFrom(change, formClient)) return { kind: "refused" };
    // The user who asked for it may always withdraw it.
    const mayDecide = isPossibleDecider(change, by) || (!approves && by.subjectId === getOwnerId(change.requester));
    if (!mayDecide) return { kind: "refused" };
    const nowMs = Date.now();
    if (change.state !== "proposed" || nowMs >= change.expiresMs) {
      await this.#work();
      return { kind: "closed", state: this.#read()?.state ?? change.state };
    }
    const decision = { approves, by, place: formClient === null ? "page" : "form", atMs: nowMs } as const;
    if (approves)
      this.#store({ ...next(change, "approved"), decision, approvalEndsMs: this.#endApproval(nowMs) }, nowMs);
    else this.#end({ ...change, decision }, { state: "denied", endReason: "denied by a person" }, null);
    await this.#work();
    return { kind: "taken", change: this.#read() ?? change };
  }

  async waitForEnd(maxMs: number): Promise<void> {
    // No await comes before the wait begins, because a change that ended in between would not end the wait.
    const change = this.#read();
    if (change === undefined || !isUnderWay(change.state)) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(end);
        resolve();
      };
      const timer = setTimeout(end, maxMs);
      this.#waiting.add(end);
    });
  }

  override async alarm(): Promise<void> {
    await this.#work();
    // It may have come while a call ran what was due.
    await this.#running;
  }

  #endApproval(nowMs: number): number {
    return nowMs + this.#options.approvalSeconds * 1000;
  }

  #requireTarget(source: string): ChangeTarget {
    const target = this.#options.openTarget(source);
    if (target === undefined) throw new TypeError(`the policy does not declare the source ${source} any more`);
    return target;
  }

  #read(): StoredChange | undefined {
    const [row] = this.#tables.getIfCreated()?.exec<{ body: string }>("SELECT body FROM change").toArray() ?? [];
    return row === undefined ? undefined : parseStoredChange(row.body);
  }

  /** Stores a state, when the object goes on, and that the state is to be published: the platform writes all of it or nothing. */
  #store(change: StoredChange, advanceMs: number | null): StoredChange {
    this.ctx.storage.transactionSync(() => {
      this.#write(change);
      const due = this.#openQueue();
      if (advanceMs !== null) due.enqueue("advance", advanceMs);
      if (change.pendingRecord !== null) due.enqueue("record", Date.now());
      due.enqueue("publish", Date.now());
    });
    if (!isUnderWay(change.state)) for (const end of this.#waiting) end();
    return change;
  }

  #write(change: StoredChange): void {
    this.#tables.ensureCreated().exec("INSERT OR REPLACE INTO change (id, body) VALUES (1, ?)", JSON.stringify(change));
  }

  /** Stores the end, together with what the audit log has to say of it. */
  #end(
    change: StoredChange,
    { state, endReason }: ChangeEnd | typeof APPLIED,
    pendingRecord: StoredChange["pendingRecord"],
  ): void {
    const appliedMs = state === "applied" ? Date.now() : null;
    this.#store({ ...next(change, state), appliedMs, endReason, pendingRecord }, null);
    this.#enqueuePurge();
  }

  #enqueuePurge(): void {
    this.#openQueue().enqueue("purge", Date.now() + this.#options.retentionSeconds * 1000);
  }

  #queue: DueQueue | undefined;
  #openQueue(): DueQueue {
    this.#queue ??= createDueQueue(this.ctx.storage, {
      now: Date.now,
      onError: (_task, error) => this.#options.onError(error),
    });
    return this.#queue;
  }

  /** Runs what is due until nothing is, one run at a time. */
  async #work(): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS && this.#isDue(); round += 1) {
      this.#running ??= this.#openQueue()
        .runDue({
          advance: async () => this.#advance(),
          record: async () => this.#record(),
          publish: async () => this.#publish(),
          notify: async () => this.#options.sendNotifications(),
          purge: async () => this.#purge(),
        })
        .finally(() => (this.#running = undefined));
      await this.#running;
      if (this.#isForgotten) await this.#deleteAll();
    }
  }

  #isDue(): boolean {
    const due = this.#tables.getIfCreated()?.exec("SELECT 1 FROM due_task WHERE due_ms <= ?", Date.now()).toArray();
    return due !== undefined && due.length > 0;
  }

  /** Writes the audit record of the end. If the process dies before that is stored, the record is written again, which changes nothing. */
  async #record(): Promise<undefined> {
    const change = this.#read();
    if (change === undefined || change.pendingRecord === null) return;
    await this.#options.record(change, readResult(change), change.pendingRecord.begun);
    this.#write({ ...change, pendingRecord: null });
  }

  async #publish(): Promise<undefined> {
    const change = this.#read();
    if (change === undefined) return;
    const notifyMs = await this.#options.publish(change);
    if (notifyMs !== undefined) this.#openQueue().enqueue("notify", notifyMs);
    const isOver = change.endReason !== null;
    if (isOver) await this.#options.openTarget(change.terms.source)?.discard(change.previewId);
    return undefined;
  }

  /** Forgets a change that ended long ago: its values, and who asked for it and decided it. */
  async #purge(): Promise<undefined> {
    const change = this.#read();
    if (change === undefined) return;
    await this.#options.forget(change.id);
    // The queue is in the storage, so the rest waits until it has returned.
    this.#isForgotten = true;
  }

  async #deleteAll(): Promise<void> {
    this.#isForgotten = false;
    this.#queue = undefined;
    this.#tables.reset();
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
  }

  /** Takes the change to its next state. Returns when to go on; undefined when it has ended. */
  async #advance(): Promise<number | undefined> {
    const change = this.#read();
    if (change === undefined) return undefined;
    switch (change.state) {
      case "proposed":
        if (Date.now() < change.expiresMs) return change.expiresMs;
        this.#end(change, { state: "expired", endReason: "not decided in time" }, { begun: null });
        return undefined;
      case "approved":
      case "applying":
      case "outcome_unknown":
        await this.#apply(change);
        return undefined;
      case "applied":
      case "denied":
      case "expired":
      case "conflict":
      case "failed":
        return undefined;
    }
  }

  /** Applies an approved change. Throws when it has to be tried again. */
  async #apply(change: StoredChange): Promise<void> {
    if (change.settlesAs !== null) return this.#settle(change, change.settlesAs, null);
    if (Date.now() >= (change.approvalEndsMs ?? 0))
      return this.#settle(change, { state: "expired", endReason: "not applied in time" }, null);
    const authorization = await this.#options.authorize(change);
    const { begun } = authorization;
    if (authorization.kind === "denied")
      return this.#settle(change, { state: "denied", endReason: authorization.endReason }, begun);
    const applying = this.#store({ ...next(change, "applying"), attempts: change.attempts + 1 }, null);
    const applied = await this.#requireTarget(change.terms.source).apply(authorization.planned);
    if (applied.kind === "unknown") {
      await this.#options.record(applying, { kind: "unknown" }, begun);
      throw applied.cause;
    }
    if (applied.kind === "applied") return this.#end(applying, APPLIED, { begun });
    const end: ChangeEnd =
      applied.kind === "constraint" ? { state: "failed", endReason: applied.constraint } : ENDS[applied.kind];
    // A batch of an earlier try may still be on its way. The end is stored first: if the process dies before it is reached, the journal
    // tells the next try only that the change was given up.
    if (applying.attempts > 1) return this.#settle(this.#store({ ...applying, settlesAs: end }, null), end, begun);
    this.#end(applying, end, { begun });
  }

  /** Ends a change that may not be applied any more, once it is certain that it was not and never will be. */
  async #settle(change: StoredChange, end: ChangeEnd, begun: BegunRecord | null): Promise<void> {
    let settled: "applied" | "not applied" = "not applied";
    try {
      if (change.state !== "approved") settled = await this.#requireTarget(change.terms.source).settle(change.id);
    } catch (error) {
      if (change.state !== "outcome_unknown") {
        this.#store(next(change, "outcome_unknown"), null);
        this.#enqueuePurge();
      }
      throw error;
    }
    this.#end(change, settled === "applied" ? APPLIED : end, { begun });
  }
}

/** Reads what became of a change that has ended. */
function readResult({ state, endReason, rowCount }: StoredChange): ChangeResult {
  const endState = END_STATES.find((candidate) => candidate === state);
  if (endReason === null || endState === undefined) return { kind: "applied", rows: rowCount };
  return { kind: "ended", state: endState, endReason };
}

function next(change: StoredChange, state: ChangeState): StoredChange {
  return { ...change, state, version: change.version + 1 };
}
