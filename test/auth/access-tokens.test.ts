// Access tokens for programs: what they open, for how long, under which roles, and what each use and refusal leaves in the record.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { createAccessTokenCheck } from "../../src/auth/access-tokens.ts";
import { hashAccessToken, newAccessToken, tokenSubjectId } from "../../src/lib/access-token.ts";
import type { Identity } from "../../src/lib/identity.ts";
import { newId } from "../../src/lib/ids.ts";
import { addRole, removeMember, setAttributes } from "../../src/storage/member-statements.ts";
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

interface Made {
  readonly id: string;
  readonly token: string;
}

async function make(person: Person, roles: readonly string[]): Promise<Made> {
  const { status, body } = await person.api("POST", "/tokens", { name: "t", roles, days: 1 });
  expect(status).toBe(201);
  return { id: String(body["id"]), token: String(body["token"]) };
}

/** What the owner's ledger says of the token `id`. */
async function recordsOf({ email }: Person, id: string) {
  const [records, subjectId] = [await ledgerOf(await subjectIdOf(email)).records(0, 1000), await tokenSubjectId(id)];
  return records.map(({ body }) => JSON.parse(body)).filter(({ attempt }) => attempt.subjectId === subjectId);
}

const set = async (id: string, sql: string): Promise<unknown> =>
  env.GATEHOUSE_DB.prepare(`UPDATE access_token SET ${sql} WHERE id = ?`).bind(id).run();

describe("an access token", () => {
  it("reads as its owner with its roles, in both eras, on its owner's record under its own name", async () => {
    const { id, token } = await make(analyst, ["analyst"]);
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
          subjectId: await tokenSubjectId(id),
          owner: await subjectIdOf(analyst.email),
          clientId: `access-token ${id}`,
        },
        outcome: { result: "answered", roles: ["analyst"], rows: 3 },
      },
      { attempt: { operation: "list resources" }, outcome: { result: "answered" } },
    ]);
  });

  it("has a workspace of its own", async () => {
    const [one, two] = [await make(analyst, ["analyst"]), await make(analyst, ["analyst"])];
    await callTool(one.token, "query", CUSTOMERS);
    expect((await callTool(one.token, "fetch", { id: "r1" })).wire).toContain("n…@north.example");
    expect((await callTool(two.token, "fetch", { id: "r1" })).wire).toContain("There is no result r1");
  });

  it("is kept as a hash alone", async () => {
    const { id, token } = await make(analyst, ["analyst"]);
    const { results } = await env.GATEHOUSE_DB.prepare("SELECT * FROM access_token WHERE id = ?").bind(id).all();
    expect(JSON.stringify(results)).toContain(await hashAccessToken(token));
    expect(JSON.stringify(results)).not.toContain(token.slice(4));
  });

  it("has of its roles those that its owner has today, and loses them with the next request", async () => {
    await members.apply(addRole(GUEST, "analyst", by));
    await members.apply(addRole(GUEST, "support", by));
    await members.apply(setAttributes(GUEST, { region: "south" }, by));
    await roleChanges().tell();
    const [both, support] = [await make(guest, ["analyst", "support"]), await make(guest, ["support"])];
    expect((await callTool(support.token, "query", CUSTOMERS)).wire).toContain(SECRETS.southEmail);
    expect((await callTool(support.token, "query", CUSTOMERS)).wire).not.toContain("north.example");
    expect((await callTool(both.token, "query", CUSTOMERS)).wire).toContain("n…@north.example");
    expect((await callTool(both.token, "fetch", { id: "r1" })).wire).toContain("n…@north.example");
    await members.apply(removeMember(GUEST, by));
    await roleChanges().tell();
    for (const { token, id } of [both, support]) {
      const { wire } = await callTool(token, "query", CUSTOMERS);
      expect(wire).toContain("This access token has no role");
      expect(wire).not.toContain('.example\\"');
      expect((await callTool(token, "fetch", { id: "r1" })).wire).toContain("There is no result r1");
      expect((await recordsOf(guest, id)).at(-1)).toMatchObject({ outcome: { result: "denied", roles: [] } });
    }
  });

  it("shows its last use, and writes it down at most once a minute", async () => {
    const { id, token } = await make(analyst, ["analyst"]);
    const usedMs = async () => (await accessTokens.find(await hashAccessToken(token)))?.usedMs;
    expect(await usedMs()).toBeNull();
    await callTool(token, "describe", {});
    const first = await usedMs();
    expect(first).toBeGreaterThan(Date.now() - 10_000);
    await set(id, "used_ms = used_ms - 30000");
    await callTool(token, "describe", {});
    expect(await usedMs()).toBe((first ?? 0) - 30_000);
    await set(id, "used_ms = used_ms - 60000");
    await callTool(token, "describe", {});
    expect(await usedMs()).toBeGreaterThanOrEqual(first ?? 0);
  });

  it("can neither administer nor make tokens", async () => {
    const owner = await personAt("owner@harbor.example");
    const { token } = await make(owner, ["owner"]);
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

  it("is one of so many", async () => {
    for (let count = 0; count < 25; count += 1)
      await analyst.api("POST", "/tokens", { name: "t", roles: ["analyst"], days: 1 });
    const { status, body } = await analyst.api("POST", "/tokens", { name: "t", roles: ["analyst"], days: 1 });
    expect([status, body]).toMatchObject([429, { error: { code: "limit_reached" } }]);
    const listed = await accessTokens.list(await subjectIdOf(analyst.email));
    expect(listed).toHaveLength(20);
    for (const { id } of listed) await analyst.api("DELETE", `/tokens/${id}`);
    await make(analyst, ["analyst"]);
  });
});

