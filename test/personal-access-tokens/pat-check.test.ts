// Personal access tokens: what they give access to, for how long, under which roles, and the audit records of each use and refusal.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { createPatCheck } from "../../src/personal-access-tokens/pat-check.ts";
import { hashPat, generatePat, derivePatSubjectId } from "../../src/personal-access-tokens/pat-text.ts";
import type { Identity } from "../../src/lib/identity.ts";
import { newId } from "../../src/lib/ids.ts";
import { addRole, removeMember, setAttributes } from "../../src/members/member-statements.ts";
import { accessTokens, ledgerOf, members, roleChanges, subjectIdOf } from "../support/members.ts";
import { personAt } from "../support/browser.ts";
import type { Person } from "../support/browser.ts";
import { SECRETS, seedShop } from "../support/seed.ts";
import { RESOURCE, callTool, initialize, openSession, post, send } from "../support/worker.ts";

const GUEST = "guest@harbor.example";
const by = { by: "owner@harbor.example", nowMs: 1_000 };
const CUSTOMERS = { source: "shop", sql: "SELECT email FROM customers ORDER BY id" };

let analyst: Person;
let guest: Person;

beforeAll(async () => {
  await seedShop();
  analyst = await personAt("analyst@harbor.example");
  guest = await personAt(GUEST);
});

interface CreatedPat {
  readonly id: string;
  readonly token: string;
}

async function createPat(person: Person, roles: readonly string[]): Promise<CreatedPat> {
  const { status, body } = await person.api("POST", "/tokens", { name: "t", roles, days: 1 });
  expect(status).toBe(201);
  return { id: String(body["id"]), token: String(body["token"]) };
}

/** The records of the personal access token `id` in its owner's ledger. */
async function recordsOf({ email }: Person, id: string) {
  const [records, subjectId] = [
    await ledgerOf(await subjectIdOf(email)).listRecords(0, 1000),
    await derivePatSubjectId(id),
  ];
  return records.map(({ body }) => JSON.parse(body)).filter(({ attempt }) => attempt.subjectId === subjectId);
}

const updatePat = async (id: string, sql: string): Promise<unknown> =>
  env.GATEHOUSE_DB.prepare(`UPDATE personal_access_token SET ${sql} WHERE id = ?`).bind(id).run();

