// Answers that are kept for everybody: only those that say so, for as long as they say, each with the asker's own id.
import { beforeEach, describe, expect, it } from "vitest";
import { createPublicAnswers } from "../../src/mcp/public-answers.ts";
import type { PublicAnswers } from "../../src/mcp/public-answers.ts";
import { post2026, tokenOf } from "../support/worker.ts";

const PUBLIC = { tools: [{ name: "a" }], ttlMs: 1000, cacheScope: "public" };

let nowMs = 0;
let served = 0;
let answers: PublicAnswers;

beforeEach(() => {
  nowMs = 1_700_000_000_000;
  served = 0;
  answers = createPublicAnswers(() => nowMs);
});

interface Asked {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: object;
  readonly headers?: Record<string, string>;
  readonly result?: object;
  /** Whether grants decided the answer. */
  readonly isGoverned?: boolean;
}

/** Asks, where a server would answer with `result`. */
async function ask({
  id = 1,
  method = "tools/list",
  params = {},
  headers = {},
  result = PUBLIC,
  isGoverned = false,
}: Asked = {}) {
  const request = new Request("http://localhost/mcp", { headers });
  const response = await answers.answer(request, { jsonrpc: "2.0", id, method, params }, async (note) => {
    served += 1;
    if (isGoverned) note?.({ call: "c", digest: "d" });
    return Response.json({ jsonrpc: "2.0", id, result });
  });
  expect(response.headers.get("content-type")).toBe("application/json");
  const body: unknown = await response.json();
  return body;
}

describe("a public answer", () => {
  it("is worked out once, and carries the id of whoever asks", async () => {
    for (const id of [1, 2, 0, -5, "a", "", '"}'])
      expect(await ask({ id })).toEqual({ jsonrpc: "2.0", id, result: PUBLIC });
    expect(served).toBe(1);
  });

  it("is worked out again after its time", async () => {
    await ask();
    nowMs += 999;
    await ask();
    expect(served).toBe(1);
    nowMs += 1;
    await ask({ result: { ...PUBLIC, tools: [] } });
    expect(await ask()).toMatchObject({ result: { tools: [] } });
    expect(served).toBe(2);
  });

  it("answers its own question only", async () => {
    const others: readonly Asked[] = [
      { method: "prompts/list" },
      { params: { cursor: "2" } },
      { params: { _meta: { "io.modelcontextprotocol/protocolVersion": "2099-01-01" } } },
      { headers: { "mcp-method": "tools/call" } },
      { headers: { "mcp-protocol-version": "2025-11-25" } },
      { headers: { "mcp-name": "x" } },
    ];
    await ask();
    for (const other of others) await ask({ ...other, result: { ...PUBLIC, other: JSON.stringify(other) } });
    expect(served).toBe(1 + others.length);
    for (const other of others) expect(await ask(other)).toMatchObject({ result: { other: JSON.stringify(other) } });
    expect(served).toBe(1 + others.length);
  });

  it("does not depend on the trace that it is asked in", async () => {
    const client = { "io.modelcontextprotocol/clientInfo": { name: "x", version: "1" } };
    await ask({ params: { _meta: client } });
    await ask({ params: { _meta: { ...client, traceparent: "00-1", tracestate: "a=1", baggage: "b=2" } } });
    expect(served).toBe(1);
  });

  it("makes room for newer ones", async () => {
    for (let page = 0; page <= 64; page += 1) await ask({ params: { cursor: String(page) } });
    await ask({ params: { cursor: "64" } });
    expect(served).toBe(65);
    await ask({ params: { cursor: "0" } });
    expect(served).toBe(66);
  });
});

describe("never kept is", () => {
  const cases: readonly (readonly [string, Asked])[] = [
    ["an answer that says it is public although grants decided it", { isGoverned: true }],
    ["a private answer", { result: { ...PUBLIC, cacheScope: "private" } }],
    ["one that says nothing", { result: { tools: [] } }],
    ["one for no time", { result: { ...PUBLIC, ttlMs: 0 } }],
    ["the answer of a tool", { method: "tools/call" }],
    ["a resource", { method: "resources/read" }],
    ["an answer to no proper id", { id: null }],
    ["an answer to a question of any size", { params: { cursor: "x".repeat(5000) } }],
  ];
  it.each(cases)("%s", async (_name, asked) => {
    await ask(asked);
    await ask(asked);
    expect(served).toBe(2);
  });

  it("what depends on the person: the guest gets none of the analyst's list", async () => {
    const [analyst, guest] = await Promise.all([tokenOf("analyst"), tokenOf("guest")]);
    for (let time = 0; time < 2; time += 1)
      expect(await (await post2026(analyst, "resources/list")).text()).toContain("gatehouse://dataset/shop/customers");
    expect(await (await post2026(guest, "resources/list")).json()).toMatchObject({ result: { resources: [] } });
  });
});
