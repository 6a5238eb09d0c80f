// Answers and questions that were stored, when the grants of their caller are others by now: in both eras, with the real clients of
// both SDKs, and across a kill of the server.
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, it } from "vitest";
import { useConformanceWorker } from "../support/node/conformance-worker.ts";
import { nextMessage, openWireSession, request2026 } from "../support/node/wire.ts";
import type { EventStream, WireSession } from "../support/node/wire.ts";

const worker = useConformanceWorker();

const CHANGED = expect.stringMatching(/permissions have changed/i);
const PAY = { amount: 5 };
const ACCEPTED = { action: "accept", content: { ok: true } };

/** A subject that no other test has given grants. */
let subjects = 0;
const newSubject = (): string => `person-${(subjects += 1)}`;

async function setGrants(subject: string, digest: string): Promise<void> {
  await worker().control(`/grants?subject=${subject}&digest=${digest}`);
}

async function count(name: string): Promise<number> {
  return (await worker().counts())[name]?.effects ?? 0;
}

const resultText = (text: unknown) => ({ result: { content: [{ text }] } });

/** Calls a tool as the 2026 era does; with `state`, answers its question. */
async function callTool(subject: string, state?: string): Promise<Record<string, unknown>> {
  const retry = state === undefined ? {} : { requestState: state, inputResponses: { confirm: ACCEPTED } };
  const params = { name: "survival_pay", arguments: PAY, ...retry };
  const capabilities = { elicitation: {} };
  const response = await request2026(worker().origin, "tools/call", params, `?subject=${subject}`, capabilities);
  const body: Record<string, unknown> = JSON.parse(await response.text());
  return body;
}

async function askFor(subject: string): Promise<string> {
  const { result } = (await callTool(subject)) as { result?: { requestState: string } };
  return result?.requestState ?? "";
}

describe("the outcome of a question, asked for again in the 2026 era", () => {
  it("is delivered under the same grants, and the replay is recorded", async () => {
    const subject = newSubject();
    const state = await askFor(subject);
    const first = await callTool(subject, state);
    const replayed = await count("replayed");
    expect(await callTool(subject, state)).toEqual(first);
    expect(await count("replayed")).toBe(replayed + 1);
  });

  it("is withheld when the grants changed, and delivered when they are as they were", async () => {
    const subject = newSubject();
    const state = await askFor(subject);
    const first = await callTool(subject, state);
    const [paid, withheld] = [await count("paid"), await count("withheld")];
    await setGrants(subject, "second");
    const again = await callTool(subject, state);
    expect(again).toMatchObject({ ...resultText(CHANGED), result: { isError: true } });
    expect(JSON.stringify(again)).not.toContain("paid 5");
    expect(await count("withheld")).toBe(withheld + 1);
    await setGrants(subject, "first");
    expect(await callTool(subject, state)).toEqual(first);
    expect(await count("paid")).toBe(paid);
  });

  it("is not made when the grants changed since the question: nothing is done, then or later", async () => {
    const subject = newSubject();
    const state = await askFor(subject);
    const paid = await count("paid");
    await setGrants(subject, "second");
    const refused = await callTool(subject, state);
    expect(refused).toMatchObject(resultText(CHANGED));
    expect(await callTool(subject, state)).toEqual(refused);
    await setGrants(subject, "first");
    expect(await callTool(subject, state)).toEqual(refused);
    expect(await count("paid")).toBe(paid);
  });

  it("is withheld after a kill of the server, too", async () => {
    const subject = newSubject();
    const state = await askFor(subject);
    await callTool(subject, state);
    await setGrants(subject, "second");
    await restart();
    expect(await callTool(subject, state)).toMatchObject(resultText(CHANGED));
  }, 60_000);
});

async function restart(): Promise<void> {
  await worker().stop("SIGKILL");
  await worker().start();
}

interface Asked {
  readonly session: WireSession;
  readonly stream: EventStream;
  /** The id of the stream's first event. */
  readonly from: string | undefined;
  readonly question: Record<string, unknown> | undefined;
}

/** Opens a session of the 2025 era and calls a tool that asks. */
async function ask2025(who: string, name = "survival_pay", input: object = PAY): Promise<Asked> {
  const session = await openWireSession(worker().origin, who);
  const stream = await session.stream({
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: { name, arguments: input },
  });
  const from = (await stream.next())?.id;
  return { session, stream, from, question: await nextMessage(stream) };
}

const answerTo = (question: Asked["question"]) => ({ jsonrpc: "2.0", id: question?.["id"], result: ACCEPTED });

async function messagesOf(stream: EventStream): Promise<readonly object[]> {
  const messages: object[] = [];
  for (let message = await nextMessage(stream); message !== undefined; message = await nextMessage(stream))
    messages.push(message);
  return messages;
}

