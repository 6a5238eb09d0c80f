// A user and all their personal access tokens share the rows of the day, the query lock and the limits, so that creating more tokens
// gives no advantage.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { nameSubjectShard } from "../../src/mcp/subscriptions/hub-protocol.ts";
import { derivePatSubjectId } from "../../src/personal-access-tokens/pat-text.ts";
import { newId } from "../../src/lib/ids.ts";
import sample from "../../sample/gatehouse.config.ts";
import { personAt } from "../support/browser.ts";
import type { Person } from "../support/browser.ts";
import { ledgerOf, members, roleChanges, subjectIdOf } from "../support/members.ts";
import { seedShop } from "../support/seed.ts";
import { callTool, initialize, openSession, post } from "../support/worker.ts";

const EMAIL = "analyst@harbor.example";
const ORDERS = { source: "shop", sql: "SELECT id FROM orders ORDER BY id LIMIT 1" };

let analyst: Person;
let ownerId = "";

beforeAll(async () => {
  await seedShop();
  analyst = await personAt(EMAIL);
  ownerId = await subjectIdOf(EMAIL);
});

async function createPat(person: Person = analyst, role = "analyst"): Promise<{ id: string; token: string }> {
  const { body } = await person.api("POST", "/tokens", { name: "t", roles: [role], days: 1 });
  return { id: String(body["id"]), token: String(body["token"]) };
}

async function executeInLedger(subjectId: string, sql: string, ...values: (string | number)[]) {
  return runInDurableObject(ledgerOf(subjectId), (_object, { storage }) => storage.sql.exec(sql, ...values).toArray());
}

describe("an owner and their personal access tokens", () => {
  it("share the rows of the day, also with a token that replaces a revoked one", async () => {
    const first = await createPat();
    expect((await callTool(first.token, "query", ORDERS)).wire).not.toContain("limit_reached");
    expect(await executeInLedger(ownerId, "SELECT sum(rows) AS rows FROM usage")).toEqual([{ rows: 1 }]);
    await executeInLedger(ownerId, "UPDATE usage SET rows = ?", sample.limits.rowsPerDay);
    try {
      expect((await callTool(first.token, "query", ORDERS)).wire).toContain("limit_reached");
      expect((await analyst.api("DELETE", `/tokens/${first.id}`)).status).toBe(204);
      const second = await createPat();
      const { wire } = await callTool(second.token, "query", ORDERS);
      expect(wire).toContain("limit_reached");
      expect(wire).toContain(`${sample.limits.rowsPerDay} per UTC day`);
    } finally {
      await executeInLedger(ownerId, "UPDATE usage SET rows = 0");
    }
  });

  it("run one query at a time on a source", async () => {
    const { token } = await createPat();
    const call = newId();
    const attempt = { call, subjectId: ownerId, owner: null, clientId: "c", operation: "query", asked: "" };
    const person = { subjectId: ownerId, email: EMAIL, groups: [] };
    await ledgerOf(ownerId).begin(attempt, person, 0, "shop");
    let isAnswered = false;
    const answer = callTool(token, "query", ORDERS).finally(() => (isAnswered = true));
    for (let count = 0; count < 10; count += 1) await callTool(token, "describe", {});
    expect(isAnswered).toBe(false);
    await ledgerOf(ownerId).release(call);
    expect((await answer).wire).toContain('\\"id\\"');
  });

  it("share the number of open sessions", async () => {
    const { token } = await createPat();
    const shard = env.HUB.get(env.HUB.idFromName(nameSubjectShard(ownerId)));
    const executeInShard = async (sql: string) =>
      runInDurableObject(shard, (_object, { storage }) => void storage.sql.exec(sql));
    await openSession(token);
    for (let count = 0; count < sample.limits.maxSessionsPerSubject; count += 1)
      await executeInShard(`INSERT INTO session (id, grant_id) VALUES ('${count}', 'g')`);
    try {
      const refused = await post(token, initialize());
      expect(refused.status).toBe(429);
      expect(await refused.text()).toContain("open sessions, which is the limit");
    } finally {
      await executeInShard("DELETE FROM session WHERE grant_id = 'g'");
    }
  });

  it("share one hash chain, in which the records of a token's calls name the token and its owner", async () => {
    const { id, token } = await createPat();
    await callTool(token, "describe", {});
    const records = await ledgerOf(ownerId).listRecords(0, 1000);
    expect(JSON.parse(records.at(-1)?.body ?? "{}")).toMatchObject({
      attempt: { operation: "describe", subjectId: await derivePatSubjectId(id), owner: ownerId },
    });
    expect(await ledgerOf(await derivePatSubjectId(id)).listRecords(0, 10)).toEqual([]);
  });

  it("share one ledger, in which the use of a token does not count as a sign-in of its owner", async () => {
    const reviewer = await personAt("reviewer@harbor.example");
    const reviewerId = await subjectIdOf("reviewer@harbor.example");
    const { token } = await createPat(reviewer);
    await env.GATEHOUSE_DB.prepare("UPDATE subject SET seen_ms = 1, groups = '[\"x\"]' WHERE subject_id = ?")
      .bind(reviewerId)
      .run();
    await executeInLedger(reviewerId, "UPDATE cached_member SET compared_ms = 0, seen_ms = 0");
    await callTool(token, "describe", {});
    await roleChanges().propagate();
    expect(await members.listSubjects("reviewer@harbor.example")).toMatchObject([
      { subjectId: reviewerId, seenMs: 1, groups: ["x"] },
    ]);
  });
});

