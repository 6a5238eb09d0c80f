// Tests which changes a user may ask for: the rules that the docstring of evaluateChange states, for several roles, denials, personal
// access tokens and attributes.
import { describe, expect, it } from "vitest";
import { mask, sql, subject } from "../../src/config/define-gatehouse.ts";
import { listClearColumns } from "../../src/policy/evaluate-change.ts";
import { NUMBER, TEXT, allow, buildPolicy, deny, key } from "../support/policy-builder.ts";
import { allowChange, decideChange, denyChange, requireAllowedChange } from "../support/change-rules.ts";

const TICKETS = "shop.tickets";
const NORTH = { column: "region", op: "=", value: "north" } as const;
const OWN = { column: "region", op: "=", value: subject("region") } as const;

const { policy } = buildPolicy({
  tables: {
    tickets: { id: key(NUMBER), status: TEXT, priority: NUMBER, region: TEXT, email: TEXT },
    closed: { id: key({ ...NUMBER, hidden: true }) },
  },
  attributes: ["region"],
  queries: { list: { description: "List", source: "shop", sql: "SELECT id FROM tickets" } },
  roles: {
    reader: [allow(TICKETS)],
    desk: [allow(TICKETS), allowChange(TICKETS, { columns: { status: {} }, rows: NORTH })],
    lead: [
      allow(TICKETS),
      allowChange(TICKETS, {
        operations: ["update", "delete"],
        columns: { status: {}, priority: {} },
        approval: { reviewers: ["reader"] },
      }),
    ],
    local: [allow(TICKETS, { rows: OWN }), allowChange(TICKETS, { columns: { status: {} }, rows: OWN })],
    frozen: [denyChange(TICKETS)],
    "no-status": [denyChange(TICKETS, ["status"])],
    blind: [deny(TICKETS)],
    "no-region": [deny(TICKETS, ["region"])],
    analyst: [allow(TICKETS, { masks: { region: mask.redact } })],
    southern: [allow(TICKETS, { rows: sql("region = 'south'"), masks: { region: mask.redact } })],
    northern: [allow(TICKETS, { rows: NORTH }), allowChange(TICKETS, { columns: { status: {} }, rows: NORTH })],
  },
  members: {
    reader: ["reader"],
    desk: ["desk"],
    both: ["desk", "lead"],
    local: { roles: ["local"], attributes: { region: "east" } },
    lost: ["local"],
    list: { roles: ["local"], attributes: { region: ["east", "west"] } },
    frozen: ["desk", "lead", "frozen"],
    "no-status": ["desk", "lead", "no-status"],
    "only-status": ["desk", "no-status"],
    blind: ["desk", "blind"],
    "no-region": ["desk", "no-region"],
    "desk-analyst": ["desk", "analyst"],
    "mixed-rows": ["northern", "southern"],
    nobody: [],
  },
});

