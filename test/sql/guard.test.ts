// How a guarded statement is composed, and the limits it keeps to.
import { describe, expect, it } from "vitest";
import { frameQuery, guardQuery, positionOf, sqlOf } from "../../src/sql/guard.ts";
import type { GuardOptions, GuardView, GuardedQuery } from "../../src/sql/guard.ts";
import type { SqlValue } from "../../src/sql/parameters.ts";
import { parseStatement } from "../../src/sql/statement.ts";

const OPTIONS = {
  nonce: "abc",
  maxRows: 10,
  materialized: false,
  fenced: false,
  ordering: "free",
  untelling: [],
  ownOrderOf: () => undefined,
} as const;

const viewOf = (name: string, select: GuardView["select"] = () => "SELECT 1"): GuardView => ({
  name,
  reads: ["id"],
  columns: ["id"],
  clear: ["id"],
  settled: [],
  lookup: null,
  isMasked: false,
  isRowRestricted: false,
  ruled: [],
  fragile: [],
  select,
});
const orders = viewOf("orders", () => 'SELECT "id" FROM main."orders"');

function guard(
  sql: string,
  values: readonly SqlValue[] = [],
  views: readonly GuardView[] = [orders],
  options: GuardOptions = OPTIONS,
): GuardedQuery & { readonly sql: string } {
  const statement = parseStatement(sql);
  const query = guardQuery(statement, frameQuery(statement, values, options), views, options);
  return { ...query, sql: sqlOf(query) };
}

describe("guardQuery", () => {
  it("keeps the person's text as it is and puts views only for names that occur", () => {
    const text = "SELECT  id\nFROM   orders";
    const query = guard(text, [], [orders, viewOf("other")]);
    expect(query.sql).toContain(`(\n${text}\n) LIMIT 11`);
    expect(query.sql).toContain(
      '"guard_abc_0" AS (SELECT "id" FROM main."orders"), "orders" AS (SELECT * FROM "guard_abc_0")',
    );
    expect(query.sql).not.toContain("other");
    expect(query.used).toEqual([orders]);
    expect(query.allowances).toEqual([{ context: "guard_abc_0", table: "orders", columns: new Set(["id"]) }]);
  });

  it("puts a deny-CTE for every other name, but not for the table functions that read only their arguments", () => {
    const { sql, denied } = guard("SELECT secret FROM Hidden, 'also', json_each('[]')");
    expect(denied).toEqual(expect.arrayContaining(["SELECT", "secret", "Hidden", "also"]));
    expect(sql).toMatch(/"hidden" AS \(SELECT \* FROM "denied_abc_\d+"\)/);
    expect(sql).not.toContain('"json_each" AS');
  });

  it("a table that is named like a table function is still guarded", () => {
    const { sql } = guard("SELECT * FROM json_each", [], [viewOf("json_each")]);
    expect(sql).toContain('"json_each" AS (SELECT * FROM "guard_abc_0")');
  });

  it("materializes the views when asked", () => {
    const { sql } = guard("SELECT * FROM orders", [], [orders], { ...OPTIONS, materialized: true });
    expect(sql).toContain('"guard_abc_0" AS MATERIALIZED (');
  });

  it("refuses statements that would pass the database's limits", () => {
    const many = `SELECT ${Array.from({ length: 3000 }, (_, index) => `a${index}`).join(",")}`;
    expect(() => guard(many)).toThrow("too many different names");
    const oneBound = [viewOf("select", (bound) => `SELECT ${bound.bind(1)}`)];
    const parameters = `SELECT ${Array(100).fill("?").join(",")}`;
    expect(() => guard(parameters, Array<number>(100).fill(1), oneBound)).toThrow("at most 99");
  });

  it("refuses thousands of parameters before it composes anything of them", () => {
    const parameters = `SELECT ${Array(9000).fill("?").join(",")}`;
    expect(() => guard(parameters, Array<number>(9000).fill(1))).toThrow("9000 parameters; at most 100");
    expect(() => guard(parameters, [1])).toThrow("has 9000 parameter(s) but params has 1");
  });
});

describe("positionOf", () => {
  const positionIn = (sql: string, values: readonly SqlValue[], text: string): number | undefined => {
    const statement = parseStatement(sql);
    const query = frameQuery(statement, values, OPTIONS);
    const whole = sqlOf(query);
    return positionOf(statement, query, new TextEncoder().encode(whole.slice(0, whole.indexOf(text))).length);
  };

  it("finds a byte of the composed statement in the person's own text", () => {
    expect(positionIn("SELECT x", [], "x")).toBe(8);
    expect(positionIn("SELECT 'é€🙂', x", [], "x")).toBe("SELECT 'é€🙂', x".length);
    expect(positionIn("SELECT ?, ?, x", [1, "a"], "x")).toBe(14);
    expect(positionIn("SELECT x, ?", [1], "x")).toBe(8);
    expect(positionIn("SELECT x, ?", [1], "AS INTEGER")).toBe(11);
    expect(positionIn("SELECT x", [], "LIMIT")).toBeUndefined();
  });
});
