// A lane proposes, approves, applies and undoes changes of rows that are its own, one after the other, while a test kills the server. After
// each kill it checks what the files hold, and after the restart that the change under way ended as they said: whole, or not at all.
import { deepStrictEqual, equal, ok } from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import * as z from "zod";
import { CHANGE_STATES } from "../../../src/changes/change-states.ts";
import { deriveChangeId } from "../../../src/changes/stored-change.ts";
import type { StoredChange } from "../../../src/changes/stored-change.ts";
import type { Browser } from "../forms.ts";
import type { KilledServer } from "./killed-server.ts";
import type { StoredChanges } from "./stored-changes.ts";

/** What a lane sends next. */
export type Step = "propose" | "approve" | "propose undo" | "approve undo";

type Rows = readonly Readonly<Record<string, unknown>>[];

/** What a lane changes. */
export interface LaneTask {
  /** Names the changes of this lane. */
  readonly name: string;
  /** The subject id of the approver, and their browser. */
  readonly approver: { readonly subjectId: string; readonly browser: Browser };
  readonly rowCount: number;
  /** How its changes end. A change that the database refuses is not undone. */
  readonly end: "applied" | "failed";
  /** The arguments of `change` in a cycle. */
  readonly buildProposal: (cycle: number) => Readonly<Record<string, unknown>>;
  /** Reads the rows that only this lane changes. */
  readonly readRows: () => Rows;
  /** What they are after the change of a cycle, and before its undo. */
  readonly buildChanged: (before: Rows, cycle: number) => Rows;
}

/** What a lane works with. */
export interface LaneContext {
  readonly server: Pick<KilledServer, "origin" | "isDown">;
  readonly stored: StoredChanges;
  /** The subject id of the user who proposes. */
  readonly requesterId: string;
  readonly callTool: (name: string, args: Readonly<Record<string, unknown>>) => Promise<Record<string, unknown>>;
  /** Called when a step is sent, and when it was answered, with the milliseconds between. */
  readonly onSent: (step: Step) => void;
  readonly onAnswered: (step: Step, tookMs: number) => void;
  /** Called after a kill and the restart, with where the kill met a change and how the change ended. */
  readonly onEnd: (phase: string, state: string) => void;
}

/** A lane. */
export interface Lane {
  /** Goes on until the server is killed. A last run ends when no change is under way. */
  run(isLast: boolean): Promise<void>;
  /** Checks what the killed server has left, before it is restarted. */
  inspect(): void;
}

/** Longer than a change waits after several kills in a row, each of which doubles the pause before the next try. */
const MAX_WAIT_MS = 180_000;
/** The states in which a change that was approved has not ended. */
const APPLY_STATES: readonly string[] = ["approved", "applying"];

/** What `fetch` answers about a change. */
const FETCHED = z.object({
  metadata: z.object({ state: z.enum(CHANGE_STATES) }).optional(),
  error: z.object({ code: z.string() }).optional(),
});

class ServerDown extends Error {}

/** The error of a call that could not be sent, or whose answer has not come whole, because the connection was refused or has ended. */
const CUT_CALL = z.object({
  cause: z.object({ code: z.enum(["ECONNREFUSED", "ECONNRESET", "EPIPE", "UND_ERR_SOCKET"]) }),
});

/** Whether a call ended because the server did. */
const isCut = (error: unknown): boolean => error instanceof ServerDown || CUT_CALL.safeParse(error).success;

