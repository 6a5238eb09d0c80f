// Error oracles: an expression that fails on a chosen name must not reveal whether a row rule hides a row with this name. Tries each kind
// of failure in each place of a query, over tables with and without an index on the name. Twins are databases that differ in hidden rows.
import { beforeAll, describe, expect, it } from "vitest";
import type { SqlValue } from "../../src/sql/parameters.ts";
import type { Reader } from "../support/governed.ts";
import { HIDDEN_NAME, NORTHERN, VISIBLE_NAME, createTwins } from "../support/twins.ts";

/** An expression over the name `n` that fails for the hidden name and has a value for any other. */
type Oracle = readonly [title: string, sql: (n: string) => string];

const when = (n: string, failing: string, harmless: string): string =>
  `CASE WHEN ${n} = '${HIDDEN_NAME}' THEN ${failing} ELSE ${harmless} END`;

const MINIMUM = "(-9223372036854775807 - 1)";
const LONG_PATTERN = `'${"a".repeat(60)}'`;
const LARGE = "replace(printf('%.*c', 4000, 'x'), 'x', printf('%.*c', 2000, 'y'))";
/** Larger than any limit on a value: each of 100,000 characters becomes 2,000. */
const HUGE = "replace(printf('%.*c', 100000, 'x'), 'x', printf('%.*c', 2000, 'y'))";

/** Columns that are together larger than any limit on a row. */
const WIDE_ROW = Array.from({ length: 90 }, (_value, index) => `body AS b${index}`).join(", ");

