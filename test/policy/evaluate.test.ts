// Tests the rules that the docstrings of resolveSubject and evaluate state, one test per sentence.
import { describe, expect, it } from "vitest";
import { defineGatehouse, mask, subject } from "../../src/config/define-gatehouse.ts";
import { parseEmailAddress } from "../../src/lib/email-address.ts";
import { evaluate, mayAdminister, decideAuditAccess, resolveSubject } from "../../src/policy/evaluate.ts";
import { NO_MEMBER_RECORD } from "../../src/policy/model.ts";
import type { Dataset, Decision, Policy } from "../../src/policy/model.ts";
import { LOOKALIKES } from "../support/lookalikes.ts";

const { policy } = defineGatehouse({
  organisation: { name: "Test", contact: "Test" },
  sources: {
    shop: {
      kind: "d1",
      binding: "SHOP_DB",
      title: "Shop",
      description: "Shop",
      tables: {
        customers: {
          description: "Customers",
          key: "id",
          columns: {
            id: { type: "integer", description: "Number" },
            email: { type: "text", description: "Address" },
            region: { type: "text", description: "Region" },
            notes: { type: "text", description: "Notes" },
          },
        },
        orders: { description: "Orders", columns: { id: { type: "integer", description: "Number" } } },
      },
    },
  },
  roles: {
    reader: {
      description: "r",
      rules: [{ action: "read", datasets: ["shop.customers"], masks: { email: mask.email }, hidden: ["notes"] }],
    },
    local: {
      description: "l",
      rules: [
        { action: "read", datasets: ["shop.customers"], rows: { column: "region", op: "=", value: subject("region") } },
      ],
    },
    several: {
      description: "s",
      rules: [
        {
          action: "read",
          datasets: ["shop.customers"],
          rows: { column: "region", op: "in", value: subject("regions") },
        },
      ],
    },
    barred: { description: "b", rules: [{ effect: "deny", action: "read", datasets: ["shop.customers"] }] },
    blind: {
      description: "b",
      rules: [{ effect: "deny", action: "read", datasets: ["shop.customers"], columns: ["email"] }],
    },
  },
  members: [
    { email: "Reader@x.example", name: "R", roles: ["reader"] },
    { email: "local@x.example", name: "L", roles: ["local"], attributes: { region: "north" } },
    { email: "lost@x.example", name: "L", roles: ["local"] },
    { email: "list@x.example", name: "L", roles: ["local"], attributes: { region: ["north", "south"] } },
    { email: "both@x.example", name: "B", roles: ["reader", "local"], attributes: { region: "north" } },
    { email: "half@x.example", name: "H", roles: ["reader", "local"] },
    { email: "several@x.example", name: "S", roles: ["several"], attributes: { regions: ["north", "east"] } },
    { email: "one@x.example", name: "S", roles: ["several"], attributes: { regions: "north" } },
    { email: "barred@x.example", name: "B", roles: ["reader", "barred"] },
    { email: "blind@x.example", name: "B", roles: ["local", "blind"], attributes: { region: "north" } },
    { email: "none@x.example", name: "N", roles: [] },
  ],
});

function decide(name: string, datasetId = "shop.customers", evaluated: Policy = policy): Decision {
  const dataset = evaluated.datasets.find((candidate): candidate is Dataset => candidate.id === datasetId);
  if (dataset === undefined) throw new Error(`no dataset ${datasetId}`);
  const identity = { subjectId: "s", email: `${name}@x.example`, groups: [] };
  return evaluate(evaluated, resolveSubject(evaluated, identity, NO_MEMBER_RECORD), dataset, "read");
}

