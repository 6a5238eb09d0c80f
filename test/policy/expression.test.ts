// Row rules in SQL: what they let see on a real D1, and everything that they are refused for.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { defineGatehouse, sql, subject } from "../../src/config.ts";
import type { GatehouseInput } from "../../src/config.ts";
import { evaluate, resolveSubject } from "../../src/policy/evaluate.ts";
import { NO_RECORD } from "../../src/policy/model.ts";
import { guardViewSql } from "../../src/policy/views.ts";
import { createParameters } from "../../src/sql/parameters.ts";
import { createReader, tableSource } from "../support/governed.ts";

type Rows = Extract<GatehouseInput["roles"][string]["rules"][number], { rows?: unknown }>["rows"];
type Attributes = GatehouseInput["members"][number]["attributes"];

const TEXT = { type: "text", description: "Text" } as const;
const NUMBER = { type: "integer", description: "Number" } as const;

const ATTRIBUTES: Attributes = { region: "north", regions: ["north", "east"], none: [], level: 5, quote: "'; --" };

function world(rows: NonNullable<Rows>, attributes: Attributes = ATTRIBUTES) {
  return defineGatehouse({
    organisation: { name: "Test", contact: "Test" },
    sources: {
      shop: {
        kind: "d1",
        binding: "SHOP_DB",
        title: "Shop",
        description: "Shop",
        tables: {
          deals: {
            description: "Deals",
            columns: { id: NUMBER, region: TEXT, owner: TEXT, total: NUMBER, "odd name": TEXT, end: TEXT },
          },
        },
      },
    },
    roles: { reader: { description: "r", rules: [{ action: "read", datasets: ["shop.deals"], rows }] } },
    members: [
      { email: "reader@harbor.example", name: "R", roles: ["reader"], attributes: attributes ?? {} },
      { email: "else@harbor.example", name: "E", roles: [], attributes: ATTRIBUTES },
    ],
  });
}

const SECRET = "planted-deal";

beforeAll(async () => {
  await env.SHOP_DB.batch(
    [
      'CREATE TABLE deals (id INTEGER PRIMARY KEY, region TEXT, owner TEXT, total INTEGER, "odd name" TEXT, "end" TEXT)',
      `INSERT INTO deals VALUES (1, 'north', 'reader@harbor.example', 10, 'a', 'x'), (2, 'south', 'b', 20, '${SECRET}', 'y'), (3, 'east', NULL, NULL, NULL, NULL), (4, 'North', 'reader@harbor.example', 40, 'b', 'x')`,
    ].map((statement) => env.SHOP_DB.prepare(statement)),
  );
});

const see = async (rows: NonNullable<Rows>, attributes?: Attributes): Promise<string> =>
  createReader(world(rows, attributes)).outcome("reader", "SELECT id FROM deals ORDER BY id");

describe("shows the rows for which it is true", () => {
  it.each([
    ["region = :region", [1]],
    ["region <> :region", [2, 3, 4]],
    ["REGION = :region COLLATE NOCASE", null],
    ["lower(region) = 'north'", [1, 4]],
    ["region IN :regions", [1, 3]],
    ["region NOT IN :regions", [2, 4]],
    ["region IN :region", [1]],
    ["owner = :email OR total > 15", [1, 2, 4]],
    ["total > :level AND total < 30", [1, 2]],
    ["NOT (region = :region)", [2, 3, 4]],
    ["total BETWEEN 10 AND 20", [1, 2]],
    ["CASE WHEN region = :region THEN 1 ELSE total = 20 END", [1, 2]],
    ["\"odd name\" IS NOT NULL AND [end] = 'x'", [1, 4]],
    ["owner IS NULL", [3]],
    ["coalesce(total, 0) * 2 >= 40", [2, 4]],
    ["CAST(total AS TEXT) LIKE '1%'", [1]],
    ["region GLOB '[nN]*'", [1, 4]],
    ["region = '1) OR (1'", []],
    ["region = :quote", []],
    ["date('now') > '2020-01-01' AND max(id, 2) = 2", [1, 2]],
    ["CASE WHEN total IS NULL THEN 0 ELSE total > 15 END", [2, 4]],
  ])("%s", async (text, ids) => {
    if (ids === null) return expect(() => world(sql(text))).toThrow(/:region elsewhere/);
    expect(await see(sql(text))).toBe(JSON.stringify(ids.map((id) => [id])));
  });

  it("within all and any, beside other conditions", async () => {
    const rows = {
      any: [
        sql("total = 20 OR 0"),
        { all: [sql("region = :region"), { column: "owner", op: "=", value: subject("email") } as const] },
      ],
    };
    expect(await see(rows)).toBe("[[1],[2]]");
  });

  it("and reads no column in the person's name that the rule alone reads", async () => {
    const config = world(sql("\"odd name\" = 'a'"));
    const reader = createReader({
      policy: { ...config.policy, rules: config.policy.rules.map((rule) => ({ ...rule, hidden: ["odd name"] })) },
    });
    expect(await reader.outcome("reader", "SELECT * FROM deals")).not.toContain('"a"');
    expect(await reader.outcome("reader", 'SELECT "odd name" FROM deals')).toMatch(/^query_failed/);
  });
});

