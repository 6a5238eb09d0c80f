// Tests that a policy file with a change rule that cannot work is refused, with the path, the problem and the correction.
import { describe, expect, it } from "vitest";
import { defineGatehouse, mask, sql, subject } from "../../src/config/define-gatehouse.ts";
import type { GatehouseInput } from "../../src/config/define-gatehouse.ts";
import { findAttributeProblems } from "../../src/policy/attributes.ts";
import { listRowExpressions } from "../../src/policy/conditions.ts";
import { PolicyFileError } from "../../src/policy/policy-problem.ts";
import { DATE, DATETIME, NUMBER, TEXT, allow, buildPolicy, deny, key } from "../support/policy-builder.ts";
import type { PolicyParts, Role, Rule } from "../support/policy-builder.ts";
import { allowChange, denyChange } from "../support/change-rules.ts";

const TABLES = {
  tickets: {
    id: key(NUMBER),
    status: TEXT,
    region: TEXT,
    priority: NUMBER,
    hours: { type: "real" },
    due: DATE,
    closed_at: DATETIME,
    done: { type: "boolean" },
    email: TEXT,
    secret: { ...TEXT, hidden: true },
  },
  open_tickets: { id: key(NUMBER), status: TEXT },
  lines: { text: TEXT },
  prices: { constructor: key(TEXT), toString: NUMBER },
} as const satisfies PolicyParts["tables"];

const ALL = ["shop.tickets", "shop.open_tickets", "shop.lines", "shop.prices", "docs"];
const STATUS = { columns: { status: {} } };

function build(rules: readonly Rule[], role: Partial<Omit<Role, "rules">> = {}, members?: PolicyParts["members"]) {
  return buildPolicy({
    tables: TABLES,
    views: ["open_tickets"],
    sources: { docs: { binding: "DOCS" } },
    roles: { desk: { ...role, rules }, lead: [allow(ALL)] },
    ...(members === undefined ? {} : { members }),
  });
}

/** The problems of a policy, one line each; empty when it is accepted. */
function findProblems(...[rules, role, members]: Parameters<typeof build>): readonly string[] {
  try {
    build(rules, role, members);
    return [];
  } catch (error) {
    if (!(error instanceof PolicyFileError)) throw error;
    return error.message.split("\n- ").slice(1);
  }
}

/** The problems of one change rule beside a rule that lets the role read everything. */
function findRuleProblems(datasets: string | readonly string[], options: Parameters<typeof allowChange>[1]) {
  return findProblems([allow(ALL), allowChange(datasets, options)]);
}

