// Identities that an older version stored with an address that is refused today: they give no access and cause no errors.
import { env } from "cloudflare:workers";
import { createExecutionContext } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { createPatCheck } from "../../src/personal-access-tokens/pat-check.ts";
import { createBrowserSessions } from "../../src/sign-in/browser-session.ts";
import { createBareOAuthProvider } from "../../src/oauth/oauth-provider.ts";
import { hashPat, generatePat } from "../../src/personal-access-tokens/pat-text.ts";
import { newId } from "../../src/lib/ids.ts";
import { createBrowserSessionStore } from "../../src/sign-in/browser-session-store.ts";
import { accessTokens, members } from "../support/members.ts";
import { ORIGIN } from "../support/worker.ts";

/** The Kelvin sign, which Unicode folds to `k`. */
const KELVIN = "\u212Aate@red.example";
const MIXED = "Zed@Red.example";

describe("an identity that an older version stored", () => {
  it("gets 401 with a challenge when the address of its access token is refused today", async () => {
    let served = 0;
    const oauth = createBareOAuthProvider<object>({
      origin: ORIGIN,
      resource: `${ORIGIN}/mcp`,
      name: "Test",
      accessTokenSeconds: 600,
      refreshTokenSeconds: 600,
      exchangeTokens: async () => undefined,
      checkPat: async (text) => ({
        subjectId: "s",
        email: text === "kelvin" ? KELVIN : MIXED,
        groups: [],
        token: { id: "t", ownerId: "o", roles: [] },
      }),
      async serveMcp(_request, { identity }) {
        served += 1;
        return Response.json(identity);
      },
      servePages: () => new Response(null, { status: 404 }),
      log: () => {},
    });
    const ask = async (token: string): Promise<Response> =>
      oauth.fetch(
        new Request(`${ORIGIN}/mcp`, { method: "POST", headers: { authorization: `Bearer ${token}` } }),
        { ...env, OAUTH_KV: env.HANDBOOK },
        createExecutionContext(),
      );
    const refused = await ask("kelvin");
    expect(refused.status).toBe(401);
    expect(refused.headers.get("www-authenticate")).toContain('error="invalid_token", resource_metadata="');
    expect(served).toBe(0);
    expect(await (await ask("mixed")).json()).toMatchObject({ email: "zed@red.example" });
  });

  it("is not signed in to the pages when its address is refused today, and is normalised otherwise", async () => {
    const sessions = createBrowserSessions({
      store: createBrowserSessionStore(env.GATEHOUSE_DB),
      idleSeconds: 600,
      maxSeconds: 600,
      now: Date.now,
    });
    const readAs = async (email: string) => {
      const headers = await sessions.begin({ subjectId: newId(), email, groups: [] });
      const cookie = headers.getSetCookie()[0]?.split(";")[0] ?? "";
      return sessions.read(new Request(ORIGIN, { headers: { cookie } }));
    };
    expect(await readAs(KELVIN)).toBeUndefined();
    expect((await readAs(MIXED))?.identity.email).toBe("zed@red.example");
  });

  it.each([
    [KELVIN, undefined],
    [MIXED, "zed@red.example"],
  ])("as the owner of a personal access token, %s is read as %s", async (email, expected) => {
    const [ownerId, id, text, nowMs] = [newId(), newId(), generatePat(), Date.now()];
    await members.registerSubject({ subjectId: ownerId, email, groups: [], seenMs: nowMs });
    const pat = { id, hash: await hashPat(text), ownerId, name: "t", roles: ["analyst"], by: "operator" };
    await accessTokens.add({ ...pat, nowMs, expiresMs: nowMs + 1_000_000 }, { maxActive: 1, maxPerDay: 1 });
    const check = createPatCheck({
      pats: accessTokens,
      ownerSeenSeconds: 1000,
      now: () => nowMs,
      waitUntil: () => {},
      recordRefusal: async () => {},
    });
    expect((await check(text))?.email).toBe(expected);
  });

  it("has the use of its expired personal access token recorded", async () => {
    const [ownerId, id, text, nowMs] = [newId(), newId(), generatePat(), Date.now()];
    await members.registerSubject({ subjectId: ownerId, email: KELVIN, groups: [], seenMs: nowMs });
    const pat = { id, hash: await hashPat(text), ownerId, name: "t", roles: ["analyst"], by: "operator" };
    await accessTokens.add({ ...pat, nowMs, expiresMs: nowMs + 1000 }, { maxActive: 1, maxPerDay: 1 });
    const refusals: string[] = [];
    const check = createPatCheck({
      pats: accessTokens,
      ownerSeenSeconds: 1000,
      now: () => nowMs + 2000,
      waitUntil: () => {},
      recordRefusal: async (token, reason) => void refusals.push(`${token.id} ${reason}`),
    });
    expect(await check(text)).toBeUndefined();
    expect(refusals).toEqual([`${id} expired`]);
  });
});
