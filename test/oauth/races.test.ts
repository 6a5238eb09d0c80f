// Races of the OAuth provider when a client sends requests from two locations at once: over plain KV, which shows the faults
// that the grant store prevents, and over the grant store.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { GrantStore } from "../../src/oauth/grants/kv-contract.ts";
import { createDelayedStore } from "../support/delayed-store.ts";
import { exchangeCode, readJson, register, requestToken, signIn, statusAtMcp } from "../support/oauth.ts";
import type { Flow } from "../support/oauth.ts";
import { providerOver } from "../support/provider.ts";
import { flow as workerFlow } from "../support/worker.ts";

const ANALYST = "analyst@harbor.example";
const BARE = "http://localhost:9977";

/** Two Cloudflare locations of one deployment. */
interface Locations {
  readonly here: Flow;
  readonly there: Flow;
  /** Advances the clock. */
  readonly advance: (ms: number) => void;
}

function overKv(): Locations {
  const kv = env.HANDBOOK;
  const store: GrantStore = {
    get: async (key, type = "text") => (JSON.stringify(type).includes("json") ? kv.get(key, "json") : kv.get(key)),
    put: async (key, value, options) => kv.put(key, value, options),
    delete: async (key) => kv.delete(key),
    list: async (options) => {
      const page = await kv.list(options);
      return { keys: page.keys, list_complete: true };
    },
  };
  return { here: providerOver(store, BARE), there: providerOver(store, BARE), advance: () => {} };
}

function overDelayedKv(delayMs: number): Locations {
  const clock = { ms: 0 };
  const store = createDelayedStore(delayMs, () => clock.ms);
  return {
    here: providerOver(store.at("here"), BARE),
    there: providerOver(store.at("there"), BARE),
    advance: (ms) => void (clock.ms += ms),
  };
}

/** The real Worker, which treats every request as if it came from its own location. */
const overGrants = (): Locations => ({ here: workerFlow, there: workerFlow, advance: () => {} });

interface Observation {
  /** Status of `/mcp` at the other location with the new access token. */
  readonly firstUse: number;
  /** Statuses of two concurrent refreshes with the same refresh token, one from each location. */
  readonly refreshes: readonly number[];
  /** Statuses of the next refresh with each of the two new refresh tokens. */
  readonly next: readonly number[];
}

async function observe({ here, there, advance }: Locations): Promise<Observation> {
  const client = await register(here);
  const tokens = await exchangeCode(here, client, await signIn(here, client, ANALYST));
  const firstUse = await statusAtMcp(there, tokens.accessToken);
  advance(60_000);
  const refresh = async (location: Flow, refreshToken: string): Promise<Response> =>
    requestToken(location, { grant_type: "refresh_token", refresh_token: refreshToken, client_id: client.clientId });
  const responses = await Promise.all([here, there].map(async (location) => refresh(location, tokens.refreshToken)));
  const newRefreshTokens = await Promise.all(
    responses.map(async (response) => String((await readJson(response))["refresh_token"])),
  );
  advance(60_000);
  const next: number[] = [];
  for (const [index, refreshToken] of newRefreshTokens.entries())
    next.push((await refresh(index === 0 ? here : there, refreshToken)).status);
  return { firstUse, refreshes: responses.map(({ status }) => status), next };
}

describe("two concurrent refreshes from two locations", () => {
  it("both succeed over plain KV, and one location is signed out at its next refresh", async () => {
    const { firstUse, refreshes, next } = await observe(overKv());
    expect({ firstUse, refreshes }).toEqual({ firstUse: 200, refreshes: [200, 200] });
    expect(next.toSorted((left, right) => left - right)).toEqual([200, 400]);
  });

  it.each([2000, 60_000])(
    "sign one location out over KV with a delay of %i ms, which also rejects a new access token",
    async (delayMs) => {
      const { firstUse, refreshes, next } = await observe(overDelayedKv(delayMs));
      expect({ firstUse, refreshes }).toEqual({ firstUse: 401, refreshes: [200, 200] });
      expect(next.toSorted((left, right) => left - right)).toEqual([200, 400]);
    },
  );

  it("both succeed over the grant store, and both locations stay signed in", async () => {
    expect(await observe(overGrants())).toEqual({ firstUse: 200, refreshes: [200, 200], next: [200, 200] });
  });
});

describe("a code that two locations exchange at once", () => {
  const exchange = async (locations: Locations): Promise<readonly number[]> => {
    const client = await register(locations.here);
    const callback = await signIn(locations.here, client, ANALYST);
    locations.advance(60_000);
    const responses = await Promise.all(
      [locations.here, locations.there].map(async (location) =>
        requestToken(location, {
          grant_type: "authorization_code",
          code: callback.searchParams.get("code") ?? "",
          client_id: client.clientId,
          redirect_uri: client.redirectUri,
          code_verifier: "test-verifier-test-verifier-test-verifier-0",
        }),
      ),
    );
    return responses.map(({ status }) => status);
  };

  it("is accepted twice over delayed KV", async () => {
    expect(await exchange(overDelayedKv(60_000))).toEqual([200, 200]);
  });

  it("is accepted once over the grant store", async () => {
    expect((await exchange(overGrants())).toSorted((left, right) => left - right)).toEqual([200, 400]);
  });
});