describe("a personal access token", () => {
  it("reads with its owner's permissions in both eras, recorded in its owner's ledger under its own subject id", async () => {
    const { id, token } = await createPat(analyst, ["analyst"]);
    expect(token).toMatch(/^gth_[0-9a-f]{64}$/);
    const { wire } = await callTool(token, "query", CUSTOMERS);
    expect(wire).toContain("n…@north.example");
    expect(wire).not.toContain(SECRETS.northEmail);
    const session = await openSession(token);
    const list = { jsonrpc: "2.0", id: 2, method: "resources/list" };
    expect(await (await post(token, list, { "mcp-session-id": session })).text()).toContain("shop/customers");
    expect(await recordsOf(analyst, id)).toMatchObject([
      {
        attempt: {
          operation: "query",
          subjectId: await derivePatSubjectId(id),
          owner: await subjectIdOf(analyst.email),
          clientId: `access-token ${id}`,
        },
        outcome: { result: "answered", roles: ["analyst"], rows: 3 },
      },
      { attempt: { operation: "list resources" }, outcome: { result: "answered" } },
    ]);
  });

  it("has its own workspace", async () => {
    const [firstPat, secondPat] = [await createPat(analyst, ["analyst"]), await createPat(analyst, ["analyst"])];
    await callTool(firstPat.token, "query", CUSTOMERS);
    expect((await callTool(firstPat.token, "fetch", { id: "r1" })).wire).toContain("n…@north.example");
    expect((await callTool(secondPat.token, "fetch", { id: "r1" })).wire).toContain("There is no result r1");
  });

  it("is stored only as a hash", async () => {
    const { id, token } = await createPat(analyst, ["analyst"]);
    const { results } = await env.GATEHOUSE_DB.prepare("SELECT * FROM personal_access_token WHERE id = ?")
      .bind(id)
      .all();
    expect(JSON.stringify(results)).toContain(await hashPat(token));
    expect(JSON.stringify(results)).not.toContain(token.slice(4));
  });

  it("has only those of its roles that its owner has now, and loses them at the next request", async () => {
    await members.applyChange(addRole(GUEST, "analyst", by));
    await members.applyChange(addRole(GUEST, "support", by));
    await members.applyChange(setAttributes(GUEST, { region: "south" }, by));
    await roleChanges().propagate();
    const [both, support] = [await createPat(guest, ["analyst", "support"]), await createPat(guest, ["support"])];
    expect((await callTool(support.token, "query", CUSTOMERS)).wire).toContain(SECRETS.southEmail);
    expect((await callTool(support.token, "query", CUSTOMERS)).wire).not.toContain("north.example");
    expect((await callTool(both.token, "query", CUSTOMERS)).wire).toContain("n…@north.example");
    expect((await callTool(both.token, "fetch", { id: "r1" })).wire).toContain("n…@north.example");
    await members.applyChange(removeMember(GUEST, by));
    await roleChanges().propagate();
    for (const { token, id } of [both, support]) {
      const { wire } = await callTool(token, "query", CUSTOMERS);
      expect(wire).toContain("This personal access token has no role");
      expect(wire).not.toContain('.example\\"');
      expect((await callTool(token, "fetch", { id: "r1" })).wire).toContain("There is no result r1");
      expect((await recordsOf(guest, id)).at(-1)).toMatchObject({ outcome: { result: "denied", roles: [] } });
    }
  });

  it("stores its last use at most once a minute", async () => {
    const { id, token } = await createPat(analyst, ["analyst"]);
    const usedMs = async () => (await accessTokens.findByHash(await hashPat(token)))?.usedMs;
    expect(await usedMs()).toBeNull();
    await callTool(token, "describe", {});
    const first = await usedMs();
    expect(first).toBeGreaterThan(Date.now() - 10_000);
    await updatePat(id, "used_ms = used_ms - 30000");
    await callTool(token, "describe", {});
    expect(await usedMs()).toBe((first ?? 0) - 30_000);
    await updatePat(id, "used_ms = used_ms - 60000");
    await callTool(token, "describe", {});
    expect(await usedMs()).toBeGreaterThanOrEqual(first ?? 0);
  });

  it("can neither administer members nor list or create personal access tokens", async () => {
    const owner = await personAt("owner@harbor.example");
    const { token } = await createPat(owner, ["owner"]);
    expect((await callTool(token, "query", CUSTOMERS)).wire).toContain(SECRETS.northEmail);
    for (const [method, path, body] of [
      ["GET", "/members", undefined],
      ["PUT", "/members/guest@harbor.example/roles/owner", undefined],
      ["GET", "/tokens", undefined],
      ["POST", "/tokens", { name: "t", roles: ["owner"], days: 1 }],
    ] as const)
      for (const cookie of [undefined, owner.cookie])
        expect((await owner.api(method, path, body, { authorization: `Bearer ${token}`, cookie })).status).toBe(401);
    expect(await members.find(GUEST)).toMatchObject({ roles: [] });
  });

  it("cannot be created when its owner has 20 active ones", async () => {
    for (let count = 0; count < 25; count += 1)
      await analyst.api("POST", "/tokens", { name: "t", roles: ["analyst"], days: 1 });
    const { status, body } = await analyst.api("POST", "/tokens", { name: "t", roles: ["analyst"], days: 1 });
    expect([status, body]).toMatchObject([429, { error: { code: "limit_reached" } }]);
    const pats = await accessTokens.list(await subjectIdOf(analyst.email));
    expect(pats).toHaveLength(20);
    for (const { id } of pats) await analyst.api("DELETE", `/tokens/${id}`);
    await createPat(analyst, ["analyst"]);
  });
});