const ORACLES: readonly Oracle[] = [
  ["json of invalid text", (n) => `json(${when(n, "'x'", "'1'")}) IS NOT NULL`],
  ["jsonb of invalid text", (n) => `jsonb(${when(n, "'x'", "'1'")}) IS NOT NULL`],
  ["an invalid JSON path", (n) => `coalesce(json_extract('{"a":1}', ${when(n, "'a['", "'$.a'")}), 1) = 1`],
  ["the operator ->", (n) => `(${when(n, "'x'", "'[1]'")} -> 0) IS NOT NULL`],
  ["the operator ->>", (n) => `(${when(n, "'x'", "'[1]'")} ->> 0) = 1`],
  ["json_array of bytes", (n) => `json_array(${when(n, "x'ffff'", "1")}) IS NOT NULL`],
  ["json_valid with unknown flags", (n) => `json_valid('1', ${when(n, "99", "1")}) = 1`],
  ["json_array_length", (n) => `json_array_length(${when(n, "'x'", "'[]'")}) = 0`],
  ["json_each in a subquery", (n) => `(SELECT count(*) FROM json_each(${when(n, "'x'", "'[1]'")})) = 1`],
  ["an overflow of abs", (n) => `abs(${when(n, MINIMUM, "1")}) = 1`],
  ["an overflow of sum", (n) => `(SELECT sum(${when(n, "9223372036854775807", "1")} + 0 * words.id) FROM words) > 0`],
  ["too large a text by printf", (n) => `length(${when(n, HUGE, "'a'")}) = 1`],
  [
    "too large a text by replace",
    (n) =>
      `length(replace(hex(${when(n, "'abc'", "''")}), '6', ${"replace('".concat("a".repeat(2000), `', 'a', '${"b".repeat(2000)}')`)})) = 0`,
  ],
  [
    "too large a text by ||",
    (n) =>
      // 8,000,000 characters are within the limit on a value; twice as many are not.
      `length(${LARGE} || ${when(n, LARGE, "''")}) > 0`,
  ],
  [
    "too large a row for a sorter",
    (n) => `(${n} <> '${HIDDEN_NAME}' OR (SELECT count(*) FROM (SELECT DISTINCT ${WIDE_ROW} FROM words)) >= 0)`,
  ],
  ["too long a LIKE pattern", (n) => `('a' LIKE ${when(n, LONG_PATTERN, "'a'")})`],
  [
    "too long a literal LIKE pattern",
    (n) => `CASE WHEN ${n} = '${HIDDEN_NAME}' THEN ${n} LIKE ${LONG_PATTERN} ELSE 1 END`,
  ],
  ["too long a GLOB pattern", (n) => `('a' GLOB ${when(n, LONG_PATTERN, "'a'")})`],
  ["like() as a function", (n) => `like(${when(n, LONG_PATTERN, "'a'")}, 'a')`],
  ["an ESCAPE of two characters", (n) => `('a' LIKE 'a' ESCAPE ${when(n, "'ab'", "'b'")})`],
  [
    "a literal ESCAPE of two characters",
    (n) => `CASE WHEN ${n} = '${HIDDEN_NAME}' THEN 'a' LIKE 'a' ESCAPE 'ab' ELSE 1 END`,
  ],
  ["unistr with a bad escape", (n) => `unistr(${when(n, "'\\x'", "'a'")}) = 'a'`],
  [
    "an OFFSET of text in a subquery",
    (n) => `CASE WHEN ${n} = '${HIDDEN_NAME}' THEN (SELECT 1 LIMIT 1 OFFSET 'x') ELSE 1 END`,
  ],
  [
    "a negative window frame",
    (n) => `CASE WHEN ${n} = '${HIDDEN_NAME}' THEN (SELECT count(*) OVER (ROWS -1 PRECEDING) FROM words) ELSE 1 END`,
  ],
  ["ntile of zero", (n) => `(SELECT max(t) FROM (SELECT ntile(${when(n, "0", "1")}) OVER () AS t)) = 1`],
  ["nth_value of zero", (n) => `CASE WHEN ${n} = '${HIDDEN_NAME}' THEN (SELECT nth_value(1, 0) OVER ()) ELSE 1 END`],
  [
    "a LIKE pattern that is extended after a collation",
    (n) => `CASE WHEN ${n} = '${HIDDEN_NAME}' THEN 'a' LIKE 'x' COLLATE 'nocase' || ${LONG_PATTERN} ELSE 1 END`,
  ],
  [
    "an ESCAPE that is extended after a collation",
    (n) => `CASE WHEN ${n} = '${HIDDEN_NAME}' THEN 'a' LIKE 'x' ESCAPE 'b' COLLATE 'nocase' || 'c' ELSE 1 END`,
  ],
  [
    "an ESCAPE that is multiplied after a collation",
    (n) => `CASE WHEN ${n} = '${HIDDEN_NAME}' THEN 'a' LIKE 'x' ESCAPE '5' COLLATE nocase * 10 ELSE 1 END`,
  ],
  [
    "a signed LIMIT that is text",
    (n) => `CASE WHEN ${n} = '${HIDDEN_NAME}' THEN 1 IN (SELECT id FROM words LIMIT 0, -5 || 'x') ELSE 1 END`,
  ],
  [
    "a LIMIT that is multiplied after a collation",
    (n) =>
      `CASE WHEN ${n} = '${HIDDEN_NAME}' THEN 1 IN (SELECT id FROM words LIMIT 0, 5 COLLATE nocase * 1e300) ELSE 1 END`,
  ],
  [
    "an invalid path in the column root",
    (n) =>
      `CASE WHEN ${n} = '${HIDDEN_NAME}' THEN (SELECT count(*) FROM json_each('[1]') WHERE root = 'a[') ELSE 1 END`,
  ],
  [
    "a LIMIT that is a condition",
    (n) => `CASE WHEN ${n} = '${HIDDEN_NAME}' THEN (SELECT 1 LIMIT 1, 1 AND NULL) ELSE 1 END`,
  ],
  [
    "a failing CTE that only the hidden name reaches",
    (n) => `CASE WHEN ${n} = '${HIDDEN_NAME}' THEN (SELECT s FROM overflow) ELSE 1 END`,
  ],
];

/** A CTE that fails whenever it is read. Queries that do not name it do not read it. */
const OVERFLOW = "overflow AS (SELECT sum(9223372036854775807) AS s FROM words)";

