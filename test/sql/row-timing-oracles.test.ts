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
  ])("finds a stall in %s", (sql, values = []) => {
    expect(canStallOnRow(parseStatement(sql), values)).toBe(true);
  });
});

describe("canStallOnRow: ordinary queries, which may use indexes", () => {
  it.each<Case>([
    ["SELECT id FROM t WHERE name LIKE '%a%b%c%' AND note LIKE 'b%'"],
    ["SELECT id FROM t WHERE instr(email, '@') > 1 AND trim(name) = 'Ann' AND rtrim(code, ' ') <> ''"],
    ["SELECT instr(note, name) FROM t WHERE id = 5"],
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