describe("an invalid personal access token", () => {
  const metadataUrl = "http://localhost:8787/.well-known/oauth-protected-resource/mcp";

  async function expectRefused(token: string): Promise<void> {
    const response = await post(token, initialize());
    expect(response.status).toBe(401);
    const challenge = response.headers.get("www-authenticate") ?? "";
    const challengeStart = `Bearer realm="OAuth", resource_metadata="${metadataUrl}"`;
    expect(challenge.slice(0, challengeStart.length)).toBe(challengeStart);
    expect(challenge.slice(challengeStart.length)).toContain('error="invalid_token"');
    expect(response.headers.get("cache-control")).toContain("no-store");
    expect(await response.json()).toEqual({ error: "invalid_token", error_description: "Invalid access token" });
  }

  it("gets the same 401 with a challenge when it is unknown, malformed, or only a hash or id", async () => {
    const { id, token } = await createPat(analyst, ["analyst"]);
    const [row] = (await env.GATEHOUSE_DB.prepare("SELECT hash FROM personal_access_token WHERE id = ?").bind(id).all())
      .results;
    for (const text of [
      generatePat(),
      "gth_",
      token.slice(0, -1),
      `${token}0`,
      token.toUpperCase(),
      token.replace("gth_", ""),
      `gth_${String(row?.["hash"])}`,
      String(row?.["hash"]),
      id,
    ])
      await expectRefused(text);
  });

  it("is refused at once and recorded when it was revoked, and its session and stream end", async () => {
    const { id, token } = await createPat(analyst, ["analyst"]);
    const session = await openSession(token);
    const stream = await send(RESOURCE, {
      headers: { authorization: `Bearer ${token}`, accept: "text/event-stream", "mcp-session-id": session },
    });
    expect((await guest.api("DELETE", `/tokens/${id}`)).status).toBe(404);
    expect((await callTool(token, "describe", {})).wire).toContain("shop.customers");
    expect((await analyst.api("DELETE", `/tokens/${id}`)).status).toBe(204);
    await stream.text();
    await expectRefused(token);
    expect((await recordsOf(analyst, id)).at(-1)).toMatchObject({
      attempt: { operation: "use access token", asked: "revoked", owner: await subjectIdOf(analyst.email) },
      outcome: { result: "failed", code: "not_signed_in" },
    });
    expect((await analyst.api("DELETE", `/tokens/${id}`)).status).toBe(404);
  });

  it("is refused and recorded when it has expired, and the upkeep ends its stream", async () => {
    const { id, token } = await createPat(analyst, ["analyst"]);
    const session = await openSession(token);
    const stream = await send(RESOURCE, {
      headers: { authorization: `Bearer ${token}`, accept: "text/event-stream", "mcp-session-id": session },
    });
    await updatePat(id, `expires_ms = ${Date.now() - 1}`);
    await expectRefused(token);
    await roleChanges().propagate();
    await stream.text();
    expect((await recordsOf(analyst, id)).at(-1)).toMatchObject({ attempt: { asked: "expired" } });
  });
});

describe("a valid personal access token", () => {
  it("gets 503 instead of 401 when the database is not available", async () => {
    const { token } = await createPat(analyst, ["analyst"]);
    await env.GATEHOUSE_DB.prepare("ALTER TABLE personal_access_token RENAME TO token_away").run();
    try {
      const response = await post(token, initialize());
      expect(response.status).toBe(503);
      expect(response.headers.get("retry-after")).toBe("10");
      expect(await response.text()).not.toContain("no such table");
    } finally {
      await env.GATEHOUSE_DB.prepare("ALTER TABLE token_away RENAME TO personal_access_token").run();
    }
  });
});

describe("createPatCheck", () => {
  it("counts the owner's groups only while the owner was seen recently", async () => {
    const [ownerId, id, text] = [newId(), newId(), generatePat()];
    const nowMs = Date.now();
    await members.registerSubject({
      subjectId: ownerId,
      email: "grouped@x.example",
      groups: ["data-team"],
      seenMs: nowMs,
    });
    const times = { nowMs, expiresMs: nowMs + 1_000_000_000 };
    await accessTokens.add(
      { id, hash: await hashPat(text), ownerId, name: "t", roles: ["analyst"], by: "operator", ...times },
      { maxActive: 1, maxPerDay: 1 },
    );
    const groupsAt = async (atMs: number): Promise<Identity["groups"] | undefined> => {
      const check = createPatCheck({
        pats: accessTokens,
        ownerSeenSeconds: 1000,
        now: () => atMs,
        waitUntil: () => {},
        recordRefusal: async () => {},
      });
      return (await check(text))?.groups;
    };
    expect(await groupsAt(nowMs + 999_999)).toEqual(["data-team"]);
    expect(await groupsAt(nowMs + 1_000_000)).toEqual([]);
    expect(await groupsAt(nowMs + 1_000_000_000)).toBeUndefined();
    await accessTokens.revokeAll(ownerId, "account ended", nowMs);
    expect(await groupsAt(nowMs)).toBeUndefined();
  });
});