describe("a change rule", () => {
  it("has the defaults one row, the page of this server, and no row out of sight", () => {
    const { policy } = build([allow(ALL), allowChange("shop.tickets", STATUS)]);
    expect(policy.changeRules).toEqual([
      {
        id: "desk/allow/change/shop.tickets",
        role: "desk",
        effect: "allow",
        dataset: "shop.tickets",
        rows: null,
        operations: ["update"],
        columns: { status: { maxLength: 2000, nullable: false } },
        maxRows: 1,
        approval: "requester",
        reviewers: [],
        formClients: [],
        mayLeaveSight: false,
      },
    ]);
  });

  it("may name columns as properties of every object are named", () => {
    const { policy } = build([
      allow(ALL),
      allowChange("shop.prices", { operations: ["insert"], columns: { constructor: {}, toString: { min: 0 } } }),
    ]);
    const [rule] = policy.changeRules;
    expect(rule?.effect === "allow" && Object.keys(rule.columns)).toEqual(["constructor", "toString"]);
  });

  it("has an id of its own where a role has several for a dataset", () => {
    const { policy } = build([
      allow(ALL),
      allowChange("shop.tickets", { operations: ["insert"], columns: { id: {}, status: {} } }),
      allowChange("shop.tickets", STATUS),
      denyChange("shop.tickets", ["email"]),
    ]);
    expect(policy.changeRules.map(({ id }) => id)).toEqual([
      "desk/allow/change/shop.tickets",
      "desk/allow/change/shop.tickets#2",
      "desk/deny/change/shop.tickets",
    ]);
  });

  it.each<[string, Parameters<typeof findRuleProblems>, string]>([
    [
      "an unknown dataset",
      ["shop.tikets", STATUS],
      "datasets[0]: there is no dataset shop.tikets. Did you mean shop.tickets?",
    ],
    ["documents", ["docs", STATUS], "datasets: docs holds documents. Only tables can be changed."],
    [
      "a view",
      ["shop.open_tickets", STATUS],
      "datasets: shop.open_tickets is a view of the database. Name the table that it reads.",
    ],
    [
      "a table without a key",
      ["shop.lines", STATUS],
      "datasets: shop.lines has no `key`. Declare the column that identifies a row.",
    ],
    [
      "an unknown column",
      ["shop.tickets", { columns: { stauts: {} } }],
      "columns.stauts: shop.tickets has no column stauts. Did you mean status?",
    ],
    [
      "a column in another case",
      ["shop.tickets", { columns: { Status: {} } }],
      "columns.Status: shop.tickets has no column Status.",
    ],
    ["an update without columns", ["shop.tickets", {}], "columns: names no column, so nothing can be set."],
    [
      "a delete with columns",
      ["shop.tickets", { operations: ["delete"], ...STATUS }],
      "columns: is for insert and update. A delete sets no columns.",
    ],
    [
      "an update of the key",
      ["shop.tickets", { columns: { id: {} } }],
      "columns.id: is the key, which an update cannot change. Write a rule of its own for insert.",
    ],
    [
      "several rows of an insert",
      ["shop.tickets", { operations: ["insert"], maxRows: 2, ...STATUS }],
      "maxRows: is for update and delete. An insert adds one row.",
    ],
    ["too many rows", ["shop.tickets", { maxRows: 501, ...STATUS }], "maxRows: Too big"],
    [
      "an unknown reviewer",
      ["shop.tickets", { approval: { reviewers: ["led"] }, ...STATUS }],
      "approval.reviewers[0]: there is no role led. Did you mean lead?",
    ],
    [
      "a form where a reviewer approves",
      [
        "shop.tickets",
        { approval: { reviewers: ["lead"] }, confirm: { formIn: ["https://client.example"] }, ...STATUS },
      ],
      "confirm: names clients, but a reviewer approves only on a page of this server. Remove it.",
    ],
    [
      "forms of no client",
      ["shop.tickets", { confirm: { formIn: [] }, ...STATUS }],
      "confirm.formIn: names no client.",
    ],
    ["no reviewer", ["shop.tickets", { approval: { reviewers: [] }, ...STATUS }], "approval.reviewers: Too small"],
    [
      "an unknown column in its row rule",
      ["shop.tickets", { rows: sql("regin = 'north'"), ...STATUS }],
      "rows: The expression ",
    ],
    [
      "an attribute that no member has",
      ["shop.tickets", { rows: { column: "region", op: "=", value: subject("regio") }, ...STATUS }],
      "rows: no member has the attribute regio",
    ],
    [
      "text for a number",
      ["shop.tickets", { columns: { priority: { oneOf: ["high"] } } }],
      'columns.priority.oneOf[0]: "high" is no value of priority, which is integer.',
    ],
    [
      "true for a number",
      ["shop.tickets", { columns: { priority: { oneOf: [true] } } }],
      "columns.priority.oneOf[0]: true is no value of priority, which is integer.",
    ],
    [
      "a fraction for a whole number",
      ["shop.tickets", { columns: { priority: { oneOf: [1.5] } } }],
      "columns.priority.oneOf[0]: 1.5 is no value of priority, which is integer.",
    ],
    [
      "2 for true or false",
      ["shop.tickets", { columns: { done: { oneOf: [2] } } }],
      "columns.done.oneOf[0]: 2 is no value of done, which is boolean.",
    ],
    [
      "a rounded number",
      ["shop.tickets", { columns: { priority: { max: 2 ** 53 } } }],
      "columns.priority.max: 9007199254740992 is no value of priority, which is integer.",
    ],
    [
      "a bound of a text",
      ["shop.tickets", { columns: { status: { min: "a" } } }],
      "columns.status.min: is for numbers and dates, but status is text.",
    ],
    [
      "a bound of true or false",
      ["shop.tickets", { columns: { done: { max: 1 } } }],
      "columns.done.max: is for numbers and dates, but done is boolean.",
    ],
    [
      "a bound that is no day",
      ["shop.tickets", { columns: { due: { min: "soon" } } }],
      'columns.due.min: "soon" is no value of due, which is date.',
    ],
    [
      "a day that does not exist",
      ["shop.tickets", { columns: { due: { max: "2026-02-30" } } }],
      'columns.due.max: "2026-02-30" is no value of due, which is date.',
    ],
    [
      "a time that does not exist",
      ["shop.tickets", { columns: { closed_at: { max: "2026-02-01T25:00" } } }],
      'columns.closed_at.max: "2026-02-01T25:00" is no value of closed_at',
    ],
    [
      "a date among the values that does not exist",
      ["shop.tickets", { columns: { due: { oneOf: ["2026-02-30"] } } }],
      'columns.due.oneOf[0]: "2026-02-30" is no value of due',
    ],
    [
      "bounds that leave no value",
      ["shop.tickets", { columns: { priority: { min: 3, max: 2 } } }],
      "columns.priority.min: is greater than max, so no value fits.",
    ],
    [
      "a value outside of the bounds",
      ["shop.tickets", { columns: { priority: { oneOf: [1, 9], max: 5 } } }],
      "columns.priority.oneOf[1]: must be at most 5.",
    ],
    [
      "a value that is too long",
      ["shop.tickets", { columns: { status: { oneOf: ["open"], maxLength: 3 } } }],
      "columns.status.oneOf[0]: has more than 3 characters.",
    ],
  ])("is refused with %s", (_name, rule, message) => {
    expect(findRuleProblems(...rule).join("\n")).toContain(`roles.desk.rules[1].${message}`);
  });

  it.each<[string, Parameters<typeof allowChange>[1]["columns"]]>([
    ["whole numbers beyond 2^53 as text", { priority: { min: "-9223372036854775808", max: "9007199254740993" } }],
    ["a number for a real", { hours: { oneOf: [1, 2.5], min: 0 } }],
    ["a day for a time", { closed_at: { min: "2026-01-01", max: "2026-12-31T12:00:00Z" } }],
    ["true and 0", { done: { oneOf: [true, 0] } }],
  ])("is accepted with %s", (_name, columns) => {
    expect(findRuleProblems("shop.tickets", { columns: columns ?? {} })).toEqual([]);
  });
});

