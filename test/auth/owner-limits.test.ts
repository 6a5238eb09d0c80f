// A person and all their access tokens share one budget, one query lock and one set of limits, so that making tokens gains nothing.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { subjectShard } from "../../src/hub/protocol.ts";
import { tokenSubjectId } from "../../src/lib/access-token.ts";
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

async function makeToken(person: Person = analyst, role = "analyst"): Promise<{ id: string; token: string }> {
  const { body } = await person.api("POST", "/tokens", { name: "t", roles: [role], days: 1 });
  return { id: String(body["id"]), token: String(body["token"]) };
}

async function inLedger(subjectId: string, sql: string, ...values: (string | number)[]) {
  return runInDurableObject(ledgerOf(subjectId), (_object, { storage }) => storage.sql.exec(sql, ...values).toArray());
}

const today = (): string => new Date().toISOString().slice(0, 10);

describe("an owner and their access tokens", () => {
  it("share the rows of a day, also with a token that is revoked and made again", async () => {
    const first = await makeToken();
    expect((await callTool(first.token, "query", ORDERS)).wire).not.toContain("limit_reached");
    expect(await inLedger(ownerId, "SELECT rows FROM budget WHERE day = ?", today())).toMatchObject([{ rows: 1 }]);
    await inLedger(ownerId, "UPDATE budget SET rows = ?", sample.limits.rowsPerDay);
    try {
      expect((await callTool(first.token, "query", ORDERS)).wire).toContain("limit_reached");
      expect((await analyst.api("DELETE", `/tokens/${first.id}`)).status).toBe(204);
      const second = await makeToken();
      const { wire } = await callTool(second.token, "query", ORDERS);
      expect(wire).toContain("limit_reached");
      expect(wire).toContain(`${sample.limits.rowsPerDay} per UTC day`);
    } finally {
      await inLedger(ownerId, "UPDATE budget SET rows = 0");
    }
  });

  it("run one query at a time on a source", async () => {
    const { token } = await makeToken();
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
    const { token } = await makeToken();
    const shard = env.HUB.get(env.HUB.idFromName(subjectShard(ownerId)));
    const inShard = async (sql: string) =>
      runInDurableObject(shard, (_object, { storage }) => void storage.sql.exec(sql));
    await openSession(token);
    for (let count = 0; count < sample.limits.maxSessionsPerSubject; count += 1)
      await inShard(`INSERT INTO session (id, grant_id) VALUES ('${count}', 'g')`);
    try {
      const refused = await post(token, initialize());
      expect(refused.status).toBe(429);
      expect(await refused.text()).toContain("open sessions, which is the limit");
    } finally {
      await inShard("DELETE FROM session WHERE grant_id = 'g'");
    }
  });

  it("have one chain of records, in which each token's calls name the token and its owner", async () => {
    const { id, token } = await makeToken();
    await callTool(token, "describe", {});
    const records = await ledgerOf(ownerId).records(0, 1000);
    expect(JSON.parse(records.at(-1)?.body ?? "{}")).toMatchObject({
      attempt: { operation: "describe", subjectId: await tokenSubjectId(id), owner: ownerId },
    });
    expect(await ledgerOf(await tokenSubjectId(id)).records(0, 10)).toEqual([]);
  });

  it("hear of a change of roles in one ledger, and a token's use does not pass for its owner's", async () => {
    const reviewer = await personAt("reviewer@harbor.example");
    const reviewerId = await subjectIdOf("reviewer@harbor.example");
    const { token } = await makeToken(reviewer);
    await env.GATEHOUSE_DB.prepare("UPDATE subject SET seen_ms = 1, groups = '[\"x\"]' WHERE subject_id = ?")
      .bind(reviewerId)
      .run();
    await inLedger(reviewerId, "UPDATE member SET compared_ms = 0, seen_ms = 0");
    await callTool(token, "describe", {});
    await roleChanges().tell();
    expect(await members.subjectsOf("reviewer@harbor.example")).toMatchObject([
      { subjectId: reviewerId, seenMs: 1, groups: ["x"] },
    ]);
  });
});

describe("how many access tokens an owner can make in a day", () => {
  it("counts revoked ones, and says the limit and when it ends", async () => {
    const owner = await personAt("owner@harbor.example");
    const made: number[] = [];
    let reply = await owner.api("POST", "/tokens", { name: "t", roles: ["owner"], days: 1 });
    for (let count = 0; count < 300 && reply.status === 201; count += 1) {
      made.push(count);
      expect((await owner.api("DELETE", `/tokens/${String(reply.body["id"])}`)).status).toBe(204);
      reply = await owner.api("POST", "/tokens", { name: "t", roles: ["owner"], days: 1 });
    }
    expect(made).toHaveLength(sample.limits.maxNewPatsPerDay);
    expect(reply).toMatchObject({ status: 429, body: { error: { code: "limit_reached" } } });
    const { message } = { ...(reply.body["error"] as { message: string }) };
    const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
    expect(message).toContain(`${sample.limits.maxNewPatsPerDay}`);
    expect(message).toContain(`${tomorrow} 00:00 UTC`);
    // The count is that of a day.
    await env.GATEHOUSE_DB.prepare("UPDATE access_token SET made_ms = made_ms - 86400000 WHERE owner_id = ?")
      .bind(await subjectIdOf(owner.email))
      .run();
    expect((await owner.api("POST", "/tokens", { name: "t", roles: ["owner"], days: 1 })).status).toBe(201);
  }, 60_000);
});

describe("an access token that has ended", () => {
  it("is recorded once for each reason, however often it is used", async () => {
    const { id, token } = await makeToken();
    const subjectId = await tokenSubjectId(id);
    await env.GATEHOUSE_DB.prepare("UPDATE access_token SET expires_ms = 1 WHERE id = ?").bind(id).run();
    for (let count = 0; count < 3; count += 1) expect((await post(token, initialize())).status).toBe(401);
    await analyst.api("DELETE", `/tokens/${id}`);
    await Promise.all(Array.from({ length: 5 }, async () => post(token, initialize())));
    const uses = (await ledgerOf(ownerId).records(0, 10_000))
      .map(({ body }) => JSON.parse(body))
      .filter(({ attempt }) => attempt.operation === "use access token" && attempt.subjectId === subjectId);
    expect(uses).toMatchObject([
      { attempt: { asked: "expired", owner: ownerId }, outcome: { result: "failed", code: "not_signed_in" } },
      { attempt: { asked: "revoked", owner: ownerId }, outcome: { result: "failed", code: "not_signed_in" } },
    ]);
  });
});
