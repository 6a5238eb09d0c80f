// What is read from a query plan: its work, scans inside loops, and the indexes that it uses or builds.
import { describe, expect, it } from "vitest";
import type { PlanLine } from "../../src/sql/engine/sqlite.ts";
import {
  estimateWork,
  hasSingleRowSource,
  listAutoIndexedTables,
  listUsedIndexes,
  hasNestedScan,
} from "../../src/sql/work-estimate.ts";

const createLines = (details: readonly string[]): readonly PlanLine[] =>
  details.map((detail, index) => ({ id: index + 1, parent: 0, cost: 100, detail }));

describe("hasNestedScan", () => {
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
  ])("returns for the plan %j: %s", (details, expected) => {
    expect(hasNestedScan(createLines(details))).toBe(expected);
  });
});

describe("listUsedIndexes, listAutoIndexedTables and hasSingleRowSource", () => {
  const lines = createLines([
    "SCAN main.people USING COVERING INDEX people_email",
    "SEARCH main.visits USING INDEX visits_person (person_id=?) LEFT-JOIN",
    "SEARCH main.labels USING AUTOMATIC PARTIAL COVERING INDEX (name=?)",
    "SEARCH guard_1 USING AUTOMATIC COVERING INDEX (id=?)",
    "SEARCH main.teams USING INTEGER PRIMARY KEY (rowid=?)",
  ]);

  it("list the indexes of the database, and the tables that get an automatic index", () => {
    expect(listUsedIndexes(lines)).toEqual(["people_email", "visits_person"]);
    expect(listAutoIndexedTables(lines)).toEqual(["labels"]);
  });

  it.each([
    [["SCAN main.people", "USE TEMP B-TREE FOR ORDER BY", "SCAN result"], true],
    [["SCAN main.people", "SEARCH main.visits USING INTEGER PRIMARY KEY (rowid=?)"], false],
    [["SCAN 2 CONSTANT ROWS", "SCAN main.visits"], false],
    [["SCAN j VIRTUAL TABLE INDEX 1:", "SCAN main.visits"], false],
  ])("recognise whether the plan %j has a single source of rows: %s", (details, expected) => {
    expect(hasSingleRowSource(createLines(details))).toBe(expected);
  });
});

describe("estimateWork", () => {
  it("counts a loop over several indexes as one loop over all rows that they find", () => {
    const multiIndexOr: readonly PlanLine[] = [
      { id: 1, parent: 0, cost: 0, detail: "MULTI-INDEX OR" },
      { id: 2, parent: 1, cost: 0, detail: "INDEX 1" },
      { id: 3, parent: 2, cost: 200, detail: "SEARCH main.visits USING INDEX visits_k (k=?)" },
      { id: 4, parent: 1, cost: 0, detail: "INDEX 2" },
      { id: 5, parent: 4, cost: 200, detail: "SEARCH main.visits USING INDEX visits_k2 (k2=?)" },
    ];
    const scan: PlanLine = { id: 9, parent: 0, cost: 200, detail: "SCAN main.people" };
    const options = {
      getRowCount: () => 1_000_000,
      maxElements: 100,
      usesSizeClass: () => false,
      listRuleColumns: () => new Set<string>(),
      frame: undefined,
    };
    const scanStepsLog2 = estimateWork([scan], options).stepsLog2;
    expect(estimateWork([...multiIndexOr, scan], options).stepsLog2).toBeGreaterThan(scanStepsLog2 + 15);
    expect(hasNestedScan([...multiIndexOr, scan])).toBe(true);
  });
});
