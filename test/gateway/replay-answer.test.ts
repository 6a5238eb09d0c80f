// Replaying an answer: a stored answer may be delivered again only under the same grants, and each attempt is recorded. Reporting
// the grants of a call needs no extra call to the ledger.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { createWithAudit } from "../../src/audit/audit.ts";
import type { Caller } from "../../src/lib/identity.ts";
import { mayReplayAnswer } from "../../src/gateway/replay-answer.ts";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import type { AnswerGrants } from "../../src/lib/answer-grants.ts";
import { newId } from "../../src/lib/ids.ts";
import { NO_MEMBER_RECORD } from "../../src/policy/model.ts";
import type { Policy } from "../../src/policy/model.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { seedShop } from "../support/seed.ts";
import sample from "../../sample/gatehouse.config.ts";

const EMAIL = "analyst@harbor.example";
const QUERY = { target: { source: "shop", sql: "SELECT name, email FROM customers" }, params: [], rowLimit: undefined };
const NO_RESULTS = { number: null, committedCalls: [] };
const STREAM = "stream 1";

beforeAll(seedShop);

/** Runs a query under the sample's policy and returns the grants that it reported. */
async function listQueryGrants(caller: Caller): Promise<readonly AnswerGrants[]> {
  const reportedGrants: AnswerGrants[] = [];
  await gatewayFor(sample).query({ ...caller, onGrants: (grants) => void reportedGrants.push(grants) }, QUERY);
  return reportedGrants;
}

async function readRecords({ identity }: Caller) {
  const ledger = env.LEDGER.get(env.LEDGER.idFromName(identity.subjectId));
  return (await ledger.listRecords(0, 100)).map(({ body }) => JSON.parse(body));
}

const withPolicy = (policy: Partial<Policy>): Gatehouse => ({ ...sample, policy: { ...sample.policy, ...policy } });

describe("mayReplay", () => {
  it("allows a replay under the same grants in another gateway, and records the original call", async () => {
    const caller = callerAs(EMAIL);
    const grants = await listQueryGrants(caller);
    expect(await gatewayFor(sample).mayReplay(caller, { what: STREAM, grants })).toBe(true);
    const [query, record] = await readRecords(caller);
    expect(grants).toMatchObject([{ call: query.attempt.call }]);
    expect(record).toMatchObject({
      attempt: { operation: "replay", asked: `stream 1: of call ${query.attempt.call}`, clientId: "test" },
      outcome: { result: "answered", roles: ["analyst"], rows: 0, denials: [] },
    });
  });

  const { rules, members } = sample.policy;
  const deploys: readonly (readonly [string, Partial<Policy>])[] = [
    ["removes the member", { members: members.filter(({ email }) => email !== EMAIL) }],
    ["gives the member another role", { members: members.map((member) => ({ ...member, roles: ["support"] })) }],
    ["removes a rule", { rules: rules.slice(0, -1) }],
    ["changes a mask", { rules: rules.map((rule) => ({ ...rule, masks: { email: { kind: "redact" } } })) }],
    ["restricts the rows", { rules: rules.map((rule) => ({ ...rule, rows: { column: "id", op: "=", value: 1 } })) }],
    ["hides a table", { datasets: sample.policy.datasets.map((dataset) => ({ ...dataset, hidden: true })) }],
  ];
  it.each(deploys)("refuses a replay and records it after a deployment that %s", async (_what, policy) => {
    const caller = callerAs(EMAIL);
    const grants = await listQueryGrants(caller);
    expect(await gatewayFor(withPolicy(policy)).mayReplay(caller, { what: STREAM, grants })).toBe(false);
    expect((await readRecords(caller)).at(-1)).toMatchObject({
      attempt: { operation: "replay" },
      outcome: { result: "denied", code: "not_allowed", denials: ["replay: grants_changed"] },
    });
  });

  it("allows a replay after a deployment that adds another member", async () => {
    const caller = callerAs(EMAIL);
    const grants = await listQueryGrants(caller);
    const newMember = { email: "new@harbor.example", name: "New", roles: ["analyst"], attributes: {} };
    const deployed = gatewayFor(withPolicy({ members: [...members, newMember] }));
    expect(await deployed.mayReplay(caller, { what: STREAM, grants })).toBe(true);
  });

  it("refuses a replay for another subject with the same roles", async () => {
    const grants = await listQueryGrants(callerAs(EMAIL));
    expect(await gatewayFor(sample).mayReplay(callerAs(EMAIL), { what: STREAM, grants })).toBe(false);
  });

  it("refuses a replay when the grants are unknown or one of several differs", async () => {
    const caller = callerAs(EMAIL);
    const grants = await listQueryGrants(caller);
    const gateway = gatewayFor(sample);
    expect(await gateway.mayReplay(caller, { what: STREAM, grants: [] })).toBe(false);
    expect((await readRecords(caller)).at(-1)).toMatchObject({ outcome: { denials: ["replay: grants_unknown"] } });
    const mixed = [...grants, { call: newId(), digest: "0".repeat(64) }];
    expect(await gateway.mayReplay(caller, { what: STREAM, grants: mixed })).toBe(false);
  });

  it("throws interrupted when the replay cannot be recorded", async () => {
    const caller = callerAs(EMAIL);
    const grants = await listQueryGrants(caller);
    const withAudit = createWithAudit({
      policy: sample.policy,
      newId,
      waitUntil: () => {},
      // A ledger that loses the call after the replay has begun.
      openLedger: () => ({
        begin: async () => ({
          ok: true,
          bookmark: null,
          member: NO_MEMBER_RECORD,
          results: NO_RESULTS,
          nearLimits: [],
          pausedSources: [],
          untrustedMs: null,
        }),
        commit: async () => ({ ok: false, reason: "no_lease" }),
        release: async () => {},
        reportUnstored: async () => {},
      }),
    });
    await expect(mayReplayAnswer(withAudit, caller, { what: STREAM, grants })).rejects.toMatchObject({
      code: "interrupted",
    });
  });
});

describe("withAudit", () => {
  it("reports the grants between begin and the work, with no ledger calls except begin and commit", async () => {
    const steps: string[] = [];
    const withAudit = createWithAudit({
      policy: sample.policy,
      newId,
      waitUntil: () => {},
      openLedger: () => ({
        begin: async () => (
          steps.push("begin"),
          {
            ok: true,
            bookmark: null,
            member: NO_MEMBER_RECORD,
            results: NO_RESULTS,
            nearLimits: [],
            pausedSources: [],
            untrustedMs: null,
          }
        ),
        commit: async () => (steps.push("commit"), { ok: true, seq: 1 }),
        release: async () => void steps.push("release"),
        reportUnstored: async () => void steps.push("unstored"),
      }),
    });
    const caller = { ...callerAs(EMAIL), onGrants: () => void steps.push("grants") };
    await withAudit(caller, { operation: "query", requestText: "", reservedRows: 0, lockedSource: null }, async () => {
      steps.push("work");
      return { answer: 1, datasets: [], rules: [] };
    });
    expect(steps).toEqual(["begin", "grants", "work", "commit"]);
  });
});
