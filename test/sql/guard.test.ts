// How a guarded statement is composed, and the limits it keeps to.
import { describe, expect, it } from "vitest";
import { guardQuery } from "../../src/sql/guard.ts";
import { parseStatement } from "../../src/sql/statement.ts";

const options = { nonce: "abc", maxRows: 10, materialized: false };
const views = [{ name: "orders", select: () => 'SELECT "id" FROM main."orders"' }];

describe("guardQuery", () => {
  it("keeps the person's text as it is and puts views only for names that occur", () => {
    const text = "SELECT  id\nFROM   orders";
    const query = guardQuery(
      parseStatement(text),
      [],
      [...views, { name: "other", select: () => "SELECT 1" }],
      options,
    );
    expect(query.sql).toContain(`(\n${text}\n) LIMIT 11`);
    expect(query.sql).toContain(
      '"guard_abc_0" AS (SELECT "id" FROM main."orders"), "orders" AS (SELECT * FROM "guard_abc_0")',
    );
    expect(query.sql).not.toContain("other");
    expect(query.used).toEqual(["orders"]);
  });

  it("puts a deny-CTE for every other name, but not for the table functions that read only their arguments", () => {
    const { sql, denied } = guardQuery(
      parseStatement("SELECT secret FROM Hidden, 'also', json_each('[]')"),
      [],
      views,
      options,
    );
    expect(denied).toEqual(expect.arrayContaining(["SELECT", "secret", "Hidden", "also"]));
    expect(sql).toMatch(/"hidden" AS \(SELECT \* FROM "denied_abc_\d+"\)/);
    expect(sql).not.toContain('"json_each" AS');
  });

  it("a table that is named like a table function is still guarded", () => {
    const { sql } = guardQuery(
      parseStatement("SELECT * FROM json_each"),
      [],
      [{ name: "json_each", select: () => "SELECT 1" }],
      options,
    );
    expect(sql).toContain('"json_each" AS (SELECT * FROM "guard_abc_0")');
  });

  it("materializes the views when asked", () => {
    expect(
      guardQuery(parseStatement("SELECT * FROM orders"), [], views, { ...options, materialized: true }).sql,
    ).toContain('"guard_abc_0" AS MATERIALIZED (');
  });

  it("refuses statements that would pass the database's limits", () => {
    const many = parseStatement(`SELECT ${Array.from({ length: 3000 }, (_, index) => `a${index}`).join(",")}`);
    expect(() => guardQuery(many, [], views, options)).toThrow("too many different names");
    const parameters = parseStatement(`SELECT ${Array(100).fill("?").join(",")}`);
    const oneBound = [
      { name: "select", select: (bound: { bind(value: number): string }) => `SELECT ${bound.bind(1)}` },
    ];
    expect(() => guardQuery(parameters, Array<number>(100).fill(1), oneBound, options)).toThrow("at most 99");
  });
});
