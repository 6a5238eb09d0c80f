// One compilation that serves two readers: SQLite's authorizer and its plan.
import { describe, expect, test } from "vitest";
import { ALLOW, DENY, openEngine } from "../../src/sql/engine/sqlite.ts";
import type { Authorizer } from "../../src/sql/engine/sqlite.ts";

const engine = openEngine();
engine.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); CREATE TABLE u (a, c); CREATE INDEX by_b ON t (b)");

function record(actions: unknown[]): Authorizer {
  return (...action) => {
    actions.push(action);
    return ALLOW;
  };
}

const STATEMENTS = [
  "SELECT 1",
  "SELECT * FROM t WHERE b = 'x' ORDER BY a",
  "SELECT b, (SELECT count(*) FROM u WHERE u.a = t.a) AS n, b || c FROM t JOIN u USING (a) LIMIT 3",
  "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT r.n, t.b FROM r LEFT JOIN t ON t.a = r.n",
  "SELECT a, sum(a) OVER (ORDER BY b) FROM t UNION SELECT c, a FROM u; SELECT 2",
  "DELETE FROM t WHERE b IN (SELECT c FROM u)",
  "INSERT INTO u SELECT a, b FROM t RETURNING c",
  "UPDATE t SET b = 'x'",
  "CREATE TABLE v (x)",
  "DROP TABLE t",
  "VALUES (1, 2), (3, 4)",
];

describe("compileWithPlan", () => {
  test.each(STATEMENTS)("reports of %s what a compilation and a plan report", (sql) => {
    const [alone, together]: [unknown[], unknown[]] = [[], []];
    const compiled = engine.compile(sql, record(alone));
    const result = engine.compileWithPlan(sql, record(together));
    expect(result.compiled).toEqual(compiled);
    expect(result.plan).toEqual(engine.plan(sql));
    expect(together).toEqual(alone);
  });

  test.each([
    "SELECT nothing FROM t",
    "SELECT 'é', b FROM t WHERE",
    "SELECT * FROM missing",
    "SELECT (SELECT a, b FROM t)",
  ])("reports the place of the error in %s as a compilation does", (sql) => {
    const { compiled, plan } = engine.compileWithPlan(sql, () => ALLOW);
    expect(compiled).toEqual(engine.compile(sql, () => ALLOW));
    expect(compiled.ok).toBe(false);
    expect(plan).toEqual([]);
  });

  test("rejects a statement when the authorizer denies an action", () => {
    const { compiled, plan } = engine.compileWithPlan("SELECT b FROM t", (action) => (action === 20 ? DENY : ALLOW));
    expect(compiled.ok).toBe(false);
    expect(plan).toEqual([]);
  });
});