describe("what a change rule rests on", () => {
  const NORTH = { rows: { column: "region", op: "=", value: "north" }, ...STATUS } as const;
  const unread = "rows: the role does not read region in clear, so a refusal would tell its users about it.";

  it.each<[string, readonly Rule[], string | undefined]>([
    [
      "a rule that lets the role read the row rule's columns",
      [allow("shop.tickets", { masks: { email: mask.email } })],
      undefined,
    ],
    [
      "no rule that lets the role read the table",
      [],
      "datasets: the role has no rule that lets it read shop.tickets. Add one.",
    ],
    [
      "a denial of the table",
      [deny("shop.tickets")],
      "datasets: the role has no rule that lets it read shop.tickets. Add one.",
    ],
    ["a mask on a column of the row rule", [allow("shop.tickets", { masks: { region: mask.redact } })], unread],
    ["a hidden column in the row rule", [allow("shop.tickets", { hidden: ["region"] })], unread],
    ["a denied column in the row rule", [allow("shop.tickets"), deny("shop.tickets", ["region"])], unread],
  ])("is checked: %s", (_name, rules, message) => {
    const problems = findProblems([allowChange("shop.tickets", NORTH), ...rules]);
    if (message === undefined) expect(problems).toEqual([]);
    else expect(problems).toEqual([expect.stringContaining(`roles.desk.rules[0].${message}`)]);
  });

  it("is refused over a column that the declaration hides", () => {
    const rows = { column: "secret", op: "=", value: "x" } as const;
    expect(findRuleProblems("shop.tickets", { rows, ...STATUS })).toEqual([
      expect.stringContaining("rows: the role does not read secret in clear"),
    ]);
  });

  it("is refused in a role whose rules count only in saved queries, allowing and denying", () => {
    const rules = [allow("shop.tickets"), allowChange("shop.tickets", STATUS), denyChange("shop.tickets")];
    expect(findProblems(rules, { savedOnly: true })).toEqual([
      "roles.desk.rules[1].action: the role is savedOnly, and no saved query changes rows. Give the rule to another role.",
      "roles.desk.rules[2].action: the role is savedOnly, and no saved query changes rows. Give the rule to another role.",
    ]);
  });

  it("is refused twice with the same denial", () => {
    expect(findProblems([denyChange("shop.tickets", ["status"]), denyChange("shop.tickets")])).toEqual([
      "roles.desk.rules[1]: has two rules with the same dataset, effect and action (desk/deny/change/shop.tickets). Keep one.",
    ]);
  });
});

