// Which statements could fail on a hidden row, decided before they run, and which functions never fail.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { ALLOWED_FUNCTIONS, FALLIBLE_AGGREGATES, TOTAL_FUNCTIONS } from "../../src/sql/functions.ts";
import type { SqlValue } from "../../src/sql/parameters.ts";
import { canFailOnRow } from "../../src/sql/row-error-oracles.ts";
import { parseStatement } from "../../src/sql/statement.ts";

type Case = [sql: string, values?: readonly SqlValue[]];

const decide = (sql: string, values: readonly SqlValue[] = [], fallibleColumns: readonly string[] = []): boolean =>
  canFailOnRow(parseStatement(sql), values, new Set(fallibleColumns));

describe("canFailOnRow: ordinary queries, which may use indexes", () => {
  it.each<Case>([
    ["SELECT * FROM t WHERE id = 5"],
    ["SELECT * FROM t WHERE id = ? AND day BETWEEN ? AND ?", [1, "2026-01-01", "2026-02-01"]],
    ["SELECT json_extract(notes, '$.a'), sum(x), a || b FROM t WHERE id = 5"],
    ["SELECT json_extract(notes, '$.a') AS a, count(*) FROM t GROUP BY a ORDER BY a"],
    ["SELECT sum(x) / count(*) AS mean FROM t WHERE day > '2026-01-01' GROUP BY region ORDER BY 1 DESC LIMIT 10"],
    ["SELECT name FROM t WHERE name LIKE 'Os%' AND note NOT LIKE '%x%' ESCAPE '\\' ORDER BY name LIMIT 10 OFFSET 20"],
    ["SELECT name FROM t WHERE name LIKE ? LIMIT ?", ["Os%", 5]],
    ["SELECT name FROM t WHERE name LIKE '%' || ? || '%'", ["Oscar"]],
    ["SELECT strftime('%Y-%m', day) AS month, sum(x) FROM t WHERE strftime('%Y', day) = '2026' GROUP BY month"],
    ["SELECT * FROM t WHERE id IN (SELECT value FROM json_each(?))", ["[1,2,3]"]],
    [
      "SELECT * FROM t WHERE id IN (SELECT t_id FROM u WHERE kind = 'a') AND EXISTS (SELECT 1 FROM v WHERE v.id = t.id)",
    ],
    ["SELECT * FROM t WHERE x > (SELECT avg(x) FROM t)"],
    ["WITH m AS (SELECT region, sum(x) AS s FROM t GROUP BY region) SELECT t.id FROM t JOIN m ON m.region = t.region"],
    ["SELECT * FROM (SELECT id, row_number() OVER (PARTITION BY region ORDER BY day) AS r FROM t) WHERE r = 1"],
    ["SELECT avg(x) OVER (ORDER BY day ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) FROM t WHERE id < 100"],
    ["SELECT * FROM t WHERE round(x, 2) = 1 AND lower(name) = 'ann' AND CAST(a AS TEXT) <> substr(b, 1, 3)"],
    ["SELECT * FROM a IS DISTINCT FROM b"],
    ["SELECT a IS NOT DISTINCT FROM json(b) FROM t WHERE id = 5"],
  ])("finds no failure in %s", (sql, values) => {
    expect(decide(sql, values)).toBe(false);
  });
});