/** Creates a lane. The rows are as they are between its cycles. */
export function createLane(context: LaneContext, task: LaneTask): Lane {
  const { server, stored, requesterId, callTool } = context;
  const before = task.readRows();
  let cycle = 0;
  let step: Step = "propose";
  let [changeId, undoId] = ["", ""];
  let isInFlight = false;
  let isApprovalAnswered = false;
  /** Where kills have met the change under way since its state was known. */
  const phases: string[] = [];
  /** Whether the server was killed since this lane ran, and what the object of the change had stored then. */
  let isKilled = false;
  let left: StoredChange | undefined;

  const isUndo = (): boolean => step === "propose undo" || step === "approve undo";
  const findId = (): string | undefined => {
    if (step === "propose undo") return stored.findUndo(changeId);
    return step === "approve undo" ? undoId : changeId;
  };
  /** A request that was cut may come back after the restart, when this lane has been inspected already. */
  const requireUp = (): void => {
    if (server.isDown()) throw new ServerDown();
  };

  async function send<T>(request: () => Promise<T>): Promise<T> {
    requireUp();
    const startMs = performance.now();
    isInFlight = true;
    context.onSent(step);
    const answer = await request();
    isInFlight = false;
    context.onAnswered(step, performance.now() - startMs);
    return answer;
  }

  async function advance(): Promise<void> {
    switch (step) {
      case "propose": {
        const key = `${task.name} ${cycle}`;
        changeId = await deriveChangeId({ subjectId: requesterId, email: "", groups: [] }, "key", key);
        const answer = await send(async () => callTool("change", { ...task.buildProposal(cycle), key }));
        equal(answer["change"], changeId, JSON.stringify(answer));
        step = "approve";
        return;
      }
      case "approve":
        return finish(changeId, await approve(changeId));
      case "propose undo": {
        const answer = await send(async () => callTool("undo", { change: changeId, reason: "Back again." }));
        requireUp();
        undoId = String(answer["change"]);
        equal(undoId, stored.findUndo(changeId), JSON.stringify(answer));
        step = "approve undo";
        return;
      }
      case "approve undo":
        return finish(undoId, await approve(undoId));
    }
  }

  /** Approves on the page, and returns the state in which the change ends. */
  async function approve(id: string): Promise<string> {
    requireUp();
    const { browser } = task.approver;
    const page = await browser.open(`${server.origin}/changes/${id}`);
    const { response, html } = await send(async () => browser.press(page, "decision", "approve"));
    equal(response.headers.get("location"), `/changes/${id}`, `the approval was answered ${response.status}: ${html}`);
    isApprovalAnswered = true;
    return waitForEnd(id);
  }

  /** Waits until a change is neither approved nor being applied, and returns its state as the server says it. */
  async function waitForEnd(id: string): Promise<string> {
    const endMs = performance.now() + MAX_WAIT_MS;
    // The server comes first: it could not open a file that this process is just recovering.
    let state = await readState(id);
    while (APPLY_STATES.includes(state)) {
      ok(performance.now() < endMs, `the change ${id} stays ${state}`);
      await delay(50);
      requireUp();
      if (!APPLY_STATES.includes(stored.readChange(id)?.state ?? "")) state = await readState(id);
    }
    return state;
  }

  async function readState(id: string): Promise<string> {
    requireUp();
    const answer = await callTool("fetch", { id });
    // An answer that was sent before the kill and is read after it would move this lane on from where it was inspected.
    requireUp();
    const { metadata, error } = FETCHED.parse(answer);
    if (metadata !== undefined) return metadata.state;
    equal(error?.code, "not_found", JSON.stringify(answer));
    return "not proposed";
  }

  /** Checks a change that has ended, and goes on to the next step. */
  function finish(id: string, state: string): void {
    equal(state, task.end, `the change ${id}`);
    expectWhole(id, state);
    isApprovalAnswered = false;
    const isOver = isUndo() || state === "failed";
    step = isOver ? "propose" : "propose undo";
    if (!isOver) return;
    cycle += 1;
    changeId = "";
  }

  /** Expects that rows, journal and audit log say of a change what its state says. */
  function expectWhole(id: string, state: string): void {
    equal(stored.readChange(id)?.state, state);
    expectRows(id);
    const isApplied = state === "applied";
    equal(stored.readJournal(id) === "applied", isApplied, `the journal of ${id}, which is ${state}`);
    const records = listApplyRecords(id);
    const answered = records.filter(({ result }) => result === "answered");
    equal(answered.length, isApplied ? 1 : 0, `the audit records of ${id}, which is ${state}`);
    for (const { rows, approver } of answered)
      deepStrictEqual({ rows, approver }, { rows: task.rowCount, approver: task.approver.subjectId });
    if (!isApplied) ok(records.some(({ result, code }) => result === "failed" && code === "query_failed"));
  }

  /** Expects exactly the rows before the change, or exactly those after it, as the journal says. */
  function expectRows(id: string | undefined): void {
    const changed = task.buildChanged(before, cycle);
    const [from, to] = isUndo() ? [changed, before] : [before, changed];
    const isJournaled = id !== undefined && stored.readJournal(id) === "applied";
    deepStrictEqual(task.readRows(), isJournaled ? to : from, `the rows of ${id}`);
  }

  const listApplyRecords = (id: string) =>
    stored
      .listRecords(requesterId, id)
      .filter(({ operation }) => operation === (isUndo() ? "apply undo" : "apply change"));

  /** Expects that nothing was done before it was recorded, and that an approval is stored when it was answered. */
  function expectOrder(id: string, { state }: StoredChange): void {
    const isJournaled = stored.readJournal(id) === "applied";
    if (isApprovalAnswered) ok(state !== "proposed", `the answered approval of ${id} is lost`);
    if (state === "applied") ok(isJournaled, `${id} is applied and not in the journal`);
    if (isJournaled) ok(["applying", "applied"].includes(state), `${id} is in the journal and ${state}`);
    if (isJournaled) ok(listApplyRecords(id).length > 0, `${id} was applied before that was recorded`);
    if (state === "proposed") return;
    const decisions = stored
      .listRecords(task.approver.subjectId, id)
      .filter(({ operation }) => operation === "approve change");
    ok(decisions.length > 0, `${id} was approved before that was recorded`);
  }

  /** Says where the kill has met the change; undefined between two steps. */
  function namePhase(id: string | undefined, change: StoredChange | undefined): string | undefined {
    const prefix = isUndo() ? "undo: " : "";
    if (step === "propose" || step === "propose undo") return isInFlight ? `${prefix}propose` : undefined;
    if (change === undefined || change.state === "proposed") return isInFlight ? `${prefix}approve` : undefined;
    if (!APPLY_STATES.includes(change.state)) return isInFlight ? `${prefix}answer of the approval` : undefined;
    const isCommitted = id !== undefined && stored.readJournal(id) === "applied";
    return `${prefix}apply, ${change.state}, ${isCommitted ? "committed" : "not committed"}`;
  }

  /** Finds out after a restart how the change ended, and expects what the files said while the server was down. */
  async function recover(): Promise<void> {
    const id = findId();
    const state = id === undefined || id === "" ? "not proposed" : await waitForEnd(id);
    const expected = left === undefined ? "not proposed" : left.state === "proposed" ? "proposed" : task.end;
    equal(state, expected, `the change ${id}, which was ${left?.state} when the server was killed`);
    ok(!isApprovalAnswered || state === task.end, `the answered approval of ${id} is lost`);
    for (const phase of phases.splice(0)) context.onEnd(phase, state);
    if (id !== undefined && state === task.end) finish(id, state);
    else expectRows(id);
  }

  return {
    async run(isLast) {
      try {
        if (isKilled) await recover();
        isKilled = false;
        const isOver = (): boolean => isLast && step === "propose";
        while (!isOver()) await advance();
      } catch (error) {
        if (!server.isDown() || !isCut(error)) throw error;
      }
    },
    inspect() {
      isKilled = true;
      const id = findId();
      left = id === undefined ? undefined : stored.readChange(id);
      expectRows(id);
      if (id !== undefined && left !== undefined) expectOrder(id, left);
      const phase = namePhase(id, left);
      if (phase !== undefined) phases.push(phase);
      isInFlight = false;
    },
  };
}