describe("resolveSubject", () => {
  const policyWithGroups = {
    ...policy,
    groups: [
      { group: "data-team", roles: ["reader", "several"] },
      { group: "ghosts", roles: ["gone"] },
    ],
  };
  const identity = (email: string, groups: readonly string[] = []) => ({ subjectId: "s", email, groups });
  const token = { id: "t", ownerId: "o", roles: ["local", "barred"] };

  it("unites the roles of the policy file, of groups and of the members table", () => {
    const record = { roles: ["blind", "local"], attributes: {} };
    const { roles } = resolveSubject(policyWithGroups, identity("Local@x.example", ["data-team", "other"]), record);
    expect(roles).toEqual(["local", "reader", "several", "blind"]);
  });

  it("ignores a role that the policy does not define, from a group and from the members table", () => {
    const record = { roles: ["removed-from-the-policy"], attributes: {} };
    expect(resolveSubject(policyWithGroups, identity("none@x.example", ["ghosts"]), record).roles).toEqual([]);
  });

  it("compares group names exactly", () => {
    expect(
      resolveSubject(policyWithGroups, identity("none@x.example", ["Data-Team", "data-team "]), NO_MEMBER_RECORD).roles,
    ).toEqual([]);
  });

  it.each(LOOKALIKES)("gives no roles and no attributes to an identity whose address has %s", (_name, email) => {
    const resolved = resolveSubject(
      { ...policyWithGroups, members: policy.members.map((member) => ({ ...member, email: String(email) })) },
      identity(String(email), ["data-team"]),
      { roles: ["reader"], attributes: { region: "north" } },
    );
    // String() turns some non-string values into a valid address.
    if (parseEmailAddress(String(email)) === undefined) expect(resolved).toMatchObject({ roles: [], attributes: {} });
  });

  it("fills rules with the normalized address", () => {
    const otherUsersRows = { column: "email", op: "!=", value: { subject: "email" } } as const;
    const rules = policy.rules.map((rule) => ({ ...rule, rows: otherUsersRows }));
    expect(decide("READER", "shop.customers", { ...policy, rules })).toMatchObject({
      grants: [{ rows: { ...otherUsersRows, value: "reader@x.example" } }],
    });
  });

  it("compares groups that are addresses in normalized form", () => {
    const { policy: policyWithAddressGroup } = defineGatehouse({
      organisation: { name: "Test", contact: "Test" },
      sources: {},
      roles: { reader: { description: "r", rules: [] } },
      groups: { "Data@X.example": ["reader"] },
      members: [],
    });
    expect(
      resolveSubject(policyWithAddressGroup, identity("none@x.example", ["dATA@x.example"]), NO_MEMBER_RECORD).roles,
    ).toEqual(["reader"]);
    expect(
      resolveSubject(policyWithAddressGroup, identity("none@x.example", ["data@x.example "]), NO_MEMBER_RECORD).roles,
    ).toEqual([]);
  });

  it("prefers attributes of the policy file to those of the members table", () => {
    const record = { roles: [], attributes: { region: "south", team: "blue" } };
    expect(resolveSubject(policy, identity("local@x.example"), record).attributes).toEqual({
      region: "north",
      team: "blue",
    });
  });

  it("gives a personal access token those of its roles that its owner has now", () => {
    const record = { roles: ["barred"], attributes: {} };
    expect(resolveSubject(policy, { ...identity("both@x.example"), token }, record).roles).toEqual(["local", "barred"]);
    expect(resolveSubject(policy, { ...identity("both@x.example"), token }, NO_MEMBER_RECORD).roles).toEqual(["local"]);
    expect(resolveSubject(policy, { ...identity("reader@x.example"), token }, NO_MEMBER_RECORD).roles).toEqual([]);
  });

  it("lets an admin administer, but not the admin's personal access token", () => {
    const policyWithAdmin = {
      ...policy,
      roles: policy.roles.map((role) => ({ ...role, administers: role.name === "local" })),
    };
    const owner = resolveSubject(policyWithAdmin, identity("local@x.example"), NO_MEMBER_RECORD);
    expect(mayAdminister(policyWithAdmin, owner)).toBe(true);
    expect(
      mayAdminister(policyWithAdmin, resolveSubject(policyWithAdmin, identity("reader@x.example"), NO_MEMBER_RECORD)),
    ).toBe(false);
    expect(
      mayAdminister(
        policyWithAdmin,
        resolveSubject(policyWithAdmin, { ...identity("local@x.example"), token }, NO_MEMBER_RECORD),
      ),
    ).toBe(false);
  });

  it("lets a role that audits read the log, with arguments only if it says so, and no personal access token", () => {
    const decideFor = (audits: Policy["roles"][number]["audits"], withToken = false): string => {
      const auditing = { ...policy, roles: policy.roles.map((role) => ({ ...role, audits })) };
      const caller = { ...identity("local@x.example"), ...(withToken ? { token } : {}) };
      return decideAuditAccess(auditing, resolveSubject(auditing, caller, NO_MEMBER_RECORD));
    };
    expect([decideFor(false), decideFor(true), decideFor("with arguments")]).toEqual([
      "none",
      "without arguments",
      "with arguments",
    ]);
    expect([decideFor(true, true), decideFor("with arguments", true)]).toEqual(["none", "none"]);
    const stranger = resolveSubject(policy, identity("none@x.example"), NO_MEMBER_RECORD);
    const all = { ...policy, roles: policy.roles.map((role) => ({ ...role, audits: true })) };
    expect(decideAuditAccess(all, stranger)).toBe("none");
  });
});

