// Sessions of the real server in its own process survive sleep, SIGKILL (while idle, during a call, during a question and in the
// second round of two) and cut connections. The clients are those of both SDKs.
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema, ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { createServer, connect } from "node:net";
import type { Server, Socket } from "node:net";
import { beforeEach, describe, expect, it } from "vitest";
import { useConformanceWorker } from "../support/node/conformance-worker.ts";
import { freePort } from "../support/node/server.ts";
import { call, openWireSession } from "../support/node/wire.ts";

const WATCHED = "test://watched-resource";
const RECONNECT = {
  initialReconnectionDelay: 200,
  maxReconnectionDelay: 500,
  reconnectionDelayGrowFactor: 1.2,
  maxRetries: 200,
};
/** Longer than the 10 s without work after which workerd lets an object hibernate. */
const IDLE_MS = 15_000;

const worker = useConformanceWorker();

interface SimulatedUser {
  readonly questions: string[];
  /** Answers the pending question, or the next one. */
  answer(content: Record<string, string>): Promise<void>;
  /** Resolves when a question is pending. */
  waitForQuestion(): Promise<void>;
}

/** Creates a user who answers a question only when the test says so. */
function createUser() {
  const questions: string[] = [];
  const pending: ((content: Record<string, string>) => void)[] = [];
  let wake = (): void => {};
  const waitForQuestion = async (): Promise<void> => {
    while (pending.length === 0) await new Promise<void>((resolve) => (wake = resolve));
  };
  const user: SimulatedUser = {
    questions,
    waitForQuestion,
    async answer(content) {
      await waitForQuestion();
      pending.shift()?.(content);
    },
  };
  const onQuestion = (message: string): Promise<{ action: "accept"; content: Record<string, string> }> => {
    questions.push(message);
    return new Promise((resolve) => {
      pending.push((content) => resolve({ action: "accept", content }));
      wake();
    });
  };
  return { user, onQuestion };
}

interface SessionClient {
  readonly sessionId: () => string;
  readonly user: SimulatedUser;
  toolCount(): Promise<number>;
  callText(name: string): Promise<string>;
  subscribe(uri: string, onUpdate: () => void): Promise<void>;
  close(): Promise<void>;
}

const INFO = { name: "survivor", version: "1" };
const OPTIONS = { capabilities: { elicitation: {} } };
const LONG = { timeout: 120_000 };

function textOf(result: Record<string, unknown>): string {
  return JSON.stringify(result["content"]);
}

async function connectV1(origin: string): Promise<SessionClient> {
  const { user, onQuestion } = createUser();
  const client = new ClientV1(INFO, OPTIONS);
  client.setRequestHandler(ElicitRequestSchema, async ({ params }) => onQuestion(params.message));
  const transport = new TransportV1(new URL(`${origin}/mcp`), { reconnectionOptions: RECONNECT });
  await client.connect(transport);
  return {
    sessionId: () => transport.sessionId ?? "",
    user,
    toolCount: async () => (await client.listTools()).tools.length,
    callText: async (name) => textOf(await client.callTool({ name, arguments: {} }, undefined, LONG)),
    async subscribe(uri, onUpdate) {
      client.setNotificationHandler(ResourceUpdatedNotificationSchema, onUpdate);
      await client.subscribeResource({ uri });
    },
    close: () => client.close(),
  };
}

async function connectV2(origin: string): Promise<SessionClient> {
  const { user, onQuestion } = createUser();
  const client = new ClientV2(INFO, { ...OPTIONS, versionNegotiation: { mode: "legacy" } });
  client.setRequestHandler("elicitation/create", async ({ params }) => onQuestion(params.message));
  const transport = new TransportV2(new URL(`${origin}/mcp`), { reconnectionOptions: RECONNECT });
  await client.connect(transport);
  return {
    sessionId: () => transport.sessionId ?? "",
    user,
    toolCount: async () => (await client.listTools()).tools.length,
    callText: async (name) => textOf(await client.callTool({ name, arguments: {} }, LONG)),
    async subscribe(uri, onUpdate) {
      client.setNotificationHandler("notifications/resources/updated", onUpdate);
      await client.subscribeResource({ uri });
    },
    close: () => client.close(),
  };
}

async function restart(): Promise<void> {
  await worker().stop("SIGKILL");
  await worker().start();
}

