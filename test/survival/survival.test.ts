// What sessions survive, with the real server in a process of its own that is really killed: sleep, SIGKILL while idle,
// during a call, during a question, in the second round of two, and a cut line. Clients are the real ones of both SDKs.
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
/** workerd lets an object sleep after 10 s without work. */
const IDLE_MS = 15_000;

const worker = useConformanceWorker();

interface Person {
  readonly questions: string[];
  /** Answers the question that waits, or the next one. */
  answer(content: Record<string, string>): Promise<void>;
  /** Resolves when a question waits. */
  asked(): Promise<void>;
}

/** A person who thinks until the test says what they answer. */
function createPerson() {
  const questions: string[] = [];
  const waiting: ((content: Record<string, string>) => void)[] = [];
  let wake = (): void => {};
  const asked = async (): Promise<void> => {
    while (waiting.length === 0) await new Promise<void>((resolve) => (wake = resolve));
  };
  const person: Person = {
    questions,
    asked,
    async answer(content) {
      await asked();
      waiting.shift()?.(content);
    },
  };
  const onQuestion = (message: string): Promise<{ action: "accept"; content: Record<string, string> }> => {
    questions.push(message);
    return new Promise((resolve) => {
      waiting.push((content) => resolve({ action: "accept", content }));
      wake();
    });
  };
  return { person, onQuestion };
}

interface SessionClient {
  readonly sessionId: () => string;
  readonly person: Person;
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
  const { person, onQuestion } = createPerson();
  const client = new ClientV1(INFO, OPTIONS);
  client.setRequestHandler(ElicitRequestSchema, async ({ params }) => onQuestion(params.message));
  const transport = new TransportV1(new URL(`${origin}/mcp`), { reconnectionOptions: RECONNECT });
  await client.connect(transport);
  return {
    sessionId: () => transport.sessionId ?? "",
    person,
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
  const { person, onQuestion } = createPerson();
  const client = new ClientV2(INFO, { ...OPTIONS, versionNegotiation: { mode: "legacy" } });
  client.setRequestHandler("elicitation/create", async ({ params }) => onQuestion(params.message));
  const transport = new TransportV2(new URL(`${origin}/mcp`), { reconnectionOptions: RECONNECT });
  await client.connect(transport);
  return {
    sessionId: () => transport.sessionId ?? "",
    person,
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

  it("a session goes on after SIGKILL while idle", async () => {
    const id = client.sessionId();
    const before = await client.toolCount();
    await restart();
    expect(await client.toolCount()).toBe(before);
    expect(client.sessionId()).toBe(id);
  }, 30_000);

  it("SIGKILL while a person thinks: asked once, answered once, and the effects happen once", async () => {
    const before = await worker().counts();
    const result = client.callText("survival_two_questions");
    await client.person.asked();
    await restart();
    await client.person.answer({ answer: "blue" });
    await client.person.answer({ answer: "green" });
    expect(await result).toContain("answers: blue and green");
    expect(client.person.questions).toEqual(["The first question", "The second question"]);
    const after = await worker().counts();
    for (const name of ["started", "finished"])
      expect((after[name]?.effects ?? 0) - (before[name]?.effects ?? 0)).toBe(1);
  }, 60_000);

  it("SIGKILL in round two of two: the first answer is kept", async () => {
    const result = client.callText("survival_two_questions");
    await client.person.answer({ answer: "red" });
    await client.person.asked();
    await restart();
    await client.person.answer({ answer: "white" });
    expect(await result).toContain("answers: red and white");
    expect(client.person.questions).toEqual(["The first question", "The second question"]);
  }, 60_000);

  it("a person who thinks longer than the server stays in memory is asked once all the same", async () => {
    const result = client.callText("survival_two_questions");
    await client.person.asked();
    const born = await worker().born(client.sessionId());
    await idle();
    expect(await worker().born(client.sessionId())).toBeGreaterThan(born);
    await client.person.answer({ answer: "a" });
    await client.person.answer({ answer: "b" });
    expect(await result).toContain("answers: a and b");
    expect(client.person.questions).toHaveLength(2);
  }, 60_000);

  it("an object with an open stream sleeps, and a notification still arrives", async () => {
    const updated = Promise.withResolvers<void>();
    await client.subscribe(WATCHED, () => updated.resolve());
    const born = await worker().born(client.sessionId());
    await idle();
    await worker().publish(WATCHED);
    await updated.promise;
    expect(await worker().born(client.sessionId())).toBeGreaterThan(born);
  }, 60_000);

  it("a cut line in mid-stream: the client comes back and gets the result once", async () => {
    const proxy = await createProxy(worker().port);
    const behind = await connectClient(`http://localhost:${proxy.port}`);
    const result = behind.callText("survival_two_questions");
    await behind.person.asked();
    await proxy.cut();
    await behind.person.answer({ answer: "left" });
    // Asked only once the first answer is with the server: an answer cut off on its way is lost, and no client repeats it.
    await behind.person.asked();
    await proxy.cut();
    await behind.person.answer({ answer: "right" });
    expect(await result).toContain("answers: left and right");
    expect(behind.person.questions).toHaveLength(2);
    await behind.close();
    proxy.close();
  }, 60_000);
});

describe("on the wire", () => {
  it("SIGKILL during a call: its stream says that the outcome is unknown, and it is not run again", async () => {
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
    // It is answered now: the same events come again, and nothing else.
    const again = await session.listen(progress?.id);
    expect(
      [await again.next(), await again.next(), await again.next()].filter((event) => event?.message !== undefined),
    ).toHaveLength(1);
  }, 60_000);
});

/** Nothing happens for so long that objects go to sleep: the one thing that can only be waited for. */
async function idle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
}

/** A line between client and server that can be cut, everything on it at once. */
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
    // The server answers only when it is called by its own name and port.
    incoming.once("data", function first(chunk: Buffer) {
      outgoing.write(chunk.toString("latin1").replaceAll(`localhost:${port}`, `localhost:${target}`), "latin1");
      incoming.on("data", (later: Buffer) =>
        outgoing.write(later.toString("latin1").replaceAll(`localhost:${port}`, `localhost:${target}`), "latin1"),
      );
    });
    outgoing.pipe(incoming);
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const destroyAll = (): void => sockets.forEach((socket) => socket.destroy());
  return {
    port,
    /** Cuts everything, and resolves when the client has come back. */
    async cut() {
      const back = new Promise<void>((resolve) => server.once("connection", () => resolve()));
      destroyAll();
      await back;
    },
    close() {
      destroyAll();
      server.close();
    },
  };
}