describe("canFailOnRow: statements that may fail on a hidden row", () => {
  it.each<Case>([
    ["SELECT * FROM t WHERE json(a) = 1"],
    ['SELECT * FROM t WHERE "json"(a) = 1'],
    ["SELECT * FROM t WHERE [abs] (a) = 1"],
    ["SELECT * FROM t WHERE abs /* x */ (a) = 1"],
    ["SELECT json(a) AS j FROM t WHERE j = 1"],
    ['SELECT json(a) "j" FROM t WHERE J = 1'],
    ["SELECT json(a) AS j FROM t GROUP BY j HAVING j = 1"],
    ["SELECT a FROM t GROUP BY a HAVING a || b <> ''"],
    ["SELECT (SELECT json(a) FROM t) FROM u"],
    ["SELECT a IS DISTINCT FROM json(b) AS c FROM t WHERE c"],
    ["WITH c AS (SELECT json(a) AS j FROM t) SELECT * FROM c"],
    ["SELECT 1 UNION SELECT json(a) FROM t"],
    ["SELECT * FROM t, json_each(t.a)"],
    ["SELECT * FROM t WHERE id IN (SELECT value FROM json_each(?))", ["[1,"]],
    ["SELECT * FROM t WHERE id IN (SELECT value FROM json_each(?, '$.a'))", ["[1]"]],
    ["SELECT * FROM t WHERE name LIKE ?", ["x".repeat(51)]],
    ["SELECT * FROM t WHERE name LIKE '%' || ? || '%'", ["x".repeat(49)]],
    ["SELECT * FROM t WHERE name LIKE other"],
    ["SELECT * FROM t WHERE name LIKE lower(?)", ["a"]],
    ["SELECT * FROM t WHERE 'a' LIKE ('b' || name)"],
    ["SELECT * FROM t WHERE name LIKE 'a' || name"],
    ["SELECT * FROM t WHERE 'a' GLOB name"],
    ["SELECT * FROM t WHERE glob(name, 'a')"],
    ["SELECT * FROM t WHERE name LIKE 'a' ESCAPE 'bc'"],
    ["SELECT * FROM t WHERE name LIKE 'a' ESCAPE ''"],
    ["SELECT * FROM t WHERE name LIKE 'a' ESCAPE name"],
    ["SELECT * FROM t WHERE a = (SELECT 1 LIMIT 'x')"],
    ["SELECT * FROM t WHERE a = (SELECT 1 LIMIT ?)", ["x"]],
    ["SELECT * FROM t WHERE a = (SELECT 1 LIMIT 1.5)"],
    ["SELECT * FROM t WHERE a = (SELECT 1 LIMIT 1 + 'x')"],
    ["SELECT * FROM t WHERE a = (SELECT 1 LIMIT 1, 'x')"],
    ["SELECT * FROM t WHERE a = (SELECT 1 LIMIT 1 OFFSET 'x')"],
    ["SELECT * FROM t WHERE name LIKE 'a' COLLATE 'nocase' || 'aaaa'"],
    ["SELECT * FROM t WHERE name LIKE 'a' ESCAPE 'b' COLLATE 'nocase' || 'c'"],
    ["SELECT * FROM t AS 'b' WHERE length('b'.'big' || 'b'.'big') > 1"],
    ["SELECT * FROM t WHERE a = (SELECT 1 LIMIT 1, 1 AND NULL)"],
    ["SELECT * FROM t WHERE a = (SELECT 1 LIMIT 1, 1 > NULL)"],
    ["SELECT * FROM t WHERE a = (SELECT 1 LIMIT 1 IN (NULL))"],
    ["SELECT * FROM t WHERE a = (SELECT 1 LIMIT ?)", ["5"]],
    ["SELECT * FROM t WHERE name LIKE 'a' ESCAPE ?", ["\u0000"]],
    ["SELECT * FROM t WHERE a = (SELECT count(*) FROM json_each('[1]') WHERE root = 'a[')"],
    ["SELECT * FROM t WHERE EXISTS (SELECT 1 FROM json_tree('[1]') AS j WHERE j.\"ROOT\" IN ('x', 'y'))"],
    ["SELECT count(*) FROM t FULL JOIN (SELECT sum(b) AS s FROM u) q ON q.s > t.id"],
    ["SELECT count(*) FROM t RIGHT OUTER JOIN (SELECT sum(b) AS s FROM u) q ON q.s > t.id"],
    ["SELECT * FROM t WHERE a = (SELECT sum(b) FROM u)"],
    ["WITH c AS (SELECT sum(b) AS s FROM u) SELECT * FROM t WHERE a = (SELECT s FROM c)"],
    ["WITH c AS (SELECT sum(b) AS s FROM u) SELECT * FROM t WHERE a IN c"],
    ["SELECT * FROM t WHERE a = (SELECT count(*) OVER (ROWS -1 PRECEDING) FROM u)"],
    ["SELECT * FROM t WHERE a = (SELECT nth_value(b, 0) OVER () FROM u)"],
    ["SELECT * FROM t WHERE a = (SELECT count(*) FROM (SELECT DISTINCT b AS c, b AS d FROM u))"],
    ["SELECT * FROM t WHERE (a, b) IN (SELECT c, d FROM u)"],
    ["SELECT * FROM t WHERE (a, b) IN (SELECT * FROM u)"],
    ["WITH c(x, y) AS (SELECT b, b FROM u) SELECT * FROM t WHERE EXISTS (SELECT 1 FROM c)"],
    ["SELECT * FROM t WHERE strftime(a, 'now') = 'x'"],
    ["SELECT * FROM t WHERE json_valid('1', a) = 1"],
    ["SELECT * FROM t WHERE unistr(a) = 'x'"],
    ["SELECT * FROM t WHERE printf('%d', a) = 'x'"],
    ["SELECT * FROM t WHERE (SELECT max(n) FROM (SELECT ntile(a) OVER () AS n)) = 1"],
  ])("finds a failure in %s", (sql, values) => {
    expect(decide(sql, values)).toBe(true);
  });

  it.each([
    ["SELECT id FROM t WHERE email = 'tok_a'", true],
    ["SELECT email FROM t WHERE id = 1", false],
    ["SELECT email AS e FROM t WHERE e = 'tok_a'", true],
    ["SELECT * FROM t WHERE id = 1", false],
    ["WITH c(x) AS (SELECT * FROM t) SELECT 1 FROM c WHERE x = 'tok_a'", true],
    ["SELECT count(*) FROM t NATURAL JOIN u", true],
    ['SELECT count(*) FROM t JOIN u USING ("Email")', true],
  ])("decides about reads of a column whose value may be missing: %s → %s", (sql, expected) => {
    expect(decide(sql, [], ["email"])).toBe(expected);
  });
});

