// Names of clients and personal access tokens with invisible characters: refused, or shown escaped when an older version stored
// them.
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { nameUserShard } from "../../../src/oauth/grants/grant-protocol.ts";
import { createGrantStore } from "../../../src/oauth/grants/grant-kv-store.ts";
import { newId } from "../../../src/lib/ids.ts";
import { personAt } from "../../support/browser.ts";
import type { Person } from "../../support/browser.ts";
import { subjectIdOf } from "../../support/members.ts";
import { exchangeCode, openConsent, register, requestToken, signIn } from "../../support/oauth.ts";
import type { Registered } from "../../support/oauth.ts";
import { seedShop } from "../../support/seed.ts";
import { ORIGIN, flow, send } from "../../support/worker.ts";

const GUEST = "guest@harbor.example";

const HOSTILE: readonly (readonly [string, string, string])[] = [
  ["a right-to-left override", "Claude\u202e txet", "U+202E"],
  ["an isolate", "\u2066Claude", "U+2066"],
  ["a zero-width space", "Cl\u200baude", "U+200B"],
  ["a byte order mark", "Claude\ufeff", "U+FEFF"],
  ["an escape sequence", "Claude\u001b[2K", "U+001B"],
  ["a line feed", "Claude\nPublished by claude.ai", "U+000A"],
  ["a C1 control", "Claude\u009b31m", "U+009B"],
  ["tag characters", "Claude\u{e0041}", "U+E0041"],
];

const store = () => createGrantStore(env.GRANT);

async function rewriteRecord(key: string, change: object): Promise<void> {
  const record: unknown = await store().get(key, "json");
  if (typeof record !== "object" || record === null) throw new Error(`the store has no ${key}`);
  await store().put(key, JSON.stringify({ ...record, ...change }));
}

/** Registers a client with a name as an older version stored it. */
async function registerUncheckedName(clientName: string): Promise<Registered> {
  const client = await register(flow);
  await rewriteRecord(`client:${client.clientId}`, { clientName });
  return client;
}

async function tryRegistration(metadata: object): Promise<{ readonly status: number; readonly text: string }> {
  const body = JSON.stringify({
    client_name: "A client",
    redirect_uris: ["http://127.0.0.1:4545/callback"],
    ...metadata,
  });
  const headers = { "content-type": "application/json" };
  const response = await send(`${ORIGIN}/oauth/register`, { method: "POST", body, headers });
  return { status: response.status, text: await response.text() };
}

beforeAll(seedShop);

describe("registration", () => {
  it.each(HOSTILE)("refuses a client name with %s", async (_name, clientName, escape) => {
    const { status, text } = await tryRegistration({ client_name: clientName });
    expect(status).toBe(400);
    expect(JSON.parse(text)).toMatchObject({ error: "invalid_client_metadata" });
    expect(text).toContain(`client_name has an invisible character (${escape})`);
  });

  it.each([
    ["a name in another language", { "client_name#ar": "Claude\u200f" }],
    ["a contact", { contacts: ["ann@x.example", "b\u202e@x.example"] }],
    ["a URI", { client_uri: "https://x.example/\u202e" }],
    ["the name of a field", { "client\u202e_name": "x" }],
  ])("refuses an invisible character in %s", async (_name, metadata) => {
    const { status, text } = await tryRegistration(metadata);
    expect([status, JSON.parse(text)]).toMatchObject([400, { error: "invalid_client_metadata" }]);
    expect(text).not.toContain("\u202e");
  });

  it.each(["Zoë's Client", "שלום", "数据助手", "I ❤\ufe0f data"])("accepts the name %j", async (clientName) => {
    expect((await tryRegistration({ client_name: clientName })).status).toBe(201);
  });
});

describe("the consent page", () => {
  it.each(HOSTILE)("escapes a stored client name with %s", async (_name, clientName, escape) => {
    const { consent } = await openConsent(flow, await registerUncheckedName(clientName));
    expect(consent.html).toMatch(/<bdi>[^<]+<\/bdi>/);
    expect(consent.html).toContain(escape);
    expect(consent.html).not.toContain(clientName);
  });

  it.each([
    ["only wide spaces", "\u2003\u3000"],
    ["an empty Braille pattern", "\u2800"],
    ["only zero-width characters", "\u200b\u200b"],
  ])("shows readable text instead of a name of %s", async (_name, clientName) => {
    const { consent } = await openConsent(flow, await registerUncheckedName(clientName));
    const shown = /<bdi>([^<]*)<\/bdi>/.exec(consent.html)?.[1] ?? "";
    expect(shown).toMatch(/[a-zA-Z]/);
  });

  it("cuts a long stored name to 80 characters", async () => {
    const { consent } = await openConsent(flow, await registerUncheckedName("n".repeat(5000)));
    expect(consent.html).toContain(`<bdi>${"n".repeat(79)}…</bdi>`);
  });
});