describe("evaluate", () => {
  it("denies by default, with the reason, a user without roles and a dataset without rules", () => {
    expect(decide("none")).toEqual({ allowed: false, dataset: "shop.customers", reason: "no_role", rules: [] });
    expect(decide("stranger")).toEqual({ allowed: false, dataset: "shop.customers", reason: "no_role", rules: [] });
    expect(decide("reader", "shop.orders")).toEqual({
      allowed: false,
      dataset: "shop.orders",
      reason: "no_rule",
      rules: [],
    });
  });

  it("finds members by address regardless of case", () => {
    expect(decide("READER").allowed).toBe(true);
  });

  it("names the rules and carries masks and hidden columns", () => {
    expect(decide("reader")).toMatchObject({
      allowed: true,
      rules: ["reader/allow/read/shop.customers"],
      grants: [{ rows: null, columns: { id: { kind: "clear" }, email: { kind: "email" }, notes: { kind: "hidden" } } }],
    });
  });

  it("binds subject values", () => {
    expect(decide("local")).toMatchObject({ grants: [{ rows: { column: "region", op: "=", value: "north" } }] });
    expect(decide("several")).toMatchObject({ grants: [{ rows: { op: "in", value: ["north", "east"] } }] });
    expect(decide("one")).toMatchObject({ grants: [{ rows: { op: "in", value: ["north"] } }] });
  });

  it("denies when the subject does not have the attribute of the rule", () => {
    expect(decide("lost")).toEqual({
      allowed: false,
      dataset: "shop.customers",
      reason: "missing_attribute",
      rules: ["local/allow/read/shop.customers"],
    });
  });

  it("denies when the attribute is a list and the rule compares a single value", () => {
    expect(decide("list")).toMatchObject({ allowed: false, reason: "missing_attribute" });
  });

  it("unites the grants of several roles, and ignores a grant without its attribute", () => {
    expect(decide("both")).toMatchObject({
      allowed: true,
      rules: ["reader/allow/read/shop.customers", "local/allow/read/shop.customers"],
    });
    expect(decide("half")).toMatchObject({ allowed: true, rules: ["reader/allow/read/shop.customers"] });
  });

  it("denies when one role allows and another denies", () => {
    expect(decide("barred")).toEqual({
      allowed: false,
      dataset: "shop.customers",
      reason: "denied_by_rule",
      rules: ["barred/deny/read/shop.customers"],
    });
  });

  it("hides a denied column in every grant", () => {
    expect(decide("blind")).toMatchObject({
      allowed: true,
      rules: ["blind/deny/read/shop.customers", "local/allow/read/shop.customers"],
      grants: [{ columns: { email: { kind: "hidden" }, notes: { kind: "clear" } } }],
    });
  });

  it("denies when the attribute is named like a built-in property of objects", () => {
    const policyWithPrototypeName = {
      ...policy,
      rules: policy.rules.map((rule) => ({
        ...rule,
        rows: rule.rows && { column: "region", op: "=" as const, value: { subject: "constructor" } },
      })),
    };
    expect(decide("local", "shop.customers", policyWithPrototypeName)).toMatchObject({
      allowed: false,
      reason: "missing_attribute",
    });
  });
});