describe("TOTAL_FUNCTIONS", () => {
  const VALUES = [
    "NULL",
    "(-9223372036854775807 - 1)",
    "9223372036854775807",
    "-0.0",
    "9e999",
    "1.5e308",
    "''",
    "'x'",
    "'{\"a\":'",
    "'12:61:61'",
    "'%d'",
    "x'00ff80'",
    "(SELECT long FROM extreme)",
    "(SELECT bytes FROM extreme)",
    "'2026-01-31 10:00:00'",
    "'+99999999 years'",
  ];

  beforeAll(async () => {
    await env.SHOP_DB.batch([
      env.SHOP_DB.prepare("CREATE TABLE extreme (long TEXT, bytes BLOB)"),
      env.SHOP_DB.prepare("INSERT INTO extreme SELECT printf('%950000s', 'é'), zeroblob(950000)"),
    ]);
  });

  it("contains only allowed functions, and no fallible aggregate", () => {
    expect([...TOTAL_FUNCTIONS].filter((name) => !ALLOWED_FUNCTIONS.has(name))).toEqual([]);
    expect(
      [...FALLIBLE_AGGREGATES].filter((name) => TOTAL_FUNCTIONS.has(name) || !ALLOWED_FUNCTIONS.has(name)),
    ).toEqual([]);
  });

  it.each([...TOTAL_FUNCTIONS].filter((name) => !name.startsWith("current_") && name !== "likelihood"))(
    "contains %s, which returns a value for extreme arguments",
    async (name) => {
      const pick = (index: number): string => VALUES[index % VALUES.length] ?? "NULL";
      const calls = VALUES.flatMap((value, index) => [
        `${name}(${value})`,
        `${name}(${value}, ${pick(index * 7 + 3)})`,
        `${name}(${value}, ${pick(index * 3 + 1)}, ${pick(index * 5 + 2)})`,
        `${name}(${value}) OVER ()`,
        `${name}(${value}, ${pick(index * 5 + 1)}) OVER ()`,
      ]);
      // Run each call alone, so that the first failure does not hide the others.
      const messages = await Promise.all(
        [`${name}()`, ...calls].map((call) =>
          env.SHOP_DB.prepare(`SELECT octet_length(${call}) FROM extreme`)
            .all()
            .then(() => "")
            .catch((error: unknown) => String(error)),
        ),
      );
      const runtimeErrors = messages.filter(
        (message) =>
          message !== "" &&
          !/wrong number of arguments|no such function|may not be used as a window function|misuse of|not authorized to use function/.test(
            message,
          ),
      );
      expect(runtimeErrors).toEqual([]);
    },
  );
});

