// Floods from one network and by one user, against the sample's Worker with small rate limits (vitest.config.ts). The local
// limiter counts whole minutes of the clock, so a flood across the end of a minute passes at most twice the limit.
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import sample from "../../sample/gatehouse.config.ts";
import { createRateLimits } from "../../src/oauth/rate-limits.tsx";
import { createGatehouse } from "../../src/app/create-gatehouse.ts";
import { personAt } from "../support/browser.ts";
import { authorizeUrl, exchangeCode, register, requestToken, signIn } from "../support/oauth.ts";
import type { Flow } from "../support/oauth.ts";
import { ACCEPT, ORIGIN, RESOURCE, tokenOf } from "../support/worker.ts";

/** The limits in vitest.config.ts. */
const PER_MINUTE = { pages: 60, registration: 30, token: 70, mcp: 80 };
const BATCH_SIZE = 40;

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

/** Sends tools/list to /mcp, in the protocol of 2025 or 2026. */
async function listTools(era: string, accessToken: string, address: string): Promise<Response> {
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
  const eraHeaders = era === "2026" ? { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list" } : {};
  const headers = {
    authorization: `Bearer ${accessToken}`,
    "content-type": "application/json",
    accept: ACCEPT,
    ...eraHeaders,
    "CF-Connecting-IP": address,
  };
  return send(RESOURCE, { method: "POST", headers, body: JSON.stringify(message) });
}

/** Calls the Worker like Cloudflare's edge for a client at this address. */
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

/**
 * Sends batches of requests until a batch's worth is refused, or more than twice the limit were sent. Returns the responses,
 * split into refused and passed.
 */
async function flood(limit: number, request: (count: number) => Promise<Response>) {
  const responses: Response[] = [];
  const isRefused = ({ status }: Response): boolean => status === 429;
  while (responses.length <= 2 * limit && responses.filter(isRefused).length < BATCH_SIZE) {
    const batch = Array.from({ length: BATCH_SIZE }, (_value, index) => request(responses.length + index));
    responses.push(...(await Promise.all(batch)));
  }
  return { refused: responses.filter(isRefused), passed: responses.filter((response) => !isRefused(response)) };
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

/** Counts the clients in all hash shards of the grant store. */
async function countClients(): Promise<number> {
  const pages = await Promise.all(
    Array.from({ length: 64 }, async (_value, shard) =>
      env.GRANT.get(env.GRANT.idFromName(`hash ${shard}`)).list("client:", 1000, null),
    ),
  );
  return pages.reduce((sum, { keys }) => sum + keys.length, 0);
}

describe("a flood of registrations from one network", () => {
  it("is refused despite forged forwarding headers, and stores no client once refused", async () => {
    const before = await countClients();
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
    expect(await countClients()).toBe(before + passed.length);
    for (const response of refused.slice(0, 3)) {
      expect(response.headers.get("retry-after")).toBe("60");
      expect(response.headers.get("cache-control")).toBe("no-store");
      expect(await response.json()).toEqual({
        error: "temporarily_unavailable",
        error_description: "Too many requests from this network",
      });
    }
    // The neighbouring network is not affected, and the flooding one can still read the start page and metadata.
    expect((await register(flowFrom("2001:db8:1:2::1"))).clientId).not.toBe("undefined");
    const flooded = flowFrom("2001:db8:1:1::1");
    for (const path of ["/", "/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource/mcp"])
      expect((await flooded.send(`${ORIGIN}${path}`, {})).status).toBe(200);
    expect((await flooded.send(`${ORIGIN}/oauth/register`, { method: "OPTIONS" })).status).toBe(204);
  });

  it("is refused with a reason that pages of other origins can read", async () => {
    const pageHeaders = { Origin: "https://app.example" };
    const { refused } = await flood(PER_MINUTE.registration, () =>
      flowFrom("203.0.113.1").send(`${ORIGIN}/oauth/register`, registration(pageHeaders)),
    );
    const headers = refused[0]?.headers;
    expect(headers?.get("access-control-allow-origin")).toBe("https://app.example");
    expect(headers?.get("access-control-expose-headers")).toBe("Retry-After");
    expect(headers?.get("vary")).toBe("Origin");
  });
});

describe("a flood of guesses at the token endpoint", () => {
  it("is refused by network, and does not affect others", async () => {
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
    const otherNetwork = flowFrom("203.0.113.12");
    const callback = await signIn(otherNetwork, client, "analyst@harbor.example");
    expect((await exchangeCode(otherNetwork, client, callback)).accessToken).toMatch(/:/);
  });
});

describe("a flood of the pages", () => {
  it("is refused with a page that says what to do", async () => {
    const url = await authorizeUrl(flowFrom("203.0.113.20"), { clientId: "unknown", redirectUri: "http://127.0.0.1/" });
    const paths = [url, `${ORIGIN}/sign-in`, `${ORIGIN}/nothing-here`, `${ORIGIN}/oauth/token/`];
    const { refused, passed } = await flood(PER_MINUTE.pages, (count) =>
      flowFrom("203.0.113.20").send(paths[count % paths.length] ?? url, count % 2 === 0 ? {} : { method: "POST" }),
    );
    expectWithin(passed.length, PER_MINUTE.pages);
    expect(refused[0]?.headers.get("retry-after")).toBe("60");
    expect(refused[0]?.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(await refused[0]?.text()).toContain("Wait a minute");
  });

  it("is refused at the start page for requests with a session cookie only", async () => {
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
    const { refused, passed } = await flood(PER_MINUTE.mcp, (count) =>
      listTools(era, token, `203.0.113.${count % 250}`),
    );
    expect(passed.every(({ status }) => status === (era === "2026" ? 200 : 400))).toBe(true);
    expectWithin(passed.length, PER_MINUTE.mcp);
    expect(refused[0]?.headers.get("retry-after")).toBe("60");
    expect(await refused[0]?.json()).toEqual({
      jsonrpc: "2.0",
      id: null,
      error: { code: -32000, message: "You sent too many requests. Wait 60 seconds, then continue more slowly." },
    });
    expect((await listTools("2026", other, "203.0.113.1")).status).toBe(200);
  });

  it("count personal access tokens together with their owner", async () => {
    const support = await personAt("support@harbor.example");
    const createPat = async (): Promise<string> => {
      const { body } = await support.api("POST", "/tokens", { name: "t", roles: ["support"], days: 1 });
      return String(body["token"]);
    };
    const accessTokens = [await createPat(), await createPat(), await tokenOf("support")];
    const { refused, passed } = await flood(PER_MINUTE.mcp, (count) =>
      listTools("2026", accessTokens[count % accessTokens.length] ?? "", "203.0.113.40"),
    );
    expect(passed.every(({ status }) => status === 200)).toBe(true);
    expectWithin(passed.length, PER_MINUTE.mcp);
    expect(refused[0]?.headers.get("retry-after")).toBe("60");
  });

  it("count each message of a batch", async () => {
    const accessToken = await tokenOf("guest");
    const size = 40;
    const batch = Array.from({ length: size }, (_value, id) => ({ jsonrpc: "2.0", id, method: "ping" }));
    const headers = { authorization: `Bearer ${accessToken}`, "content-type": "application/json", accept: ACCEPT };
    const statuses: number[] = [];
    for (let sent = 0; sent < 8; sent += 1)
      statuses.push((await send(RESOURCE, { method: "POST", headers, body: JSON.stringify(batch) })).status);
    // Batches without a session get 400 and still count. At the end of a minute, twice the limit may pass.
    const passed = statuses.filter((status) => status === 400);
    expect(statuses.filter((status) => status === 429)).toHaveLength(8 - passed.length);
    expect(passed.length * size).toBeLessThanOrEqual(2 * PER_MINUTE.mcp);
  });

  it("do not count when their access token is forged", async () => {
    const accessToken = await tokenOf("analyst");
    const forged = `${accessToken.split(":").slice(0, 2).join(":")}:guess`;
    const { refused, passed } = await flood(PER_MINUTE.mcp, () => listTools("2026", forged, "203.0.113.30"));
    expect(refused).toEqual([]);
    expect(passed.every(({ status }) => status === 401)).toBe(true);
    expect((await listTools("2026", accessToken, "203.0.113.30")).status).toBe(200);
  });
});

describe("requests without an address from the edge", () => {
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

  it("are not counted on a local machine", async () => {
    const rates = createRateLimits({ origin: "http://localhost:1", isLocal: true, limiters, onError: fail });
    const { refused } = await flood(
      PER_MINUTE.registration,
      async () => (await rates.refuseByNetwork(new Request("http://localhost:1/oauth/register"))) ?? pass(),
    );
    expect(refused).toEqual([]);
  });

  it("count as one network on a deployment, separately for each origin", async () => {
    const rates = createRateLimits({ origin: "https://a.example", isLocal: false, limiters, onError: fail });
    const { passed } = await flood(
      PER_MINUTE.registration,
      async () => (await rates.refuseByNetwork(new Request("https://a.example/oauth/register"))) ?? pass(),
    );
    expectWithin(passed.length, PER_MINUTE.registration);
    // Another deployment of the account has its own counters.
    const otherDeployment = createRateLimits({ origin: "https://b.example", isLocal: false, limiters, onError: fail });
    expect(await otherDeployment.refuseByNetwork(new Request("https://b.example/oauth/register"))).toBeUndefined();
  });

  it("pass when the limiter fails, and the failure is reported", async () => {
    const broken = { limit: async () => Promise.reject(new Error("out of order")) };
    const errors: unknown[] = [];
    const rates = createRateLimits({
      origin: "https://c.example",
      isLocal: false,
      limiters: { pages: broken, registration: broken, token: broken, mcp: broken },
      onError: (error) => void errors.push(error),
    });
    expect(await rates.refuseByNetwork(new Request("https://c.example/oauth/token"))).toBeUndefined();
    expect(await rates.isOverMcpLimit("a-user")).toBe(false);
    expect(errors).toHaveLength(2);
  });
});

it("a deployment without its rate limiters responds 500 to every request", async () => {
  const without: Env = { ...bindings };
  Reflect.deleteProperty(without, "LIMIT_MCP");
  const response = await handler.fetch(new Request(`${ORIGIN}/`), without, createExecutionContext());
  expect(response.status).toBe(500);
  expect(await response.text()).toContain("not configured");
});
