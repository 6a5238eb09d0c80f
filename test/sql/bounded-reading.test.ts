// A user's SQL is read before any limit of SQLite applies, so the work on it grows with its length, not with the square of it.
import { describe, expect, it } from "vitest";
import { listComputedColumns } from "../../src/sql/column-uses.ts";
import { findDefinedNames } from "../../src/sql/defined-names.ts";
import type { LexerToken } from "../../src/sql/lexer.ts";
import { canFailOnRow } from "../../src/sql/row-error-oracles.ts";
import { canStallOnRow, mayRunSubqueryOnHiddenRow } from "../../src/sql/row-timing-oracles.ts";
import { outlineQueries } from "../../src/sql/query-outline.ts";
import { replaceRowids } from "../../src/sql/rowid-names.ts";
import { createRowBounds } from "../../src/sql/row-bounds.ts";
import { parseStatement } from "../../src/sql/statement.ts";
import type { Statement } from "../../src/sql/statement.ts";
import { findCostliestFrame } from "../../src/sql/window-frames.ts";

const TABLES = [{ name: "tickets", columns: ["id", "title"], rowidColumn: "id" }];

/** Bounds the rows of each query of a statement, as the estimate does for each subquery of a plan. */
function boundAllRows(tokens: readonly LexerToken[]): void {
  const outline = outlineQueries(tokens);
  const bounds = createRowBounds(outline, [], () => "unknown");
  for (const query of outline.queries) {
    bounds.boundRowsLog2(query, 20);
    bounds.boundListRunsLog2(query);
    bounds.countStepsLog2(query);
  }
}

/** What reads a statement before it is prepared. */
const READERS: Readonly<Record<string, (statement: Statement) => unknown>> = {
  replaceRowids: (statement) => replaceRowids(statement, TABLES),
  findDefinedNames: ({ tokens }) => findDefinedNames(tokens),
  listComputedColumns: (statement) => listComputedColumns(statement, ["id", "title"]),
  canFailOnRow: (statement) => canFailOnRow(statement, [], new Set()),
  canStallOnRow: (statement) => canStallOnRow(statement, []),
  mayRunSubqueryOnHiddenRow: (statement) => mayRunSubqueryOnHiddenRow(statement),
  findCostliestFrame: (statement) => findCostliestFrame(statement, []),
  outlineQueries: ({ tokens }) => outlineQueries(tokens),
  createRowBounds: ({ tokens }) => boundAllRows(tokens),
};

const nest = (open: string, inner: string, close: string, levels: number): string =>
  `${open.repeat(levels)}${inner}${close.repeat(levels)}`;
const rowids = (count: number): string => Array(count).fill("rowid").join("+");

/** SQL of a length that is proportional to the count. */
const SHAPES: Readonly<Record<string, (count: number) => string>> = {
  "nested subqueries around rowids": (count) => nest("SELECT (", `SELECT ${rowids(50)} FROM tickets`, ")", count),
  "thousands of rowids": (count) => `SELECT ${rowids(count)} FROM tickets`,
  "rowids beside a long select list": (count) => `SELECT ${rowids(50)}${",1".repeat(count)} FROM tickets`,
  "rowids in a compound SELECT": (count) => `SELECT ${rowids(50)} FROM tickets${" UNION SELECT 1".repeat(count / 2)}`,
  "WITH queries with columns": (count) =>
    `WITH ${Array.from({ length: count / 2 }, (_value, index) => `c${index}(a)AS(SELECT 1)`).join(",")} SELECT 1`,
  "nested lists before AS": (count) => `SELECT ${nest("(", "1", ")AS(c)", count)}`,
  "nested calls": (count) => `SELECT 1 WHERE ${nest("f(", "1", ")", count)}`,
  "nested calls that compare texts": (count) => `SELECT 1 WHERE ${nest("trim(", "a", ")", count)}`,
  "WITH queries that group by columns of the one before": (count) =>
    `WITH c0(a) AS (SELECT 1 a)${Array.from({ length: count / 8 }, (_value, index) => `,c${index + 1} AS (SELECT DISTINCT a+a||a a FROM c${index} GROUP BY 1)`).join("")} SELECT 1`,
  "nested subqueries in FROM": (count) => `SELECT 1 FROM ${nest("(SELECT DISTINCT a FROM", " t ", ")", count / 4)}`,
  "long lists of keys": (count) => `SELECT 1 FROM t GROUP BY ${Array(count).fill("a%7").join(",")}`,
  "recursive WITH queries": (count) =>
    `WITH ${Array.from({ length: count / 8 }, (_value, index) => `c${index} AS (SELECT 1 UNION SELECT 1 FROM c${index} LIMIT 9)`).join(",")} SELECT 1`,
  "windows with EXCLUDE": (count) =>
    `SELECT ${Array.from({ length: count / 10 }, () => "sum(a)OVER(PARTITION BY b ROWS 1 PRECEDING EXCLUDE TIES)").join(",")} FROM t`,
  "nested aggregates of text": (count) => `SELECT ${nest("group_concat(", "1", ")", count / 2)}`,
};

/** Counts how often the reader reads an element of the list of lexer tokens. */
function countReads(read: (statement: Statement) => unknown, sql: string): number {
  let count = 0;
  const statement = parseStatement(sql);
  const tokens = new Proxy(statement.tokens, {
    get(target, property): unknown {
      count += 1;
      return Reflect.get(target, property);
    },
  }) satisfies readonly LexerToken[];
  read({ ...statement, tokens });
  return count;
}

describe.each(Object.entries(READERS))("%s", (_name, read) => {
  it.each(Object.entries(SHAPES))("does at most proportional work for %s", (_shape, build) => {
    expect(countReads(read, build(1000)) / countReads(read, build(500))).toBeLessThan(2.5);
  });
});