describe("a value that does not fit grants nothing", () => {
  it.each<[string, Attributes]>([
    ["region = :region", {}],
    ["region <> :region", { region: 5 }],
    ["total <> :level", { level: "5" }],
    ["region = :region", { region: ["north"] }],
    ["region NOT IN :regions", { regions: [] }],
    ["region IN :regions", { regions: [] }],
    ["region IN :regions", { regions: ["north", 5] }],
    ["id = 1 OR region = :region", {}],
  ])("%s with %j", (text, attributes = {}) => {
    // Of the members table: the policy file may not hold what does not fit.
    const { policy } = world(sql(text), {});
    const [dataset] = policy.datasets;
    if (dataset === undefined) throw new Error("no dataset");
    const identity = { subjectId: "s", email: "reader@harbor.example", groups: [] };
    const reader = resolveSubject(policy, identity, { roles: [], attributes });
    expect(evaluate(policy, reader, dataset, "read")).toMatchObject({ allowed: false, reason: "missing_attribute" });
  });
});

describe("is refused", () => {
  it.each([
    ["", "is empty"],
    ["1) OR (1", "closes a parenthesis"],
    ["(1", "leaves a parenthesis open"],
    ["id = 1; DELETE FROM deals", "has ;"],
    ["id = 1 /* open", "has something unterminated"],
    ["region = 'open", "has something unterminated"],
    ["id IN (SELECT 1)", "has SELECT, which is no column"],
    ["EXISTS (SELECT 1 FROM deals)", "calls EXISTS()"],
    ["WITH x AS (SELECT 1) SELECT 1", "has WITH, which is no column"],
    ["deals.id = 1", "has deals, which is no column"],
    ["id.total = 1", "has ., which"],
    ["main.deals.id = 1", "has main, which is no column"],
    ["secret = 1", "has secret, which is no column of shop.deals. There are: id, region, owner, total, odd name, end."],
    ["rowid = 1", "has rowid, which is no column"],
    ["load_extension('x')", "calls load_extension()"],
    ["sqlite_version() > '3'", "calls sqlite_version()"],
    ["random() > 0", "calls random()"],
    ["total = 10 -- AND region = 'north'", "has a comment"],
    ["/* 1) OR (1 */ id = 1", "has a comment"],
    ["json_extract(owner, '$.a') = 1", "calls json_extract()"],
    ["abs(total) > 1", "calls abs()"],
    ["replace(owner, 'a', 'aaaa') <> ''", "calls replace()"],
    ["region LIKE :region", "has LIKE with something else"],
    ["region GLOB owner", "has GLOB with something else"],
    ["region LIKE 'n' || owner", "has LIKE with something else"],
    [`region LIKE '${"n".repeat(51)}'`, "has LIKE with something else"],
    ["TRUE", "has TRUE, which is no column"],
    ["current_date > '2020-01-01'", "has current_date, which is no column"],
    ["count(*) > 1", "calls count()"],
    ["row_number() OVER () = 1", "calls row_number()"],
    ['"lower"(region) = 1', "calls lower()"],
    ["id = 1, 2", "has a comma"],
    ["(id, total) = (1, 10)", "has a comma"],
    ["id = ?", "has the parameter ?"],
    ["id = @x", "has the parameter @x"],
    ["id = $x", "has the parameter $x"],
    ["lower(:region) = region", ":region elsewhere"],
    ["region = lower(:region)", ":region elsewhere"],
    ["region || total <> :level", ":level elsewhere"],
    ["region = :region || 'x'", ":region elsewhere"],
    [":region = :region", ":region elsewhere"],
    [":region", ":region elsewhere"],
    ["region MATCH 'x'", "has MATCH, which is no column"],
    ["region REGEXP 'x'", "has REGEXP, which is no column"],
    ["id = 1 \u0000", "holds a control character"],
    ["id = 1 \ud800", "holds half of a Unicode character"],
    ["id = AND 1", null],
  ])("%j", async (text, problem) => {
    if (problem !== null) {
      expect(() => world(sql(text))).toThrow(
        `roles.reader.rules[0].rows: The expression ${problem.startsWith(":") ? "has " : ""}${problem}`,
      );
      return;
    }
    // Words alone do not make SQL: what SQLite does not take, nobody can read.
    const logged: string[] = [];
    const config = world(sql(text));
    const reader = createReader(
      config,
      tableSource(config, "shop", (message) => logged.push(message)),
    );
    expect(await reader.outcome("reader", "SELECT * FROM deals")).toMatch(
      /^source_unavailable: .* does not match its declaration/,
    );
    expect(logged).toEqual([
      expect.stringMatching(/^roles\.reader\.rules: the database does not take the row rule on deals: /),
    ]);
  });

  it("with an attribute that nobody has", () => {
    expect(() => world(sql("region = :regoin"))).toThrow("no member has the attribute regoin");
  });
});

