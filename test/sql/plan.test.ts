// Which plans go through a whole table again and again: where columns are masked, views are then computed first.
import { describe, expect, it } from "vitest";
import type { PlanLine } from "../../src/sql/engine/sqlite.ts";
import { nestsScans } from "../../src/sql/plan.ts";

const linesOf = (details: readonly string[]): readonly PlanLine[] =>
  details.map((detail, index) => ({ id: index + 1, parent: 0, cost: 100, detail }));

describe("nestsScans", () => {
  it.each([
    [["SCAN main.people"], false],
    [["SCAN main.people", "SCAN main.visits"], true],
    [
      ["SEARCH main.visits USING INTEGER PRIMARY KEY (rowid<?)", "SCAN main.people USING COVERING INDEX people_email"],
      true,
    ],
    [["SCAN main.visits", "SEARCH main.people USING INTEGER PRIMARY KEY (rowid=?)"], false],
    [["SCAN main.visits", "CORRELATED SCALAR SUBQUERY 1", "USE TEMP B-TREE FOR GROUP BY"], false],
    [["SCAN g1", "BLOOM FILTER ON g0 (email=?)", "SEARCH g0 USING AUTOMATIC COVERING INDEX (email=?)"], false],
  ])("%j: %s", (details, expected) => {
    expect(nestsScans(linesOf(details))).toBe(expected);
  });
});
