// Stored answers and questions after the caller's grants have changed: in both eras, with the real clients of both SDKs, and
// after the server was killed.
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

/** A new subject, whose grants no other test has set. */
let subjects = 0;
const newSubject = (): string => `person-${(subjects += 1)}`;

async function setGrants(subject: string, digest: string): Promise<void> {
  await worker().control(`/grants?subject=${subject}&digest=${digest}`);
}

async function count(name: string): Promise<number> {
  return (await worker().counts())[name]?.effects ?? 0;
}

const resultText = (text: unknown) => ({ result: { content: [{ text }] } });

/** Calls a tool in the 2026 era; with `state`, answers its question. */
async function callTool(subject: string, state?: string): Promise<Record<string, unknown>> {
  const retry = state === undefined ? {} : { requestState: state, inputResponses: { confirm: ACCEPTED } };
  const params = { name: "survival_pay", arguments: PAY, ...retry };
  const capabilities = { elicitation: {} };
  const response = await request2026(worker().origin, "tools/call", params, `?subject=${subject}`, capabilities);
  const body: Record<string, unknown> = JSON.parse(await response.text());
  return body;
}

/** Calls the tool without an answer and returns the requestState of its question. */
async function requestQuestion(subject: string): Promise<string> {
  const { result } = (await callTool(subject)) as { result?: { requestState: string } };
  return result?.requestState ?? "";
}

