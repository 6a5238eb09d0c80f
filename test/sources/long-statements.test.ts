// Statements that are long or deep for their size, over a table with a row rule: to judge whether they could tell of hidden rows takes
// little time itself. Each took seconds to minutes when the judging was quadratic or worse, and would run into the time limit of a test.
import { beforeAll, describe, expect, it } from "vitest";
import type { Reader } from "../support/governed.ts";
import { NORTHERN, createTwins } from "../support/twins.ts";

const many = (count: number, text: string, between = ","): string =>
  Array.from({ length: count }, () => text).join(between);
const nested = (count: number, name: string): string => `${`${name}(`.repeat(count)}1${")".repeat(count)}`;

/** At the length from which on nothing is judged, and at the length of all that is accepted. */
const SHAPES: readonly (readonly [title: string, sql: string])[] = [
  [
    "subqueries in a list, and nested calls",
    `SELECT id FROM clients WHERE id IN (${many(250, "(SELECT 1)")}, ${nested(400, "a")})`,
  ],
  [
    "many subqueries in a list, and nested calls",
    `SELECT id FROM clients WHERE id IN (${many(900, "(SELECT 1)")}, ${nested(2500, "a")})`,
  ],
  ["a select list", `SELECT ${many(1400, "1")} FROM clients`],
  ["a longer select list", `SELECT ${many(9800, "1")} FROM clients`],
  ["subqueries in the select list", `SELECT ${many(500, "(SELECT 1)")} FROM clients`],
  ["nested trims", `SELECT id FROM clients WHERE ${nested(900, "trim")} = 1`],
  ["more nested trims", `SELECT id FROM clients WHERE ${nested(3000, "trim")} = 1`],
  ["nested subqueries", `SELECT id FROM clients WHERE ${"(SELECT ".repeat(900)}1${")".repeat(900)} = 1`],
  [
    "frames",
    `SELECT ${many(90, "sum(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES)")} FROM clients`,
  ],
  ["joined constants", `SELECT id FROM clients WHERE name LIKE ${many(1400, "'a'", " || ")}`],
];

let reader: Reader;

beforeAll(async () => {
  [reader] = await createTwins();
});

describe("a long statement is answered or refused at once", () => {
  it.each(SHAPES)("%s", async (_title, sql) => {
    expect(await reader.outcome(NORTHERN, sql)).toMatch(/^(?:\[|query_refused|query_failed)/);
  });
});
