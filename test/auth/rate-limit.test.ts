// Floods from one network and by one person, against the Worker with the limits of its configuration. The local limiter counts by
// whole minutes of the clock, so a flood that meets the end of one passes twice the limit at most.
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import sample from "../../sample/gatehouse.config.ts";
import { createRateLimits } from "../../src/auth/rate-limit.tsx";
import { createGatehouse } from "../../src/gatehouse.ts";
import { authorizeUrl, exchangeCode, register, requestToken, signIn } from "../support/oauth.ts";
import type { Flow } from "../support/oauth.ts";
import { ORIGIN, RESOURCE, initialize, post, post2026, send, tokenOf } from "../support/worker.ts";

/** As wrangler.jsonc has them. */
const PER_MINUTE = { pages: 300, registration: 60, token: 600, mcp: 600 };
const AT_ONCE = 50;

/** The Worker as Cloudflare's edge would call it for this address. */
function flowFrom(address: string): Flow {
  return {
    origin: ORIGIN,
    send: async (url, init) => {
      const headers = new Headers(init.headers);
      headers.set("CF-Connecting-IP", address);
      return send(url, { ...init, headers });
    },
  };
}

/** Sends one more than twice the limit, many at once; the answers that were let through, and the refusals. */
async function flood(limit: number, request: (count: number) => Promise<Response>) {
  const answers: Response[] = [];
  while (answers.length <= 2 * limit) {
    const batch = Array.from({ length: AT_ONCE }, (_value, index) => request(answers.length + index));
    answers.push(...(await Promise.all(batch)));
  }
  const refused = answers.filter(({ status }) => status === 429);
  return { refused, passed: answers.filter(({ status }) => status !== 429) };
}

function expectWithin(passed: number, limit: number): void {
  expect(passed).toBeGreaterThanOrEqual(limit);
  expect(passed).toBeLessThanOrEqual(2 * limit);
}

const registration = (headers: Record<string, string>): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify({ redirect_uris: ["http://127.0.0.1:45454/callback"], token_endpoint_auth_method: "none" }),
});

const registered = async (): Promise<number> => (await env.OAUTH_KV.list({ prefix: "client:" })).keys.length;

describe("a flood of registrations from one network", () => {
  it("ends, whatever its requests say of their origin, and leaves no client behind", async () => {
    const before = await registered();
    const { refused, passed } = await flood(PER_MINUTE.registration, (count) =>
      flowFrom(`2001:db8:1:1::${count.toString(16)}`).send(
        `${ORIGIN}/oauth/register`,
        registration({
          "X-Forwarded-For": `198.51.100.${count}`,
          "X-Real-IP": `198.51.100.${count}`,
          Forwarded: `for=198.51.100.${count}`,
          "True-Client-IP": `198.51.100.${count}`,
        }),
      ),
    );
    expectWithin(passed.length, PER_MINUTE.registration);
    expect(await registered()).toBe(before + passed.length);
    for (const answer of refused.slice(0, 3)) {
      expect(answer.headers.get("retry-after")).toBe("60");
      expect(answer.headers.get("cache-control")).toBe("no-store");
      expect(await answer.json()).toEqual({
        error: "temporarily_unavailable",
        error_description: "Too many requests from this network",
      });
    }
    // The neighbours are not its prisoners, and neither is what clients need to find their way.
    expect((await register(flowFrom("2001:db8:1:2::1"))).clientId).not.toBe("undefined");
    const flooded = flowFrom("2001:db8:1:1::1");
    for (const path of ["/", "/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource/mcp"])
      expect((await flooded.send(`${ORIGIN}${path}`, {})).status).toBe(200);
    expect((await flooded.send(`${ORIGIN}/oauth/register`, { method: "OPTIONS" })).status).toBe(204);
  });

  it("tells a page's client why, across origins", async () => {
    const page = { Origin: "https://app.example" };
    const { refused } = await flood(PER_MINUTE.registration, () =>
      flowFrom("203.0.113.1").send(`${ORIGIN}/oauth/register`, registration(page)),
    );
    const headers = refused[0]?.headers;
    expect(headers?.get("access-control-allow-origin")).toBe("https://app.example");
    expect(headers?.get("access-control-expose-headers")).toBe("Retry-After");
    expect(headers?.get("vary")).toBe("Origin");
  });
});

describe("guessing at the token endpoint", () => {
  it("ends by network, while others go on", async () => {
    const client = await register(flowFrom("203.0.113.10"));
    const guess = (count: number) => ({
      grant_type: count % 2 === 0 ? "authorization_code" : "refresh_token",
      code: `user:grant:${count}`,
      refresh_token: `user:grant:${count}`,
      client_id: client.clientId,
      redirect_uri: client.redirectUri,
      code_verifier: "v".repeat(43),
    });
    const { refused, passed } = await flood(PER_MINUTE.token, (count) =>
      requestToken(flowFrom("203.0.113.11"), guess(count)),
    );
    expectWithin(passed.length, PER_MINUTE.token);
    expect(passed.every(({ status }) => status === 400)).toBe(true);
    expect(refused[0]?.headers.get("retry-after")).toBe("60");
    expect(await refused[0]?.json()).toMatchObject({ error: "temporarily_unavailable" });
    const other = flowFrom("203.0.113.12");
    const callback = await signIn(other, client, "analyst@harbor.example");
    expect((await exchangeCode(other, client, callback)).accessToken).toMatch(/:/);
  });
});

