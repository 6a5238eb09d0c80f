// The digest of grants: the same as long as nothing that decides what a subject sees is other, and another one as soon as it is.
import { describe, expect, it } from "vitest";
import { NO_RECORD } from "../../src/policy/model.ts";
import type { MemberRecord, Policy } from "../../src/policy/model.ts";
import { resolveSubject } from "../../src/policy/evaluate.ts";
import { createGrantsDigest } from "../../src/policy/grants-digest.ts";
import type { Identity } from "../../src/lib/identity.ts";
import sample from "../../sample/gatehouse.config.ts";

const GUEST: Identity = { subjectId: "s", email: "guest@harbor.example", groups: [] };
const RECORD: MemberRecord = { roles: ["support", "analyst"], attributes: { region: "north", branches: ["1", "2"] } };
const { policy } = sample;

function digest(record: MemberRecord = RECORD, identity: Identity = GUEST, of: Policy = policy): string {
  return createGrantsDigest(of)(resolveSubject(of, identity, record));
}

const withRule = (change: (rule: Policy["rules"][number]) => object): Policy => ({
  ...policy,
  rules: policy.rules.map((rule, index) => (index === 0 ? { ...rule, ...change(rule) } : rule)),
});
const withTable = (change: object): Policy => ({
  ...policy,
  datasets: policy.datasets.map((dataset, index) => (index === 0 ? { ...dataset, ...change } : dataset)),
});

describe("the digest of grants", () => {
  it("is 64 hex digits that tell no attribute", () => {
    expect(digest()).toMatch(/^[0-9a-f]{64}$/);
    expect(digest()).not.toContain("north");
  });

  it("is the same for the same grants, in whatever order roles and attributes are held", () => {
    const { roles, attributes } = RECORD;
    const turned = Object.fromEntries(Object.entries(attributes).toReversed());
    expect(digest({ roles: roles.toReversed(), attributes: turned })).toBe(digest());
    expect(digest({ roles: [...roles, "no role of the policy"], attributes })).toBe(digest());
  });

  it("is the same for roles that a group gives and for those that the members table gives", () => {
    const grouped = { ...policy, groups: [{ group: "team", roles: ["support", "analyst"] }] };
    const inTeam = { ...GUEST, groups: ["team"] };
    expect(digest({ ...RECORD, roles: [] }, inTeam, grouped)).toBe(digest());
    expect(digest({ ...RECORD, roles: [] }, GUEST, grouped)).not.toBe(digest());
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
    ["an attribute is taken away", () => digest({ ...RECORD, attributes: { region: "north" } })],
    ["nothing is recorded any more", () => digest(NO_RECORD)],
    ["the subject has another email", () => digest(RECORD, { ...GUEST, email: "other@harbor.example" })],
    ["it is another subject", () => digest(RECORD, { ...GUEST, subjectId: "t" })],
    [
      "an access token restricts the roles",
      () => digest(RECORD, { ...GUEST, token: { id: "t", ownerId: "s", roles: ["support"] } }),
    ],
    [
      "an access token has another owner",
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
    ["a policy that closes a table is deployed", () => digest(RECORD, GUEST, withTable({ hidden: true }))],
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
  it.each(changes)("is another one when %s", (_what, changed) => {
    expect(changed()).not.toBe(digest());
  });
});
