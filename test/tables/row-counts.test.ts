// Row counts of real D1 tables: how close the estimate is for each way in which ids are spread, what it costs in rows read, and which
// statements the work limit then accepts.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { MAX_ROWS_READ_PER_TABLE, estimateRowCounts, readStatistics } from "../../src/tables/row-counts.ts";
import { createReader } from "../support/governed.ts";
import { NUMBER, TEXT, allow, buildPolicy } from "../support/policy-builder.ts";

const SNOWFLAKE = "1000000000000000000";
const LEAST = "-9223372036854775808";
const GREATEST = "9223372036854775807";

/** A table, the SELECT that fills it from the numbers `n` of 1 to `rows`, and how many rows its estimate may say. */
interface Spread {
  readonly table: string;
  readonly columns?: string;
  readonly rows: number;
  readonly values: string;
  readonly statistic?: string;
  /** Undefined for exactly `rows`. */
  readonly between?: readonly [number, number];
}

const PLAIN = "(id INTEGER PRIMARY KEY, name TEXT)";

const SPREADS: readonly Spread[] = [
  { table: "none", rows: 0, values: "n, 'x'" },
  { table: "dense", rows: 5000, values: "n, 'x'" },
  { table: "high", rows: 300, values: "n + 5000000, 'x'" },
  { table: "snowflakes", rows: 300, values: `${SNOWFLAKE} + n * 4194304 * 1000, 'x'` },
  { table: "snowflake_neighbours", rows: 300, values: `${SNOWFLAKE} + n, 'x'` },
  { table: "negative", rows: 300, values: "-n * 1000003, 'x'" },
  { table: "extremes", rows: 2, values: `CASE n WHEN 1 THEN ${LEAST} ELSE ${GREATEST} END, 'x'` },
  { table: "outlier", rows: 401, values: `CASE n WHEN 401 THEN ${GREATEST} ELSE n END, 'x'` },
  { table: "deleted", rows: 500, values: "n * 20000, 'x'" },
  { table: "many_dense", rows: 300_000, values: "n, 'x'", between: [250_000, 350_000] },
  { table: "many_snowflakes", rows: 60_000, values: `${SNOWFLAKE} + n * 4194304000, 'x'`, between: [40_000, 90_000] },
  {
    table: "many_outliers",
    rows: 60_000,
    values: `CASE n WHEN 1 THEN ${LEAST} WHEN 2 THEN ${GREATEST} ELSE n END, 'x'`,
    between: [40_000, 120_000],
  },
  { table: "keyless", columns: "(name TEXT PRIMARY KEY, id INTEGER) WITHOUT ROWID", rows: 700, values: "n, n" },
  { table: "named_rowid", columns: "(rowid TEXT, name TEXT)", rows: 600, values: "'r' || n, 'x'" },
  { table: "all_named", columns: "(rowid TEXT, _rowid_ TEXT, OID TEXT)", rows: 600, values: "'r' || n, 'x', 'y'" },
  { table: "analysed", rows: 800, values: `${SNOWFLAKE} + n * 4194304, 'x'`, statistic: "800" },
  {
    table: "analysed_many",
    rows: 60_000,
    values: `${SNOWFLAKE} + n * 4194304, 'x'`,
    statistic: "60000",
  },
  { table: "stale", rows: 60_000, values: "n, 'x'", statistic: "10", between: [50_000, 70_000] },
  { table: "stale_few", rows: 2000, values: "n, 'x'", statistic: "10" },
  { table: "emptied", rows: 50, values: "n, 'x'", statistic: "60000" },
  {
    table: "stale_keyless",
    columns: "(name TEXT PRIMARY KEY, id INTEGER) WITHOUT ROWID",
    rows: 900,
    values: "n, n",
    statistic: "10",
  },
  { table: "garbled", rows: 5000, values: "n, 'x'", statistic: "unordered 10" },
];

const NAMES = SPREADS.map(({ table }) => table);

beforeAll(async () => {
  // The first ANALYZE creates sqlite_stat1.
  await env.SHOP_DB.prepare("ANALYZE").run();
  for (const { table, columns = PLAIN, rows, values, statistic } of SPREADS) {
    const numbers = `WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${rows})`;
    await env.SHOP_DB.prepare(`CREATE TABLE ${table} ${columns}`).run();
    if (rows > 0) await env.SHOP_DB.prepare(`INSERT INTO ${table} ${numbers} SELECT ${values} FROM numbers`).run();
    if (statistic !== undefined)
      await env.SHOP_DB.prepare("INSERT INTO sqlite_stat1 VALUES (?, NULL, ?)").bind(table, statistic).run();
  }
});

/** Wraps a database so that it adds up the rows that its statements read, which are billed. */
function meter(database: D1Database) {
  const read = { rows: 0 };
  const add = <T extends D1Result>(result: T): T => {
    read.rows += result.meta.rows_read;
    return result;
  };
  const metered = new Proxy(database, {
    get(target, property) {
      if (property === "batch")
        return async (statements: D1PreparedStatement[]) => (await target.batch(statements)).map(add);
      if (property !== "prepare") throw new TypeError(`the meter does not know ${String(property)}`);
      return (sql: string) => meterStatement(target.prepare(sql), add);
    },
  });
  return { database: metered, read };
}