type Place = readonly [title: string, sql: (table: string, fails: (n: string) => string) => string];

const from = `'${HIDDEN_NAME}'`;
const PLACES: readonly Place[] = [
  ["WHERE", (t, f) => `SELECT name FROM ${t} WHERE name >= ${from} AND ${f("name")} ORDER BY name LIMIT 1`],
  [
    "WHERE that also fails on the visible row",
    (t, f) =>
      `SELECT name FROM ${t} WHERE name >= ${from} AND ${f(`replace(name, '${VISIBLE_NAME}', ${from})`)} ORDER BY name LIMIT 1`,
  ],
  ["WHERE with an equality", (t, f) => `SELECT count(*) FROM ${t} WHERE name = ${from} AND ${f("name")}`],
  ["WHERE with OR", (t, f) => `SELECT count(*) FROM ${t} WHERE name = 'Ann' OR ${f("name")}`],
  ["ON", (t, f) => `SELECT count(*) FROM words w JOIN ${t} c ON ${f("c.name")} AND c.name >= ${from}`],
  [
    "ON of a left join",
    (t, f) => `SELECT count(c.name) FROM words w LEFT JOIN ${t} c ON ${f("c.name")} AND c.name >= w.word`,
  ],
  [
    "ON of a full join",
    (t, f) => `SELECT count(*) FROM words w FULL JOIN ${t} c ON ${f("c.name")} AND c.name = w.word`,
  ],
  ["ORDER BY", (t, f) => `SELECT name FROM ${t} WHERE name >= ${from} ORDER BY ${f("name")}, name LIMIT 2`],
  ["GROUP BY", (t, f) => `SELECT count(*) FROM ${t} WHERE name >= 'A' GROUP BY ${f("name")}`],
  ["HAVING", (t, f) => `SELECT name FROM ${t} GROUP BY name HAVING ${f("name")} ORDER BY name`],
  ["HAVING by an alias", (t, f) => `SELECT name, ${f("name")} AS hit FROM ${t} GROUP BY name HAVING hit ORDER BY name`],
  [
    "WHERE by an alias",
    (t, f) => `SELECT ${f("name")} AS hit FROM ${t} WHERE hit AND name >= ${from} ORDER BY name LIMIT 1`,
  ],
  [
    "WHERE by an alias without AS",
    (t, f) => `SELECT ${f("name")} hit FROM ${t} WHERE hit AND name >= ${from} ORDER BY name LIMIT 1`,
  ],
  [
    "GROUP BY and HAVING by an alias",
    (t, f) => `SELECT ${f("name")} AS hit, count(*) FROM ${t} GROUP BY hit HAVING hit`,
  ],
  [
    "a window",
    (t, f) =>
      `SELECT name, row_number() OVER (ORDER BY ${f("name")}, name) FROM ${t} WHERE name >= ${from} ORDER BY name`,
  ],
  [
    "a window's filter",
    (t, f) => `SELECT count(*) FILTER (WHERE ${f("name")}) OVER () FROM ${t} ORDER BY name LIMIT 1`,
  ],
  [
    "WHERE around a window",
    (t, f) =>
      `SELECT * FROM (SELECT name, ${f("name")} AS hit, row_number() OVER (PARTITION BY name) AS r FROM ${t})
        WHERE name >= ${from} AND hit`,
  ],
  ["CASE", (t, f) => `SELECT count(*) FROM ${t} WHERE CASE WHEN name < 'B' THEN 1 ELSE ${f("name")} END`],
  ["an IN list", (t, f) => `SELECT count(*) FROM ${t} WHERE 1 IN (${f("name")}, 2)`],
  ["an IN subquery", (t, f) => `SELECT count(*) FROM words WHERE word IN (SELECT name FROM ${t} WHERE ${f("name")})`],
  ["a correlated subquery", (t, f) => `SELECT count(*) FROM ${t} c WHERE (SELECT ${f("c.name")})`],
  [
    "a correlated EXISTS",
    (t, f) =>
      `SELECT count(*) FROM words w WHERE EXISTS (SELECT 1 FROM ${t} c WHERE c.name >= w.word AND ${f("c.name")})`,
  ],
  [
    "a subquery in the select list",
    (t, f) => `SELECT (SELECT max(c.name) FROM ${t} c WHERE c.name >= ${from} AND ${f("c.name")}) FROM words`,
  ],
  [
    "a derived table",
    (t, f) =>
      `SELECT name FROM (SELECT name, ${f("name")} AS hit FROM ${t}) WHERE hit AND name >= ${from} ORDER BY name LIMIT 1`,
  ],
  [
    "a derived table of a derived table",
    (t, f) => `SELECT count(*) FROM (SELECT hit AS h FROM (SELECT ${f("name")} AS hit FROM ${t})) WHERE h`,
  ],
  ["a compound", (t, f) => `SELECT 'a' UNION ALL SELECT name FROM ${t} WHERE ${f("name")} ORDER BY 1`],
  [
    "a derived compound",
    (t, f) =>
      `SELECT * FROM (SELECT 1 AS hit, 'a' AS name UNION ALL SELECT ${f("name")}, name FROM ${t}) WHERE hit AND name >= ${from}`,
  ],
  ["the select list", (t, f) => `SELECT name, ${f("name")} FROM ${t} WHERE name >= ${from} ORDER BY name LIMIT 1`],
  ["an aggregate", (t, f) => `SELECT max(${f("name")}) FROM ${t} WHERE name >= ${from}`],
  ["a self-join", (t, f) => `SELECT count(*) FROM ${t} a JOIN ${t} b ON a.name = b.name WHERE ${f("b.name")}`],
];

