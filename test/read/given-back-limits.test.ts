// What the SQL around a user's statement takes of D1's limits is not missing for the statement.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { createReader } from "../support/governed.ts";
import type { SqlValue } from "../../src/sql/parameters.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";

const { outcome, read } = createReader(
  buildPolicy({
    tables: { parts: { id: key(NUMBER), name: TEXT } },
    roles: {
      full: [allow("shop.parts")],
      ruled: [allow("shop.parts", { rows: { column: "name", op: "!=", value: "hidden" } })],
    },
  }),
);

const repeat = (count: number, text: string): string => Array.from({ length: count }, () => text).join(", ");
const build = <T>(count: number, buildValue: (index: number) => T): readonly T[] =>
  Array.from({ length: count }, (_value, index) => buildValue(index));

beforeAll(async () => {
  await env.SHOP_DB.exec("CREATE TABLE parts (id INTEGER PRIMARY KEY, name TEXT)");
  await env.SHOP_DB.exec("INSERT INTO parts VALUES (1, 'bolt'), (2, 'hidden'), (3, 'it''s \"in\" Zürich'), (4, '7')");
});

describe("a statement with 100 parameters", () => {
  it.each<[string, string, readonly SqlValue[], string]>([
    [
      "numbers",
      `SELECT id FROM parts WHERE id IN (${repeat(100, "?")})`,
      build(100, (index) => index),
      "[[1],[3],[4]]",
    ],
    [
      "texts",
      `SELECT id FROM parts WHERE name IN (${repeat(100, "?")})`,
      build(100, (index) => ["bolt", 'it\'s "in" Zürich', "hidden", `x${index}`][index % 4] ?? ""),
      "[[1],[3]]",
    ],
    [
      "different values in their order",
      `SELECT ${repeat(100, "?")} FROM parts WHERE id = 1`,
      build(100, (index) => [index, `t${index}`, null, "", -index, 2 ** 53 - 1][index % 6] ?? null),
      JSON.stringify([
        build(100, (index) => [index, `t${index}`, null, "", -index + 0, 2 ** 53 - 1][index % 6] ?? null),
      ]),
    ],
    [
      "their types",
      `SELECT typeof(?), typeof(?), typeof(?), typeof(?), ? / 2, ? / 2, ? FROM parts WHERE id = 1 AND 1 IN (${repeat(93, "?")})`,
      [
        1,
        "1",
        null,
        1.5,
        5,
        { kind: "real", value: 5 },
        { kind: "integer", digits: "9007199254740993" },
        ...build(93, () => 1),
      ],
      '[["integer","text","null","real",2,2.5,"9007199254740993"]]',
    ],
    [
      "a limit and a text that a number is compared with",
      `SELECT id FROM parts WHERE name = ? AND name IN (${repeat(98, "?")}) LIMIT ?`,
      ["7", ...build(98, () => "7"), 1],
      "[[4]]",
    ],
  ])("answers behind a row rule as without one: %s", async (_title, sql, values, expected) => {
    expect(await outcome("ruled", sql, values)).toBe(expected);
  });

  it("names a result column by its ?, and a mistake by its place", async () => {
    const sql = `SELECT ?, upper(?) FROM parts WHERE id IN (${repeat(98, "?")})`;
    expect(
      (
        await read(
          "ruled",
          sql,
          build(100, () => 1),
        )
      ).columns,
    ).toEqual(["?", "upper(?)"]);
    const mistake = `SELECT id FROM parts WHERE id IN (${repeat(100, "?")}) AND nosuch = 1`;
    expect(
      await outcome(
        "ruled",
        mistake,
        build(100, () => 1),
      ),
    ).toContain(`(At character ${mistake.indexOf("nosuch") + 1} of the SQL.)`);
  });

  it("joins both ways with values that share a parameter", async () => {
    const sql = `SELECT a.id, b.id FROM parts a FULL JOIN parts b ON a.id = b.id + ? WHERE ? IN (${repeat(98, "?")}) ORDER BY 1, 2`;
    const values = build(100, () => 1);
    expect(await outcome("full", sql, values)).toBe("[[null,4],[1,null],[2,1],[3,2],[4,3]]");
    expect(await outcome("ruled", sql, values)).toBe("[[null,1],[null,4],[1,null],[3,null],[4,3]]");
  });

  it("is refused with a way to write it when 100 fractions do not fit", async () => {
    const sql = `SELECT id FROM parts WHERE id IN (${repeat(100, "?")})`;
    expect(
      await outcome(
        "ruled",
        sql,
        build(100, (index) => index + 0.5),
      ),
    ).toMatch(/^query_refused: .*json_each\(\?\)/);
    expect(
      await outcome(
        "full",
        sql.replace(")", ", ?)"),
        build(101, (index) => index),
      ),
    ).toMatch(/json_each\(\?\)/);
    const list = "SELECT id FROM parts WHERE id IN (SELECT value FROM json_each(?))";
    expect(await outcome("ruled", list, [JSON.stringify(build(500, (index) => index))])).toBe("[[1],[3],[4]]");
  });
});

describe("a result with 100 columns", () => {
  const wide = "replace(printf('%.*c', 9000, 'x'), 'x', 'xxxxxxxxxx')";

  it.each([97, 98, 99, 100])("has its values if there are %i columns and one is large", async (count) => {
    const { rows } = await read("full", `SELECT id, ${wide}, ${repeat(count - 2, "1.5")} FROM parts ORDER BY id`);
    expect(rows.map((row) => row.length)).toEqual([count, count, count, count]);
    expect(rows.map(([id]) => id)).toEqual([1, 2, 3, 4]);
    expect(rows.every(([, text]) => typeof text === "string" && text.length === 90_000)).toBe(true);
  });

  it.each([98, 99, 100])("is cut where its rows become too large, with %i columns", async (count) => {
    const values = Array.from({ length: 30 }, (_value, index) => `(${index})`).join(", ");
    const sql = `SELECT x.column1, ${wide}, ${repeat(count - 2, "1")} FROM (VALUES ${values}) x`;
    const { rows, isCutBySize, hasMore } = await read("full", sql);
    expect(rows.map(([id]) => id)).toEqual(Array.from({ length: 11 }, (_value, index) => index));
    expect([isCutBySize, hasMore]).toEqual([true, true]);
    const tooLarge = sql.replace(wide, `CASE x.column1 WHEN 2 THEN ${wide} || ${wide} ELSE 1 END`);
    expect(await read("full", tooLarge)).toMatchObject({ isCutBySize: true, wideCell: { row: 3, bytes: 180_000 } });
  });

  it("can have rows of VALUES by the hundred", async () => {
    const rows = Array.from({ length: 500 }, (_value, index) => `(${index}, 'r${index}')`).join(", ");
    expect(
      await outcome("ruled", `WITH v(a, b) AS (VALUES ${rows}) SELECT p.name, v.b FROM v JOIN parts p ON p.id = v.a`),
    ).toBe(
      JSON.stringify([
        ["bolt", "r1"],
        ['it\'s "in" Zürich', "r3"],
        ["7", "r4"],
      ]),
    );
  });
});
