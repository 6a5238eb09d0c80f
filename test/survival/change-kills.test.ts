// Kills the real server with SIGKILL at random moments while changes are proposed, approved, applied and undone. After the restart each
// change is applied whole and audited, or not applied at all, and its state says which. CHANGE_KILLS sets how often.
import { afterAll, beforeAll, expect, it } from "vitest";
import { createRandom } from "../support/crafted-inputs.ts";
import { createBrowser } from "../support/forms.ts";
import { tokensFor } from "../support/oauth.ts";
import { createLane } from "../support/node/change-lane.ts";
import type { Lane, LaneContext, LaneTask, Step } from "../support/node/change-lane.ts";
import { startKilledServer } from "../support/node/killed-server.ts";
import type { KilledServer } from "../support/node/killed-server.ts";
import { postToolCall } from "../support/node/query.ts";
import { openStoredChanges } from "../support/node/stored-changes.ts";
import type { StoredChanges } from "../support/node/stored-changes.ts";

const KILLS = Number(process.env["CHANGE_KILLS"] ?? "10");
const SEED = Number(process.env["CHANGE_KILLS_SEED"] ?? Date.now() % 1_000_000);
/** A moment that kills have to meet: a phase of a change that then ends in a state, and the part of a step's time in which it comes. */
interface Moment {
  readonly phase: RegExp;
  readonly state?: string;
  readonly step: Step;
  readonly from: number;
  readonly to: number;
}

const MOMENTS: readonly Moment[] = [
  { phase: /^propose/, step: "propose", from: 0, to: 1.2 },
  { phase: /^approve/, step: "approve", from: 0, to: 0.8 },
  { phase: /^apply/, state: "applied", step: "approve", from: 0.3, to: 1.2 },
  { phase: /^undo: propose/, step: "propose undo", from: 0, to: 1.2 },
  { phase: /^undo: apply/, state: "applied", step: "approve undo", from: 0.3, to: 1.2 },
];
const REQUESTER = "support@harbor.example";
const REVIEWER = "reviewer@harbor.example";
/** An access token is renewed long before it ends. */
const RENEWAL_MS = 600_000;

const random = createRandom(SEED);
let server: KilledServer;
let stored: StoredChanges;
let accessToken = "";
let renewedMs = 0;

/** How the kills ended: how often by the state of the change, by where the kill has met it. */
const ends = new Map<string, Map<string, number>>();
/** How long a step takes on the average. */
const tookMs = new Map<Step, number>();
/** The next kill: after how many answers, at which moment, and what ends the process. */
let armed: { answersLeft: number; readonly moment: Moment; readonly kill: () => void } | undefined;

async function renewAccess(): Promise<void> {
  if (Date.now() - renewedMs < RENEWAL_MS) return;
  ({ accessToken } = await tokensFor({ origin: server.origin, send: fetch }, REQUESTER));
  renewedMs = Date.now();
}

async function callTool(name: string, args: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
  const response = await postToolCall(server.origin, accessToken, { name, arguments: args });
  const text = await response.text();
  const { result } = JSON.parse(text) as { result?: { structuredContent: Record<string, unknown> } };
  if (result === undefined) throw new Error(`${name} was answered ${response.status}: ${text}`);
  return result.structuredContent;
}

async function signIn(email: string): Promise<LaneTask["approver"]> {
  const browser = createBrowser(fetch);
  await browser.press(await browser.open(`${server.origin}/sign-in`), "account", email);
  return { browser, subjectId: stored.findSubject(email) };
}

/** A lane that updates three tickets, whose requester approves. */
function buildTicketTask(number: number, approver: LaneTask["approver"]): LaneTask {
  const filter = "region = 'north' AND priority = 'normal'";
  const ids = stored
    .readRows(`SELECT id FROM tickets WHERE ${filter} ORDER BY id LIMIT 3 OFFSET ?`, number * 3)
    .map(({ id }) => id);
  const nameTime = (cycle: number): string => new Date(Date.UTC(2026, 6, 1) + cycle * 1000).toISOString().slice(0, 19);
  const buildValues = (cycle: number) => ({ priority: "high", closed_at: nameTime(cycle).replace("T", " ") });
  return {
    name: `tickets ${number}`,
    approver,
    rowCount: 3,
    end: "applied",
    buildProposal: (cycle) => ({
      dataset: "shop.tickets",
      action: "update",
      where: { id: ids },
      values: buildValues(cycle),
      reason: "A kill.",
    }),
    readRows: () => stored.readRows(`SELECT * FROM tickets WHERE id IN (${ids.join(", ")}) ORDER BY id`),
    buildChanged: (before, cycle) => before.map((row) => ({ ...row, ...buildValues(cycle) })),
  };
}