/** The query with the failing CTE in scope, and inside two kinds of CTE. */
const frameQuery = (sql: string): readonly [title: string, sql: string][] => [
  ["", `WITH ${OVERFLOW} ${sql}`],
  [", in a CTE", `WITH ${OVERFLOW}, q AS (${sql}) SELECT * FROM q`],
  [", in a CTE that is not materialized", `WITH ${OVERFLOW}, q AS NOT MATERIALIZED (${sql}) SELECT count(*) FROM q`],
];

let hiddenTwin: Reader;
let absentTwin: Reader;

beforeAll(async () => {
  [hiddenTwin, absentTwin] = await createTwins();
});

/** The outcome with the twin that hides the name, and with the one that does not have it. */
const readOutcomes = async (sql: string, values: readonly SqlValue[] = []) =>
  Promise.all([hiddenTwin.outcome(NORTHERN, sql, values), absentTwin.outcome(NORTHERN, sql, values)]);

describe("each oracle", () => {
  it.each(ORACLES)("fails where it is evaluated on the hidden name: %s", async (_title, fails) => {
    const sql = `WITH ${OVERFLOW} SELECT ${fails("n")} FROM (SELECT word, '${HIDDEN_NAME}' AS n FROM words LIMIT 1)`;
    expect(await hiddenTwin.outcome(NORTHERN, sql)).toMatch(/^query_failed: /);
  });
});

describe.each(ORACLES)("an expression that fails by %s", (_title, fails) => {
  it.each(PLACES)("reveals no hidden row in %s", async (_place, place) => {
    for (const table of ["clients", "contacts"]) {
      for (const [title, sql] of frameQuery(place(table, fails))) {
        const [withHidden, withAbsent] = await readOutcomes(sql);
        expect(withHidden, `${table}${title}: ${sql}`).toBe(withAbsent);
        expect(withHidden, sql).not.toContain(HIDDEN_NAME);
        // Invalid SQL would pass this test without testing anything.
        expect(withHidden, sql).not.toMatch(
          /syntax error|no such|There is no|misuse|cannot be used in that place|must return/,
        );
      }
    }
  });
});

