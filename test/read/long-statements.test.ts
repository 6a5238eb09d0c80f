// Long and deeply nested statements over a table with a row rule. The check whether they could reveal hidden rows must be fast: with a
// quadratic check, each of them took seconds to minutes and would exceed the time limit of a test.
import { beforeAll, describe, expect, it } from "vitest";
import type { Reader } from "../support/governed.ts";
import { NORTHERN, createTwins } from "../support/twins.ts";

const repeat = (count: number, text: string, between = ","): string =>
  Array.from({ length: count }, () => text).join(between);
const nest = (count: number, name: string): string => `${`${name}(`.repeat(count)}1${")".repeat(count)}`;

/** Statements just below the length up to which a statement is checked, and just below the longest that is accepted. */
const SHAPES: readonly (readonly [title: string, sql: string])[] = [
  [
    "subqueries in a list and nested calls",
    `SELECT id FROM clients WHERE id IN (${repeat(250, "(SELECT 1)")}, ${nest(400, "a")})`,
  ],
  [
    "many subqueries in a list and nested calls",
    `SELECT id FROM clients WHERE id IN (${repeat(900, "(SELECT 1)")}, ${nest(2500, "a")})`,
  ],
  ["a long select list", `SELECT ${repeat(1400, "1")} FROM clients`],
  ["a longer select list", `SELECT ${repeat(9800, "1")} FROM clients`],
  ["subqueries in the select list", `SELECT ${repeat(500, "(SELECT 1)")} FROM clients`],
  ["nested trims", `SELECT id FROM clients WHERE ${nest(900, "trim")} = 1`],
  ["more nested trims", `SELECT id FROM clients WHERE ${nest(3000, "trim")} = 1`],
  ["nested subqueries", `SELECT id FROM clients WHERE ${"(SELECT ".repeat(900)}1${")".repeat(900)} = 1`],
  [
    "window frames",
    `SELECT ${repeat(90, "sum(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES)")} FROM clients`,
  ],
  ["concatenated constants", `SELECT id FROM clients WHERE name LIKE ${repeat(1400, "'a'", " || ")}`],
];

let reader: Reader;

beforeAll(async () => {
  [reader] = await createTwins();
});

describe("a long statement", () => {
  it.each(SHAPES)("is answered or refused at once: %s", async (_title, sql) => {
    expect(await reader.outcome(NORTHERN, sql)).toMatch(/^(?:\[|query_refused|query_failed)/);
  });
});
