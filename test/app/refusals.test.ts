// Which requests to the whole Worker count as refused before sign-in, and what is stored of them.
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import sample from "../../sample/gatehouse.config.ts";
import { createGatehouse } from "../../src/app/create-gatehouse.ts";
import { createRefusedRequestsStore } from "../../src/audit/refused-requests-store.ts";
import { buildPost, buildPost2026 } from "../support/mcp-requests.ts";
import { ORIGIN, RESOURCE, tokenOf } from "../support/worker.ts";

const ADDRESS = "198.51.100.77";
const store = createRefusedRequestsStore(env.GATEHOUSE_DB);
const exhausted = { limit: async () => ({ success: false }) };

/** Sends a request to a new isolate, waits for its writes, and returns the status and what it has counted. */
async function sendOnce(request: Request, bindings: Partial<Env> = {}) {
  const headers = new Headers(request.headers);
  headers.set("CF-Connecting-IP", ADDRESS);
  const context = createExecutionContext();
  const { handler } = createGatehouse(sample);
  const response = await handler.fetch(new Request(request, { headers }), { ...env, ...bindings }, context);
  await response.body?.cancel();
  await waitOnExecutionContext(context);
  return { status: response.status, counts: await store.list(0, 10) };
}

const get = (url: string, headers: Record<string, string> = {}): Request =>
  new Request(url, { headers, redirect: "manual" });
const postForm = (path: string): Request => new Request(`${ORIGIN}${path}`, { method: "POST", body: "x=1" });

beforeEach(async () => {
  await env.GATEHOUSE_DB.exec("DELETE FROM refused_request");
});

describe("a request that is refused before sign-in", () => {
  it.each([
    ["no_access_token", 401, get(RESOURCE), {}],
    ["invalid_access_token", 401, buildPost("user:grant:secret", {}), {}],
    ["invalid_access_token", 401, buildPost("gth_unknown", {}), {}],
    ["wrong_host", 403, get("http://evil.example/mcp"), {}],
    ["wrong_host", 403, get("http://evil.example/"), {}],
    ["wrong_origin", 403, get(RESOURCE, { Origin: "https://evil.example" }), {}],
    ["wrong_path", 404, get(`${RESOURCE}/more`), {}],
    ["wrong_path", 401, get(`${ORIGIN}/sse`), {}],
    ["wrong_path", 404, get(`${ORIGIN}/wp-login.php`), {}],
    ["token_request", 400, postForm("/oauth/token"), {}],
    ["registration", 400, postForm("/oauth/register"), {}],
    ["authorization", 400, get(`${ORIGIN}/authorize?client_id=unknown`), {}],
    ["sign_in", 401, get(`${ORIGIN}/api/session`), {}],
    ["rate_limit_pages", 429, get(`${ORIGIN}/sign-in`), { LIMIT_PAGES: exhausted }],
    ["rate_limit_token", 429, postForm("/oauth/token"), { LIMIT_TOKEN: exhausted }],
    ["rate_limit_registration", 429, postForm("/oauth/register"), { LIMIT_REGISTER: exhausted }],
  ])("counts as %s (%i) for its network, never with its address", async (cause, expected, request, bindings) => {
    const { status, counts } = await sendOnce(request, bindings);
    expect(status).toBe(expected);
    expect(counts).toEqual([{ minuteMs: expect.any(Number), cause, network: "198.51.100.0/24", count: 1 }]);
    expect((counts[0]?.minuteMs ?? 1) % 60_000).toBe(0);
  });
});

describe("a request that is not refused before sign-in", () => {
  it.each([
    ["the start page", 200, () => get(ORIGIN), {}],
    ["metadata", 200, () => get(`${ORIGIN}/.well-known/oauth-protected-resource/mcp`), {}],
    ["a call of a user", 200, (token: string) => buildPost2026(token, "tools/list"), {}],
    ["a user's body that is not JSON", 400, (token: string) => buildPost(token, "{"), {}],
    ["a user over the limit", 429, (token: string) => buildPost2026(token, "tools/list"), { LIMIT_MCP: exhausted }],
  ])("is not counted when it is %s (%i)", async (_case, expected, build, bindings) => {
    const { status, counts } = await sendOnce(build(await tokenOf("analyst")), bindings);
    expect(status).toBe(expected);
    expect(counts).toEqual([]);
  });
});

describe("the upkeep", () => {
  it("deletes counts of refused requests that are too old", async () => {
    await store.add([{ minuteMs: 0, cause: "wrong_host", network: "198.51.100.0/24", count: 1 }]);
    const { handler } = createGatehouse(sample);
    await handler.scheduled({ scheduledTime: 0, cron: "*", noRetry: () => {} }, env);
    expect(await store.list(0, 10)).toEqual([]);
  });
});
