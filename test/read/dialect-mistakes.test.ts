// Typical mistakes of assistants: each message names the correction, and the corrected statement is answered.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { OTHER_FORMS, OTHER_FUNCTIONS } from "../../src/sql/other-dialects.ts";
import mistakes from "./dialect-mistakes.txt?raw";
import { createReader } from "../support/governed.ts";
import { DATE, NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";

const { outcome } = createReader(
  buildPolicy({
    tables: {
      sales: { id: key(NUMBER), buyer_id: NUMBER, total: NUMBER, placed: DATE, note: TEXT },
      buyers: { id: key(NUMBER), name: TEXT, city: TEXT },
    },
    roles: { reader: [allow("shop.*")] },
  }),
);

beforeAll(async () => {
  for (const sql of [
    "CREATE TABLE sales (id INTEGER PRIMARY KEY, buyer_id INTEGER, total INTEGER, placed TEXT, note TEXT)",
    "CREATE TABLE buyers (id INTEGER PRIMARY KEY, name TEXT, city TEXT)",
    "INSERT INTO sales VALUES (1, 1, 10, '2026-01-15', 'red,blue'), (2, 1, 20, '2026-02-10', 'green'), (3, 2, 60, '2026-02-28', NULL)",
    "INSERT INTO buyers VALUES (1, 'Ann', 'Oslo'), (2, 'Bob', 'Rome')",
  ])
    await env.SHOP_DB.exec(sql);
});

/** The statement, what its message says, the statement that an assistant makes of it, and its rows. */
type Mistake = readonly [sql: string, advice: string, corrected: string, rows: string];

const repeat = (count: number, text: string, between: string): string =>
  Array.from({ length: count }, () => text).join(between);

/** Reads blocks of four lines; a line that begins with `#` is a heading. */
function readMistakes(text: string): readonly Mistake[] {
  return text
    .split("\n\n")
    .filter((block) => !block.startsWith("#"))
    .map((block) => {
      const [sql = "", advice = "", corrected = "", rows = ""] = block.trim().split("\n");
      return [sql, advice, corrected, rows];
    });
}

const LIMITS: readonly Mistake[] = [
  [
    `WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL ${repeat(6, "SELECT x FROM n WHERE 0", " UNION ALL ")}) SELECT x FROM n`,
    "at most 5 SELECTs",
    "SELECT * FROM (SELECT 1 UNION ALL SELECT 2) UNION ALL SELECT * FROM (SELECT 3 UNION ALL SELECT 4)",
    "[[1],[2],[3],[4]]",
  ],
  [`SELECT ${repeat(101, "1", ", ")}`, "more than 100 columns", "SELECT 1, 1", "[[1,1]]"],
  [
    `SELECT id FROM sales WHERE ${repeat(120, "id = 1", " OR ")}`,
    "x IN (…)",
    `SELECT id FROM sales WHERE id IN (${repeat(120, "1", ", ")})`,
    "[[1]]",
  ],
  [`SELECT ${"abs(".repeat(120)}1${")".repeat(120)}`, "more than 100 levels", "SELECT abs(abs(1))", "[[1]]"],
  [
    `SELECT max(${repeat(40, "1", ", ")})`,
    "at most 32 arguments",
    `SELECT max(max(${repeat(30, "1", ", ")}), ${repeat(10, "1", ", ")})`,
    "[[1]]",
  ],
  [
    `SELECT count(*) FROM ${repeat(65, "buyers", ", ")}`,
    "at most 64 tables",
    "SELECT count(*) FROM buyers, sales",
    "[[6]]",
  ],
  [
    `SELECT id FROM sales ORDER BY ${repeat(101, "id", ", ")}`,
    "at most 100 terms",
    "SELECT id FROM sales ORDER BY id",
    "[[1],[2],[3]]",
  ],
];

const MISTAKES = [...readMistakes(mistakes), ...LIMITS];

describe("the message about a typical mistake", () => {
  it("is tested for at least 90 of them", () => {
    expect(MISTAKES.length).toBeGreaterThanOrEqual(90);
  });

  it.each(MISTAKES)("says how to correct %s: %s", async (sql, advice, corrected, rows) => {
    const refusal = await outcome("reader", sql);
    expect(refusal).toMatch(/^query_(?:refused|failed): /);
    expect(refusal).toContain(advice);
    expect(refusal.length).toBeLessThan(520);
    expect(await outcome("reader", corrected)).toBe(rows);
  });
});

describe("what the message has of other dialects", () => {
  it("is at most three hints, without the general advice", async () => {
    const sql = "SELECT NOW(), YEAR(placed), MONTH(placed), DAY(placed), LEFT(note, 1) FROM sales";
    const refusal = await outcome("reader", sql);
    expect(refusal.match(/for \w+\(\) write/g)).toEqual(["for NOW() write", "for YEAR() write", "for MONTH() write"]);
    expect(refusal).not.toContain("The dialect is SQLite");
  });

  it("does not follow from a text, a comment or a name in quotes", async () => {
    const refusal = await outcome("reader", `SELECT nosuch, 'ILIKE NOW()', "now", [left] FROM sales /* YEAR(x) */`);
    expect(refusal).not.toContain("In SQLite");
  });

  it("lists no function that can be called here", async () => {
    for (const name of OTHER_FUNCTIONS.flatMap(([names]) => names.split(" ")))
      expect(await outcome("reader", `SELECT ${name}(1)`), name).toMatch(/^query_(?:failed|refused): /);
  });

  it("has one entry for each name and pattern", () => {
    const names = OTHER_FUNCTIONS.flatMap(([functions]) => functions.split(" "));
    const patterns = OTHER_FORMS.map(([pattern]) => pattern);
    expect([names.length, patterns.length]).toEqual([new Set(names).size, new Set(patterns).size]);
  });

  it("does not touch a statement that SQLite accepts", async () => {
    const sql =
      "SELECT id, `note`, [placed], total != 5, TRUE, CAST(total AS VARCHAR(5)) FROM sales ORDER BY id LIMIT 1, 1";
    expect(await outcome("reader", sql)).toBe('[[2,"green","2026-02-10",1,1,"20"]]');
  });
});
