// Row rules in SQL: which rows they show on a real D1, and what the parser refuses.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { sql, subject } from "../../src/config/define-gatehouse.ts";
import { evaluate, resolveSubject } from "../../src/policy/evaluate.ts";
import { NO_MEMBER_RECORD } from "../../src/policy/model.ts";
import { buildGuardViewSql } from "../../src/policy/guard-view.ts";
import { createParameters } from "../../src/sql/parameters.ts";
import { createReader, tableSource } from "../support/governed.ts";
import { NUMBER, TEXT, allow, buildPolicy } from "../support/policy-builder.ts";
import type { Attributes, Rows } from "../support/policy-builder.ts";
import { PLAIN_VIEW } from "../support/plain-view.ts";

const ATTRIBUTES: Attributes = { region: "north", regions: ["north", "east"], none: [], level: 5, quote: "'; --" };

const createConfig = (rows: Rows, attributes: Attributes = ATTRIBUTES) =>
  buildPolicy({
    tables: { deals: { id: NUMBER, region: TEXT, owner: TEXT, total: NUMBER, "odd name": TEXT, end: TEXT } },
    roles: { reader: [allow("shop.deals", { rows })] },
    members: { reader: { roles: ["reader"], attributes }, else: { roles: [], attributes: ATTRIBUTES } },
  });

const SECRET = "planted-deal";

beforeAll(async () => {
  await env.SHOP_DB.batch(
    [
      'CREATE TABLE deals (id INTEGER PRIMARY KEY, region TEXT, owner TEXT, total INTEGER, "odd name" TEXT, "end" TEXT)',
      `INSERT INTO deals VALUES
        (1, 'north', 'reader@harbor.example', 10, 'a', 'x'), (2, 'south', 'b', 20, '${SECRET}', 'y'),
        (3, 'east', NULL, NULL, NULL, NULL), (4, 'North', 'reader@harbor.example', 40, 'b', 'x')`,
    ].map((statement) => env.SHOP_DB.prepare(statement)),
  );
});

/** The ids of the rows that the rule shows, or the refusal. */
const readIds = async (rows: Rows, attributes?: Attributes): Promise<string> =>
  createReader(createConfig(rows, attributes)).outcome("reader", "SELECT id FROM deals ORDER BY id");

describe("a row rule in SQL", () => {
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
  ])("shows the rows for which %s is true: %j", async (text, ids) => {
    if (ids === null) return expect(() => createConfig(sql(text))).toThrow(/uses :region outside/);
    expect(await readIds(sql(text))).toBe(JSON.stringify(ids.map((id) => [id])));
  });

  it("shows the rows for which it is true within all and any, next to other conditions", async () => {
    const rows = {
      any: [
        sql("total = 20 OR 0"),
        { all: [sql("region = :region"), { column: "owner", op: "=", value: subject("email") } as const] },
      ],
    };
    expect(await readIds(rows)).toBe("[[1],[2]]");
  });

  it("does not make a hidden column readable that it compares", async () => {
    const config = createConfig(sql("\"odd name\" = 'a'"));
    const reader = createReader({
      policy: { ...config.policy, rules: config.policy.rules.map((rule) => ({ ...rule, hidden: ["odd name"] })) },
    });
    expect(await reader.outcome("reader", "SELECT * FROM deals")).not.toContain('"a"');
    expect(await reader.outcome("reader", 'SELECT "odd name" FROM deals')).toMatch(/^query_failed/);
  });
});

describe("a row rule with a subject value that does not fit", () => {
  it.each<[string, Attributes]>([
    ["region = :region", {}],
    ["region <> :region", { region: 5 }],
    ["total <> :level", { level: "5" }],
    ["region = :region", { region: ["north"] }],
    ["region NOT IN :regions", { regions: [] }],
    ["region IN :regions", { regions: [] }],
    ["region IN :regions", { regions: ["north", 5] }],
    ["id = 1 OR region = :region", {}],
  ])("grants nothing: %s with %j", (text, attributes = {}) => {
    // The attributes come from the members table, because the policy file refuses values that do not fit.
    const { policy } = createConfig(sql(text), {});
    const [dataset] = policy.datasets;
    if (dataset === undefined) throw new Error("no dataset");
    const identity = { subjectId: "s", email: "reader@harbor.example", groups: [] };
    const subjectOfReader = resolveSubject(policy, identity, { roles: [], attributes });
    expect(evaluate(policy, subjectOfReader, dataset, "read")).toMatchObject({
      allowed: false,
      reason: "missing_attribute",
    });
  });
});