describe("evaluateChange", () => {
  it.each<[string, string, object]>([
    ["a user without a role", "nobody", { reason: "no_role", rules: [] }],
    ["a user who may only read", "reader", { reason: "no_rule", rules: [] }],
    [
      "a user who may not read, whatever change rules say",
      "blind",
      { reason: "denied_by_rule", rules: ["blind/deny/read/shop.tickets"] },
    ],
    [
      "a user with a denial, whatever other roles allow",
      "frozen",
      { reason: "denied_by_rule", rules: ["frozen/deny/change/shop.tickets"] },
    ],
    [
      "a user who lacks an attribute of the read rule",
      "lost",
      { reason: "missing_attribute", rules: ["local/allow/read/shop.tickets"] },
    ],
    ["a user with a list where rules compare a value", "list", { reason: "missing_attribute" }],
    [
      "a user to whom a denial leaves no column",
      "only-status",
      { reason: "denied_by_rule", rules: ["no-status/deny/change/shop.tickets", "desk/allow/change/shop.tickets"] },
    ],
    [
      "a user who does not see a column of the row rule",
      "no-region",
      { reason: "unclear_row_rule", rules: ["desk/allow/change/shop.tickets"] },
    ],
    [
      "a user who sees a column of the row rule masked in some rows",
      "mixed-rows",
      { reason: "unclear_row_rule", rules: ["northern/allow/change/shop.tickets"] },
    ],
  ])("refuses %s", (_name, account, expected) => {
    expect(decideChange(policy, account, TICKETS)).toEqual({
      allowed: false,
      dataset: TICKETS,
      rules: expect.anything(),
      ...expected,
    });
  });

  it("gives the terms of the rule, and no other key", () => {
    expect(requireAllowedChange(policy, "desk", TICKETS)).toMatchObject({
      rules: ["desk/allow/change/shop.tickets"],
      grants: [
        {
          rule: "desk/allow/change/shop.tickets",
          rows: NORTH,
          operations: ["update"],
          columns: { status: { maxLength: 2000, nullable: false } },
          maxRows: 1,
          approval: "requester",
          reviewers: [],
          formClients: [],
          mayLeaveSight: false,
        },
      ],
    });
  });

  it("gives each rule of several roles as a grant of its own", () => {
    const { grants, rules } = requireAllowedChange(policy, "both", TICKETS);
    expect(grants.map(({ approval, operations }) => [approval, operations])).toEqual([
      ["requester", ["update"]],
      ["reviewer", ["update", "delete"]],
    ]);
    expect(rules).toEqual(["desk/allow/change/shop.tickets", "lead/allow/change/shop.tickets"]);
  });

  it("takes a denied column out of every grant, and a grant without columns away", () => {
    const { grants, rules } = requireAllowedChange(policy, "no-status", TICKETS);
    expect(grants.map(({ rule, columns, operations }) => [rule, Object.keys(columns), operations])).toEqual([
      ["lead/allow/change/shop.tickets", ["priority"], ["update", "delete"]],
    ]);
    expect(rules).toEqual(["no-status/deny/change/shop.tickets", "lead/allow/change/shop.tickets"]);
  });

  it("leaves a grant the delete when a denial takes its last column", () => {
    const { policy: deleting } = buildPolicy({
      tables: { tickets: { id: key(NUMBER), status: TEXT } },
      roles: {
        desk: [
          allow(TICKETS),
          allowChange(TICKETS, { operations: ["update", "delete"], columns: { status: {} } }),
          denyChange(TICKETS, ["status"]),
        ],
      },
    });
    expect(requireAllowedChange(deleting, "desk", TICKETS).grants).toMatchObject([
      { operations: ["delete"], columns: {} },
    ]);
  });

  it("binds the user's attribute in the row rule", () => {
    expect(requireAllowedChange(policy, "local", TICKETS).grants).toMatchObject([
      { rows: { column: "region", op: "=", value: "east" } },
    ]);
  });

  it("keeps a rule whose columns another role masks, while one role shows them in clear on every row", () => {
    const decision = requireAllowedChange(policy, "desk-analyst", TICKETS);
    expect(decision.grants.map(({ rule }) => rule)).toEqual(["desk/allow/change/shop.tickets"]);
    expect(listClearColumns(decision.read, decision.dataset)).toContain("region");
  });

  it("gives a personal access token only the rules of its own roles, and the rows of its owner", () => {
    const withoutLead = decideChange(policy, "both", TICKETS, ["desk"]);
    expect(withoutLead.rules).toEqual(["desk/allow/change/shop.tickets"]);
    expect(decideChange(policy, "both", TICKETS, ["reader"])).toMatchObject({ allowed: false, reason: "no_role" });
    expect(decideChange(policy, "local", TICKETS, ["local"])).toMatchObject({ grants: [{ rows: { value: "east" } }] });
  });

  it("refuses a dataset that is hidden, whatever the rules say", () => {
    const hidden = {
      ...policy,
      datasets: policy.datasets.map((dataset) => (dataset.id === TICKETS ? { ...dataset, hidden: true } : dataset)),
    };
    expect(decideChange(hidden, "desk", TICKETS)).toMatchObject({ allowed: false, reason: "not_opened" });
  });

  it("ignores roles whose rules count only in saved queries", () => {
    const saved = {
      ...policy,
      roles: policy.roles.map((role) => ({ ...role, savedOnly: role.name === "lead", queries: ["list"] })),
    };
    expect(decideChange(saved, "both", TICKETS).rules).toEqual(["desk/allow/change/shop.tickets"]);
  });
});
