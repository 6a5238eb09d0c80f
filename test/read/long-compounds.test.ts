// A compound SELECT of more than five terms, which D1 refuses, runs: it is nested in a way that leaves its result the same.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { createReader } from "../support/governed.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";

const { outcome, read } = createReader(
  buildPolicy({
    tables: {
      visits: { id: key(NUMBER), month: NUMBER, guest: TEXT },
      codes: { id: key(NUMBER), code: TEXT },
    },
    roles: {
      reader: [allow("shop.*")],
      some: [
        allow("shop.visits", { rows: { column: "month", op: "<=", value: 2 }, masks: { guest: { kind: "redact" } } }),
      ],
    },
  }),
);

const repeat = (count: number, buildTerm: (at: number) => string, operator = " UNION ALL "): string =>
  Array.from({ length: count }, (_value, at) => buildTerm(at + 1)).join(operator);

beforeAll(async () => {
  const rows = Array.from({ length: 24 }, (_value, at) => `(${at + 1}, ${(at % 12) + 1}, 'guest ${at % 5}')`).join(
    ", ",
  );
  for (const sql of [
    "CREATE TABLE visits (id INTEGER PRIMARY KEY, month INTEGER, guest TEXT)",
    "CREATE TABLE codes (id INTEGER PRIMARY KEY, code TEXT COLLATE NOCASE)",
    `INSERT INTO visits VALUES ${rows}`,
    "INSERT INTO codes VALUES (1, 'a'), (2, 'A'), (3, 'b')",
  ])
    await env.SHOP_DB.exec(sql);
});

/** Computes what a compound of single values is, by SQL's rule: from left to right. */
function evaluateSets(values: readonly number[], operators: readonly string[]): readonly number[] {
  return operators.reduce<readonly number[]>(
    (left, operator, at) => {
      const right = values[at + 1] ?? 0;
      if (operator === "UNION ALL") return [...left, right];
      const distinct = [...new Set(left)];
      if (operator === "UNION") return [...new Set([...distinct, right])];
      return distinct.filter((value) => (value === right) === (operator === "INTERSECT"));
    },
    [values[0] ?? 0],
  );
}

const OPERATORS = ["UNION ALL", "UNION", "EXCEPT", "INTERSECT"];

