// The law of the policy, one test a sentence.
import { describe, expect, it } from "vitest";
import { defineGatehouse, mask, subject } from "../../src/config.ts";
import { parseEmailAddress } from "../../src/lib/email-address.ts";
import { evaluate, mayAdminister, resolveSubject } from "../../src/policy/evaluate.ts";
import { NO_RECORD } from "../../src/policy/model.ts";
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

function decide(name: string, dataset = "shop.customers", from: Policy = policy): Decision {
  const found = from.datasets.find((candidate): candidate is Dataset => candidate.id === dataset);
  if (found === undefined) throw new Error(`no dataset ${dataset}`);
  return evaluate(
    from,
    resolveSubject(from, { subjectId: "s", email: `${name}@x.example`, groups: [] }, NO_RECORD),
    found,
    "read",
  );
}

describe("resolveSubject", () => {
  const grouped = {
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
    const { roles } = resolveSubject(grouped, identity("Local@x.example", ["data-team", "other"]), record);
    expect(roles).toEqual(["local", "reader", "several", "blind"]);
  });

  it("a role that the policy does not have counts for nothing, whoever gives it", () => {
    const record = { roles: ["removed-from-the-policy"], attributes: {} };
    expect(resolveSubject(grouped, identity("none@x.example", ["ghosts"]), record).roles).toEqual([]);
  });

  it("group names are compared exactly", () => {
    expect(resolveSubject(grouped, identity("none@x.example", ["Data-Team", "data-team "]), NO_RECORD).roles).toEqual(
      [],
    );
  });

  it.each(LOOKALIKES)("gives nothing to an identity whose address has %s", (_name, email) => {
    const found = resolveSubject(
      { ...grouped, members: policy.members.map((member) => ({ ...member, email: String(email) })) },
      identity(String(email), ["data-team"]),
      { roles: ["reader"], attributes: { region: "north" } },
    );
    // What cannot be read as an address at all may still turn into one as text.
    if (parseEmailAddress(String(email)) === undefined) expect(found).toMatchObject({ roles: [], attributes: {} });
  });

  it("fills rules with the one spelling of the address", () => {
    const others = { column: "email", op: "!=", value: { subject: "email" } } as const;
    const rules = policy.rules.map((rule) => ({ ...rule, rows: others }));
    expect(decide("READER", "shop.customers", { ...policy, rules })).toMatchObject({
      grants: [{ rows: { ...others, value: "reader@x.example" } }],
    });
  });

  it("compares groups that are addresses in their one spelling", () => {
    const { policy: mailed } = defineGatehouse({
      organisation: { name: "Test", contact: "Test" },
      sources: {},
      roles: { reader: { description: "r", rules: [] } },
      groups: { "Data@X.example": ["reader"] },
      members: [],
    });
    expect(resolveSubject(mailed, identity("none@x.example", ["dATA@x.example"]), NO_RECORD).roles).toEqual(["reader"]);
    expect(resolveSubject(mailed, identity("none@x.example", ["data@x.example "]), NO_RECORD).roles).toEqual([]);
  });

  it("attributes of the policy file beat those of the table", () => {
    const record = { roles: [], attributes: { region: "south", team: "blue" } };
    expect(resolveSubject(policy, identity("local@x.example"), record).attributes).toEqual({
      region: "north",
      team: "blue",
    });
  });

  it("an access token has of its roles those that its owner has today, and its owner's id in rules", () => {
    const record = { roles: ["barred"], attributes: {} };
    expect(resolveSubject(policy, { ...identity("both@x.example"), token }, record).roles).toEqual(["local", "barred"]);
    expect(resolveSubject(policy, { ...identity("both@x.example"), token }, NO_RECORD).roles).toEqual(["local"]);
    expect(resolveSubject(policy, { ...identity("reader@x.example"), token }, NO_RECORD).roles).toEqual([]);
  });

  it("an access token never administers", () => {
    const governed = {
      ...policy,
      roles: policy.roles.map((role) => ({ ...role, administers: role.name === "local" })),
    };
    const owner = resolveSubject(governed, identity("local@x.example"), NO_RECORD);
    expect(mayAdminister(governed, owner)).toBe(true);
    expect(mayAdminister(governed, resolveSubject(governed, identity("reader@x.example"), NO_RECORD))).toBe(false);
    expect(
      mayAdminister(governed, resolveSubject(governed, { ...identity("local@x.example"), token }, NO_RECORD)),
    ).toBe(false);
  });
});

describe("evaluate", () => {
  it("denies by default, with the reason", () => {
    expect(decide("none")).toEqual({ allowed: false, dataset: "shop.customers", reason: "no_role", rules: [] });
    expect(decide("stranger")).toEqual({ allowed: false, dataset: "shop.customers", reason: "no_role", rules: [] });
    expect(decide("reader", "shop.orders")).toEqual({
      allowed: false,
      dataset: "shop.orders",
      reason: "no_rule",
      rules: [],
    });
  });

  it("finds members by address without regard to case", () => {
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

  it("a missing attribute denies", () => {
    expect(decide("lost")).toEqual({
      allowed: false,
      dataset: "shop.customers",
      reason: "missing_attribute",
      rules: ["local/allow/read/shop.customers"],
    });
  });

  it("a list where one value is compared denies", () => {
    expect(decide("list")).toMatchObject({ allowed: false, reason: "missing_attribute" });
  });

  it("grants of several roles are united, and one without its attribute adds nothing", () => {
    expect(decide("both")).toMatchObject({
      allowed: true,
      rules: ["reader/allow/read/shop.customers", "local/allow/read/shop.customers"],
    });
    expect(decide("half")).toMatchObject({ allowed: true, rules: ["reader/allow/read/shop.customers"] });
  });

  it("deny beats allow", () => {
    expect(decide("barred")).toEqual({
      allowed: false,
      dataset: "shop.customers",
      reason: "denied_by_rule",
      rules: ["barred/deny/read/shop.customers"],
    });
  });

  it("a denied column is hidden in every grant", () => {
    expect(decide("blind")).toMatchObject({
      allowed: true,
      rules: ["blind/deny/read/shop.customers", "local/allow/read/shop.customers"],
      grants: [{ columns: { email: { kind: "hidden" }, notes: { kind: "clear" } } }],
    });
  });

  it("an attribute named like a built-in property of objects is still missing", () => {
    const prototype = {
      ...policy,
      rules: policy.rules.map((rule) => ({
        ...rule,
        rows: rule.rows && { column: "region", op: "=" as const, value: { subject: "constructor" } },
      })),
    };
    expect(decide("local", "shop.customers", prototype)).toMatchObject({ allowed: false, reason: "missing_attribute" });
  });
});