describe("a failure on a visible row", () => {
  const CASES = `CASE WHEN name IN ('${HIDDEN_NAME}', '${VISIBLE_NAME}') THEN 'x' ELSE '1' END`;

  it.each(["clients", "contacts"])(
    "is the outcome for both twins, whatever hidden rows come before it, in %s",
    async (table) => {
      const sql = `SELECT name FROM ${table} WHERE name >= '${HIDDEN_NAME}' AND json(${CASES}) IS NOT NULL ORDER BY name LIMIT 1`;
      const [withHidden, withAbsent] = await readOutcomes(sql);
      expect(withHidden).toMatch(/^query_failed: A JSON function/);
      expect(withAbsent).toBe(withHidden);
    },
  );

  it("does not happen when the query ends before the row", async () => {
    const sql = `SELECT name FROM (SELECT * FROM clients LIMIT 3) WHERE json(${CASES}) IS NOT NULL`;
    expect(await readOutcomes(sql)).toEqual(['[["Ann"],["Bob"],["Cleo"]]', '[["Ann"],["Bob"],["Cleo"]]']);
  });
});

describe("a parameter", () => {
  const FAILING = [
    ["too long a LIKE pattern", `name <> '${HIDDEN_NAME}' OR name LIKE ?`, ["a".repeat(60)], ["b"]],
    ["a part of a LIKE pattern", `name <> '${HIDDEN_NAME}' OR name LIKE '%' || ? || '%'`, ["a".repeat(49)], ["b"]],
    ["invalid JSON", `name <> '${HIDDEN_NAME}' OR 1 IN (SELECT value FROM json_each(?))`, ["[1"], ["[2]"]],
    ["an ESCAPE of NUL", `name <> '${HIDDEN_NAME}' OR 'a' LIKE 'a' ESCAPE ?`, ["\u0000"], ["b"]],
    ["a LIMIT that is not a number", `name <> '${HIDDEN_NAME}' OR (SELECT 1 LIMIT ?)`, ["x"], [0]],
    ["too long a strftime format", `name <> '${HIDDEN_NAME}' OR strftime(?, 'now') > ''`, ["%Y".repeat(9000)], ["%Y"]],
  ] as const;

  it.each(FAILING)(
    "reveals no hidden row as %s after the same text ran with a harmless value",
    async (_title, condition, values, harmless) => {
      // A text of its own, which no other test has planned.
      const sql = `SELECT name FROM clients WHERE name >= 'H' AND (${condition}) ORDER BY name LIMIT 2`;
      await readOutcomes(sql, harmless);
      const [withHidden, withAbsent] = await readOutcomes(sql, values);
      expect(withHidden).toBe(withAbsent);
      expect(withHidden).toBe('[["Ida"],["Max"]]');
    },
  );

  it.each(FAILING)("reveals no hidden row as %s", async (_title, condition, values) => {
    const [withHidden, withAbsent] = await readOutcomes(
      `SELECT name FROM clients WHERE name >= 'H' AND (${condition}) ORDER BY name LIMIT 1`,
      values,
    );
    expect(withHidden).toBe(withAbsent);
    expect(withHidden).toBe('[["Ida"]]');
  });
});

describe("the duration of a query", () => {
  const elements = `[${"1,".repeat(259)}1]`;
  const SLOW = "(SELECT count(*) FROM json_each(?) a, json_each(?) b, json_each(?) c) > 0";

  const measureMs = async (reader: Reader, sql: string, values: readonly SqlValue[]): Promise<number> => {
    const beganMs = Date.now();
    await reader.outcome(NORTHERN, sql, values);
    return Date.now() - beganMs;
  };

  it("does not reveal through a slow subquery that a hidden row was reached", async () => {
    const sql = `SELECT count(*) FROM clients WHERE name = '${HIDDEN_NAME}' AND ${SLOW}`;
    const values = [elements, elements, elements];
    // The first run also plans, so it is not measured.
    await readOutcomes(sql, values);
    const hiddenMs = await measureMs(hiddenTwin, sql, values);
    const absentMs = await measureMs(absentTwin, sql, values);
    expect(hiddenMs).toBeLessThan(absentMs + 250);
  });
});