describe("a compound SELECT of many terms", () => {
  it.each([6, 7, 9, 10, 12, 13, 21, 22, 60])("returns the rows of %i terms in their order", async (count) => {
    const expected = Array.from({ length: count }, (_value, at) => [at + 1]);
    expect(
      await outcome(
        "reader",
        repeat(count, (at) => `SELECT ${at}`),
      ),
    ).toBe(JSON.stringify(expected));
    expect(
      await outcome(
        "reader",
        repeat(count, (at) => `VALUES (${at})`),
      ),
    ).toBe(JSON.stringify(expected));
    expect(await outcome("reader", `${repeat(count, (at) => `SELECT ${at}`, " UNION ")} ORDER BY 1`)).toBe(
      JSON.stringify(expected),
    );
  });

  it("sums each of 12 months", async () => {
    const sql = repeat(
      12,
      (at) => `SELECT '${at}' AS name, count(*) AS visits, min(id) FROM visits WHERE month = ${at}`,
    );
    const expected = Array.from({ length: 12 }, (_value, at) => [String(at + 1), 2, at + 1]);
    expect(await outcome("reader", sql)).toBe(JSON.stringify(expected));
    expect((await read("reader", sql)).columns).toEqual(["name", "visits", "min(id)"]);
    expect(await outcome("reader", `SELECT sum(visits) FROM (${sql}) WHERE name <> '3'`)).toBe("[[22]]");
    expect(await outcome("reader", `WITH m AS (${sql}) SELECT max(name), total(visits) FROM m`)).toBe('[["9",24]]');
  });

  it("evaluates every mixture of operators from left to right", async () => {
    for (let seed = 0; seed < 60; seed += 1) {
      const pick = (at: number, count: number): number =>
        (seed * 7919 + at * 104_729 + ((seed * at) % 13) * 31) % count;
      const values = Array.from({ length: 6 + (seed % 7) }, (_value, at) => pick(at, 4));
      const operators = values.slice(1).map((_value, at) => OPERATORS[pick(at + 50, OPERATORS.length)] ?? "");
      const sql = values.map((value, at) => `${at === 0 ? "" : `${operators[at - 1]} `}SELECT ${value} AS x`).join(" ");
      const expected = evaluateSets(values, operators)
        .toSorted((left, right) => left - right)
        .map((value) => [value]);
      expect(await outcome("reader", `${sql} ORDER BY x`), sql).toBe(JSON.stringify(expected));
    }
  });

  it.each<[string, string]>([
    [
      `${repeat(12, (at) => `SELECT id, month AS m FROM visits WHERE month = ${at}`)} ORDER BY m DESC, id LIMIT 2 OFFSET 1`,
      "[[24,12],[11,11]]",
    ],
    [`${repeat(7, () => "SELECT month + 1 FROM visits WHERE id < 3")} ORDER BY month + 1 DESC LIMIT 1`, "[[3]]"],
    [
      `${repeat(7, (at) => `SELECT guest FROM visits WHERE id = ${at}`, " UNION ")} ORDER BY guest LIMIT 2`,
      '[["guest 0"],["guest 1"]]',
    ],
    [
      `SELECT id, (${repeat(6, (at) => `SELECT ${at} WHERE visits.id = ${at}`)}) FROM visits WHERE id IN (6, 7)`,
      "[[6,6],[7,null]]",
    ],
    [`SELECT count(*) FROM visits WHERE month IN (${repeat(8, (at) => `SELECT ${at}`)})`, "[[16]]"],
    [`SELECT ${repeat(1, () => "1")} WHERE EXISTS (${repeat(6, () => "SELECT 1 WHERE 0")})`, "[]"],
    [
      `WITH v(x) AS (${repeat(6, (at) => `SELECT ${at}`)}), w AS (${repeat(6, () => "SELECT x FROM v")}) SELECT count(*) FROM w`,
      "[[36]]",
    ],
    [`SELECT * FROM (${repeat(6, (at) => `SELECT ${at} -- month\n`)}) ORDER BY 1 LIMIT 1`, "[[1]]"],
    [`${repeat(6, (at) => `SELECT rowid FROM visits WHERE rowid = ${at}`)} ORDER BY 1 DESC LIMIT 1`, "[[6]]"],
  ])("answers %s", async (sql, expected) => {
    expect(await outcome("reader", sql)).toBe(expected);
  });

  it("binds parameters in the order in which they are written", async () => {
    const values = Array.from({ length: 12 }, (_value, at) => `p${at}`);
    const expected = JSON.stringify(values.map((value) => [value]));
    expect(
      await outcome(
        "reader",
        repeat(12, () => "SELECT ?"),
        values,
      ),
    ).toBe(expected);
    expect(
      await outcome("reader", `${repeat(12, () => "SELECT ? AS x", " UNION ")} ORDER BY length(x), x LIMIT ?`, [
        ...values,
        3,
      ]),
    ).toMatch(/^query_failed|^\[\["p0"\]/);
  });

  it("hides rows and masks values in every term", async () => {
    const sql = repeat(12, (at) => `SELECT id, guest FROM visits WHERE month = ${at}`);
    const rows = (await read("some", sql)).rows;
    expect(rows.map(([id]) => id)).toEqual([1, 13, 2, 14]);
    expect(JSON.stringify(rows)).not.toContain("guest ");
  });

  it("states the position of a mistake in the user's own text", async () => {
    for (const [operator, place] of [
      [" UNION ALL ", 11],
      [" UNION ", 3],
    ] as const) {
      const sql = repeat(12, (at) => `SELECT ${at === place ? "nosuch" : "rowid"} FROM visits`, operator);
      expect(await outcome("reader", sql)).toContain(`(At character ${sql.indexOf("nosuch") + 1} of the SQL.)`);
    }
  });

  it("compares by the collation of its columns, or is refused with a way to write it", async () => {
    const sql = repeat(6, (at) => `SELECT ${at < 6 ? `'c${at}'` : "code"} AS code FROM codes`);
    expect(await outcome("reader", sql)).toMatch(/^\[\[/);
    for (const ordered of [`${sql} ORDER BY code`, sql.replaceAll("UNION ALL", "UNION")])
      expect(await outcome("reader", ordered)).toContain("at most 5 SELECTs");
  });

  it("leaves a recursive query as it is", async () => {
    const sql = `WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL ${repeat(6, (at) => `SELECT x + ${at} FROM r WHERE x < 2`)}) SELECT x FROM r`;
    expect(await outcome("reader", sql)).toContain("at most 5 SELECTs");
  });
});
