// Objects while nobody calls: they sleep with their streams open, and let go of streams whose client is gone.
import { request } from "node:http";
import { expect, it } from "vitest";
import { useConformanceWorker } from "../support/node/conformance-worker.ts";
import { openWireSession } from "../support/node/wire.ts";
import type { EventStream, WireSession } from "../support/node/wire.ts";

const SESSIONS = 1000;
const AT_A_TIME = 50;
/** workerd lets an object sleep after 10 s without work. */
const IDLE_MS = 15_000;

const worker = useConformanceWorker();

/** Does the work for every item, some at a time, and keeps the order. */
async function forEach<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (let start = 0; start < items.length; start += AT_A_TIME)
    results.push(...(await Promise.all(items.slice(start, start + AT_A_TIME).map(work))));
  return results;
}

it(`${SESSIONS} sessions with open streams: every object sleeps, and every stream still carries`, async () => {
  const open = async (): Promise<{ session: WireSession; stream: EventStream }> => {
    const session = await openWireSession(worker().origin, "?subject=idle");
    return { session, stream: await session.listen() };
  };
  const opened = await forEach(
    Array.from({ length: SESSIONS }, (_value, index) => index),
    open,
  );
  const lastCalls = await forEach(opened, async ({ session }) => {
    await worker().born(session.id);
    return Date.now();
  });
  // The one thing that can only be waited for: that nothing happens.
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const woken = await forEach(opened, async ({ session }) => worker().born(session.id));
  const awake = woken.filter((bornMs, index) => bornMs <= (lastCalls[index] ?? Infinity));
  expect(awake).toEqual([]);
  expect(new Set(await forEach(opened, async ({ session }) => worker().streams(session.id)))).toEqual(new Set([1]));

  await worker().control("/list-changed?subject=idle");
  for (const { stream } of opened) {
    const priming = await stream.next();
    expect(priming?.message).toBeUndefined();
    expect(await stream.next()).toMatchObject({ message: { method: "notifications/tools/list_changed" } });
  }
  await forEach(opened, async ({ stream }) => stream.close());
}, 120_000);

it("a stream whose client went away without a word is let go", async () => {
  const session = await openWireSession(worker().origin, "?subject=gone");
  const headers = { accept: "text/event-stream", "mcp-session-id": session.id, "mcp-protocol-version": "2025-11-25" };
  const stream = request(`${worker().origin}/mcp?subject=gone`, { headers });
  await new Promise((resolve) => stream.on("response", resolve).on("error", resolve).end());
  expect(await worker().streams(session.id)).toBe(1);
  stream.destroy();
  await expect.poll(async () => worker().streams(session.id), { timeout: 60_000, interval: 500 }).toBe(0);
}, 90_000);