describe("the outcome of a question in the 2026 era", () => {
  it("is delivered again and recorded under the same grants", async () => {
    const subject = newSubject();
    const state = await requestQuestion(subject);
    const first = await callTool(subject, state);
    const replayed = await count("replayed");
    expect(await callTool(subject, state)).toEqual(first);
    expect(await count("replayed")).toBe(replayed + 1);
  });

  it("is withheld when the grants changed, and delivered when they were restored", async () => {
    const subject = newSubject();
    const state = await requestQuestion(subject);
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

  it("is a final refusal without effect when the grants changed between question and answer", async () => {
    const subject = newSubject();
    const state = await requestQuestion(subject);
    const paid = await count("paid");
    await setGrants(subject, "second");
    const refused = await callTool(subject, state);
    expect(refused).toMatchObject(resultText(CHANGED));
    expect(await callTool(subject, state)).toEqual(refused);
    await setGrants(subject, "first");
    expect(await callTool(subject, state)).toEqual(refused);
    expect(await count("paid")).toBe(paid);
  });

  it("is withheld under other grants after the server was killed", async () => {
    const subject = newSubject();
    const state = await requestQuestion(subject);
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

interface OpenQuestion {
  readonly session: WireSession;
  readonly stream: EventStream;
  /** The id of the stream's first event. */
  readonly from: string | undefined;
  readonly question: Record<string, unknown> | undefined;
}

/** Opens a session of the 2025 era and calls a tool that asks a question. */
async function askIn2025(who: string, name = "survival_pay", input: object = PAY): Promise<OpenQuestion> {
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

const answerTo = (question: OpenQuestion["question"]) => ({ jsonrpc: "2.0", id: question?.["id"], result: ACCEPTED });

async function readMessages(stream: EventStream): Promise<readonly object[]> {
  const messages: object[] = [];
  for (let message = await nextMessage(stream); message !== undefined; message = await nextMessage(stream))
    messages.push(message);
  return messages;
}

describe("a call that waits for the user in the 2025 era", () => {
  it("ends with an error and hides its question when its stream is resumed under other grants", async () => {
    const subject = newSubject();
    const { session, from, question, stream } = await askIn2025(`?subject=${subject}`);
    expect(question).toMatchObject({ params: { message: "Pay 5?" } });
    const paid = await count("paid");
    await stream.close();
    await setGrants(subject, "second");
    const messages = await readMessages(await session.listen(from));
    expect(messages).toMatchObject([{ id: 1, error: { message: CHANGED } }]);
    expect(JSON.stringify(messages)).not.toContain("Pay 5?");
    expect((await session.request(answerTo(question))).status).toBe(202);
    expect(await count("paid")).toBe(paid);
    // The request has ended, so its id can be used again.
    const listed = await session.request({ jsonrpc: "2.0", id: 1, method: "tools/list" });
    expect(listed.status).toBe(200);
  });

  it("ends with an error when its stream is resumed under other grants after the server was killed", async () => {
    const subject = newSubject();
    const { session, from } = await askIn2025(`?subject=${subject}`);
    await setGrants(subject, "second");
    await restart();
    expect(await readMessages(await session.listen(from))).toMatchObject([{ id: 1, error: { message: CHANGED } }]);
  }, 60_000);

  it("shows its question again and continues when its stream is resumed under the same grants", async () => {
    const { session, from, question, stream } = await askIn2025(`?subject=${newSubject()}`);
    await stream.close();
    const resumed = await session.listen(from);
    expect(await nextMessage(resumed)).toEqual(question);
    await session.request(answerTo(question));
    expect(await nextMessage(resumed)).toMatchObject({ id: 1, ...resultText("paid 5") });
  });

  it.each(["in memory", "after the server was killed"])(
    "has no effect when it is answered under other grants %s",
    async (where) => {
      const subject = newSubject();
      const { session, from, question, stream } = await askIn2025(`?subject=${subject}`);
      const paid = await count("paid");
      await setGrants(subject, "second");
      if (where === "after the server was killed") await restart();
      await session.request(answerTo(question));
      const answeredStream = where === "in memory" ? stream : await session.listen(from);
      expect(await readMessages(answeredStream)).toMatchObject([{ id: 1, ...resultText(CHANGED) }]);
      expect(await count("paid")).toBe(paid);
    },
    60_000,
  );

  it("continues after the server was killed with the groups of the sign-in that answers", async () => {
    const who = `?subject=${newSubject()}`;
    const { session, from, question } = await askIn2025(`${who}&group=finance`, "survival_group", {});
    await restart();
    const renewed = session.as(`${who}&group=none`);
    await renewed.request(answerTo(question));
    const messages = await readMessages(await renewed.listen(from));
    expect(messages.at(-1)).toMatchObject({ id: 1, ...resultText("in none") });
    expect(JSON.stringify(messages)).not.toContain("finance");
  }, 60_000);

  it("ends with an error when a sign-in with other groups answers while the call is in memory", async () => {
    const who = `?subject=${newSubject()}`;
    const { session, question, stream } = await askIn2025(`${who}&group=finance`, "survival_group", {});
    await session.as(`${who}&group=none`).request(answerTo(question));
    const messages = await readMessages(stream);
    expect(messages.at(-1)).toMatchObject({ id: 1, error: { message: CHANGED } });
    expect(JSON.stringify(messages)).not.toContain("in finance");
  });
});

const INFO = { name: "resumer", version: "1" };
const OPTIONS = { capabilities: { elicitation: {} } };
const CALL = { name: "survival_pay", arguments: PAY };

interface Resumer {
  /** Calls the tool, confirms, and returns the id of the first event of its stream. */
  call(): Promise<string>;
  /** Requests the call's answer again, after that event. */
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
    // SDK v1 matches an error to a request only by its id. So a second client of the session sends a ping first, and its call
    // then has the id of the original call.
    async resume(resumptionToken) {
      const secondClient = new ClientV1(INFO, OPTIONS);
      await secondClient.connect(new TransportV1(url, { sessionId: transport.sessionId ?? "" }));
      await secondClient.ping();
      try {
        return JSON.stringify(await secondClient.callTool(CALL, undefined, { resumptionToken }));
      } finally {
        await secondClient.close();
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
  ["SDK v1", resumerV1],
  ["SDK v2", resumerV2],
])("a client of %s that resumes an answer", (_name, connect) => {
  it("gets the answer under the same grants and an error when they changed", async () => {
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
