// Questions between two rounds of a tool: a client cannot misuse the requestState, and an answer takes effect once.
import { beforeEach, describe, expect, it } from "vitest";
import { useConformanceWorker } from "../support/node/conformance-worker.ts";
import { openWireSession, request2026 } from "../support/node/wire.ts";

const worker = useConformanceWorker();

interface Call {
  readonly name?: string;
  readonly input?: Record<string, unknown>;
  /** The query string that names the subject. */
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

/** Calls the tool without an answer and returns the requestState of its question. */
async function requestQuestion(input: Record<string, unknown> = PAY): Promise<string> {
  const { result } = (await callTool({ input })) as { result?: { resultType: string; requestState: string } };
  expect(result).toMatchObject({ resultType: "input_required", inputRequests: { confirm: {} } });
  return result?.requestState ?? "";
}

const countPayments = async (): Promise<number> => (await worker().counts())["paid"]?.effects ?? 0;
const resultText = (text: unknown) => ({ result: { content: [{ text }] } });

describe("a requestState", () => {
  let state = "";
  let paymentsBefore = 0;

  beforeEach(async () => {
    state = await requestQuestion();
    paymentsBefore = await countPayments();
  });

  it("contains only an opaque handle", () => {
    const payload = Buffer.from(state.split(".")[1] ?? "", "base64url").toString();
    expect(payload).toMatch(/^\{"p":"[0-9a-f]{32}"/);
    expect(payload).not.toMatch(/pay|amount|ann/);
  });

  const attacks: readonly (readonly [string, (state: string) => Call])[] = [
    ["other arguments", (original) => ({ state: original, input: { amount: 5000 } })],
    ["another tool", (original) => ({ state: original, name: "survival_two_questions", input: {} })],
    ["another user", (original) => ({ state: original, who: "?subject=bob" })],
    // Not the last letter: some of its bits are padding, so a change there may decode to the same bytes.
    [
      "a changed letter",
      (original) => ({
        state: `${original.slice(0, -5)}${original.at(-5) === "A" ? "B" : "A"}${original.slice(-4)}`,
      }),
    ],
    ["no signature", (original) => ({ state: original.split(".").slice(0, 2).join(".") })],
    ["empty text", () => ({ state: "" })],
  ];
  it.each(attacks)("is refused but not spent when it is used with %s", async (_what, attack) => {
    const { error, result } = await callTool(attack(state));
    expect(error ?? result).toMatchObject(error === undefined ? { isError: true } : { code: -32602 });
    expect(await countPayments()).toBe(paymentsBefore);
    expect(await callTool({ state })).toMatchObject(resultText("paid 5"));
    expect(await countPayments()).toBe(paymentsBefore + 1);
  });

  it("takes effect once and returns the same result when it is sent again", async () => {
    const first = await callTool({ state });
    expect(await callTool({ state })).toEqual(first);
    expect(await callTool({ state, isAccepted: false })).toEqual(first);
    expect(await countPayments()).toBe(paymentsBefore + 1);
  });

  it("takes effect once when it is sent several times at once", async () => {
    const answers = await Promise.all([callTool({ state }), callTool({ state }), callTool({ state })]);
    expect(JSON.stringify(answers)).toContain("paid 5");
    expect(await countPayments()).toBe(paymentsBefore + 1);
  });

  it("cannot be accepted after it was declined", async () => {
    expect(await callTool({ state, isAccepted: false })).toMatchObject(resultText("declined"));
    expect(await callTool({ state })).toMatchObject(resultText("declined"));
    expect(await countPayments()).toBe(paymentsBefore);
  });
});

describe("a round that was interrupted after the user answered", () => {
  it("reports an unknown outcome and does not run again when an error interrupted it", async () => {
    const paymentsBefore = await countPayments();
    const input = { amount: 6, next: "throw" };
    const state = await requestQuestion(input);
    expect(await callTool({ state, input })).toMatchObject({ result: { isError: true } });
    expect(await callTool({ state, input })).toMatchObject(resultText(expect.stringContaining("outcome is unknown")));
    expect(await countPayments()).toBe(paymentsBefore + 1);
  });

  it("reports an unknown outcome and does not run again when SIGKILL interrupted it in the 2026 era", async () => {
    const paymentsBefore = await countPayments();
    const input = { amount: 7, next: "hang" };
    const state = await requestQuestion(input);
    const interruptedCall = callTool({ state, input }).catch(() => "cut off");
    await expect.poll(countPayments).toBe(paymentsBefore + 1);
    await worker().stop("SIGKILL");
    expect(await interruptedCall).toBe("cut off");
    await worker().start();
    expect(await callTool({ state, input })).toMatchObject(resultText(expect.stringContaining("outcome is unknown")));
    expect(await countPayments()).toBe(paymentsBefore + 1);
  });

  it("reports an unknown outcome on the session's stream when SIGKILL interrupted it in the 2025 era", async () => {
    const paymentsBefore = await countPayments();
    const session = await openWireSession(worker().origin, "?subject=cat");
    const params = { name: "survival_pay", arguments: { amount: 8, next: "hang" } };
    const stream = await session.stream({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
    const priming = await stream.next();
    const question = (await stream.next())?.message;
    expect(question).toMatchObject({ method: "elicitation/create", params: { message: "Pay 8?" } });
    const answer = { action: "accept", content: { ok: true } };
    await session.request({ jsonrpc: "2.0", id: question?.["id"], result: answer });
    await expect.poll(countPayments).toBe(paymentsBefore + 1);
    await worker().stop("SIGKILL");
    await worker().start();
    const resumed = await session.listen(priming?.id);
    const messages = [];
    for (let event = await resumed.next(); event !== undefined; event = await resumed.next())
      if (event.message !== undefined) messages.push(event.message);
    expect(messages.at(-1)).toMatchObject({ id: 1, ...resultText(expect.stringContaining("outcome is unknown")) });
    expect(messages.filter((message) => message["method"] === "elicitation/create")).toHaveLength(1);
    expect(await countPayments()).toBe(paymentsBefore + 1);
  });
});

describe("a client without elicitation forms", () => {
  it("gets the tool's fallback in both eras", async () => {
    for (const capabilities of [{}, { elicitation: { url: {} } }, { sampling: {} }]) {
      expect(await callTool({ capabilities })).toMatchObject(resultText("the client cannot ask the user"));
      const session = await openWireSession(worker().origin, "?subject=dan", { capabilities });
      const params = { name: "survival_pay", arguments: PAY };
      const response = await session.request({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
      expect(await response.json()).toMatchObject(resultText("the client cannot ask the user"));
    }
  });
});
