// The digest of grants stays equal while nothing changes that decides what a subject sees, and differs after each such change.
import { describe, expect, it } from "vitest";
import { NO_MEMBER_RECORD } from "../../src/policy/model.ts";
import type { MemberRecord, Policy } from "../../src/policy/model.ts";
import { resolveSubject } from "../../src/policy/evaluate.ts";
import { createGrantsDigest } from "../../src/policy/grants-digest.ts";
import type { Identity } from "../../src/lib/identity.ts";
import sample from "../../sample/gatehouse.config.ts";

const GUEST: Identity = { subjectId: "s", email: "guest@harbor.example", groups: [] };
const RECORD: MemberRecord = { roles: ["support", "analyst"], attributes: { region: "north", branches: ["1", "2"] } };
const { policy } = sample;

function digest(record: MemberRecord = RECORD, identity: Identity = GUEST, digested: Policy = policy): string {
  return createGrantsDigest(digested)(resolveSubject(digested, identity, record));
}

/** The sample's policy with its first rule changed. */
const withRule = (change: (rule: Policy["rules"][number]) => object): Policy => ({
  ...policy,
  rules: policy.rules.map((rule, index) => (index === 0 ? { ...rule, ...change(rule) } : rule)),
});
/** The sample's policy with its first dataset changed. */
const withTable = (change: object): Policy => ({
  ...policy,
  datasets: policy.datasets.map((dataset, index) => (index === 0 ? { ...dataset, ...change } : dataset)),
});

describe("the digest of grants", () => {
  it("is 64 hex digits without the attributes", () => {
    expect(digest()).toMatch(/^[0-9a-f]{64}$/);
    expect(digest()).not.toContain("north");
  });

  it("is equal for equal grants with roles and attributes in another order", () => {
    const { roles, attributes } = RECORD;
    const reversedAttributes = Object.fromEntries(Object.entries(attributes).toReversed());
    expect(digest({ roles: roles.toReversed(), attributes: reversedAttributes })).toBe(digest());
    expect(digest({ roles: [...roles, "no role of the policy"], attributes })).toBe(digest());
  });

  it("is equal for roles from a group and the same roles from the members table", () => {
    const policyWithGroup = { ...policy, groups: [{ group: "team", roles: ["support", "analyst"] }] };
    const inTeam = { ...GUEST, groups: ["team"] };
    expect(digest({ ...RECORD, roles: [] }, inTeam, policyWithGroup)).toBe(digest());
    expect(digest({ ...RECORD, roles: [] }, GUEST, policyWithGroup)).not.toBe(digest());
  });

  const changes: readonly (readonly [string, () => string])[] = [
    ["a role is removed", () => digest({ ...RECORD, roles: ["support"] })],
    ["all roles are removed", () => digest({ ...RECORD, roles: [] })],
    ["a role is added", () => digest({ ...RECORD, roles: [...RECORD.roles, "owner"] })],
    [
      "an attribute has another value",
      () => digest({ ...RECORD, attributes: { ...RECORD.attributes, region: "south" } }),
    ],
    [
      "an attribute has a value of another type",
      () => digest({ ...RECORD, attributes: { ...RECORD.attributes, region: 1 } }),
    ],
    [
      "an attribute loses a value of its list",
      () => digest({ ...RECORD, attributes: { ...RECORD.attributes, branches: ["1"] } }),
    ],
    ["an attribute is removed", () => digest({ ...RECORD, attributes: { region: "north" } })],
    ["the member is removed", () => digest(NO_MEMBER_RECORD)],
    ["the subject has another email", () => digest(RECORD, { ...GUEST, email: "other@harbor.example" })],
    ["the subject has another id", () => digest(RECORD, { ...GUEST, subjectId: "t" })],
    [
      "a personal access token restricts the roles",
      () => digest(RECORD, { ...GUEST, token: { id: "t", ownerId: "s", roles: ["support"] } }),
    ],
    [
      "a personal access token has another owner",
      () => digest(RECORD, { ...GUEST, token: { id: "t", ownerId: "o", roles: ["support", "analyst"] } }),
    ],
    [
      "a policy with another row rule is deployed",
      () =>
        digest(
          RECORD,
          GUEST,
          withRule(() => ({ rows: { column: "id", op: "=", value: 1 } })),
        ),
    ],
    [
      "a policy with another mask is deployed",
      () =>
        digest(
          RECORD,
          GUEST,
          withRule(() => ({ masks: { email: { kind: "bucket", size: 10 } } })),
        ),
    ],
    [
      "a policy that hides a column is deployed",
      () =>
        digest(
          RECORD,
          GUEST,
          withRule(() => ({ hidden: ["name"] })),
        ),
    ],
    ["a policy without a rule is deployed", () => digest(RECORD, GUEST, { ...policy, rules: policy.rules.slice(1) })],
    ["a policy that hides a table is deployed", () => digest(RECORD, GUEST, withTable({ hidden: true }))],
    [
      "a policy with another saved query is deployed",
      () =>
        digest(RECORD, GUEST, {
          ...policy,
          queries: [
            ...policy.queries,
            { name: "q", description: "", source: "shop", text: "SELECT 1", order: [], parameters: [] },
          ],
        }),
    ],
    [
      "a policy that binds a source to another database is deployed",
      () =>
        digest(RECORD, GUEST, {
          ...policy,
          sources: policy.sources.map((source) => ({ ...source, binding: "OTHER" })),
        }),
    ],
  ];
  it.each(changes)("changes when %s", (_change, digestAfterChange) => {
    expect(digestAfterChange()).not.toBe(digest());
  });
});