function meterStatement(
  statement: D1PreparedStatement,
  add: <T extends D1Result>(result: T) => T,
): D1PreparedStatement {
  const all = statement.all.bind(statement);
  const bind = statement.bind.bind(statement);
  return Object.assign(statement, {
    all: async () => add(await all()),
    bind: (...values: unknown[]) => meterStatement(bind(...values), add),
    first: () => Promise.reject(new TypeError("the meter does not know first")),
  });
}

describe("the estimated row count", () => {
  it.each(SPREADS.map((spread) => [spread.table, spread] as const))(
    "of the table %s is close",
    async (table, spread) => {
      const { rows, between = [rows, rows] } = spread;
      const counts = await estimateRowCounts(env.SHOP_DB, [table], await readStatistics(env.SHOP_DB));
      expect(counts.get(table)).toBeGreaterThanOrEqual(between[0]);
      expect(counts.get(table)).toBeLessThanOrEqual(between[1]);
    },
  );

  it("of all tables comes from one call, by folded name", async () => {
    const names = NAMES.map((name) => name.toUpperCase());
    const counts = await estimateRowCounts(env.SHOP_DB, names, await readStatistics(env.SHOP_DB));
    expect([...counts.keys()].toSorted()).toEqual(NAMES.toSorted());
  });

  it("reads a bounded number of rows of each table, with and without statistics", async () => {
    const statistics = await readStatistics(env.SHOP_DB);
    for (const table of NAMES) {
      for (const known of [statistics, []]) {
        const { database, read } = meter(env.SHOP_DB);
        await estimateRowCounts(database, [table], known);
        expect(read.rows, table).toBeLessThanOrEqual(MAX_ROWS_READ_PER_TABLE);
      }
    }
  });

  it("of a table whose ids have no gaps reads only a few rows when the statistics are right", async () => {
    const statistics = [{ table: "many_dense", index: null, text: "300000" }];
    const { database, read } = meter(env.SHOP_DB);
    expect((await estimateRowCounts(database, ["many_dense"], statistics)).get("many_dense")).toBe(300_000);
    expect(read.rows).toBeLessThan(500);
  });

  it("of a table that does not exist is missing, and of a view too", async () => {
    await env.SHOP_DB.prepare("CREATE VIEW dense_view AS SELECT * FROM dense").run();
    expect([...(await estimateRowCounts(env.SHOP_DB, ["nothing", "dense_view"], []))]).toEqual([]);
  });

  it("is found beside a view that is broken", async () => {
    await env.SHOP_DB.prepare("CREATE VIEW broken AS SELECT * FROM gone").run();
    expect([...(await estimateRowCounts(env.SHOP_DB, ["dense", "broken"], []))]).toEqual([["dense", 5000]]);
  });

  it("takes the whole table's count where an index covers only some rows", async () => {
    const statistics = ["3 1", "300000 2", "7 1"].map((text, index) => ({
      table: "many_dense",
      index: `i${index}`,
      text,
    }));
    expect((await estimateRowCounts(env.SHOP_DB, ["many_dense"], statistics)).get("many_dense")).toBe(300_000);
  });
});

const config = buildPolicy({
  tables: {
    ...Object.fromEntries(
      ["snowflakes", "negative", "outlier", "extremes", "many_dense", "many_snowflakes", "keyless", "stale"].map(
        (name) => [name, { id: NUMBER, name: TEXT }],
      ),
    ),
    named_rowid: { rowid: TEXT, name: TEXT },
  },
  roles: {
    owner: [allow("shop.*")],
    ruled: [allow("shop.*", { rows: { column: "name", op: "=", value: "x" } })],
  },
});

describe.each(["owner", "ruled"])("the work limit for the role %s", (account) => {
  it.each([
    ["SELECT count(*) FROM snowflakes WHERE name = 'x'", 300],
    ["SELECT count(*) FROM snowflakes a, outlier b", 300 * 401],
    ["SELECT count(*) FROM negative a JOIN snowflakes b ON a.name <= b.name", 300 * 300],
    ["SELECT count(*) FROM extremes a, negative b, extremes c", 1200],
    ["SELECT count(*) FROM many_snowflakes WHERE name = 'x'", 60_000],
    ["SELECT count(*) FROM named_rowid a, named_rowid b", 360_000],
  ])("accepts %s", async (sql, count) => {
    expect(await createReader(config).outcome(account, sql)).toBe(`[[${count}]]`);
  });

  it.each([
    "SELECT count(*) FROM many_dense a, many_dense b",
    "SELECT count(*) FROM many_snowflakes a JOIN many_snowflakes b ON a.name < b.name",
    "SELECT count(*) FROM stale a, stale b",
    "SELECT count(*) FROM keyless a, keyless b, keyless c, keyless d",
  ])("refuses %s", async (sql) => {
    expect(await createReader(config).outcome(account, sql)).toMatch(/^query_refused: The query would take too much/);
  });
});

it("accepts a cross join of two small tables without rowid", async () => {
  const answer = await createReader(config).outcome("owner", "SELECT count(*) FROM keyless a, keyless b");
  expect(answer).toBe("[[490000]]");
});
