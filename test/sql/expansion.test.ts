// How many SELECTs a statement becomes when WITH queries replace their names, counted before SQLite expands it.
import { describe, expect, it } from "vitest";
import { countExpandedSelects } from "../../src/sql/expansion.ts";

const VIEW_SELECTS: Readonly<Record<string, number>> = { t: 2, u: 2 };
const count = (sql: string): number => countExpandedSelects(sql, (name) => VIEW_SELECTS[name] ?? 0);

describe("countExpandedSelects", () => {
  it.each([
    ["SELECT 1", 1],
    ["SELECT * FROM t", 3],
    ["SELECT * FROM t, u JOIN t AS x ON 1", 7],
    ["VALUES (1), (2)", 1],
    ["SELECT 1 UNION ALL SELECT 2", 2],
    ["SELECT * FROM t WHERE id IN u", 5],
    ["SELECT * FROM (t JOIN (u))", 5],
    ["WITH a AS (SELECT * FROM t) SELECT 1", 1],
    ["WITH a AS (SELECT * FROM t) SELECT * FROM a", 4],
    ["WITH a AS (SELECT * FROM t) SELECT * FROM a x, A y", 7],
    ["WITH a AS (SELECT 1), b AS (SELECT * FROM a, a), c AS (SELECT * FROM b, b) SELECT * FROM c, c", 15],
  ])("counts the SELECTs of %s as %i", (sql, selects) => {
    expect(count(sql)).toBe(selects);
  });

  it.each([
    ["a name in double quotes", 'WITH "A" AS (SELECT 1) SELECT * FROM a, "a"'],
    ["a name in brackets", "WITH [a] AS (SELECT 1) SELECT * FROM [A], a"],
    ["a name in back ticks", "WITH `a` AS (SELECT 1) SELECT * FROM `a`, a"],
    ["a name in single quotes", "WITH 'a' AS (SELECT 1) SELECT * FROM 'A', 'a'"],
    ["a column list", "WITH a(x, y) AS (SELECT 1) SELECT * FROM a, a"],
    ["AS MATERIALIZED", "WITH a AS MATERIALIZED (SELECT 1) SELECT * FROM a, a"],
    ["AS NOT MATERIALIZED", "WITH a(x) AS NOT MATERIALIZED (SELECT 1) SELECT * FROM a, a"],
    ["RECURSIVE", "WITH RECURSIVE a AS (SELECT 1) SELECT * FROM a, a"],
    ["comments", "WITH/*,*/a--(\nAS/*(*/(/*)*/SELECT 1)SELECT * FROM/**/a,/**/a"],
    ["a definition after another", "WITH z AS (SELECT 9), a AS (SELECT 1) SELECT * FROM a, a"],
    ["a definition after its use", "WITH b AS (SELECT * FROM a, a), a AS (SELECT 1) SELECT * FROM b"],
    ["a WITH in a subquery", "SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a, a)"],
    ["a WITH in a WITH", "WITH b AS (WITH a AS (SELECT 1) SELECT * FROM a, a) SELECT * FROM b"],
    ["a use in a subquery", "WITH a AS (SELECT 1) SELECT (SELECT 1 FROM a), 1 IN a"],
  ])("expands both uses of a WITH query in spite of %s", (_case, sql) => {
    expect(count(sql)).toBeGreaterThanOrEqual(3);
  });

  it("uses the innermost definition of a WITH name", () => {
    const sql = "WITH a AS (SELECT * FROM t, t, t) SELECT * FROM a, (WITH a AS (SELECT 1) SELECT * FROM a)";
    expect(count(sql)).toBe(1 + 7 + 1 + 1);
  });

  it("ends the scope of a WITH clause at the parenthesis around it", () => {
    expect(count("SELECT * FROM (WITH t AS (SELECT 1) SELECT * FROM t), t")).toBe(1 + 1 + 1 + 2);
  });

  it("counts a query that names itself once, and two that name each other", () => {
    expect(count("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT * FROM n")).toBe(4);
    expect(count("WITH a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT * FROM a")).toBeLessThan(10);
  });

  it("does not count columns, arguments and aliases as tables", () => {
    const sql = "WITH a AS (SELECT 1 AS a) SELECT a.a AS a, max(a.a), x.a FROM a AS x";
    expect(count(sql)).toBe(2);
  });

  it("reads WITH as a name where it is one", () => {
    expect(count("SELECT with FROM t")).toBe(3);
    expect(count("SELECT (with) FROM t")).toBe(3);
  });

  it("counts 14 levels of two references, which would block an isolate, as 32,768", () => {
    const levels = Array.from(
      { length: 14 },
      (_value, level) => `c${level + 1} AS (SELECT 1 FROM c${level}, c${level})`,
    );
    expect(count(`WITH c0 AS (SELECT 1), ${levels.join(", ")} SELECT 1 FROM c14`)).toBe(2 ** 15);
  });

  it("takes time in proportion to the length of the text", () => {
    const texts = [
      "(".repeat(9000) + ")".repeat(9000),
      "WITH a AS (".repeat(1500) + "SELECT 1" + ") SELECT 1 FROM a".repeat(500),
    ];
    texts.push(`WITH ${Array.from({ length: 1000 }, (_value, index) => `a${index} AS (SELECT 1)`).join(",")} SELECT 1`);
    texts.push(`SELECT ${"a,".repeat(9000)}1`);
    for (const text of texts) expect(count(text)).toBeLessThan(20_000);
  });
});
