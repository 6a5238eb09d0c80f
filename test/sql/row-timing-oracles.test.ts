// Which statements could take so long on one hidden row that their duration reveals it, decided before they run.
import { describe, expect, it } from "vitest";
import type { SqlValue } from "../../src/sql/parameters.ts";
import { canStallOnRow, mayRunSubqueryOnHiddenRow } from "../../src/sql/row-timing-oracles.ts";
import { parseStatement } from "../../src/sql/statement.ts";

type Case = [sql: string, values?: readonly SqlValue[]];

describe("canStallOnRow: statements that may take long on one row", () => {
  it.each<Case>([
    ["SELECT id FROM t WHERE ? LIKE name || '%'", ["a".repeat(1001)]],
    ["SELECT id FROM t WHERE instr(note, name) > 0"],
    ["SELECT id FROM t WHERE trim(note, name) = ''"],
    ["SELECT id FROM t WHERE rtrim(note, ?) = ''", ["ab".repeat(600)]],
    ["SELECT id FROM t WHERE length(upper(?)) > id", ["a".repeat(2000)]],
    ["SELECT instr(note, name) AS i FROM t WHERE i > 0"],
    ["WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT id FROM t WHERE id IN n"],
    ["WITH n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT id FROM t WHERE id IN n"],
    [
      "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100 * 1000) SELECT id FROM n CROSS JOIN t",
    ],
    ["WITH n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1001000) SELECT id FROM n CROSS JOIN t"],
    ["WITH n(x) AS (SELECT 1 UNION ALL SELECT x + 0 FROM n WHERE x < 90) SELECT id FROM n CROSS JOIN t"],
    [
      "WITH n(x) AS (WITH d AS (SELECT 1) SELECT 1 UNION ALL SELECT x + 1 FROM n WINDOW n AS (ORDER BY 1)) SELECT id FROM n, t",
    ],
    [
      "WITH n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x > (WITH n AS (SELECT 1) SELECT * FROM n)) SELECT id FROM n, t",
    ],
    ["WITH n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 90 OR 1) SELECT id FROM n CROSS JOIN t"],
    ["WITH n(x, y) AS (SELECT 1, 1 UNION ALL SELECT x + 1, y FROM n WHERE y < 90) SELECT id FROM n CROSS JOIN t"],
    ["WITH n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n, t WHERE x < 90) SELECT id FROM n CROSS JOIN t"],
    [
      "WITH n(x) AS (SELECT '2026-01-01' UNION ALL SELECT date(x, '+1 day') FROM n WHERE x < '2036-01-01') SELECT id FROM n CROSS JOIN t",
    ],
    [
      "WITH n(x) AS (SELECT '2026-01-01' UNION ALL SELECT date(x, '-1 day') FROM n WHERE x < '2026-03-01') SELECT id FROM n CROSS JOIN t",
    ],
    ["WITH n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < '2026-03-01') SELECT id FROM n CROSS JOIN t"],
    ["WITH 'n'(x) AS NOT MATERIALIZED (SELECT 1 UNION ALL SELECT x + 1 FROM [N]) SELECT id FROM t WHERE id IN n"],
    [
      "SELECT id FROM t WHERE CASE WHEN a = 1 THEN (WITH c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 1000 * 1000) SELECT count(*) FROM c) ELSE 1 END",
    ],
    [
      "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n), m AS (SELECT * FROM n) SELECT id FROM t WHERE id IN (SELECT x FROM m)",
    ],
    [
      "SELECT id FROM t WHERE (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n) > 0",
    ],
    [
      "SELECT (SELECT max(x) FROM (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n)) FROM t",
    ],
  ])("finds a stall in %s", (sql, values = []) => {
    expect(canStallOnRow(parseStatement(sql), values)).toBe(true);
  });
});

describe("canStallOnRow: ordinary queries, which may use indexes", () => {
  it.each<Case>([
    ["SELECT id FROM t WHERE name LIKE '%a%b%c%' AND note LIKE 'b%'"],
    ["SELECT id FROM t WHERE instr(email, '@') > 1 AND trim(name) = 'Ann' AND rtrim(code, ' ') <> ''"],
    ["SELECT instr(note, name) FROM t WHERE id = 5"],
    ["WITH c AS (WITH c AS (SELECT id FROM t) SELECT x.id FROM c x JOIN c y ON x.id = y.id) SELECT id FROM c"],
    ["WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 90) SELECT id FROM n CROSS JOIN t"],
    [
      "WITH RECURSIVE n(x) AS (VALUES (0) UNION SELECT n.x + 5 FROM n WHERE n.x <= 4000) SELECT id FROM n JOIN t ON t.a = n.x",
    ],
    [
      "WITH RECURSIVE m AS (SELECT date('2026-01-01') AS d UNION ALL SELECT date(d, '+1 month') FROM m WHERE d < '2030-01-01') SELECT * FROM m, t",
    ],
    [
      "WITH RECURSIVE days(day) AS (SELECT '2026-01-01' UNION ALL SELECT date(day, '+1 day') FROM days WHERE day < '2026-03-01') SELECT day, (SELECT count(*) FROM t WHERE t.at >= d.day) FROM days d",
    ],
    ["SELECT id FROM t WHERE id IN (SELECT value FROM json_each(?))", [JSON.stringify(Array.from({ length: 900 }))]],
  ])("finds no stall in %s", (sql, values = []) => {
    expect(canStallOnRow(parseStatement(sql), values)).toBe(false);
  });
});

describe("mayRunSubqueryOnHiddenRow", () => {
  it.each([
    ["SELECT id FROM t WHERE (SELECT count(*) FROM u) > 0", true],
    ["SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u)", true],
    ["SELECT id FROM t WHERE id IN (SELECT id FROM u)", true],
    ["WITH u AS (SELECT 1) SELECT id FROM t WHERE id IN u", true],
    ["SELECT (SELECT count(*) FROM u) AS n FROM t WHERE n > 0", true],
    ["SELECT (SELECT count(*) FROM t WHERE (SELECT count(*) FROM u) > 0)", true],
    ["SELECT d.day, (SELECT count(*) FROM t WHERE t.day = d.day) FROM d", false],
    ["WITH u AS (SELECT 1) SELECT * FROM t JOIN (SELECT 2) s, u", false],
  ])("decides whether a subquery may run on a hidden row: %s → %s", (sql, expected) => {
    expect(mayRunSubqueryOnHiddenRow(parseStatement(sql))).toBe(expected);
  });
});
