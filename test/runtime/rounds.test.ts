// Questions between rounds: what a client may do with the state it holds, and that an answer acts once.
import { beforeEach, describe, expect, it } from "vitest";
import { useConformanceWorker } from "../support/node/conformance-worker.ts";
import { openWireSession, request2026 } from "../support/node/wire.ts";

const worker = useConformanceWorker();

interface Call {
  readonly name?: string;
  readonly input?: Record<string, unknown>;
  readonly who?: string;
  readonly state?: string;
  readonly capabilities?: object;
  readonly isAccepted?: boolean;
}

const PAY = { amount: 5 };

async function callTool(call: Call): Promise<Record<string, unknown>> {
  const { name = "survival_pay", input = PAY, who = "?subject=ann", state, isAccepted = true } = call;
  const { capabilities = { elicitation: {} } } = call;
  const answer = { confirm: { action: isAccepted ? "accept" : "decline", content: { ok: isAccepted } } };
  const retry = state === undefined ? {} : { requestState: state, inputResponses: answer };
  const params = { name, arguments: input, ...retry };
  const response = await request2026(worker().origin, "tools/call", params, who, capabilities);
  const body: Record<string, unknown> = JSON.parse(await response.text());
  return body;
}

async function askFor(input: Record<string, unknown> = PAY): Promise<string> {
  const { result } = (await callTool({ input })) as { result?: { resultType: string; requestState: string } };
  expect(result).toMatchObject({ resultType: "input_required", inputRequests: { confirm: {} } });
  return result?.requestState ?? "";
}

const payments = async (): Promise<number> => (await worker().counts())["paid"]?.effects ?? 0;
const textIs = (text: unknown) => ({ result: { content: [{ text }] } });

describe("the state that a client holds", () => {
  let state = "";
  let before = 0;

  beforeEach(async () => {
    state = await askFor();
    before = await payments();
  });

  it("says nothing of what it stands for", () => {
    const payload = Buffer.from(state.split(".")[1] ?? "", "base64url").toString();
    expect(payload).toMatch(/^\{"p":"[0-9a-f]{32}"/);
    expect(payload).not.toMatch(/pay|amount|ann/);
  });

  const attacks: readonly (readonly [string, (state: string) => Call])[] = [
    ["other arguments", (held) => ({ state: held, input: { amount: 5000 } })],
    ["another tool", (held) => ({ state: held, name: "survival_two_questions", input: {} })],
    ["another person", (held) => ({ state: held, who: "?subject=bob" })],
    // Not the last letter, some of whose bits stand for nothing.
    [
      "a changed letter",
      (held) => ({ state: `${held.slice(0, -5)}${held.at(-5) === "A" ? "B" : "A"}${held.slice(-4)}` }),
    ],
    ["no signature", (held) => ({ state: held.split(".").slice(0, 2).join(".") })],
    ["nothing", () => ({ state: "" })],
  ];
  it.each(attacks)("is worth nothing with %s, and is not used up by trying", async (_what, attack) => {
    const { error, result } = await callTool(attack(state));
    expect(error ?? result).toMatchObject(error === undefined ? { isError: true } : { code: -32602 });
    expect(await payments()).toBe(before);
    expect(await callTool({ state })).toMatchObject(textIs("paid 5"));
    expect(await payments()).toBe(before + 1);
  });

  it("acts once: the same answer again gets the same result", async () => {
    const first = await callTool({ state });
    expect(await callTool({ state })).toEqual(first);
    expect(await callTool({ state, isAccepted: false })).toEqual(first);
    expect(await payments()).toBe(before + 1);
  });

  it("acts once, also when the answer comes twice at the same time", async () => {
    const answers = await Promise.all([callTool({ state }), callTool({ state }), callTool({ state })]);
    expect(JSON.stringify(answers)).toContain("paid 5");
    expect(await payments()).toBe(before + 1);
  });

  it("a refusal is final", async () => {
    expect(await callTool({ state, isAccepted: false })).toMatchObject(textIs("declined"));
    expect(await callTool({ state })).toMatchObject(textIs("declined"));
    expect(await payments()).toBe(before);
  });
});

describe("a round that was cut off after it was answered", () => {
  it("by an error: its outcome is unknown, and it is not run again", async () => {
    const before = await payments();
    const input = { amount: 6, next: "throw" };
    const state = await askFor(input);
    expect(await callTool({ state, input })).toMatchObject({ result: { isError: true } });
    expect(await callTool({ state, input })).toMatchObject(textIs(expect.stringContaining("not known")));
    expect(await payments()).toBe(before + 1);
  });

  it("by SIGKILL, in the 2026 era: the same", async () => {
    const before = await payments();
    const input = { amount: 7, next: "hang" };
    const state = await askFor(input);
    const cut = callTool({ state, input }).catch(() => "cut off");
    await expect.poll(payments).toBe(before + 1);
    await worker().stop("SIGKILL");
    expect(await cut).toBe("cut off");
    await worker().start();
    expect(await callTool({ state, input })).toMatchObject(textIs(expect.stringContaining("not known")));
    expect(await payments()).toBe(before + 1);
  });

  it("by SIGKILL, in the 2025 era: the session's stream says so", async () => {
    const before = await payments();
    const session = await openWireSession(worker().origin, "?subject=cat");
    const params = { name: "survival_pay", arguments: { amount: 8, next: "hang" } };
    const stream = await session.stream({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
    const priming = await stream.next();
    const question = (await stream.next())?.message;
    expect(question).toMatchObject({ method: "elicitation/create", params: { message: "Pay 8?" } });
    const answer = { action: "accept", content: { ok: true } };
    await session.request({ jsonrpc: "2.0", id: question?.["id"], result: answer });
    await expect.poll(payments).toBe(before + 1);
    await worker().stop("SIGKILL");
    await worker().start();
    const resumed = await session.listen(priming?.id);
    const messages = [];
    for (let event = await resumed.next(); event !== undefined; event = await resumed.next())
      if (event.message !== undefined) messages.push(event.message);
    expect(messages.at(-1)).toMatchObject({ id: 1, ...textIs(expect.stringContaining("not known")) });
    expect(messages.filter((message) => message["method"] === "elicitation/create")).toHaveLength(1);
    expect(await payments()).toBe(before + 1);
  });
});

describe("a client that cannot be asked", () => {
  it("gets the tool's stated answer, in both eras", async () => {
    for (const capabilities of [{}, { elicitation: { url: {} } }, { sampling: {} }]) {
      expect(await callTool({ capabilities })).toMatchObject(textIs("nobody can be asked"));
      const session = await openWireSession(worker().origin, "?subject=dan", { capabilities });
      const params = { name: "survival_pay", arguments: PAY };
      const response = await session.request({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
      expect(await response.json()).toMatchObject(textIs("nobody can be asked"));
    }
  });
});