describe("canFailOnRow: texts joined with ||", () => {
  const decideWith = (sql: string, columns: readonly string[], values: readonly SqlValue[] = []): boolean =>
    canFailOnRow(parseStatement(sql), values, new Set(), (name) => columns.includes(name));

  it.each<Case>([
    ["SELECT * FROM json_each('[0,1,2]') d LEFT JOIN t ON t.day >= date('2026-01-01', '+' || d.value || ' days')"],
    ["SELECT * FROM json_each('[0,1]') AS d JOIN t ON t.day < date('2026-01-01', '+' || (d.value + 1) || ' days')"],
    ["SELECT * FROM t, json_each(?) WHERE t.day = date('2026-01-01', '+' || value || ' days')", ["[0,1]"]],
    [
      "SELECT * FROM t WHERE strftime('%Y', day) || '-Q' || ((CAST(strftime('%m', day) AS INTEGER) + 2) / 3) = '2026-Q1'",
    ],
    ["SELECT * FROM t WHERE substr(name, 1, 1) || '.' || length(name) = 'A.4'"],
    ["SELECT * FROM t WHERE CAST(x AS INTEGER) || ' km' = '5 km'"],
    ["SELECT * FROM t WHERE date(day) || 'T' || time(day) > '2026'"],
  ])("cannot fail where both are short: %s", (sql, values = []) => {
    expect(decideWith(sql, ["day", "name", "x"], values)).toBe(false);
  });

  it.each<Case>([
    ["SELECT * FROM t WHERE a || 'x' = 'b'"],
    ["SELECT * FROM t WHERE 'x' || a = 'b'"],
    ["SELECT * FROM t WHERE (a) || 'x' = 'b'"],
    ["SELECT * FROM t WHERE (+ a) || 'x' = 'b'"],
    ["SELECT * FROM t WHERE (+ + a) || 'x' = 'b'"],
    [
      "WITH c AS (SELECT value FROM json_each('[1]') UNION ALL SELECT a FROM t) SELECT * FROM c WHERE 'x' || value = 'b'",
    ],
    [
      "WITH c AS (SELECT by value FROM (SELECT a AS by FROM t)), e AS (SELECT * FROM json_each('[1]')) SELECT * FROM c WHERE 'x' || value = 'b'",
    ],
    ["WITH c AS (SELECT group_concat(a) AS g FROM t) SELECT * FROM c WHERE substr(g, 1, 1) || 'x' = 'b'"],
    ["SELECT * FROM t WHERE (a COLLATE nocase) || 'x' = 'b'"],
    ["SELECT * FROM t WHERE (SELECT a) || 'x' = 'b'"],
    ["SELECT * FROM t WHERE (SELECT a + 1, a) || 'x' = 'b'"],
    ["SELECT * FROM t WHERE (a || b + 1) || 'x' = 'b'"],
    ["SELECT * FROM t WHERE lower(a + 1) || 'x' = 'b'"],
    ["SELECT * FROM t WHERE replace(a, 1, 2) || 'x' = 'b'"],
    ["SELECT * FROM t WHERE substr(a, 1) || 'x' = 'b'"],
    ["SELECT * FROM t WHERE substr(a, 1, b) || 'x' = 'b'"],
    ["SELECT * FROM t WHERE substr(a, 1, -1) || 'x' = 'b'"],
    ["SELECT * FROM t WHERE substr(a, 1, 2000000) || 'x' = 'b'"],
    ["SELECT * FROM t WHERE substr(a || 1, 1, 2) || 'x' = 'b'"],
    ["SELECT * FROM t WHERE CAST(a AS TEXT) || 'x' = 'b'"],
    ["SELECT * FROM t WHERE CAST(a AS BLOB) || 'x' = 'b'"],
    ["SELECT * FROM t WHERE strftime(a, day) || 'x' = 'b'"],
    ["SELECT * FROM t WHERE strftime(?, day) || 'x' = 'b'", ["%Y".repeat(9000)]],
    ["SELECT * FROM t WHERE length(a) || ? = 'b'", ["x".repeat(1_999_999)]],
    ["SELECT * FROM json_each(?) d JOIN t ON t.a = d.value || d.value", [JSON.stringify(["x".repeat(1_500_000)])]],
    ["SELECT * FROM json_each(t.a) d, t WHERE 'x' || d.value = 'b'"],
    ["SELECT * FROM json_each('[1]') d, json_each(a) e WHERE 'x' || d.value = 'b'"],
    ["SELECT * FROM json_each('[1]') d, (SELECT a AS value FROM t) d WHERE 'x' || d.value = 'b'"],
    ["SELECT * FROM json_each('[1]') d WHERE EXISTS (SELECT 1 FROM u AS d WHERE 'x' || d.value = 'b')"],
    ["WITH d(value) AS (SELECT a FROM t) SELECT * FROM d, json_each('[1]') e WHERE 'x' || d.value = 'b'"],
    [
      "WITH c(value) AS (SELECT a FROM t) SELECT * FROM c WHERE 'x' || value = 'b' AND 1 IN (SELECT 1 FROM json_each('[1]'))",
    ],
    ["WITH c(id, value) AS (SELECT 1, a FROM t) SELECT * FROM c, json_each('[1]') e WHERE 'x' || c.value = 'b'"],
    ["SELECT * FROM (SELECT a value FROM t), (SELECT 1 FROM json_each('[1]')) WHERE 'x' || value = 'b'"],
    ["SELECT * FROM (SELECT a AS value FROM t), (SELECT 1 FROM json_each('[1]')) WHERE 'x' || value = 'b'"],
    ["SELECT * FROM (SELECT lower(a) value FROM t), (SELECT 1 FROM json_each('[1]')) WHERE 'x' || value = 'b'"],
    ["SELECT * FROM t, json_each('[1]') WHERE 'x' || t.value = 'b'"],
    ["SELECT * FROM (SELECT x'61' value), (SELECT 1 FROM json_each('[1]')) WHERE value || value = 'b'"],
    ["SELECT * FROM (SELECT ? value), (SELECT 1 FROM json_each('[1]')) WHERE value || value = 'b'", ["x"]],
    [
      "SELECT * FROM (SELECT max(a) FILTER (WHERE 1) value FROM t), (SELECT 1 FROM json_each('[1]')) WHERE 'x' || value = 'b'",
    ],
    [`SELECT * FROM t WHERE length(a) || x'${"61".repeat(6000)}' = 'b'`],
  ])("may fail where one can be long: %s", (sql, values = []) => {
    expect(decideWith(sql, ["day", "a", "b"], values)).toBe(true);
  });

  it("may fail on an unqualified value that is a column of a table", () => {
    const sql = "SELECT * FROM t WHERE 'x' || value = 'b' AND id IN (SELECT id FROM json_each('[1]'))";
    expect(decideWith(sql, ["id", "value"])).toBe(true);
  });
});
