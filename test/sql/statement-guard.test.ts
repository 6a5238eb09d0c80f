// How a guarded statement is composed, and which limits it enforces.
import { describe, expect, it } from "vitest";
import { PLAIN_FORM, frameQuery, guardQuery, locateInStatement, toSql } from "../../src/sql/statement-guard.ts";
import type { GuardOptions, GuardView, GuardedQuery } from "../../src/sql/statement-guard.ts";
import { createParameters } from "../../src/sql/parameters.ts";
import type { SqlValue } from "../../src/sql/parameters.ts";
import { parseStatement } from "../../src/sql/statement.ts";

const OPTIONS = {
  nonce: "abc",
  maxReadRows: 10,
  ...PLAIN_FORM,
  findStorageOrder: () => undefined,
} as const;

const createView = (name: string, select: GuardView["buildSelect"] = () => "SELECT 1"): GuardView => ({
  name,
  estimateShownShare: () => 1,
  narrow: () => createView(name, select),
  readColumns: ["id"],
  columns: ["id"],
  clearColumns: ["id"],
  isDatabaseView: false,
  pinnedByRule: [],
  lookup: null,
  isMasked: false,
  computedMasks: [],
  readsClear: true,
  isRowRestricted: false,
  ruleColumns: [],
  fallibleColumns: [],
  buildSelect: select,
});
const orders = createView("orders", () => 'SELECT "id" FROM main."orders"');

function guard(
  sql: string,
  values: readonly SqlValue[] = [],
  views: readonly GuardView[] = [orders],
  options: GuardOptions = OPTIONS,
): GuardedQuery & { readonly sql: string } {
  const statement = parseStatement(sql);
  const query = guardQuery(statement, frameQuery(statement, values, options), views, options);
  return { ...query, sql: toSql(query) };
}

describe("guardQuery", () => {
  it("keeps the user's text unchanged and adds views only for names that occur", () => {
    const text = "SELECT  id\nFROM   orders";
    const query = guard(text, [], [orders, createView("other")]);
    expect(query.sql).toContain(`(\n${text}\n) LIMIT 11`);
    expect(query.sql).toContain(
      '"guard_abc_0" AS (SELECT "id" FROM main."orders"), "orders" AS (SELECT * FROM "guard_abc_0")',
    );
    expect(query.sql).not.toContain("other");
    expect(query.usedViews).toEqual([orders]);
    expect(query.readPermissions).toEqual([{ cteName: "guard_abc_0", table: "orders", columns: new Set(["id"]) }]);
  });

  it("adds a deny-CTE for every other name, except for table functions that are only called", () => {
    const { sql, deniedNames } = guard("SELECT secret FROM Hidden, 'also', json_each('[]')");
    expect(deniedNames).toEqual(expect.arrayContaining(["SELECT", "secret", "Hidden", "also"]));
    expect(sql).toMatch(/"hidden" AS \(SELECT \* FROM "denied_abc_\d+"\)/);
    expect(sql).not.toContain('"json_each" AS');
  });

  it("adds a guard view for a table that is named like a table function", () => {
    const { sql } = guard("SELECT * FROM json_each", [], [createView("json_each")]);
    expect(sql).toContain('"json_each" AS (SELECT * FROM "guard_abc_0")');
  });

  it("materializes the views when the options say so", () => {
    const { sql } = guard("SELECT * FROM orders", [], [orders], { ...OPTIONS, materialized: true });
    expect(sql).toContain('"guard_abc_0" AS MATERIALIZED (');
  });

  it("refuses statements that would exceed D1's limits", () => {
    const manyNames = `SELECT ${Array.from({ length: 3000 }, (_, index) => `a${index}`).join(",")}`;
    expect(() => guard(manyNames)).toThrow("too many different names");
    const viewsWithValue = [createView("select", (bound) => `SELECT ${bound.bind(1)}`)];
    const parameters = `SELECT ${Array(100).fill("?").join(",")}`;
    expect(() => guard(parameters, Array<number>(100).fill(1.5), viewsWithValue)).toThrow("fewer with fractions");
    expect(guard(parameters, Array<number>(100).fill(1), viewsWithValue).parameters).toHaveLength(2);
  });

  it("refuses thousands of parameters before it composes a statement", () => {
    const parameters = `SELECT ${Array(9000).fill("?").join(",")}`;
    expect(() => guard(parameters, Array<number>(9000).fill(1))).toThrow("9000 parameters; at most 100");
    expect(() => guard(parameters, [1])).toThrow("has 9000 parameter(s) but params has 1");
  });
});

describe("createParameters", () => {
  it("gives each value its own type, also when equal values share a number", () => {
    const parameters = createParameters();
    const bind = (value: SqlValue | boolean): string => parameters.bind(value);
    expect([
      bind(5),
      bind("5"),
      bind({ kind: "real", value: 5 }),
      bind({ kind: "integer", digits: "5" }),
      bind(true),
    ]).toEqual(["CAST(?1 AS INTEGER)", "?2", "CAST(?1 AS REAL)", "CAST(?2 AS INTEGER)", "CAST(?3 AS INTEGER)"]);
    expect(parameters.values).toEqual([5, "5", 1]);
  });
});

describe("locateInStatement", () => {
  const positionIn = (sql: string, values: readonly SqlValue[], text: string): number | undefined => {
    const statement = parseStatement(sql);
    const query = frameQuery(statement, values, OPTIONS);
    const composed = toSql(query);
    return locateInStatement(
      statement,
      query,
      new TextEncoder().encode(composed.slice(0, composed.indexOf(text))).length,
    );
  };

  it("converts a byte of the composed statement to a character of the user's text", () => {
    expect(positionIn("SELECT x", [], "x")).toBe(8);
    expect(positionIn("SELECT 'é€🙂', x", [], "x")).toBe("SELECT 'é€🙂', x".length);
    expect(positionIn("SELECT ?, ?, x", [1, "a"], "x")).toBe(14);
    expect(positionIn("SELECT x, ?", [1], "x")).toBe(8);
    expect(positionIn("SELECT x, ?", [1], "AS INTEGER")).toBe(11);
    expect(positionIn("SELECT x", [], "LIMIT")).toBeUndefined();
    const typed: readonly SqlValue[] = [
      { kind: "real", value: 5 },
      "a",
      { kind: "integer", digits: "9007199254740993" },
    ];
    expect(positionIn("SELECT ?, ?, ?, x", typed, "x")).toBe(17);
    expect(positionIn("SELECT ?, ?, ?, x", typed, "AS REAL")).toBe(8);
    expect(positionIn("SELECT ?, ?, ?, x", typed, "AS INTEGER")).toBe(14);
  });
});
