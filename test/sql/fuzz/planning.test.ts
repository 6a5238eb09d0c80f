// Fuzzes planning with statements put together from growing shapes. Each accepted statement stays within the planning allowance; in a long
// run (`npm run fuzz:sql`), it is also answered in time.
import { env } from "cloudflare:workers";
import { beforeAll, expect, it } from "vitest";
import { MAX_SQL_BYTES } from "../../../src/sql/statement.ts";
import { byteLength } from "../../../src/lib/bytes.ts";
import { plant } from "../attacks/fixture.ts";
import { ACCOUNTS, governed, run } from "../attacks/stack.ts";
import { createRandom } from "./generator.ts";

const DEFAULT_STATEMENTS = 60;
/** A call plans, runs over no rows, and answers. The limit is ten times the time for planning, for a busy machine. */
const MAX_CALL_MS = 1000;

beforeAll(plant);

/** Ways to use the previous query so that part of it is expanded at least twice. */
const STEPS: readonly ((before: string) => string)[] = [
  (q) => `SELECT x.v FROM ${q} x JOIN ${q} y ON x.v = y.v`,
  (q) => `SELECT v FROM ${q} UNION ALL SELECT v FROM ${q}`,
  (q) => `SELECT v FROM ${q} UNION SELECT v FROM ${q} WHERE v IN (SELECT v FROM ${q})`,
  (q) => `SELECT v FROM ${q} WHERE v > (SELECT min(v) FROM ${q})`,
  (q) => `SELECT v + v AS v FROM ${q}`,
  (q) => `SELECT coalesce(v, v, v) AS v FROM ${q}`,
  (q) => `SELECT CASE WHEN v > 1 THEN v ELSE v END AS v FROM ${q} WHERE v = v OR v < v`,
  (q) => `SELECT (v, v) = (v, v) AS v FROM ${q}`,
  (q) => `SELECT max(v) OVER (PARTITION BY v ORDER BY v) AS v FROM ${q}`,
  (q) => `SELECT v FROM ${q} GROUP BY v HAVING count(v) > 0 ORDER BY v LIMIT 50`,
  (q) => `SELECT x.v FROM ${q} x LEFT JOIN people p ON p.id = x.v AND p.email = x.v`,
  (q) => `SELECT v FROM ${q} x WHERE EXISTS (SELECT 1 FROM ${q} y WHERE y.v = x.v)`,
];
/** None returns rows: the planning allowance does not bound what a statement does with rows. */
const STARTS = [
  "SELECT id AS v FROM people WHERE id < 0",
  "SELECT email AS v FROM people WHERE id < 0",
  "SELECT 1 AS v WHERE 1 > 2",
];

/** Builds a statement with this many levels, as WITH queries or as subqueries. */
function grow(random: () => number, levels: number): string {
  const pick = <T>(list: readonly T[]): T => {
    const item = list[Math.floor(random() * list.length)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  };
  const start = pick(STARTS);
  const steps = Array.from({ length: 3 }, () => pick(STEPS));
  const at = (level: number): ((before: string) => string) => steps[level % steps.length] ?? pick(STEPS);
  if (random() < 0.3) {
    let nested = start;
    for (let level = 0; level < levels; level += 1) {
      const next = at(level)(`(${nested})`);
      if (byteLength(next) > MAX_SQL_BYTES) break;
      nested = next;
    }
    return nested;
  }
  const hint = pick(["", "MATERIALIZED ", "NOT MATERIALIZED "]);
  const queries = [`c0(v) AS (${start})`];
  for (let level = 0; level < levels; level += 1)
    queries.push(`c${level + 1}(v) AS ${hint}(${at(level)(`c${level}`)})`);
  return `WITH ${queries.join(", ")} SELECT count(*) FROM c${levels}`;
}

const minutes = Number(env.FUZZ_MINUTES);
const seed = Number(env.FUZZ_SEED);

it(
  `answers or refuses growing statements, and still serves others (seed ${seed})`,
  async () => {
    const end = Date.now() + minutes * 60_000;
    const stack = governed();
    const random = createRandom(seed);
    const slow: string[] = [];
    let refused = 0;
    for (let index = 0; index < DEFAULT_STATEMENTS || Date.now() < end; index += 1) {
      const sql = grow(random, 1 + Math.floor(random() * 24));
      const account = ACCOUNTS[index % ACCOUNTS.length] ?? "mask";
      const start = Date.now();
      const outcome = await run(stack, account, sql);
      if (minutes > 0 && Date.now() - start > MAX_CALL_MS) slow.push(`${Date.now() - start} ms: ${sql}`);
      expect(outcome).toMatch(/^(?:\{|query_refused: |query_failed: )/);
      if (outcome.startsWith("query_refused: The SQL is too complex")) refused += 1;
    }
    expect(slow).toEqual([]);
    expect(refused).toBeGreaterThan(5);
    expect(await run(stack, "north", "SELECT id FROM people WHERE id = 1")).toBe('{"columns":["id"],"rows":[[1]]}');
  },
  minutes * 60_000 + 120_000,
);
