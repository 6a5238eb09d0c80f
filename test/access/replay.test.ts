// The gateway's replay: what was answered under one policy and member may be delivered again under the same alone, and each try is a
// record. Noting the grants costs a read no call of the ledger.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { createRecorder } from "../../src/access/recorded.ts";
import type { Caller } from "../../src/lib/identity.ts";
import { replay } from "../../src/access/replay.ts";
import type { Gatehouse } from "../../src/config.ts";
import type { AnswerGrants } from "../../src/lib/answer-grants.ts";
import { newId } from "../../src/lib/ids.ts";
import { NO_RECORD } from "../../src/policy/model.ts";
import type { Policy } from "../../src/policy/model.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { seedShop } from "../support/seed.ts";
import sample from "../../sample/gatehouse.config.ts";

const EMAIL = "analyst@harbor.example";
const QUERY = { what: { source: "shop", sql: "SELECT name, email FROM customers" }, params: [], limit: undefined };
const STREAM = "stream 1";

beforeAll(seedShop);

/** Answers a query under the sample's policy and returns the grants that it noted. */
async function grantsOfQuery(caller: Caller): Promise<readonly AnswerGrants[]> {
  const noted: AnswerGrants[] = [];
  await gatewayFor(sample).query({ ...caller, noteGrants: (grants) => void noted.push(grants) }, QUERY);
  return noted;
}

async function recordsOf({ identity }: Caller) {
  const ledger = env.LEDGER.get(env.LEDGER.idFromName(identity.subjectId));
  return (await ledger.records(0, 100)).map(({ body }) => JSON.parse(body));
}

const under = (policy: Partial<Policy>): Gatehouse => ({ ...sample, policy: { ...sample.policy, ...policy } });

describe("a replay", () => {
  it("is allowed under the same policy and member, also by another isolate, and names the call in its record", async () => {
    const caller = callerAs(EMAIL);
    const grants = await grantsOfQuery(caller);
    expect(await gatewayFor(sample).replay(caller, { what: STREAM, grants })).toBe(true);
    const [query, record] = await recordsOf(caller);
    expect(grants).toMatchObject([{ call: query.attempt.call }]);
    expect(record).toMatchObject({
      attempt: { operation: "replay", asked: `stream 1: of call ${query.attempt.call}`, clientId: "test" },
      outcome: { result: "answered", roles: ["analyst"], rows: 0, denials: [] },
    });
  });

  const { rules, members } = sample.policy;
  const deploys: readonly (readonly [string, Partial<Policy>])[] = [
    ["takes the member's role", { members: members.filter(({ email }) => email !== EMAIL) }],
    ["gives the member another role", { members: members.map((one) => ({ ...one, roles: ["support"] })) }],
    ["takes a rule", { rules: rules.slice(0, -1) }],
    ["masks a column otherwise", { rules: rules.map((rule) => ({ ...rule, masks: { email: { kind: "redact" } } })) }],
    ["restricts the rows", { rules: rules.map((rule) => ({ ...rule, rows: { column: "id", op: "=", value: 1 } })) }],
    ["closes a table", { datasets: sample.policy.datasets.map((one) => ({ ...one, hidden: true })) }],
  ];
  it.each(deploys)("is refused and recorded after a deploy that %s", async (_what, policy) => {
    const caller = callerAs(EMAIL);
    const grants = await grantsOfQuery(caller);
    expect(await gatewayFor(under(policy)).replay(caller, { what: STREAM, grants })).toBe(false);
    expect((await recordsOf(caller)).at(-1)).toMatchObject({
      attempt: { operation: "replay" },
      outcome: { result: "denied", code: "not_allowed", denials: ["replay: grants_changed"] },
    });
  });

  it("is allowed after a deploy that adds another member", async () => {
    const caller = callerAs(EMAIL);
    const grants = await grantsOfQuery(caller);
    const other = { email: "new@harbor.example", name: "New", roles: ["analyst"], attributes: {} };
    const deployed = gatewayFor(under({ members: [...members, other] }));
    expect(await deployed.replay(caller, { what: STREAM, grants })).toBe(true);
  });

  it("is refused for another subject with the same roles", async () => {
    const grants = await grantsOfQuery(callerAs(EMAIL));
    expect(await gatewayFor(sample).replay(callerAs(EMAIL), { what: STREAM, grants })).toBe(false);
  });

  it("is refused when the grants are not known, or one of several is another", async () => {
    const caller = callerAs(EMAIL);
    const grants = await grantsOfQuery(caller);
    const gateway = gatewayFor(sample);
    expect(await gateway.replay(caller, { what: STREAM, grants: [] })).toBe(false);
    expect((await recordsOf(caller)).at(-1)).toMatchObject({ outcome: { denials: ["replay: grants_unknown"] } });
    const mixed = [...grants, { call: newId(), digest: "0".repeat(64) }];
    expect(await gateway.replay(caller, { what: STREAM, grants: mixed })).toBe(false);
  });

  it("is an error when it cannot be recorded", async () => {
    const caller = callerAs(EMAIL);
    const grants = await grantsOfQuery(caller);
    const record = createRecorder({
      policy: sample.policy,
      newId,
      waitUntil: () => {},
      // A ledger at the far end of a broken wire, once the replay has begun.
      ledgerOf: () => ({
        begin: async () => ({ ok: true, bookmark: null, member: NO_RECORD }),
        commit: async () => ({ ok: false, reason: "no_lease" }),
        release: async () => {},
      }),
    });
    await expect(replay(record, caller, { what: STREAM, grants })).rejects.toMatchObject({ code: "interrupted" });
  });
});

describe("the grants of an answer", () => {
  it("are noted after begin and before the work, with no call of the ledger besides begin and commit", async () => {
    const steps: string[] = [];
    const record = createRecorder({
      policy: sample.policy,
      newId,
      waitUntil: () => {},
      ledgerOf: () => ({
        begin: async () => (steps.push("begin"), { ok: true, bookmark: null, member: NO_RECORD }),
        commit: async () => (steps.push("commit"), { ok: true, seq: 1 }),
        release: async () => void steps.push("release"),
      }),
    });
    const caller = { ...callerAs(EMAIL), noteGrants: () => void steps.push("note") };
    await record(caller, { operation: "query", asked: "", maxRows: 0, slot: null }, async () => {
      steps.push("work");
      return { answer: 1, datasets: [], rules: [] };
    });
    expect(steps).toEqual(["begin", "note", "work", "commit"]);
  });
});
