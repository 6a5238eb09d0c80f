// Change notifications across users and eras, their limits, and revocation, over real HTTP.
import { describe, expect, it } from "vitest";
import { useConformanceWorker } from "../support/node/conformance-worker.ts";
import { nextMessage, openListen, openWireSession, request2026 } from "../support/node/wire.ts";

const WATCHED = "test://watched-resource";
const OTHER = "test://static-text";

const worker = useConformanceWorker();

const subscribe = (method: string, uri: string, id: string) => ({
  jsonrpc: "2.0",
  id,
  method: `resources/${method}`,
  params: { uri },
});

describe("a published change", () => {
  it("reaches subscribers of both eras and no other listeners", async () => {
    const ann = await openWireSession(worker().origin, "?subject=ann");
    const annStream = await ann.listen();
    expect((await ann.request(subscribe("subscribe", WATCHED, "s"))).status).toBe(200);
    const bob = await openListen(worker().origin, { resourceSubscriptions: [WATCHED] }, "?subject=bob");
    const cat = await openListen(worker().origin, { resourceSubscriptions: [OTHER] }, "?subject=cat");
    for (const stream of [bob, cat])
      expect(await nextMessage(stream)).toMatchObject({ method: "notifications/subscriptions/acknowledged" });

    await worker().publish(WATCHED);
    await worker().publish(OTHER);

    for (const stream of [annStream, bob]) {
      expect(await nextMessage(stream)).toMatchObject({
        method: "notifications/resources/updated",
        params: { uri: WATCHED },
      });
    }
    // Cat gets only the second change.
    expect(await nextMessage(cat)).toMatchObject({ method: "notifications/resources/updated", params: { uri: OTHER } });

    await ann.request(subscribe("unsubscribe", WATCHED, "u"));
    await ann.request(subscribe("subscribe", OTHER, "o"));
    await worker().publish(WATCHED);
    await worker().publish(OTHER);
    expect(await nextMessage(annStream)).toMatchObject({ params: { uri: OTHER } });
    for (const stream of [annStream, bob, cat]) await stream.close();
  });

  it("does not reach a listener whose subscription was ended by a recheck of roles", async () => {
    const dan = await openListen(
      worker().origin,
      { resourceSubscriptions: [WATCHED], toolsListChanged: true },
      "?subject=dan",
    );
    await nextMessage(dan);
    await worker().control("/recheck?subject=dan");
    await worker().publish(WATCHED);
    await worker().control("/revoke?subject=dan&grant=conformance");
    expect((await nextMessage(dan))?.["method"]).toBeUndefined();
  });
});

describe("limits and revocation", () => {
  it("answers 429 when a grant has too many listening streams, but not for another grant", async () => {
    const streams = [];
    for (let count = 0; count < 3; count += 1)
      streams.push(await openListen(worker().origin, { toolsListChanged: true }, "?subject=eve"));
    for (const stream of streams) await nextMessage(stream);
    const refused = await openListen(worker().origin, { toolsListChanged: true }, "?subject=eve");
    expect(refused.status).toBe(429);
    const elsewhere = await openListen(worker().origin, { toolsListChanged: true }, "?subject=eve&grant=second");
    expect(elsewhere.status).toBe(200);
    for (const stream of [...streams, elsewhere]) await stream.close();
  });

  it("ends the sessions and streams of a revoked grant and no others", async () => {
    const first = await openWireSession(worker().origin, "?subject=fay&grant=one");
    const second = await openWireSession(worker().origin, "?subject=fay&grant=two");
    const stream = await first.listen();
    const listening = await openListen(worker().origin, { toolsListChanged: true }, "?subject=fay&grant=one");
    await nextMessage(listening);
    await worker().control("/revoke?subject=fay&grant=one");
    expect(await nextMessage(stream)).toBeUndefined();
    for (let message = await nextMessage(listening); message !== undefined; message = await nextMessage(listening))
      expect(message["method"]).toBeUndefined();
    const ping = { jsonrpc: "2.0", id: "p", method: "ping" };
    expect((await first.request(ping)).status).toBe(404);
    expect((await second.request(ping)).status).toBe(200);
  });

  it("answers 429 when a session has too many streams, and 404 to another subject or grant", async () => {
    const session = await openWireSession(worker().origin, "?subject=gil");
    const streams = [];
    for (let count = 0; count < 16; count += 1) streams.push(await session.listen());
    expect((await session.listen()).status).toBe(429);
    for (const stream of streams) await stream.close();
    const headers = { accept: "text/event-stream", "mcp-session-id": session.id };
    expect((await fetch(`${worker().origin}/mcp?subject=hal`, { headers })).status).toBe(404);
    expect((await fetch(`${worker().origin}/mcp?subject=gil&grant=other`, { headers })).status).toBe(404);
  });

  it("answers 404 to 10,000 forged session ids", async () => {
    const forge = (index: number): string => index.toString(16).padStart(64, "a");
    const statuses = new Set<number>();
    for (let start = 0; start < 10_000; start += 100) {
      const batch = Array.from({ length: 100 }, async (_value, index) => {
        const headers = { accept: "text/event-stream", "mcp-session-id": forge(start + index) };
        return (await fetch(`${worker().origin}/mcp`, { headers })).status;
      });
      for (const status of await Promise.all(batch)) statuses.add(status);
    }
    expect([...statuses]).toEqual([404]);
  }, 60_000);
});

describe("a change published in one isolate", () => {
  it("reaches listeners of both eras in another isolate", async () => {
    const { origin, twinOrigin } = worker();
    const isolateOf = async (at: string): Promise<string> => (await fetch(`${at}/isolate`)).text();
    expect(await isolateOf(origin)).not.toBe(await isolateOf(twinOrigin));
    const ida = await openWireSession(twinOrigin, "?subject=ida");
    const idaStream = await ida.listen();
    await ida.request(subscribe("subscribe", WATCHED, "s"));
    const jon = await openListen(twinOrigin, { resourceSubscriptions: [WATCHED] }, "?subject=jon");
    expect(await nextMessage(jon)).toMatchObject({ method: "notifications/subscriptions/acknowledged" });

    // Another user's tool call publishes the change in the first isolate.
    const call = { name: "trigger_resource_update", arguments: {} };
    expect((await request2026(origin, "tools/call", call, "?subject=kim")).status).toBe(200);

    for (const stream of [idaStream, jon]) {
      expect(await nextMessage(stream)).toMatchObject({
        method: "notifications/resources/updated",
        params: { uri: WATCHED },
      });
      await stream.close();
    }
  });
});
