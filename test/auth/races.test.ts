// What the OAuth provider does over plain KV when a client asks from two places at once, and what it does over the grant store:
// the faults that the store is there for, seen first.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { GrantStore } from "../../src/auth/grants/kv.ts";
import { createDelayedStore } from "../support/delayed-store.ts";
import { exchangeCode, readJson, register, requestToken, signIn, statusAtMcp } from "../support/oauth.ts";
import type { Flow } from "../support/oauth.ts";
import { providerOver } from "../support/provider.ts";
import { flow as served } from "../support/worker.ts";

const ANALYST = "analyst@harbor.example";
const BARE = "http://localhost:9977";

/** A place to ask from; both belong to one deployment. */
interface Places {
  readonly here: Flow;
  readonly there: Flow;
  /** Lets time go by. */
  readonly pass: (ms: number) => void;
}

function overKv(): Places {
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
  return { here: providerOver(store, BARE), there: providerOver(store, BARE), pass: () => {} };
}

function overDelayedKv(delayMs: number): Places {
  const clock = { ms: 0 };
  const store = createDelayedStore(delayMs, () => clock.ms);
  return {
    here: providerOver(store.at("here"), BARE),
    there: providerOver(store.at("there"), BARE),
    pass: (ms) => void (clock.ms += ms),
  };
}

/** The real Worker: every request is a place of its own. */
const overGrants = (): Places => ({ here: served, there: served, pass: () => {} });

interface Seen {
  /** `/mcp` elsewhere, with the new token. */
  readonly firstUse: number;
  /** Two refreshes with the same token at once, one from each place. */
  readonly refreshes: readonly number[];
  /** The refresh after that, by each of the two. */
  readonly next: readonly number[];
}

async function observe({ here, there, pass }: Places): Promise<Seen> {
  const client = await register(here);
  const tokens = await exchangeCode(here, client, await signIn(here, client, ANALYST));
  const firstUse = await statusAtMcp(there, tokens.accessToken);
  pass(60_000);
  const refresh = async (place: Flow, refreshToken: string): Promise<Response> =>
    requestToken(place, { grant_type: "refresh_token", refresh_token: refreshToken, client_id: client.clientId });
  const both = await Promise.all([here, there].map(async (place) => refresh(place, tokens.refreshToken)));
  const newer = await Promise.all(both.map(async (response) => String((await readJson(response))["refresh_token"])));
  pass(60_000);
  const next: number[] = [];
  for (const [index, token] of newer.entries()) next.push((await refresh(index === 0 ? here : there, token)).status);
  return { firstUse, refreshes: both.map(({ status }) => status), next };
}

describe("two refreshes at once, from two places", () => {
  it("over plain KV: both are given tokens, and one of the two is signed out by it", async () => {
    const { firstUse, refreshes, next } = await observe(overKv());
    expect({ firstUse, refreshes }).toEqual({ firstUse: 200, refreshes: [200, 200] });
    expect(next.toSorted((one, other) => one - other)).toEqual([200, 400]);
  });

  it.each([2000, 60_000])(
    "over KV that is %i ms late elsewhere: a new token is refused there, and one is signed out",
    async (delayMs) => {
      const { firstUse, refreshes, next } = await observe(overDelayedKv(delayMs));
      expect({ firstUse, refreshes }).toEqual({ firstUse: 401, refreshes: [200, 200] });
      expect(next.toSorted((one, other) => one - other)).toEqual([200, 400]);
    },
  );

  it("over the grant store: nobody is refused, and both go on", async () => {
    expect(await observe(overGrants())).toEqual({ firstUse: 200, refreshes: [200, 200], next: [200, 200] });
  });
});

describe("a code that is exchanged from two places at once", () => {
  const exchange = async (places: Places): Promise<readonly number[]> => {
    const client = await register(places.here);
    const callback = await signIn(places.here, client, ANALYST);
    places.pass(60_000);
    const responses = await Promise.all(
      [places.here, places.there].map(async (place) =>
        requestToken(place, {
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

  it("over late KV: is good twice", async () => {
    expect(await exchange(overDelayedKv(60_000))).toEqual([200, 200]);
  });

  it("over the grant store: is good once", async () => {
    expect((await exchange(overGrants())).toSorted((one, other) => one - other)).toEqual([200, 400]);
  });
});