describe("a call of the 2025 era that waits for a person", () => {
  it("ends with an error when its stream is resumed under other grants, and its question is not shown again", async () => {
    const subject = newSubject();
    const { session, from, question, stream } = await ask2025(`?subject=${subject}`);
    expect(question).toMatchObject({ params: { message: "Pay 5?" } });
    const paid = await count("paid");
    await stream.close();
    await setGrants(subject, "second");
    const messages = await messagesOf(await session.listen(from));
    expect(messages).toMatchObject([{ id: 1, error: { message: CHANGED } }]);
    expect(JSON.stringify(messages)).not.toContain("Pay 5?");
    expect((await session.request(answerTo(question))).status).toBe(202);
    expect(await count("paid")).toBe(paid);
    // The request's id is free again: nothing waits for it.
    const listed = await session.request({ jsonrpc: "2.0", id: 1, method: "tools/list" });
    expect(listed.status).toBe(200);
  });

  it("ends so after a kill of the server, too", async () => {
    const subject = newSubject();
    const { session, from } = await ask2025(`?subject=${subject}`);
    await setGrants(subject, "second");
    await restart();
    expect(await messagesOf(await session.listen(from))).toMatchObject([{ id: 1, error: { message: CHANGED } }]);
  }, 60_000);

  it("shows its question again under the same grants, and goes on", async () => {
    const { session, from, question, stream } = await ask2025(`?subject=${newSubject()}`);
    await stream.close();
    const resumed = await session.listen(from);
    expect(await nextMessage(resumed)).toEqual(question);
    await session.request(answerTo(question));
    expect(await nextMessage(resumed)).toMatchObject({ id: 1, ...resultText("paid 5") });
  });

  it.each(["in memory", "after a kill"])(
    "does nothing when it is answered under other grants, %s",
    async (where) => {
      const subject = newSubject();
      const { session, from, question, stream } = await ask2025(`?subject=${subject}`);
      const paid = await count("paid");
      await setGrants(subject, "second");
      if (where === "after a kill") await restart();
      await session.request(answerTo(question));
      const answered = where === "in memory" ? stream : await session.listen(from);
      expect(await messagesOf(answered)).toMatchObject([{ id: 1, ...resultText(CHANGED) }]);
      expect(await count("paid")).toBe(paid);
    },
    60_000,
  );

  it("goes on for who answers after a kill, not in the groups of the sign-in that began it", async () => {
    const who = `?subject=${newSubject()}`;
    const { session, from, question } = await ask2025(`${who}&group=finance`, "survival_group", {});
    await restart();
    const renewed = session.as(`${who}&group=none`);
    await renewed.request(answerTo(question));
    const messages = await messagesOf(await renewed.listen(from));
    expect(messages.at(-1)).toMatchObject({ id: 1, ...resultText("in none") });
    expect(JSON.stringify(messages)).not.toContain("finance");
  }, 60_000);

  it("ends when a sign-in with other groups answers while it is in memory", async () => {
    const who = `?subject=${newSubject()}`;
    const { session, question, stream } = await ask2025(`${who}&group=finance`, "survival_group", {});
    await session.as(`${who}&group=none`).request(answerTo(question));
    const messages = await messagesOf(stream);
    expect(messages.at(-1)).toMatchObject({ id: 1, error: { message: CHANGED } });
    expect(JSON.stringify(messages)).not.toContain("in finance");
  });
});

const INFO = { name: "resumer", version: "1" };
const OPTIONS = { capabilities: { elicitation: {} } };
const CALL = { name: "survival_pay", arguments: PAY };

interface Resumer {
  /** Calls, confirms, and returns the id of the first event of its stream. */
  call(): Promise<string>;
  /** Asks for the call's answer again, from that event on. */
  resume(from: string): Promise<string>;
  close(): Promise<void>;
}

async function resumerV1(url: URL): Promise<Resumer> {
  const client = new ClientV1(INFO, OPTIONS);
  client.setRequestHandler(ElicitRequestSchema, async () => ({ action: "accept", content: { ok: true } }));
  const transport = new TransportV1(url);
  await client.connect(transport);
  return {
    async call() {
      const ids: string[] = [];
      await client.callTool(CALL, undefined, { onresumptiontoken: (id) => void ids.push(id) });
      return ids[0] ?? "";
    },
    // A client of the same session in another process, at the request of the same id: this one takes an error by its id alone.
    async resume(resumptionToken) {
      const back = new ClientV1(INFO, OPTIONS);
      await back.connect(new TransportV1(url, { sessionId: transport.sessionId ?? "" }));
      await back.ping();
      try {
        return JSON.stringify(await back.callTool(CALL, undefined, { resumptionToken }));
      } finally {
        await back.close();
      }
    },
    close: () => client.close(),
  };
}

async function resumerV2(url: URL): Promise<Resumer> {
  const client = new ClientV2(INFO, { ...OPTIONS, versionNegotiation: { mode: "legacy" } });
  client.setRequestHandler("elicitation/create", async () => ({ action: "accept", content: { ok: true } }));
  await client.connect(new TransportV2(url));
  return {
    async call() {
      const ids: string[] = [];
      await client.callTool(CALL, { onresumptiontoken: (id) => void ids.push(id) });
      return ids[0] ?? "";
    },
    resume: async (resumptionToken) => JSON.stringify(await client.callTool(CALL, { resumptionToken })),
    close: () => client.close(),
  };
}

describe.each([
  ["sdk v1", resumerV1],
  ["sdk v2", resumerV2],
])("%s, resuming an answer", (_name, connect) => {
  it("gets it under the same grants, and an error at once when they changed", async () => {
    const subject = newSubject();
    const client = await connect(new URL(`${worker().origin}/mcp?subject=${subject}`));
    const from = await client.call();
    const paid = await count("paid");
    expect(await client.resume(from)).toContain("paid 5");
    await setGrants(subject, "second");
    await expect(client.resume(from)).rejects.toThrow(/permissions have changed/);
    await setGrants(subject, "first");
    expect(await client.resume(from)).toContain("paid 5");
    expect(await count("paid")).toBe(paid);
    await client.close();
  });
});