describe.each([
  ["sdk v1", connectV1],
  ["sdk v2", connectV2],
])("%s", (_name, connectClient) => {
  let client: SessionClient;

  beforeEach(async () => {
    client = await connectClient(worker().origin);
    return () => client.close();
  });

  it("keeps an idle session across SIGKILL", async () => {
    const id = client.sessionId();
    const before = await client.toolCount();
    await restart();
    expect(await client.toolCount()).toBe(before);
    expect(client.sessionId()).toBe(id);
  }, 30_000);

  it("asks once, answers once and has effects once when SIGKILL comes during a question", async () => {
    const before = await worker().counts();
    const result = client.callText("survival_two_questions");
    await client.user.waitForQuestion();
    await restart();
    await client.user.answer({ answer: "blue" });
    await client.user.answer({ answer: "green" });
    expect(await result).toContain("answers: blue and green");
    expect(client.user.questions).toEqual(["The first question", "The second question"]);
    const after = await worker().counts();
    for (const name of ["started", "finished"])
      expect((after[name]?.effects ?? 0) - (before[name]?.effects ?? 0)).toBe(1);
  }, 60_000);

  it("keeps the first answer when SIGKILL comes in the second round", async () => {
    const result = client.callText("survival_two_questions");
    await client.user.answer({ answer: "red" });
    await client.user.waitForQuestion();
    await restart();
    await client.user.answer({ answer: "white" });
    expect(await result).toContain("answers: red and white");
    expect(client.user.questions).toEqual(["The first question", "The second question"]);
  }, 60_000);

  it("asks once when the user takes so long that the object hibernates", async () => {
    const result = client.callText("survival_two_questions");
    await client.user.waitForQuestion();
    const born = await worker().born(client.sessionId());
    await idle();
    expect(await worker().born(client.sessionId())).toBeGreaterThan(born);
    await client.user.answer({ answer: "a" });
    await client.user.answer({ answer: "b" });
    expect(await result).toContain("answers: a and b");
    expect(client.user.questions).toHaveLength(2);
  }, 60_000);

  it("delivers a notification to an object that hibernates with an open stream", async () => {
    const updated = Promise.withResolvers<void>();
    await client.subscribe(WATCHED, () => updated.resolve());
    const born = await worker().born(client.sessionId());
    await idle();
    await worker().publish(WATCHED);
    await updated.promise;
    expect(await worker().born(client.sessionId())).toBeGreaterThan(born);
  }, 60_000);

  it("gets the result once after its connection is cut during a stream", async () => {
    const proxy = await createProxy(worker().port);
    const proxiedClient = await connectClient(`http://localhost:${proxy.port}`);
    const result = proxiedClient.callText("survival_two_questions");
    await proxiedClient.user.waitForQuestion();
    await proxy.cut();
    await proxiedClient.user.answer({ answer: "left" });
    // The next question shows that the answer arrived. A lost answer would hang the test, because clients do not repeat it.
    await proxiedClient.user.waitForQuestion();
    await proxy.cut();
    await proxiedClient.user.answer({ answer: "right" });
    expect(await result).toContain("answers: left and right");
    expect(proxiedClient.user.questions).toHaveLength(2);
    await proxiedClient.close();
    proxy.close();
  }, 60_000);
});

describe("on the wire", () => {
  it("reports an unknown outcome on the stream and does not repeat the call when SIGKILL comes during it", async () => {
    const session = await openWireSession(worker().origin);
    const before = (await worker().counts())["slow"]?.tries ?? 0;
    const stream = await session.stream(call(7, "survival_slow"));
    expect(await stream.next()).toMatchObject({
      message: undefined,
      id: expect.any(String),
      retry: expect.any(String),
    });
    const progress = await stream.next();
    expect(progress).toMatchObject({ message: { method: "notifications/progress" } });
    await restart();
    expect(await stream.next()).toBeUndefined();
    const resumed = await session.listen(progress?.id);
    const events = [await resumed.next(), await resumed.next(), await resumed.next()];
    expect(events.filter((event) => event?.message !== undefined)).toMatchObject([
      { message: { id: 7, error: { message: expect.stringContaining("outcome is unknown") } } },
    ]);
    expect((await worker().counts())["slow"]?.tries).toBe(before + 1);
    // The call has its response now, so the same events are replayed, and nothing else.
    const replayed = await session.listen(progress?.id);
    expect(
      [await replayed.next(), await replayed.next(), await replayed.next()].filter(
        (event) => event?.message !== undefined,
      ),
    ).toHaveLength(1);
  }, 60_000);
});

/** Waits until idle objects hibernate; workerd's timer cannot be advanced. */
async function idle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
}

/** Creates a proxy between client and server that can cut all its connections at once. */
async function createProxy(target: number): Promise<{ readonly port: number; cut(): Promise<void>; close(): void }> {
  const sockets = new Set<Socket>();
  const port = await freePort();
  const server: Server = createServer((incoming) => {
    const outgoing = connect(target, "127.0.0.1");
    for (const socket of [incoming, outgoing]) {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      socket.on("error", () => socket.destroy());
    }
    // The server only accepts its own host name and port.
    incoming.once("data", function first(chunk: Buffer) {
      outgoing.write(chunk.toString("latin1").replaceAll(`localhost:${port}`, `localhost:${target}`), "latin1");
      incoming.on("data", (nextChunk: Buffer) =>
        outgoing.write(nextChunk.toString("latin1").replaceAll(`localhost:${port}`, `localhost:${target}`), "latin1"),
      );
    });
    outgoing.pipe(incoming);
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const destroyAll = (): void => sockets.forEach((socket) => socket.destroy());
  return {
    port,
    /** Cuts all connections, and resolves when the client has reconnected. */
    async cut() {
      const reconnected = new Promise<void>((resolve) => server.once("connection", () => resolve()));
      destroyAll();
      await reconnected;
    },
    close() {
      destroyAll();
      server.close();
    },
  };
}
