// Tests what `policy check` says about saved queries, without a database: names that do not exist, that are hidden, or that the roles
// which may run the query do not read; SQL that SQLite rejects; and the same mistakes as `npm start` finds them.
import { execFileSync } from "node:child_process";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import * as z from "zod";
import { warningsOf } from "../../cli/policy-report/check.ts";
import { placeProblems } from "../../cli/project/load-policy.ts";
import { compareSavedQueries } from "../../src/tables/schema-check.ts";
import { READ_PEOPLE, policyWith } from "./saved-query-policy.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");

/** Checks each policy in one process outside the test runner, where Node loads the Worker's WebAssembly. */
function checkAll(inputs: readonly Parameters<typeof policyWith>[]): readonly (readonly string[])[] {
  const script = `
    import { findSavedQueryProblems } from ${JSON.stringify(path.join(ROOT, "cli/policy-report/saved-query-check.ts"))};
    import { policyWith } from ${JSON.stringify(path.join(ROOT, "test/cli/saved-query-policy.ts"))};
    const results = [];
    for (const input of ${JSON.stringify(inputs)})
      results.push((await findSavedQueryProblems(policyWith(...input))).map(({ path, message }) => path.join(".") + ": " + message));
    console.log(JSON.stringify(results));`;
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  return z.array(z.array(z.string())).parse(JSON.parse(output));
}

describe("saved queries in npm run policy -- check", () => {
  const MISTAKES: readonly (readonly [string, string, string])[] = [
    [
      "an absent table",
      "SELECT id FROM persons",
      "There is no table persons here that you may read. Tables: people, orders. Correct the SQL.",
    ],
    [
      "an absent column",
      "SELECT emial FROM people",
      "There is no column emial here that you may read. Did you mean email? Columns: id, email, region. Correct the SQL.",
    ],
    [
      "a hidden table",
      "SELECT id FROM secrets",
      "There is no table secrets here that you may read. Tables: people, orders. shop.secrets is hidden. " +
        "Take it out of the SQL, or open: npm run gatehouse -- open shop.secrets",
    ],
    [
      "a hidden column",
      "SELECT notes FROM people",
      "There is no column notes here that you may read. Columns: id, email, region. shop.people.notes is hidden. " +
        "Take it out of the SQL, or open: npm run gatehouse -- open shop.people.notes",
    ],
    [
      "a syntax error",
      "SELECT id FROM people WHERE",
      "There is a syntax error at the end of the SQL: something is missing there. Correct the SQL.",
    ],
    [
      "a function that SQLite lacks",
      "SELECT date_part('year', id) FROM people",
      "There is no function date_part here. In SQLite, for DATE_PART() write CAST(strftime('%Y', x) AS INTEGER), " +
        "with %m, %d, %H, %w for other parts. Correct the SQL.",
    ],
    [
      "recursion in a source without it",
      "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 5) SELECT n FROM c",
      "The SQL is recursive (WITH RECURSIVE), which this source does not allow. " +
        "List the steps with VALUES or json_each instead. Correct the SQL.",
    ],
  ];
  const reader = { reader: { description: "R", queries: ["report"], rules: [READ_PEOPLE] } };
  const some = {
    north: { description: "N", queries: ["report"], rules: [READ_PEOPLE] },
    south: { description: "S", queries: ["report"], rules: [READ_PEOPLE] },
    whole: { description: "W", queries: ["report"], rules: [{ ...READ_PEOPLE, hidden: [] }] },
  };
  const runner = { runner: { description: "R", queries: ["report"], rules: [] } };
  const [readable, partly, unread, ...mistaken] = checkAll([
    ["SELECT id FROM people WHERE region = :region", reader, ["region"]],
    ["SELECT email FROM people", some],
    ["SELECT id FROM people", runner],
    ...MISTAKES.map(([, sql]): Parameters<typeof policyWith> => [sql]),
  ]);

  it.each(MISTAKES)("names the query and what to do about %s", (name, _sql, expected) => {
    const index = MISTAKES.findIndex(([mistake]) => mistake === name);
    expect(mistaken[index]).toEqual([`queries.report.sql: no user can run it: ${expected}`]);
  });

  it("gives the place of the query in the policy file", () => {
    const file = path.join(ROOT, "sample/gatehouse.config.ts");
    const problem = { path: ["queries", "revenue-by-month", "sql"], message: "is wrong" };
    const [line, ...others] = placeProblems(file, ROOT, [problem]);
    expect(others).toEqual([]);
    expect(line).toMatch(/^sample\/gatehouse\.config\.ts:1\d\d:\d+: queries\.revenue-by-month\.sql: is wrong$/);
  });

  it("says nothing about a query with parameters that its role can run", () => {
    expect(readable).toEqual([]);
  });

  it("names together all roles that may run a query and get the same error", () => {
    expect(partly).toEqual([
      "queries.report.sql: the roles north, south may run it, but alone get this error: There is no column email here that you may " +
        "read. Columns: id, region. Let a rule read what it needs, or take it from the role's queries.",
    ]);
  });

  it("warns once of a role that may run saved queries and reads nothing", () => {
    expect(unread).toEqual([]);
    expect(warningsOf(policyWith("SELECT id FROM people", runner))).toContain(
      "roles.runner: may run report, but no rule lets it read anything, so alone it gets an error. " +
        "Write a rule, or remove its queries.",
    );
  });
});

describe("saved queries at npm start", () => {
  it("names the table that the query misses, and no internal name", async () => {
    const policy = policyWith("SELECT p.id FROM people AS p JOIN persons USING (id)");
    const database = new DatabaseSync(":memory:");
    database.exec(
      "CREATE TABLE people (id, email, region, notes); CREATE TABLE orders (id, person); CREATE TABLE secrets (id)",
    );
    const d1 = {
      prepare: (sql: string) => ({
        bind: (...values: unknown[]) => ({
          all: async () => ({ results: database.prepare(sql).all(...(values as null[])) as unknown[] }),
        }),
      }),
    };
    const tables = policy.datasets.filter((dataset) => dataset.kind === "table");
    const [problem, ...others] = await compareSavedQueries(d1, policy.queries, tables);
    expect(others).toEqual([]);
    expect(problem?.path).toEqual(["queries", "report", "sql"]);
    expect(problem?.message).toBe(
      "the database rejects the query: There is no table persons here that you may read. Tables: people, orders, secrets. Correct the SQL.",
    );
  });
});
