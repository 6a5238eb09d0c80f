// Stream limits over real connections: places of streams whose clients have left are reused. Also what protects a session from
// being ended to make room for another.
import { describe, expect, it } from "vitest";
import { useConformanceWorker } from "../support/node/conformance-worker.ts";
import { call, nextMessage, openListen, openWireSession } from "../support/node/wire.ts";
import type { EventStream } from "../support/node/wire.ts";

/** The limits of the conformance Worker. */
const MAX_STREAMS = 16;
const MAX_LISTENS = 3;
const KEEP_ALIVE_SECONDS = "15";

const worker = useConformanceWorker();

async function openAll(count: number, open: () => Promise<EventStream>): Promise<EventStream[]> {
  const streams: EventStream[] = [];
  for (let opened = 0; opened < count; opened += 1) streams.push(await open());
  return streams;
}

describe("streams that open concurrently", () => {
  it("never exceed the limit of their session and can be reopened after they close", async () => {
    const session = await openWireSession(worker().origin, "?subject=at-once");
    for (let round = 0; round < 2; round += 1) {
      const streams = await Promise.all(Array.from({ length: MAX_STREAMS + 8 }, () => session.listen()));
      const statuses = Map.groupBy(streams, ({ status }) => status);
      expect(statuses.get(200)?.length).toBe(MAX_STREAMS);
      expect(statuses.get(429)?.length).toBe(8);
      for (const stream of streams) await stream.close();
    }
  });

  it("lose no places to refused requests", async () => {
    const session = await openWireSession(worker().origin, "?subject=no-stream");
    const headers = { accept: "text/event-stream", "mcp-session-id": session.id, "last-event-id": "no id" };
    for (let sent = 0; sent < MAX_STREAMS + 1; sent += 1)
      expect((await fetch(`${worker().origin}/mcp?subject=no-stream`, { headers })).status).toBe(400);
    const next = await session.listen();
    expect(next.status).toBe(200);
    await next.close();
  });
});

describe("a stream that its client closed", () => {
  it("frees its place in a session for the next stream at once", async () => {
    const session = await openWireSession(worker().origin, "?subject=closing");
    const streams = await openAll(MAX_STREAMS, async () => session.listen());
    for (const stream of streams) await stream.close();
    const next = await session.listen();
    expect(next.status).toBe(200);
    await next.close();
  });

  it("frees its place among a grant's subscriptions for the next stream at once", async () => {
    const open = async () => openListen(worker().origin, { toolsListChanged: true }, "?subject=closing");
    const streams = await openAll(MAX_LISTENS, open);
    for (const stream of streams) await nextMessage(stream);
    for (const stream of streams) await stream.close();
    const next = await open();
    expect(next.status).toBe(200);
    await next.close();
  });

  it("does not free the places of streams that are still open and deliver events", async () => {
    const session = await openWireSession(worker().origin, "?subject=open");
    const streams = await openAll(MAX_STREAMS, async () => session.listen());
    const listening = await openAll(MAX_LISTENS, async () =>
      openListen(worker().origin, { toolsListChanged: true }, "?subject=open"),
    );
    for (const stream of listening) await nextMessage(stream);
    const headers = { accept: "text/event-stream", "mcp-session-id": session.id };
    const refused = await fetch(`${worker().origin}/mcp?subject=open`, { headers });
    expect(refused.status).toBe(429);
    expect(refused.headers.get("retry-after")).toBe(KEEP_ALIVE_SECONDS);
    expect((await openListen(worker().origin, { toolsListChanged: true }, "?subject=open")).status).toBe(429);
    await worker().control("/list-changed?subject=open");
    const last = streams.at(-1);
    for (const stream of [...listening, ...(last === undefined ? [] : [last])])
      expect(await nextMessage(stream)).toMatchObject({ method: "notifications/tools/list_changed" });
    for (const stream of [...streams, ...listening]) await stream.close();
  });
});

describe("a session that is asked to end for another", () => {
  const askToEnd = async (id: string): Promise<Record<string, unknown>> => {
    const reply: Record<string, unknown> = JSON.parse(
      await (await fetch(`${worker().origin}/end-idle?session=${id}`)).text(),
    );
    return reply;
  };
  /** Closes the stream and waits until the session has noticed. */
  const closeStream = async (id: string, stream: EventStream): Promise<void> => {
    await stream.close();
    await expect
      .poll(async () => {
        await askToEnd(id);
        return worker().streams(id);
      })
      .toBe(0);
  };

  it("ends when it is idle and answers 404 from then on", async () => {
    const session = await openWireSession(worker().origin, "?subject=asked");
    expect(await askToEnd(session.id)).toEqual({ kind: "ended" });
    expect((await session.request({ jsonrpc: "2.0", id: 1, method: "ping" })).status).toBe(404);
    expect(await askToEnd(session.id)).toEqual({ kind: "ended" });
  });

  it("is protected only while a stream is open", async () => {
    const session = await openWireSession(worker().origin, "?subject=asked");
    const stream = await session.listen();
    expect(await askToEnd(session.id)).toMatchObject({ kind: "protected" });
    await stream.close();
    await expect.poll(async () => askToEnd(session.id)).toEqual({ kind: "ended" });
  });

  it("is protected while a call runs even if its stream is closed", async () => {
    const session = await openWireSession(worker().origin, "?subject=asked");
    const stream = await session.stream(call(1, "survival_slow"));
    await nextMessage(stream);
    await closeStream(session.id, stream);
    expect(await askToEnd(session.id)).toEqual({ kind: "protected", retryMs: 15_000 });
    expect((await session.request({ jsonrpc: "2.0", id: 2, method: "ping" })).status).toBe(200);
  });

  it("is protected while a question waits for an answer, until the session expires", async () => {
    const session = await openWireSession(worker().origin, "?subject=asked");
    const pay = { name: "survival_pay", arguments: { amount: 5 } };
    const stream = await session.stream({ jsonrpc: "2.0", id: 1, method: "tools/call", params: pay });
    expect(await nextMessage(stream)).toMatchObject({ method: "elicitation/create" });
    await closeStream(session.id, stream);
    const reply = await askToEnd(session.id);
    expect(reply["kind"]).toBe("protected");
    expect(Number(reply["retryMs"])).toBeGreaterThan(3_000_000);
    expect(Number(reply["retryMs"])).toBeLessThanOrEqual(3_600_000);
  });
});
