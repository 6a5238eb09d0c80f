// defineGatehouse refuses a policy file that cannot work, and names the path in the object, the problem and the correction.
import { describe, expect, it } from "vitest";
import { defineGatehouse, mask, parseEnv, subject } from "../../src/config/define-gatehouse.ts";
import type { GatehouseInput } from "../../src/config/define-gatehouse.ts";

const validFile: GatehouseInput = {
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

/** `validFile` with one rule for the role reader. */
const withRule = (rule: object): object => ({
  ...validFile,
  roles: { reader: { description: "r", rules: [{ action: "read", datasets: ["shop.customers"], ...rule }] } },
});
/** A file with one table and nothing else. */
const withTable = (table: object): object => ({
  ...validFile,
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

/** The message of the error, or `accepted`. */
function findProblem(input: object): string {
  try {
    defineGatehouse(input as GatehouseInput);
    return "accepted";
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return error.message;
  }
}

describe("defineGatehouse", () => {
  it("accepts a valid file and fills in the defaults", () => {
    const gatehouse = defineGatehouse(validFile);
    expect(gatehouse.limits.shownRows).toBe(500);
    expect(gatehouse.policy.rules.map((rule) => rule.id)).toEqual([
      "reader/allow/read/shop.customers",
      "reader/allow/read/docs",
    ]);
  });

  it.each([
    [
      "an unknown dataset",
      withRule({ datasets: ["shop.custmers"] }),
      "roles.reader.rules[0].datasets[0]: there is no dataset shop.custmers. Did you mean shop.customers? There are: shop.customers, docs, shop.*.",
    ],
    [
      "an unknown column in a mask",
      withRule({ masks: { emial: mask.email } }),
      "roles.reader.rules[0].masks.emial: shop.customers has no column emial. Did you mean email? There are: id, email, born.",
    ],
    [
      "an unknown hidden column",
      withRule({ hidden: ["notes"] }),
      "roles.reader.rules[0].hidden[0]: shop.customers has no column notes.",
    ],
    [
      "an unknown column in a row rule",
      withRule({ rows: { all: [{ column: "regin", op: "=", value: "x" }] } }),
      "roles.reader.rules[0].rows.all[0].column: shop.customers has no column regin.",
    ],
    [
      "a mask on a column of the wrong type",
      withRule({ masks: { id: mask.email } }),
      "roles.reader.rules[0].masks.id: the mask email takes columns of type text, but shop.customers.id is integer.",
    ],
    [
      "the mask year on text",
      withRule({ masks: { email: mask.year } }),
      "the mask year takes columns of type date or datetime, but shop.customers.email is text.",
    ],
    [
      "the mask last on a date",
      withRule({ masks: { born: mask.last(2) } }),
      "the mask last(2) takes columns of type text, but shop.customers.born is date.",
    ],
    [
      "a column that is both masked and hidden",
      withRule({ masks: { email: mask.email }, hidden: ["email"] }),
      "the same rule hides the column. Keep one of the two.",
    ],
    ["the mask last with too many characters", withRule({ masks: { email: mask.last(40) } }), "roles.reader.rules[0]"],
    ["an unknown action", withRule({ action: "write" }), "roles.reader.rules[0]"],
    ["an unknown comparison", withRule({ rows: { column: "id", op: "LIKE", value: "%" } }), "roles.reader.rules[0]"],
    ["a misspelt key of a rule", withRule({ mask: {} }), "roles.reader.rules[0]"],
    [
      "two rules for one dataset",
      {
        ...validFile,
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
      "roles.reader.rules[1]: has two rules with the same dataset, effect and action (reader/allow/read/shop.customers). Keep one.",
    ],
    [
      "a denied column that does not exist",
      withRule({ effect: "deny", columns: ["x"] }),
      "roles.reader.rules[0].columns[0]: shop.customers has no column x.",
    ],
    [
      "a member with an unknown role",
      { ...validFile, members: [{ email: "a@x.example", name: "A", roles: ["raeder"] }] },
      "members[0].roles[0]: there is no role raeder. Did you mean reader? There are: reader.",
    ],
    [
      "two members with the same email",
      { ...validFile, members: [...validFile.members, { email: "A@x.example", name: "A", roles: [] }] },
      "members[1]: has two entries for the same email (a@x.example). Keep one.",
    ],
    [
      "an email that Unicode case folding turns into another",
      { ...validFile, members: [...validFile.members, { email: "\u212Aate@x.example", name: "K", roles: [] }] },
      "\\u{212a}ate@x.example is not an email address. An address is written in ASCII",
    ],
    [
      "two spellings of the same group",
      { ...validFile, groups: { "Data@x.example": ["reader"], "data@x.example": ["reader"] } },
      'groups["data@x.example"]: has two spellings of the same group (data@x.example). Keep one.',
    ],
    [
      "a member whose email is not an address",
      { ...validFile, members: [{ email: "a", name: "A", roles: [] }] },
      "members[0].email",
    ],
    [
      "an attribute with a built-in name",
      { ...validFile, members: [{ email: "a@x.example", name: "A", roles: [], attributes: { email: "b@x.example" } }] },
      "members[0].attributes.email: the name is built in.",
    ],
    [
      "Gatehouse's own database as a source",
      { ...validFile, sources: { ...validFile.sources, shop: { ...validFile.sources.shop, binding: "GATEHOUSE_DB" } } },
      "sources.shop.binding: GATEHOUSE_DB is Gatehouse's own database and cannot be a source.",
    ],
    [
      "a reserved source name",
      { ...validFile, sources: { ...validFile.sources, workspace: validFile.sources["docs"] } },
      "sources.workspace: the name is reserved.",
    ],
    [
      "a source name with a dot",
      { ...validFile, sources: { ...validFile.sources, "a.b": validFile.sources["docs"] } },
      'sources["a.b"]',
    ],
    [
      "a table key that is not a column",
      withTable({ key: "id" }),
      "sources.shop.tables.customers.key: there is no column id. There is none.",
    ],
    [
      "a table that belongs to SQLite",
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
      "two tables whose names differ only by case",
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
      "a row rule with an attribute that no member has",
      withRule({ rows: { column: "id", op: "=", value: { subject: "regoin" } } }),
      "roles.reader.rules[0].rows: no member has the attribute regoin, and `attributes` does not declare it. There are: id, email.",
    ],
    [
      "a declared attribute with a built-in name",
      { ...validFile, attributes: ["team", "email"] },
      "attributes[1]: the name email is built in. Choose another.",
    ],
    [
      "a group with an unknown role",
      { ...validFile, groups: { "Data Team": ["reeder"] } },
      'groups["Data Team"][0]: there is no role reeder. Did you mean reader? There are: reader.',
    ],
    [
      "an allowed origin with a path",
      { ...validFile, allowedOrigins: ["https://a.example/x"] },
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
      { ...validFile, allowedRedirectSchemes: ["cursor", scheme] },
      "allowedRedirectSchemes[1]: must be an application's scheme",
    ]),
    [
      "two columns whose names differ only by case",
      withTable({ columns: { id: { type: "integer", description: "n" }, Id: { type: "integer", description: "n" } } }),
      "sources.shop.tables.customers.columns.Id: has two columns whose names differ only by case",
    ],
    [
      "limits that contradict each other",
      { ...validFile, limits: { defaultRows: 600 } },
      "limits.defaultRows: exceeds limits.shownRows.",
    ],
    [
      "a misspelt limit",
      { ...validFile, limits: { maxRow: 1 } },
      "limits.maxRow: there is no such key here. The keys are: defaultRows,",
    ],
  ])("refuses %s", (_name, input, expected) => {
    expect(findProblem(input)).toContain(expected);
  });

  it("reports all problems at once", () => {
    expect(findProblem(withRule({ datasets: ["a", "b"] }))).toMatch(/has 2 problem\(s\)/);
  });

  it("represents subject() as a value to fill in", () => {
    expect(subject("region")).toEqual({ subject: "region" });
  });
});

describe("parseEnv", () => {
  it.each([
    ["http://localhost:8787", "http://localhost:8787/mcp"],
    ["https://data.example.com", "https://data.example.com/mcp"],
    ["https://data.example.com/", "https://data.example.com/mcp"],
  ])("derives from %s the resource %s", (url, resource) => {
    expect(parseEnv({ GATEHOUSE_URL: url }).resource).toBe(resource);
  });

  it.each([
    ["", "GATEHOUSE_URL is not set. It takes the origin"],
    ["data.example.com", 'GATEHOUSE_URL is "data.example.com"'],
    ["http://data.example.com", "http only on localhost"],
    ["https://data.example.com/mcp", "It takes the origin"],
  ])("refuses %j with the message %s", (url, message) => {
    expect(() => parseEnv({ GATEHOUSE_URL: url })).toThrow(message);
  });
});