describe("the row rule parser", () => {
  it.each([
    ["", "is empty"],
    ["1) OR (1", "closes a parenthesis"],
    ["(1", "leaves a parenthesis open"],
    ["id = 1; DELETE FROM deals", "contains ;, which is not allowed in a row rule"],
    ["id = 1 /* open", "contains unterminated or unreadable text"],
    ["region = 'open", "contains unterminated or unreadable text"],
    ["id IN (SELECT 1)", "contains SELECT, which is not a column"],
    ["EXISTS (SELECT 1 FROM deals)", "calls EXISTS()"],
    ["WITH x AS (SELECT 1) SELECT 1", "contains WITH, which is not a column"],
    ["deals.id = 1", "contains deals, which is not a column"],
    ["id.total = 1", "contains ., which"],
    ["main.deals.id = 1", "contains main, which is not a column"],
    [
      "secret = 1",
      "contains secret, which is not a column of shop.deals. There are: id, region, owner, total, odd name, end.",
    ],
    ["rowid = 1", "contains rowid, which is not a column"],
    ["load_extension('x')", "calls load_extension()"],
    ["sqlite_version() > '3'", "calls sqlite_version()"],
    ["random() > 0", "calls random()"],
    ["total = 10 -- AND region = 'north'", "contains a comment"],
    ["/* 1) OR (1 */ id = 1", "contains a comment"],
    ["json_extract(owner, '$.a') = 1", "calls json_extract()"],
    ["abs(total) > 1", "calls abs()"],
    ["replace(owner, 'a', 'aaaa') <> ''", "calls replace()"],
    ["region LIKE :region", "uses LIKE with a pattern that is not a string literal"],
    ["region GLOB owner", "uses GLOB with a pattern that is not a string literal"],
    ["region LIKE 'n' || owner", "uses LIKE with a pattern that is not a string literal"],
    [`region LIKE '${"n".repeat(51)}'`, "uses LIKE with a pattern that is not a string literal"],
    ["TRUE", "contains TRUE, which is not a column"],
    ["current_date > '2020-01-01'", "contains current_date, which is not a column"],
    ["count(*) > 1", "calls count()"],
    ["row_number() OVER () = 1", "calls row_number()"],
    ['"lower"(region) = 1', "calls lower()"],
    ["id = 1, 2", "has a comma"],
    ["(id, total) = (1, 10)", "has a comma"],
    ["id = ?", "contains the parameter ?"],
    ["id = @x", "contains the parameter @x"],
    ["id = $x", "contains the parameter $x"],
    ["lower(:region) = region", "uses :region outside a comparison"],
    ["region = lower(:region)", "uses :region outside a comparison"],
    ["region || total <> :level", "uses :level outside a comparison"],
    ["region = :region || 'x'", "uses :region outside a comparison"],
    [":region = :region", "uses :region outside a comparison"],
    [":region", "uses :region outside a comparison"],
    ["region MATCH 'x'", "contains MATCH, which is not a column"],
    ["region REGEXP 'x'", "contains REGEXP, which is not a column"],
    ["id = 1 \u0000", "contains a control character"],
    ["id = 1 \ud800", "contains half of a Unicode character"],
    ["id = AND 1", null],
  ])("refuses %j with a message that says %j", async (text, problem) => {
    if (problem !== null) {
      expect(() => createConfig(sql(text))).toThrow(`roles.reader.rules[0].rows: The expression ${problem}`);
      return;
    }
    // Allowed words can still form invalid SQL. The database then refuses the rule, and no user can read the table.
    const logged: string[] = [];
    const config = createConfig(sql(text));
    const reader = createReader(
      config,
      tableSource(config, "shop", (message) => logged.push(message)),
    );
    expect(await reader.outcome("reader", "SELECT * FROM deals")).toMatch(
      /^source_unavailable: .* does not match its declaration/,
    );
    expect(logged).toEqual([
      expect.stringMatching(/^roles\.reader\.rules: the database rejects the row rule on deals: /),
    ]);
  });

  it("refuses an attribute that no member has", () => {
    expect(() => createConfig(sql("region = :regoin"))).toThrow("no member has the attribute regoin");
  });
});

describe("an index on the column of a row rule", () => {
  const explainPlan = async (text: string): Promise<string> => {
    const { policy } = createConfig(sql(text));
    const [dataset] = policy.datasets;
    const identity = { subjectId: "s", email: "reader@harbor.example", groups: [] };
    if (dataset?.kind !== "table") throw new Error("no table");
    const decision = evaluate(policy, resolveSubject(policy, identity, NO_MEMBER_RECORD), dataset, "read");
    if (!decision.allowed) throw new Error("not allowed");
    const parameters = createParameters();
    const view = buildGuardViewSql(decision, dataset, { parameters, qualifyDomain: String }, PLAIN_VIEW);
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
  ])("is used for %s", async (text) => {
    expect(await explainPlan(text)).toMatch(/SEARCH main\.deals USING INDEX/);
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
  ])("is not used for %s", async (text) => {
    expect(await explainPlan(text)).toMatch(/SCAN main\.deals/);
  });
});