describe("a flood of the pages", () => {
  it("ends with a page that says what to do", async () => {
    const url = await authorizeUrl(flowFrom("203.0.113.20"), { clientId: "nobody", redirectUri: "http://127.0.0.1/" });
    const paths = [url, `${ORIGIN}/sign-in`, `${ORIGIN}/nothing-here`, `${ORIGIN}/oauth/token/`];
    const { refused, passed } = await flood(PER_MINUTE.pages, (count) =>
      flowFrom("203.0.113.20").send(paths[count % paths.length] ?? url, count % 2 === 0 ? {} : { method: "POST" }),
    );
    expectWithin(passed.length, PER_MINUTE.pages);
    expect(refused[0]?.headers.get("retry-after")).toBe("60");
    expect(refused[0]?.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(await refused[0]?.text()).toContain("Wait a minute");
  });
});

describe("too many requests to /mcp", () => {
  it.each(["2025", "2026"])("end for that person alone, however many addresses they come from (%s)", async (era) => {
    const [token, other] = [await tokenOf(era === "2025" ? "owner" : "reviewer"), await tokenOf("guest")];
    const { refused, passed } = await flood(PER_MINUTE.mcp, (count) => {
      const address = { "CF-Connecting-IP": `203.0.113.${count % 250}` };
      const message = { jsonrpc: "2.0", id: 1, method: "tools/list" };
      return era === "2026" ? post2026(token, "tools/list", {}, address) : post(token, message, address);
    });
    expectWithin(passed.length, PER_MINUTE.mcp);
    expect(refused[0]?.headers.get("retry-after")).toBe("60");
    expect(await refused[0]?.json()).toEqual({
      jsonrpc: "2.0",
      id: null,
      error: { code: -32000, message: "You sent too many requests. Wait 60 seconds, then go on more slowly." },
    });
    expect((await post(other, initialize())).status).toBe(200);
    // Nobody uses up another's requests with a token that only looks like theirs.
    const forged = await post(`${token.split(":").slice(0, 2).join(":")}:guess`, initialize());
    expect(forged.status).toBe(401);
  });

  it("a forged token counts for nobody", async () => {
    const token = await tokenOf("support");
    const forged = `${token.split(":").slice(0, 2).join(":")}:guess`;
    await flood(PER_MINUTE.mcp, () =>
      send(RESOURCE, { method: "POST", headers: { authorization: `Bearer ${forged}` } }),
    );
    expect((await post(token, initialize())).status).toBe(200);
  });
});

describe("where the edge says no address", () => {
  const limiters = {
    pages: env.LIMIT_PAGES,
    registration: env.LIMIT_REGISTER,
    token: env.LIMIT_TOKEN,
    mcp: env.LIMIT_MCP,
  };
  const pass = async (): Promise<Response> => new Response();
  const fail = (error: unknown): void => {
    throw error;
  };

  it("on one's own machine nobody is counted", async () => {
    const rates = createRateLimits({ origin: "http://localhost:1", isLocal: true, limiters, onError: fail });
    const { refused } = await flood(
      PER_MINUTE.registration,
      async () => (await rates.refuseNetwork(new Request("http://localhost:1/oauth/register"))) ?? pass(),
    );
    expect(refused).toEqual([]);
  });

  it("on a deployment all such requests count as one network", async () => {
    const rates = createRateLimits({ origin: "https://a.example", isLocal: false, limiters, onError: fail });
    const { passed } = await flood(
      PER_MINUTE.registration,
      async () => (await rates.refuseNetwork(new Request("https://a.example/oauth/register"))) ?? pass(),
    );
    expectWithin(passed.length, PER_MINUTE.registration);
    // Deployments that share the platform's counters do not share them.
    const other = createRateLimits({ origin: "https://b.example", isLocal: false, limiters, onError: fail });
    expect(await other.refuseNetwork(new Request("https://b.example/oauth/register"))).toBeUndefined();
  });

  it("a limiter that fails lets everybody through, and is reported", async () => {
    const broken = { limit: async () => Promise.reject(new Error("out of order")) };
    const errors: unknown[] = [];
    const rates = createRateLimits({
      origin: "https://c.example",
      isLocal: false,
      limiters: { pages: broken, registration: broken, token: broken, mcp: broken },
      onError: (error) => void errors.push(error),
    });
    expect(await rates.refuseNetwork(new Request("https://c.example/oauth/token"))).toBeUndefined();
    expect(await rates.isTooMuch("somebody")).toBe(false);
    expect(errors).toHaveLength(2);
  });
});

it("a deployment without its limiters serves nobody", async () => {
  const bindings: Env = { ...env };
  Reflect.deleteProperty(bindings, "LIMIT_MCP");
  const { handler } = createGatehouse(sample);
  const response = await handler.fetch(new Request(`${ORIGIN}/`), bindings, createExecutionContext());
  expect(response.status).toBe(500);
  expect(await response.text()).toContain("not configured");
});
