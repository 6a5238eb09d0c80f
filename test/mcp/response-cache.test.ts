// The cache of public results: which results it stores, for how long, and with which request id it answers.
import { beforeEach, describe, expect, it } from "vitest";
import { createResponseCache } from "../../src/mcp/response-cache.ts";
import type { ResponseCache } from "../../src/mcp/response-cache.ts";
import { post2026, tokenOf } from "../support/worker.ts";

const PUBLIC = { tools: [{ name: "a" }], ttlMs: 1000, cacheScope: "public" };

let nowMs = 0;
let servedRequests = 0;
let cache: ResponseCache;

beforeEach(() => {
  nowMs = 1_700_000_000_000;
  servedRequests = 0;
  cache = createResponseCache(() => nowMs);
});

interface RequestCase {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: object;
  readonly headers?: Record<string, string>;
  readonly result?: object;
  /** Whether grants decided the result. */
  readonly isGoverned?: boolean;
}

/** Sends a request through the cache to a server that answers with `result`. */
async function send({
  id = 1,
  method = "tools/list",
  params = {},
  headers = {},
  result = PUBLIC,
  isGoverned = false,
}: RequestCase = {}) {
  const request = new Request("http://localhost/mcp", { headers });
  const response = await cache.respond(request, { jsonrpc: "2.0", id, method, params }, async (onGrants) => {
    servedRequests += 1;
    if (isGoverned) onGrants?.({ call: "c", digest: "d" });
    return Response.json({ jsonrpc: "2.0", id, result });
  });
  expect(response.headers.get("content-type")).toBe("application/json");
  const body: unknown = await response.json();
  return body;
}

describe("the response cache", () => {
  it("serves a public result once and repeats it with the id of each request", async () => {
    for (const id of [1, 2, 0, -5, "a", "", '"}'])
      expect(await send({ id })).toEqual({ jsonrpc: "2.0", id, result: PUBLIC });
    expect(servedRequests).toBe(1);
  });

  it("serves a public result again when its ttlMs is over", async () => {
    await send();
    nowMs += 999;
    await send();
    expect(servedRequests).toBe(1);
    nowMs += 1;
    await send({ result: { ...PUBLIC, tools: [] } });
    expect(await send()).toMatchObject({ result: { tools: [] } });
    expect(servedRequests).toBe(2);
  });

  it("caches separately for each method, parameter and protocol header", async () => {
    const variants: readonly RequestCase[] = [
      { method: "prompts/list" },
      { params: { cursor: "2" } },
      { params: { _meta: { "io.modelcontextprotocol/protocolVersion": "2099-01-01" } } },
      { headers: { "mcp-method": "tools/call" } },
      { headers: { "mcp-protocol-version": "2025-11-25" } },
      { headers: { "mcp-name": "x" } },
    ];
    await send();
    for (const variant of variants) await send({ ...variant, result: { ...PUBLIC, variant: JSON.stringify(variant) } });
    expect(servedRequests).toBe(1 + variants.length);
    for (const variant of variants)
      expect(await send(variant)).toMatchObject({ result: { variant: JSON.stringify(variant) } });
    expect(servedRequests).toBe(1 + variants.length);
  });

  it("ignores trace context when it looks up a result", async () => {
    const client = { "io.modelcontextprotocol/clientInfo": { name: "x", version: "1" } };
    await send({ params: { _meta: client } });
    await send({ params: { _meta: { ...client, traceparent: "00-1", tracestate: "a=1", baggage: "b=2" } } });
    expect(servedRequests).toBe(1);
  });

  it("evicts the oldest result when it is full", async () => {
    for (let page = 0; page <= 64; page += 1) await send({ params: { cursor: String(page) } });
    await send({ params: { cursor: "64" } });
    expect(servedRequests).toBe(65);
    await send({ params: { cursor: "0" } });
    expect(servedRequests).toBe(66);
  });

  const uncacheable: readonly (readonly [string, RequestCase])[] = [
    ["a result that claims to be public although grants decided it", { isGoverned: true }],
    ["a private result", { result: { ...PUBLIC, cacheScope: "private" } }],
    ["a result without a cacheScope", { result: { tools: [] } }],
    ["a result with ttlMs 0", { result: { ...PUBLIC, ttlMs: 0 } }],
    ["the result of a tool call", { method: "tools/call" }],
    ["a resource", { method: "resources/read" }],
    ["the result of a request with an invalid id", { id: null }],
    ["the result of a very long request", { params: { cursor: "x".repeat(5000) } }],
  ];
  it.each(uncacheable)("does not cache %s", async (_name, request) => {
    await send(request);
    await send(request);
    expect(servedRequests).toBe(2);
  });

  it("never returns the analyst's resource list to the guest", async () => {
    const [analyst, guest] = await Promise.all([tokenOf("analyst"), tokenOf("guest")]);
    for (let attempt = 0; attempt < 2; attempt += 1)
      expect(await (await post2026(analyst, "resources/list")).text()).toContain("gatehouse://dataset/shop/customers");
    expect(await (await post2026(guest, "resources/list")).json()).toMatchObject({ result: { resources: [] } });
  });
});