describe("an index on the column", () => {
  const planOf = async (text: string): Promise<string> => {
    const { policy } = world(sql(text));
    const [dataset] = policy.datasets;
    const reader = resolveSubject(policy, { subjectId: "s", email: "reader@harbor.example", groups: [] }, NO_RECORD);
    if (dataset?.kind !== "table") throw new Error("no table");
    const decision = evaluate(policy, reader, dataset, "read");
    if (!decision.allowed) throw new Error("not allowed");
    const parameters = createParameters();
    const view = guardViewSql(decision, dataset, { parameters, tokenDomain: String }, "free");
    const plan = env.SHOP_DB.prepare(`EXPLAIN QUERY PLAN WITH v AS (${view}) SELECT count(owner) FROM v`);
    return JSON.stringify((await plan.bind(...parameters.values).all()).results);
  };

  beforeAll(async () => {
    for (const column of ["region", "owner", "total"])
      await env.SHOP_DB.prepare(`CREATE INDEX IF NOT EXISTS deals_${column} ON deals (${column})`).run();
  });

  it.each([
    "region = :region",
    "region IN :regions",
    "total > 990",
    "total BETWEEN 990 AND 995",
    "region > 'a' AND region < 'b'",
    "region GLOB 'n*'",
    "region = :region AND id > 1",
    "region = :region OR owner = :email",
  ])("serves %s", async (text) => {
    expect(await planOf(text)).toMatch(/SEARCH main\.deals USING INDEX/);
  });

  it.each([
    "lower(region) = 'north'",
    "region = 'north' COLLATE NOCASE",
    "date(region) = '2026-01-02'",
    "total + 0 > 990",
    "coalesce(region, '') = 'north'",
    "CASE WHEN region = :region THEN 1 ELSE 0 END",
    "NOT (region <> :region)",
    "region NOT IN ('south')",
    "region LIKE 'n%'",
    "region = :region OR \"odd name\" = 'a'",
  ])("does not serve %s", async (text) => {
    expect(await planOf(text)).toMatch(/SCAN main\.deals/);
  });
});
