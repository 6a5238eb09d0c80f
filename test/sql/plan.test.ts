// What is read off a plan: passes over whole tables inside loops, and the indexes that it uses or makes.
import { describe, expect, it } from "vitest";
import type { PlanLine } from "../../src/sql/engine/sqlite.ts";
import { estimateWork, hasOneSource, indexedFor, indexesOf, nestsScans } from "../../src/sql/plan.ts";

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

describe("the indexes of a plan", () => {
  const lines = linesOf([
    "SCAN main.people USING COVERING INDEX people_email",
    "SEARCH main.visits USING INDEX visits_person (person_id=?) LEFT-JOIN",
    "SEARCH main.labels USING AUTOMATIC PARTIAL COVERING INDEX (name=?)",
    "SEARCH guard_1 USING AUTOMATIC COVERING INDEX (id=?)",
    "SEARCH main.teams USING INTEGER PRIMARY KEY (rowid=?)",
  ]);

  it("are those of the database, and those that it makes on tables", () => {
    expect(indexesOf(lines)).toEqual(["people_email", "visits_person"]);
    expect(indexedFor(lines)).toEqual(["labels"]);
  });

  it.each([
    [["SCAN main.people", "USE TEMP B-TREE FOR ORDER BY", "SCAN result"], true],
    [["SCAN main.people", "SEARCH main.visits USING INTEGER PRIMARY KEY (rowid=?)"], false],
    [["SCAN 2 CONSTANT ROWS", "SCAN main.visits"], false],
    [["SCAN j VIRTUAL TABLE INDEX 1:", "SCAN main.visits"], false],
  ])("are not made where there is one source of rows alone: %j %s", (details, expected) => {
    expect(hasOneSource(linesOf(details))).toBe(expected);
  });
});

describe("the work of a plan", () => {
  it("counts a loop by several indexes as one that turns as often as they find rows", () => {
    const or: readonly PlanLine[] = [
      { id: 1, parent: 0, cost: 0, detail: "MULTI-INDEX OR" },
      { id: 2, parent: 1, cost: 0, detail: "INDEX 1" },
      { id: 3, parent: 2, cost: 200, detail: "SEARCH main.visits USING INDEX visits_k (k=?)" },
      { id: 4, parent: 1, cost: 0, detail: "INDEX 2" },
      { id: 5, parent: 4, cost: 200, detail: "SEARCH main.visits USING INDEX visits_k2 (k2=?)" },
    ];
    const scan: PlanLine = { id: 9, parent: 0, cost: 200, detail: "SCAN main.people" };
    const options = {
      rowsOf: () => 1_000_000,
      maxElements: 100,
      isCoarse: () => false,
      ruledColumns: () => new Set<string>(),
      frame: undefined,
    };
    const alone = estimateWork([scan], options).work;
    expect(estimateWork([...or, scan], options).work).toBeGreaterThan(alone + 15);
    expect(nestsScans([...or, scan])).toBe(true);
  });
});