describe("the attributes and SQL of a change rule", () => {
  const byTeam = allowChange("shop.tickets", {
    rows: { column: "region", op: "=", value: subject("team") },
    ...STATUS,
  });
  const member = (team: string | number): GatehouseInput["members"][number]["attributes"] => ({ team });

  it("refuses a member whose attribute does not fit", () => {
    const members = { ann: { roles: ["desk"], attributes: { team: 7 } } };
    expect(findProblems([allow(ALL), byTeam], {}, members)).toEqual([
      expect.stringContaining(
        "members[0].attributes.team: is 7. It must be text, because the rule desk/allow/change/shop.tickets",
      ),
    ]);
  });

  it("finds an attribute of the members table that does not fit", () => {
    const members = { ann: { roles: ["desk"], attributes: { team: "north" } } };
    const { policy } = build([allow(ALL), byTeam], {}, members);
    expect(findAttributeProblems(policy, member(7) ?? {})).toMatchObject([{ kind: "type", attribute: "team" }]);
  });

  it("lists the SQL of its row rule for the comparison with the database", () => {
    const { policy } = build([allow(ALL), allowChange("shop.tickets", { rows: sql("priority > 3"), ...STATUS })]);
    expect(listRowExpressions(policy, "shop")).toEqual([
      { table: "tickets", role: "desk", sql: '"tickets"."priority" > 3' },
    ]);
  });
});

describe("the triggers of a table", () => {
  const hash = "0".repeat(64);
  const withTriggers = (triggers: Readonly<Record<string, string>>) => () => {
    const tickets = { key: "id", triggers, columns: { id: NUMBER } };
    const shop = { kind: "d1", binding: "SHOP_DB", title: "Shop", tables: { tickets } } as const;
    const organisation = { name: "Test", contact: "Test" };
    const [dataset] = defineGatehouse({ organisation, sources: { shop }, roles: {}, members: [] }).policy.datasets;
    return dataset?.kind === "table" ? dataset.triggers : undefined;
  };

  it("are kept as the policy file names them", () => {
    expect(withTriggers({ "Log changes": hash })()).toEqual({ "Log changes": hash });
  });

  it.each([
    ["a short hash", "0".repeat(63)],
    ["a hash in capitals", "A".repeat(64)],
  ])("are refused with %s", (_name, text) => {
    expect(withTriggers({ log: text })).toThrow("sources.shop.tables.tickets.triggers.log: must be 64 hex digits");
  });
});
