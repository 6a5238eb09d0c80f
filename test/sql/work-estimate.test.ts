// What is read from a query plan: its work, scans inside loops, and the indexes that it uses or builds.
import { describe, expect, it } from "vitest";
import type { PlanLine } from "../../src/sql/engine/sqlite.ts";
import { outlineQueries } from "../../src/sql/query-outline.ts";
import { createRowBounds } from "../../src/sql/row-bounds.ts";
import { parseStatement } from "../../src/sql/statement.ts";
import { findCostliestFrame } from "../../src/sql/window-frames.ts";
import {
  hasSingleRowSource,
  listAutoIndexedTables,
  listUsedIndexes,
  readsRepeatedly,
} from "../../src/sql/plan-loops.ts";
import { estimateWork } from "../../src/sql/work-estimate.ts";

const createLines = (details: readonly string[]): readonly PlanLine[] =>
  details.map((detail, index) => ({ id: index + 1, parent: 0, cost: 100, detail }));

describe("readsRepeatedly", () => {
  const readsRegionsRepeatedly = (lines: readonly PlanLine[]): boolean =>
    readsRepeatedly(lines, (table) => new Set(table === "people" ? ["region"] : []));

  it.each([
    [["SCAN main.people"], false],
    [["SCAN main.people", "SCAN main.visits"], true],
    [
      ["SEARCH main.visits USING INTEGER PRIMARY KEY (rowid<?)", "SCAN main.people USING COVERING INDEX people_email"],
      true,
    ],
    [["SCAN main.visits", "SEARCH main.people USING INTEGER PRIMARY KEY (rowid=?)"], false],
    [["SCAN main.visits", "SEARCH main.people USING INTEGER PRIMARY KEY (rowid>?)"], true],
    [["SCAN main.visits", "SEARCH main.people USING INDEX people_region (region=?)"], true],
    [["SCAN main.visits", "SEARCH main.people USING INDEX people_region (region=? AND name=?)"], false],
    [["SCAN main.visits", "SCAN m"], false],
    [["SCAN main.visits", "CORRELATED SCALAR SUBQUERY 1", "USE TEMP B-TREE FOR GROUP BY"], false],
    [["SCAN g1", "BLOOM FILTER ON g0 (email=?)", "SEARCH g0 USING AUTOMATIC COVERING INDEX (email=?)"], false],
  ])("returns for the plan %j: %s", (details, expected) => {
    expect(readsRegionsRepeatedly(createLines(details))).toBe(expected);
  });

  it.each([
    ["a table is scanned", "SCAN main.visits", true],
    ["a table is searched by an equality", "SEARCH main.visits USING INDEX visits_person (person_id=?)", false],
  ])("looks into correlated subqueries, in which %s", (_case, detail, expected) => {
    const lines: readonly PlanLine[] = [
      { id: 1, parent: 0, cost: 0, detail: "SCAN main.people" },
      { id: 2, parent: 0, cost: 0, detail: "CORRELATED SCALAR SUBQUERY 1" },
      { id: 3, parent: 2, cost: 0, detail },
    ];
    expect(readsRegionsRepeatedly(lines)).toBe(expected);
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
    expect(readsRepeatedly([...multiIndexOr, scan], () => new Set())).toBe(true);
  });
});

/** Builds a plan from its lines, each indented by two spaces for each level. Costs stand for searches of ten rows. */
const createPlan = (text: string): readonly PlanLine[] => {
  const parents: number[] = [0];
  return text
    .trim()
    .split("\n")
    .map((line, index) => {
      const level = /^ */.exec(line)?.[0].length ?? 0;
      const parent = parents[level / 2] ?? 0;
      parents[level / 2 + 1] = index + 1;
      return { id: index + 1, parent, cost: 63, detail: line.trim() };
    });
};

/** Estimates the steps of a statement with this plan over tables of a million rows. */
const estimate = (sql: string, plan: string) => {
  const { tokens } = parseStatement(sql);
  const outline = outlineQueries(tokens);
  const bounds = createRowBounds(outline, [], (table) => (table === "orders" ? "unknown" : "no such column"));
  return estimateWork(createPlan(plan), {
    getRowCount: () => 1_000_000,
    maxElements: 100,
    usesSizeClass: () => false,
    listRuleColumns: () => new Set<string>(),
    frame: findCostliestFrame({ tokens }, []),
    readText: () => ({ outline, bounds }),
  });
};

