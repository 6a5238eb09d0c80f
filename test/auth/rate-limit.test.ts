// Floods from one network and by one person, against the sample's Worker with small limits of the platform's limiter (vitest.config.ts). The local
// one counts by whole minutes of the clock, so a flood that meets the end of one passes twice the limit at most.
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import sample from "../../sample/gatehouse.config.ts";
import { createRateLimits } from "../../src/auth/rate-limit.tsx";
import { createGatehouse } from "../../src/gatehouse.ts";
import { personAt } from "../support/browser.ts";
import { authorizeUrl, exchangeCode, register, requestToken, signIn } from "../support/oauth.ts";
import type { Flow } from "../support/oauth.ts";
import { ACCEPT, ORIGIN, RESOURCE, tokenOf } from "../support/worker.ts";

/** As vitest.config.ts has them. */
const PER_MINUTE = { pages: 60, registration: 30, token: 70, mcp: 80 };
const AT_ONCE = 40;

vi.setConfig({ testTimeout: 60_000 });

const { handler } = createGatehouse(sample);
const bindings: Env = {
  ...env,
  LIMIT_PAGES: env.TEST_LIMIT_PAGES,
  LIMIT_REGISTER: env.TEST_LIMIT_REGISTER,
  LIMIT_TOKEN: env.TEST_LIMIT_TOKEN,
  LIMIT_MCP: env.TEST_LIMIT_MCP,
};

async function send(url: string, init: RequestInit = {}): Promise<Response> {
  return handler.fetch(new Request(url, { redirect: "manual", ...init }), bindings, createExecutionContext());
}

/** A request to /mcp of one of the eras. */
async function list(era: string, token: string, address: string): Promise<Response> {
  const envelope = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const message = {
    jsonrpc: "2.0",
    id: 1,
    method: "tools/list",
    ...(era === "2026" ? { params: { _meta: envelope } } : {}),
  };
  const named = era === "2026" ? { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list" } : {};
  const headers = {
    authorization: `Bearer ${token}`,
    "content-type": "application/json",
    accept: ACCEPT,
    ...named,
    "CF-Connecting-IP": address,
  };
  return send(RESOURCE, { method: "POST", headers, body: JSON.stringify(message) });
}

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

/** Sends many at once until they are refused, at most one more than twice the limit; the answers that were let through, and the refusals. */
async function flood(limit: number, request: (count: number) => Promise<Response>) {
  const answers: Response[] = [];
  const isRefused = ({ status }: Response): boolean => status === 429;
  while (answers.length <= 2 * limit && answers.filter(isRefused).length < AT_ONCE) {
    const batch = Array.from({ length: AT_ONCE }, (_value, index) => request(answers.length + index));
    answers.push(...(await Promise.all(batch)));
  }
  return { refused: answers.filter(isRefused), passed: answers.filter((answer) => !isRefused(answer)) };
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

/** Clients are spread over the shards of the grant store. */
async function registered(): Promise<number> {
  const pages = await Promise.all(
    Array.from({ length: 64 }, async (_value, shard) =>
      env.GRANT.get(env.GRANT.idFromName(`hash ${shard}`)).list("client:", 1000, null),
    ),
  );
  return pages.reduce((sum, { keys }) => sum + keys.length, 0);
}

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

  it("ends also at the start page, which asks the sources for who is signed in, and not for anybody else", async () => {
    const { send: open } = flowFrom("203.0.113.21");
    const signedIn = { headers: { cookie: `__Host-gatehouse-session=${"0".repeat(32)}` } };
    const { passed } = await flood(PER_MINUTE.pages, () => open(`${ORIGIN}/`, signedIn));
    expectWithin(passed.length, PER_MINUTE.pages);
    expect((await open(`${ORIGIN}/`, {})).status).toBe(200);
  });
});

describe("too many requests to /mcp", () => {
  it.each(["2025", "2026"])("end for that person alone, however many addresses they come from (%s)", async (era) => {
    const [token, other] = [await tokenOf(era === "2025" ? "owner" : "reviewer"), await tokenOf("guest")];
    const { refused, passed } = await flood(PER_MINUTE.mcp, (count) => list(era, token, `203.0.113.${count % 250}`));
    expect(passed.every(({ status }) => status === (era === "2026" ? 200 : 400))).toBe(true);
    expectWithin(passed.length, PER_MINUTE.mcp);
    expect(refused[0]?.headers.get("retry-after")).toBe("60");
    expect(await refused[0]?.json()).toEqual({
      jsonrpc: "2.0",
      id: null,
      error: { code: -32000, message: "You sent too many requests. Wait 60 seconds, then go on more slowly." },
    });
    expect((await list("2026", other, "203.0.113.1")).status).toBe(200);
  });

  it("count the access tokens of a person together with that person", async () => {
    const support = await personAt("support@harbor.example");
    const make = async (): Promise<string> => {
      const { body } = await support.api("POST", "/tokens", { name: "t", roles: ["support"], days: 1 });
      return String(body["token"]);
    };
    const tokens = [await make(), await make(), await tokenOf("support")];
    const { refused, passed } = await flood(PER_MINUTE.mcp, (count) =>
      list("2026", tokens[count % tokens.length] ?? "", "203.0.113.40"),
    );
    expect(passed.every(({ status }) => status === 200)).toBe(true);
    expectWithin(passed.length, PER_MINUTE.mcp);
    expect(refused[0]?.headers.get("retry-after")).toBe("60");
  });

  it("count each message of a batch", async () => {
    const token = await tokenOf("guest");
    const size = 40;
    const batch = Array.from({ length: size }, (_value, id) => ({ jsonrpc: "2.0", id, method: "ping" }));
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", accept: ACCEPT };
    const statuses: number[] = [];
    for (let sent = 0; sent < 8; sent += 1)
      statuses.push((await send(RESOURCE, { method: "POST", headers, body: JSON.stringify(batch) })).status);
    // Without a session they are refused, and count all the same. The end of a minute lets twice the limit pass.
    const passed = statuses.filter((status) => status === 400);
    expect(statuses.filter((status) => status === 429)).toHaveLength(8 - passed.length);
    expect(passed.length * size).toBeLessThanOrEqual(2 * PER_MINUTE.mcp);
  });

  it("a forged token counts for nobody", async () => {
    const token = await tokenOf("analyst");
    const forged = `${token.split(":").slice(0, 2).join(":")}:guess`;
    const { refused, passed } = await flood(PER_MINUTE.mcp, () => list("2026", forged, "203.0.113.30"));
    expect(refused).toEqual([]);
    expect(passed.every(({ status }) => status === 401)).toBe(true);
    expect((await list("2026", token, "203.0.113.30")).status).toBe(200);
  });
});

describe("where the edge says no address", () => {
  const limiters = {
    pages: env.TEST_LIMIT_PAGES,
    registration: env.TEST_LIMIT_REGISTER,
    token: env.TEST_LIMIT_TOKEN,
    mcp: env.TEST_LIMIT_MCP,
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
  const without: Env = { ...bindings };
  Reflect.deleteProperty(without, "LIMIT_MCP");
  const response = await handler.fetch(new Request(`${ORIGIN}/`), without, createExecutionContext());
  expect(response.status).toBe(500);
  expect(await response.text()).toContain("not configured");
});