describe("the daily limit of new personal access tokens", () => {
  it("counts revoked tokens, and its error names the limit and when it ends", async () => {
    const owner = await personAt("owner@harbor.example");
    let createdCount = 0;
    let reply = await owner.api("POST", "/tokens", { name: "t", roles: ["owner"], days: 1 });
    for (let count = 0; count < 300 && reply.status === 201; count += 1) {
      createdCount += 1;
      expect((await owner.api("DELETE", `/tokens/${String(reply.body["id"])}`)).status).toBe(204);
      reply = await owner.api("POST", "/tokens", { name: "t", roles: ["owner"], days: 1 });
    }
    expect(createdCount).toBe(sample.limits.maxNewPatsPerDay);
    expect(reply).toMatchObject({ status: 429, body: { error: { code: "limit_reached" } } });
    const { message } = { ...(reply.body["error"] as { message: string }) };
    const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
    expect(message).toContain(`${sample.limits.maxNewPatsPerDay}`);
    expect(message).toContain(`${tomorrow} 00:00 UTC`);
    // Only tokens that were created today count.
    await env.GATEHOUSE_DB.prepare("UPDATE personal_access_token SET made_ms = made_ms - 86400000 WHERE owner_id = ?")
      .bind(await subjectIdOf(owner.email))
      .run();
    expect((await owner.api("POST", "/tokens", { name: "t", roles: ["owner"], days: 1 })).status).toBe(201);
  }, 60_000);
});

describe("an ended personal access token", () => {
  it("is recorded once for each reason although it is used several times", async () => {
    const { id, token } = await createPat();
    const subjectId = await derivePatSubjectId(id);
    await env.GATEHOUSE_DB.prepare("UPDATE personal_access_token SET expires_ms = 1 WHERE id = ?").bind(id).run();
    for (let count = 0; count < 3; count += 1) expect((await post(token, initialize())).status).toBe(401);
    await analyst.api("DELETE", `/tokens/${id}`);
    await Promise.all(Array.from({ length: 5 }, async () => post(token, initialize())));
    const uses = (await ledgerOf(ownerId).listRecords(0, 10_000))
      .map(({ body }) => JSON.parse(body))
      .filter(({ attempt }) => attempt.operation === "use access token" && attempt.subjectId === subjectId);
    expect(uses).toMatchObject([
      { attempt: { asked: "expired", owner: ownerId }, outcome: { result: "failed", code: "not_signed_in" } },
      { attempt: { asked: "revoked", owner: ownerId }, outcome: { result: "failed", code: "not_signed_in" } },
    ]);
  });
});