/** A lane that inserts a refund, which a reviewer approves. The database refuses one of an order that does not exist. */
function buildRefundTask(orderId: number, end: LaneTask["end"], approver: LaneTask["approver"]): LaneTask {
  const columns = ["order_id", "amount_cents", "reason", "status", "created_at"];
  const buildValues = (cycle: number) => ({
    order_id: orderId,
    amount_cents: 1 + (cycle % 50_000),
    reason: "late",
    status: "requested",
    created_at: "2026-07-01 10:00:00",
  });
  return {
    name: `refund of ${orderId}`,
    approver,
    rowCount: 1,
    end,
    buildProposal: (cycle) => ({
      dataset: "shop.refunds",
      action: "insert",
      values: buildValues(cycle),
      reason: "A kill.",
    }),
    readRows: () => stored.readRows(`SELECT ${columns.join(", ")} FROM refunds WHERE order_id = ?`, orderId),
    buildChanged: (before, cycle) => (end === "applied" ? [buildValues(cycle)] : before),
  };
}

let lanes: readonly Lane[] = [];
let openDatabases = async (): Promise<void> => {};

const readTables = () => ["tickets", "refunds"].map((table) => stored.readRows(`SELECT * FROM ${table} ORDER BY id`));

beforeAll(async () => {
  server = await startKilledServer();
  stored = openStoredChanges(server.stateDir, () => server.isDown());
  await renewAccess();
  const [requester, reviewer] = [await signIn(REQUESTER), await signIn(REVIEWER)];
  // The server opens its files before this process reads them: it could not open one that this process is just recovering.
  openDatabases = async () => {
    await requester.browser.open(`${server.origin}/changes`);
    await callTool("query", { source: "shop", sql: "SELECT count(*) FROM tickets" });
  };
  const [order] = stored.readRows("SELECT id FROM orders WHERE id NOT IN (SELECT order_id FROM refunds) LIMIT 1");
  const context: LaneContext = {
    server,
    stored,
    requesterId: requester.subjectId,
    callTool,
    onSent(step) {
      if (armed?.moment.step !== step || armed.answersLeft > 0) return;
      const { kill, moment } = armed;
      const part = moment.from + random() * (moment.to - moment.from);
      setTimeout(kill, part * (tookMs.get(step) ?? 100));
      armed = undefined;
    },
    onAnswered(step, ms) {
      tookMs.set(step, 0.8 * (tookMs.get(step) ?? ms) + 0.2 * ms);
      if (armed !== undefined) armed.answersLeft -= 1;
    },
    onEnd(phase, state) {
      const states = ends.get(phase) ?? new Map<string, number>();
      ends.set(phase, states.set(state, (states.get(state) ?? 0) + 1));
    },
  };
  const tasks = [
    buildTicketTask(0, requester),
    buildTicketTask(1, requester),
    buildRefundTask(Number(order?.["id"]), "applied", reviewer),
    buildRefundTask(90_000_001, "failed", reviewer),
  ];
  lanes = tasks.map((task) => createLane(context, task));
}, 120_000);

afterAll(async () => {
  await server.remove();
});

/** Lets all lanes go on, kills the server in the middle of a step of one of them, and checks what is left before it serves again. */
async function killAt(moment: Moment): Promise<void> {
  const restarted = Promise.withResolvers<void>();
  const inspect = (): void => lanes.forEach((lane) => lane.inspect());
  // Otherwise kills would keep the lanes from getting beyond their first steps.
  const answersLeft = Math.floor(random() * 1.5 * lanes.length);
  armed = { answersLeft, moment, kill: () => restarted.resolve(server.kill(inspect)) };
  await Promise.all([restarted.promise, ...lanes.map(async (lane) => lane.run(false))]);
  server.resume();
  await renewAccess();
  await openDatabases();
}

/** Counts the changes that kills have met at a moment. */
function countMet({ phase, state }: Moment): number {
  const met = [...ends].filter(([name]) => phase.test(name)).flatMap(([, states]) => [...states]);
  return met.reduce((sum, [name, count]) => sum + (state === undefined || name === state ? count : 0), 0);
}

const isMissing = (moment: Moment): boolean => countMet(moment) === 0;

/** The moment that kills have met least. */
function chooseMoment(): Moment {
  return MOMENTS.reduce((least, moment) => (countMet(moment) < countMet(least) ? moment : least));
}

function formatEnds(kills: number): string {
  const lines = [...ends]
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([phase, states]) => `  ${phase}: ${[...states].map(([state, count]) => `${count} ${state}`).join(", ")}`);
  return [`${kills} kills (seed ${SEED}) have met these changes, which ended as:`, ...lines].join("\n");
}

it("leaves each change applied whole and audited, or not at all, when the server is killed at any step of it", async () => {
  const before = readTables();
  let kills = 0;
  // A few random kills may all have missed one of the moments.
  for (; kills < KILLS || (kills < 4 * KILLS && MOMENTS.some(isMissing)); kills += 1) await killAt(chooseMoment());
  await Promise.all(lanes.map(async (lane) => lane.run(true)));
  expect(readTables()).toEqual(before);
  console.log(formatEnds(kills));
  // Otherwise the kills have tested too little.
  expect(MOMENTS.filter(isMissing)).toEqual([]);
}, 7_200_000);