describe("connections", () => {
  async function connect(person: Person, name: string) {
    const client = await registerUncheckedName(name);
    const tokens = await exchangeCode(flow, client, await signIn(flow, client, person.email));
    const grantId = tokens.accessToken.split(":")[1] ?? "";
    const page = async (): Promise<string> => (await send(`${ORIGIN}/`, { headers: { cookie: person.cookie } })).text();
    return { client, tokens, grantId, page, subjectId: await subjectIdOf(person.email) };
  }

  it("store the escaped name, and show an unescaped stored name escaped, isolated and cut", async () => {
    const person = await personAt(GUEST);
    const { subjectId, grantId, page } = await connect(person, "Claude\u202eedoC");
    const key = `grant:${subjectId}:${grantId}`;
    expect(await store().get(key, "text")).toContain("ClaudeU+202EedoC");
    await rewriteRecord(key, { metadata: { clientName: `Evil\u2067\n${"x".repeat(150)}`, clientDomain: null } });
    const shown = `EvilU+2067U+000A${"x".repeat(63)}…`;
    expect(await page()).toContain(`<bdi>${shown}</bdi>`);
    expect((await person.api("GET", "/connections")).body["connections"]).toContainEqual(
      expect.objectContaining({ id: grantId, clientName: shown }),
    );
  });

  it("show when each was last used, which a refresh updates", async () => {
    const person = await personAt(GUEST);
    const { client, tokens, subjectId, grantId, page } = await connect(person, "A client");
    const usedMs = Date.UTC(2026, 1, 3, 4, 5);
    await runInDurableObject(
      env.GRANT.get(env.GRANT.idFromName(nameUserShard(subjectId))),
      async (_object, { storage }) => {
        storage.sql.exec("UPDATE entry SET written_ms = ? WHERE key = ?", usedMs, `grant:${subjectId}:${grantId}`);
      },
    );
    const listConnections = async () =>
      (await person.api("GET", "/connections")).body["connections"] as readonly { id: string; usedMs: number }[];
    expect((await listConnections()).find(({ id }) => id === grantId)?.usedMs).toBe(usedMs);
    expect(await page()).toMatch(
      /last used\s*<time datetime="2026-02-03T04:05:00.000Z">3 February 2026 at 04:05 UTC<\/time>/,
    );
    const refresh = { grant_type: "refresh_token", refresh_token: tokens.refreshToken, client_id: client.clientId };
    const startMs = Date.now();
    expect((await requestToken(flow, refresh)).status).toBe(200);
    expect((await listConnections()).find(({ id }) => id === grantId)?.usedMs).toBeGreaterThanOrEqual(startMs);
  });
});

describe("personal access tokens", () => {
  it.each(HOSTILE)("cannot get a name with %s", async (_name, name, escape) => {
    const analyst = await personAt("analyst@harbor.example");
    const created = await analyst.api("POST", "/tokens", { name, roles: ["analyst"], days: 1 });
    expect([created.status, created.body]).toMatchObject([400, { error: { code: "invalid_input" } }]);
    expect(JSON.stringify(created.body)).toContain(escape);
  });

  it("are listed with a stored name escaped", async () => {
    const analyst = await personAt("analyst@harbor.example");
    const created = await analyst.api("POST", "/tokens", { name: "nightly", roles: ["analyst"], days: 1 });
    await env.GATEHOUSE_DB.prepare("UPDATE personal_access_token SET name = ?1 WHERE id = ?2")
      .bind(`old\u202e\u009b${newId()}`, created.body["id"])
      .run();
    const { body } = await analyst.api("GET", "/tokens");
    expect(JSON.stringify(body)).toContain("oldU+202EU+009B");
    expect(JSON.stringify(body)).not.toMatch(/[\u202e\u009b]/);
  });
});
