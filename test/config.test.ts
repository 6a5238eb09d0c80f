// A policy file that cannot work is refused with the path in the object and what would be right.
import { describe, expect, it } from "vitest";
import { defineGatehouse, mask, parseEnv, subject } from "../src/config.ts";
import type { GatehouseInput } from "../src/config.ts";

const good: GatehouseInput = {
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
            id: { type: "integer", description: "n" },
            email: { type: "text", description: "e" },
            born: { type: "date", description: "b" },
          },
        },
      },
    },
    docs: { kind: "kv", binding: "DOCS", title: "Docs", description: "Docs" },
  },
  roles: { reader: { description: "r", rules: [{ action: "read", datasets: ["shop.customers", "docs"] }] } },
  members: [{ email: "a@x.example", name: "A", roles: ["reader"] }],
};

/** `good` with one rule for the role reader. */
const withRule = (rule: object): object => ({
  ...good,
  roles: { reader: { description: "r", rules: [{ action: "read", datasets: ["shop.customers"], ...rule }] } },
});
const withTable = (table: object): object => ({
  ...good,
  sources: {
    shop: {
      kind: "d1",
      binding: "B",
      title: "t",
      description: "d",
      tables: { customers: { description: "c", columns: {}, ...table } },
    },
  },
  roles: {},
  members: [],
});

function problemOf(input: object): string {
  try {
    defineGatehouse(input as GatehouseInput);
    return "accepted";
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return error.message;
  }
}