describe("a token that is not good", () => {
  const challenge =
    /^Bearer realm="OAuth", resource_metadata="http:\/\/localhost:8787\/\.well-known\/oauth-protected-resource\/mcp".*error="invalid_token"/;

  async function refusal(token: string): Promise<void> {
    const response = await post(token, initialize());
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toMatch(challenge);
    expect(response.headers.get("cache-control")).toContain("no-store");
    expect(await response.json()).toEqual({ error: "invalid_token", error_description: "Invalid access token" });
  }

  it("unknown, malformed, or another one's hash: 401 with the challenge, all alike", async () => {
    const { id, token } = await make(analyst, ["analyst"]);
    const [row] = (await env.GATEHOUSE_DB.prepare("SELECT hash FROM access_token WHERE id = ?").bind(id).all()).results;
    for (const text of [
      newAccessToken(),
      "gth_",
      token.slice(0, -1),
      `${token}0`,
      token.toUpperCase(),
      token.replace("gth_", ""),
      `gth_${String(row?.["hash"])}`,
      String(row?.["hash"]),
      id,
    ])
      await refusal(text);
  });

  it("revoked: refused at once, its session and stream ended, and the try recorded", async () => {
    const { id, token } = await make(analyst, ["analyst"]);
    const session = await openSession(token);
    const stream = await send(RESOURCE, {
      headers: { authorization: `Bearer ${token}`, accept: "text/event-stream", "mcp-session-id": session },
    });
    expect((await guest.api("DELETE", `/tokens/${id}`)).status).toBe(404);
    expect((await callTool(token, "describe", {})).wire).toContain("shop.customers");
    expect((await analyst.api("DELETE", `/tokens/${id}`)).status).toBe(204);
    await stream.text();
    await refusal(token);
    expect((await recordsOf(analyst, id)).at(-1)).toMatchObject({
      attempt: { operation: "use access token", asked: "revoked", owner: await subjectIdOf(analyst.email) },
      outcome: { result: "failed", code: "not_signed_in" },
    });
    expect((await analyst.api("DELETE", `/tokens/${id}`)).status).toBe(404);
  });

  it("expired: refused and recorded, its stream ended by the upkeep", async () => {
    const { id, token } = await make(analyst, ["analyst"]);
    const session = await openSession(token);
    const stream = await send(RESOURCE, {
      headers: { authorization: `Bearer ${token}`, accept: "text/event-stream", "mcp-session-id": session },
    });
    await set(id, `expires_ms = ${Date.now() - 1}`);
    await refusal(token);
    await roleChanges().tell();
    await stream.text();
    expect((await recordsOf(analyst, id)).at(-1)).toMatchObject({ attempt: { asked: "expired" } });
  });

  it("is not called wrong while nobody can tell", async () => {
    const { token } = await make(analyst, ["analyst"]);
    await env.GATEHOUSE_DB.prepare("ALTER TABLE access_token RENAME TO token_away").run();
    try {
      const response = await post(token, initialize());
      expect(response.status).toBe(503);
      expect(response.headers.get("retry-after")).toBe("10");
      expect(await response.text()).not.toContain("no such table");
    } finally {
      await env.GATEHOUSE_DB.prepare("ALTER TABLE token_away RENAME TO access_token").run();
    }
  });
});

describe("the check", () => {
  it("counts its owner's groups while the owner is around, and no longer", async () => {
    const [ownerId, id, text] = [newId(), newId(), newAccessToken()];
    const nowMs = Date.now();
    await members.know({
      subjectId: ownerId,
      email: "grouped@x.example",
      groups: ["data-team"],
      seenMs: nowMs,
    });
    const times = { nowMs, expiresMs: nowMs + 1_000_000_000 };
    await accessTokens.add(
      { id, hash: await hashAccessToken(text), ownerId, name: "t", roles: ["analyst"], by: "operator", ...times },
      { maxHeld: 1, maxPerDay: 1 },
    );
    const groupsAt = async (atMs: number): Promise<Identity["groups"] | undefined> => {
      const check = createAccessTokenCheck({
        tokens: accessTokens,
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
