// Idle session objects: they hibernate while their streams are open, and close streams whose client has left.
import { request } from "node:http";
import { expect, it } from "vitest";
import { useConformanceWorker } from "../support/node/conformance-worker.ts";
import { openWireSession } from "../support/node/wire.ts";
import type { EventStream, WireSession } from "../support/node/wire.ts";

const SESSIONS = 1000;
const AT_A_TIME = 50;
/** workerd hibernates an object after 10 s without work. */
const IDLE_MS = 15_000;

const worker = useConformanceWorker();

/** Runs the work for every item, `AT_A_TIME` items at once, and returns the results in order. */
async function mapInBatches<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (let start = 0; start < items.length; start += AT_A_TIME)
    results.push(...(await Promise.all(items.slice(start, start + AT_A_TIME).map(work))));
  return results;
}

it(`hibernates all ${SESSIONS} idle sessions with open streams and still delivers events`, async () => {
  const open = async (): Promise<{ session: WireSession; stream: EventStream }> => {
    const session = await openWireSession(worker().origin, "?subject=idle");
    return { session, stream: await session.listen() };
  };
  const opened = await mapInBatches(
    Array.from({ length: SESSIONS }, (_value, index) => index),
    open,
  );
  const lastCalls = await mapInBatches(opened, async ({ session }) => {
    await worker().born(session.id);
    return Date.now();
  });
  // Nothing observable happens while objects become idle, so the test has to wait.
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const bornTimes = await mapInBatches(opened, async ({ session }) => worker().born(session.id));
  const neverHibernated = bornTimes.filter((bornMs, index) => bornMs <= (lastCalls[index] ?? Infinity));
  expect(neverHibernated).toEqual([]);
  expect(new Set(await mapInBatches(opened, async ({ session }) => worker().streams(session.id)))).toEqual(
    new Set([1]),
  );

  await worker().control("/list-changed?subject=idle");
  for (const { stream } of opened) {
    const priming = await stream.next();
    expect(priming?.message).toBeUndefined();
    expect(await stream.next()).toMatchObject({ message: { method: "notifications/tools/list_changed" } });
  }
  await mapInBatches(opened, async ({ stream }) => stream.close());
}, 120_000);

it("closes a stream whose client disconnected without closing it", async () => {
  const session = await openWireSession(worker().origin, "?subject=gone");
  const headers = { accept: "text/event-stream", "mcp-session-id": session.id, "mcp-protocol-version": "2025-11-25" };
  const stream = request(`${worker().origin}/mcp?subject=gone`, { headers });
  await new Promise((resolve) => stream.on("response", resolve).on("error", resolve).end());
  expect(await worker().streams(session.id)).toBe(1);
  stream.destroy();
  await expect.poll(async () => worker().streams(session.id), { timeout: 60_000, interval: 500 }).toBe(0);
}, 90_000);