describe("estimateWork with the text of the statement", () => {
  /** Less than 10 and more than 100 scans of the table. */
  const CHEAP = Math.log2(30_000_000);
  const EXPENSIVE = Math.log2(300_000_000);

  it.each([
    [
      "one-row aggregates that are joined",
      "WITH a AS (SELECT count(*) n FROM orders), b AS (SELECT max(id) n FROM orders) SELECT * FROM a, b",
      "CO-ROUTINE a\n  SCAN main.orders\nMATERIALIZE b\n  SCAN main.orders\nSCAN a\nSCAN b",
    ],
    [
      "a list of groups under two aliases",
      "WITH m AS (SELECT status, count(*) n FROM orders GROUP BY status) SELECT * FROM m a, m b WHERE a.n < b.n",
      "MATERIALIZE m\n  SCAN main.orders\nSCAN a\nSCAN b",
    ],
    [
      "a FULL JOIN of groups",
      "SELECT * FROM (SELECT status s FROM orders GROUP BY 1) a FULL JOIN (SELECT status s FROM orders GROUP BY 1) b ON a.s = b.s",
      "MATERIALIZE a\n  SCAN main.orders\nMATERIALIZE b\n  SCAN main.orders\nSCAN a\nSCAN b LEFT-JOIN\nRIGHT-JOIN b\n  SCAN b",
    ],
    [
      "a view that is computed once for a correlated subquery",
      "SELECT (SELECT max(o.id) FROM orders o WHERE o.id = p.id) FROM (SELECT id FROM orders LIMIT 1000) p",
      [
        "CO-ROUTINE p\n  SCAN main.orders\nSCAN p\nCORRELATED SCALAR SUBQUERY 3",
        "  MATERIALIZE guard_x_0\n    SCAN main.orders\n  SEARCH guard_x_0 USING AUTOMATIC COVERING INDEX (id=?)",
      ].join("\n"),
    ],
    [
      "a subquery of a table that ends with its first row",
      "SELECT count(*) FROM orders a WHERE EXISTS (SELECT 1 FROM orders b WHERE b.id = a.id)",
      "SEARCH main.orders USING INDEX k (id>? AND id<?)\nSEARCH main.orders EXISTS USING INTEGER PRIMARY KEY (rowid=?)",
    ],
    [
      "the frames of a list of groups",
      "SELECT group_concat(n) OVER (ORDER BY m) FROM (SELECT status m, count(*) n FROM orders GROUP BY 1)",
      [
        "CO-ROUTINE (subquery-3)\n  CO-ROUTINE (subquery-4)\n    CO-ROUTINE (subquery-2)\n      SCAN main.orders",
        "    SCAN (subquery-2)\n  SCAN (subquery-4)\nSCAN (subquery-3)",
      ].join("\n"),
    ],
  ])("counts %s as cheap", (_name, sql, plan) => {
    expect(estimate(sql, plan).stepsLog2).toBeLessThan(CHEAP);
  });

  it.each([
    [
      "a subquery whose alias is also that of a small one",
      "SELECT * FROM (SELECT a.id FROM (SELECT id FROM orders LIMIT 3) a), (SELECT DISTINCT id, status FROM orders) b JOIN (SELECT * FROM orders) a",
      "MATERIALIZE a\n  SCAN main.orders\nMATERIALIZE b\n  SCAN main.orders\nSCAN a\nSCAN b",
    ],
    [
      "a view that is computed again for each row",
      "SELECT (SELECT max(o.id) FROM orders o) FROM orders p",
      "SCAN main.orders\nCORRELATED SCALAR SUBQUERY 3\n  CO-ROUTINE guard_x_0\n    SCAN main.orders\n  SCAN guard_x_0",
    ],
    [
      "a window frame before LIMIT",
      "SELECT group_concat(id) OVER (ORDER BY status) FROM orders ORDER BY 1 LIMIT 3",
      "CO-ROUTINE (subquery-3)\n  CO-ROUTINE (subquery-4)\n    SCAN main.orders\n  SCAN (subquery-4)\nSCAN (subquery-3)",
    ],
    [
      "a FULL JOIN of tables",
      "SELECT * FROM orders a FULL JOIN orders b ON a.id = b.id",
      "MATERIALIZE orders\n  SCAN main.orders\nSCAN main.orders\nSCAN b LEFT-JOIN\nRIGHT-JOIN orders\n  SCAN b",
    ],
  ])("counts %s as expensive", (_name, sql, plan) => {
    expect(estimate(sql, plan).stepsLog2).toBeGreaterThan(EXPENSIVE);
  });
});