describe("defineGatehouse", () => {
  it("takes a good file and fills in the defaults", () => {
    const gatehouse = defineGatehouse(good);
    expect(gatehouse.limits.maxRows).toBe(500);
    expect(gatehouse.policy.rules.map((rule) => rule.id)).toEqual([
      "reader/allow/read/shop.customers",
      "reader/allow/read/docs",
    ]);
  });

  it.each([
    [
      "an unknown dataset",
      withRule({ datasets: ["shop.custmers"] }),
      "roles.reader.rules[0].datasets: there is no dataset shop.custmers. There are: shop.customers, docs, shop.*.",
    ],
    [
      "an unknown column in a mask",
      withRule({ masks: { emial: mask.email } }),
      "roles.reader.rules[0].masks.emial: shop.customers has no column emial. There are: id, email, born.",
    ],
    [
      "an unknown hidden column",
      withRule({ hidden: ["notes"] }),
      "roles.reader.rules[0].hidden: shop.customers has no column notes.",
    ],
    [
      "an unknown column in a row rule",
      withRule({ rows: { all: [{ column: "regin", op: "=", value: "x" }] } }),
      "roles.reader.rules[0].rows.all[0].column: shop.customers has no column regin.",
    ],
    [
      "a mask on the wrong type",
      withRule({ masks: { id: mask.email } }),
      "roles.reader.rules[0].masks.id: the mask email fits text; shop.customers.id is integer.",
    ],
    [
      "year on text",
      withRule({ masks: { email: mask.year } }),
      "the mask year fits date, datetime; shop.customers.email is text.",
    ],
    [
      "last on a date",
      withRule({ masks: { born: mask.last(2) } }),
      "the mask last(2) fits text; shop.customers.born is date.",
    ],
    [
      "a column both masked and hidden",
      withRule({ masks: { email: mask.email }, hidden: ["email"] }),
      "the column is hidden by the same rule. Keep one of the two.",
    ],
    ["last of too many", withRule({ masks: { email: mask.last(40) } }), "roles.reader.rules[0]"],
    ["an unknown action", withRule({ action: "write" }), "roles.reader.rules[0]"],
    ["an unknown comparison", withRule({ rows: { column: "id", op: "LIKE", value: "%" } }), "roles.reader.rules[0]"],
    ["a misspelt key", withRule({ mask: {} }), "roles.reader.rules[0]"],
    [
      "two rules for one dataset",
      {
        ...good,
        roles: {
          reader: {
            description: "r",
            rules: [
              { action: "read", datasets: ["shop.customers"] },
              { action: "read", datasets: ["shop.*"] },
            ],
          },
        },
      },
      "roles.reader.rules: has two rules for one dataset, effect and action (reader/allow/read/shop.customers). Keep one.",
    ],
    [
      "a denied column that is not there",
      withRule({ effect: "deny", columns: ["x"] }),
      "roles.reader.rules[0].columns: shop.customers has no column x.",
    ],
    [
      "an unknown role",
      { ...good, members: [{ email: "a@x.example", name: "A", roles: ["raeder"] }] },
      "members[0].roles: there is no role raeder. There are: reader.",
    ],
    [
      "one email twice",
      { ...good, members: [...good.members, { email: "A@x.example", name: "A", roles: [] }] },
      "members: has two entries for one email (a@x.example). Keep one.",
    ],
    [
      "an email that Unicode folds to another",
      { ...good, members: [...good.members, { email: "\u212Aate@x.example", name: "K", roles: [] }] },
      "\\u{212a}ate@x.example is no email address. An address is written in ASCII",
    ],
    [
      "one group in two spellings",
      { ...good, groups: { "Data@x.example": ["reader"], "data@x.example": ["reader"] } },
      "groups: has two spellings of one group (data@x.example). Keep one.",
    ],
    ["no email", { ...good, members: [{ email: "a", name: "A", roles: [] }] }, "members[0].email"],
    [
      "a built-in attribute",
      { ...good, members: [{ email: "a@x.example", name: "A", roles: [], attributes: { email: "b@x.example" } }] },
      "members[0].attributes.email: the name is built in.",
    ],
    [
      "Gatehouse's own database as a source",
      { ...good, sources: { ...good.sources, shop: { ...good.sources.shop, binding: "GATEHOUSE_DB" } } },
      "sources.shop.binding: GATEHOUSE_DB is Gatehouse's own database, which no source can be.",
    ],
    [
      "a reserved source name",
      { ...good, sources: { ...good.sources, workspace: good.sources["docs"] } },
      "sources.workspace: the name is reserved.",
    ],
    ["a source name with a dot", { ...good, sources: { ...good.sources, "a.b": good.sources["docs"] } }, "sources.a.b"],
    [
      "a key that is no column",
      withTable({ key: "id" }),
      "sources.shop.tables.customers.key: there is no column id. There is none.",
    ],
    [
      "a table of the database's own",
      {
        ...withTable({}),
        sources: {
          shop: {
            kind: "d1",
            binding: "B",
            title: "t",
            description: "d",
            tables: { sqlite_schema: { description: "c", columns: {} } },
          },
        },
      },
      "sources.shop.tables.sqlite_schema",
    ],
    [
      "tables that differ by case",
      {
        ...withTable({}),
        sources: {
          shop: {
            kind: "d1",
            binding: "B",
            title: "t",
            description: "d",
            tables: { a: { description: "c", columns: {} }, A: { description: "c", columns: {} } },
          },
        },
      },
      "differ only by case",
    ],
    [
      "an attribute that nobody has",
      withRule({ rows: { column: "id", op: "=", value: { subject: "regoin" } } }),
      "roles.reader.rules: no member has the attribute regoin, and attributes does not name it for the members table. There are: id, email.",
    ],
    [
      "an attribute of the members table with a built-in name",
      { ...good, attributes: ["team", "email"] },
      "attributes: the name email is built in. Choose another.",
    ],
    [
      "a group that gives a role that is not there",
      { ...good, groups: { "Data Team": ["reeder"] } },
      'groups["Data Team"]: there is no role reeder. There are: reader.',
    ],
    [
      "an allowed origin with a path",
      { ...good, allowedOrigins: ["https://a.example/x"] },
      "allowedOrigins[0]: must be an origin",
    ],
    ...[
      "https",
      "http",
      "javascript",
      "data",
      "file",
      "Cursor",
      "cursor:",
      "cursor://",
      "",
      "1password",
      "a b",
      "é",
    ].map((scheme): [string, object, string] => [
      `the redirect scheme ${JSON.stringify(scheme)}`,
      { ...good, allowedRedirectSchemes: ["cursor", scheme] },
      "allowedRedirectSchemes[1]: must be the scheme of a program",
    ]),
    [
      "columns that differ by case",
      withTable({ columns: { id: { type: "integer", description: "n" }, Id: { type: "integer", description: "n" } } }),
      "sources.shop.tables.customers.columns: has two columns whose names differ only by case",
    ],
    [
      "limits that contradict",
      { ...good, limits: { defaultRows: 600 } },
      "limits.defaultRows: is more than limits.maxRows.",
    ],
    ["a misspelt limit", { ...good, limits: { maxRow: 1 } }, "limits"],
  ])("refuses %s", (_name, input, expected) => {
    expect(problemOf(input)).toContain(expected);
  });

  it("tells all problems at once", () => {
    expect(problemOf(withRule({ datasets: ["a", "b"] }))).toMatch(/has 2 problem\(s\)/);
  });

  it("subject() names a value to fill in", () => {
    expect(subject("region")).toEqual({ subject: "region" });
  });
});

describe("parseEnv", () => {
  it.each([
    ["http://localhost:8787", "http://localhost:8787/mcp"],
    ["https://data.example.com", "https://data.example.com/mcp"],
    ["https://data.example.com/", "https://data.example.com/mcp"],
  ])("%s", (url, resource) => {
    expect(parseEnv({ GATEHOUSE_URL: url }).resource).toBe(resource);
  });

  it.each([
    ["", "GATEHOUSE_URL is not set. It takes the origin"],
    ["data.example.com", 'GATEHOUSE_URL is "data.example.com"'],
    ["http://data.example.com", "http only on localhost"],
    ["https://data.example.com/mcp", "It takes the origin"],
  ])("refuses %j", (url, message) => {
    expect(() => parseEnv({ GATEHOUSE_URL: url })).toThrow(message);
  });
});
