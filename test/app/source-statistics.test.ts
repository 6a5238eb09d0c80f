// The upkeep's ANALYZE over real D1 databases: when it runs, what it costs, and what it survives.
import { env, exports } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { maintainStatistics } from "../../src/app/source-statistics.ts";
import { STATISTICS_DUE_SQL } from "../../src/tables/statistics-due.ts";
import { createReader } from "../support/governed.ts";
import { NUMBER, TEXT, allow, buildPolicy } from "../support/policy-builder.ts";

const DAY_MS = 24 * 3_600_000;
const MINUTE_MS = 60_000;
const config = buildPolicy({
  tables: { parts: { id: NUMBER, name: TEXT }, crates: { id: NUMBER, name: TEXT } },
  sources: { ops: { binding: "OPS_DB", tables: { moves: { id: NUMBER, name: TEXT } } } },
  roles: { reader: [allow("shop.*"), allow("ops.*")] },
});

/** Statements that ran, such as ANALYZE, in order. */
interface Watched {
  readonly database: D1Database;
  readonly analyses: string[];
}

/** Passes statements on, and notes those that analyse. `onAnalyze` may fail in place of the database. */
function watch(database: D1Database, onAnalyze: (sql: string) => void = () => {}): Watched {
  const analyses: string[] = [];
  const watched = new Proxy(database, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property);
      if (property !== "prepare") return typeof value === "function" ? value.bind(target) : value;
      return (sql: string) => {
        if (/^(?:ANALYZE|PRAGMA)/.test(sql)) {
          onAnalyze(sql);
          analyses.push(sql);
        }
        return target.prepare(sql);
      };
    },
  });
  return { database: watched, analyses };
}

let shop = watch(env.SHOP_DB);
let ops = watch(env.OPS_DB);
let nowMs = 0;

function runUpkeep(bindings: object = {}, analyzedRowsPerDay = 1_000_000): Promise<void> {
  const sources = { SHOP_DB: shop.database, OPS_DB: ops.database, ...bindings };
  return maintainStatistics(config.policy, sources, {
    database: env.GATEHOUSE_DB,
    now: () => nowMs,
    analyzedRowsPerDay,
  });
}

async function insert(table: string, from: number, to: number, database = env.SHOP_DB): Promise<void> {
  await database
    .prepare(
      `INSERT INTO ${table} WITH RECURSIVE n(n) AS (SELECT ${from} UNION ALL SELECT n + 1 FROM n WHERE n < ${to})
        SELECT n, 'p' || (n % 5) FROM n`,
    )
    .run();
}

const readStatistic = (table: string, database = env.SHOP_DB) =>
  database.prepare("SELECT stat FROM sqlite_stat1 WHERE tbl = ?").bind(table).first("stat");

beforeEach(async () => {
  nowMs = 1_800_000_000_000;
  shop = watch(env.SHOP_DB);
  ops = watch(env.OPS_DB);
  await env.GATEHOUSE_DB.prepare("DELETE FROM source_statistics").run();
  for (const [database, tables] of [
    [env.SHOP_DB, ["parts", "crates"]],
    [env.OPS_DB, ["moves"]],
  ] as const) {
    await database.prepare("DROP TABLE IF EXISTS sqlite_stat1").run();
    for (const table of tables) {
      await database.batch(
        [
          `DROP TABLE IF EXISTS ${table}`,
          `CREATE TABLE ${table} (id INTEGER PRIMARY KEY, name TEXT)`,
          `CREATE INDEX ${table}_name ON ${table} (name)`,
        ].map((sql) => database.prepare(sql)),
      );
      await insert(table, 1, 100, database);
    }
  }
});

describe("the upkeep's ANALYZE", () => {
  it("runs on every declared table that was never analysed, in every database", async () => {
    await runUpkeep();
    expect(await readStatistic("parts")).toBe("100 20");
    expect(await readStatistic("crates")).toBe("100 20");
    expect(await readStatistic("moves", env.OPS_DB)).toBe("100 20");
    expect(shop.analyses.toSorted()).toEqual(['ANALYZE main."crates"', 'ANALYZE main."parts"']);
  });

  it("runs at most once a day, whatever happens to the tables", async () => {
    await runUpkeep();
    shop = watch(env.SHOP_DB);
    await insert("parts", 101, 5000);
    for (let minutes = 10; minutes < 24 * 60; minutes += 10) {
      nowMs += 10 * MINUTE_MS;
      await runUpkeep();
    }
    expect(shop.analyses).toEqual([]);
    nowMs += 10 * MINUTE_MS;
    await runUpkeep();
    expect(shop.analyses).toEqual(['ANALYZE main."parts"']);
    expect(await readStatistic("parts")).toBe("5000 1000");
  });

  it("does not run on a table that has changed little, and runs when it has shrunk a lot", async () => {
    await runUpkeep();
    shop = watch(env.SHOP_DB);
    await insert("parts", 101, 150);
    await env.SHOP_DB.prepare("DELETE FROM crates WHERE id > 40").run();
    nowMs += DAY_MS;
    await runUpkeep();
    expect(shop.analyses).toEqual(['ANALYZE main."crates"']);
  });

  it("runs soon after the first load of a table that was empty, and not while all are empty", async () => {
    await env.SHOP_DB.batch(["DELETE FROM parts", "DELETE FROM crates"].map((sql) => env.SHOP_DB.prepare(sql)));
    await runUpkeep();
    expect(shop.analyses).toEqual([]);
    await insert("parts", 1, 70);
    nowMs += 20 * MINUTE_MS;
    await runUpkeep();
    expect(shop.analyses).toEqual(['ANALYZE main."parts"']);
    await insert("crates", 1, 70);
    nowMs += 20 * MINUTE_MS;
    await runUpkeep();
    expect(shop.analyses).toEqual(['ANALYZE main."parts"']);
  });

  it("runs once when two runs of the upkeep meet", async () => {
    await Promise.all([runUpkeep(), runUpkeep(), runUpkeep()]);
    expect(shop.analyses).toHaveLength(2);
    expect(ops.analyses).toHaveLength(1);
  });

  it("continues a day later with the tables that a killed run left", async () => {
    await insert("parts", 101, 150);
    shop = watch(env.SHOP_DB, (sql) => {
      if (sql.includes("parts")) throw new Error("killed");
    });
    await expect(runUpkeep()).rejects.toThrow(/sources\.shop/);
    expect(shop.analyses).toEqual(['ANALYZE main."crates"']);
    shop = watch(env.SHOP_DB);
    nowMs += 30 * MINUTE_MS;
    await runUpkeep();
    expect(shop.analyses).toEqual([]);
    nowMs += DAY_MS;
    await runUpkeep();
    expect(shop.analyses).toEqual(['ANALYZE main."parts"']);
  });

  it("of one source does not stop at the failure of another, whose error says nothing of the database", async () => {
    shop = watch(env.SHOP_DB, () => {
      throw new Error("D1_ERROR: overloaded");
    });
    const error = await runUpkeep().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ message: "Error: sources.shop: the statistics could not be updated" });
    expect(await readStatistic("moves", env.OPS_DB)).toBe("100 20");
  });

  it("of the other sources runs when a binding is missing", async () => {
    await expect(runUpkeep({ SHOP_DB: undefined })).rejects.toThrow(/sources\.shop/);
    expect(ops.analyses).toHaveLength(1);
  });

  it("does not run when its state cannot be written", async () => {
    const readOnly = new Proxy(env.GATEHOUSE_DB, {
      get: () => () => {
        throw new Error("D1_ERROR: attempt to write a readonly database");
      },
    });
    const bindings = { SHOP_DB: shop.database, OPS_DB: ops.database };
    const options = { database: readOnly, now: () => nowMs, analyzedRowsPerDay: 1_000_000 };
    await expect(maintainStatistics(config.policy, bindings, options)).rejects.toThrow();
    expect([...shop.analyses, ...ops.analyses]).toEqual([]);
  });

  it("does not run when the limit is 0", async () => {
    await runUpkeep({}, 0);
    expect([...shop.analyses, ...ops.analyses]).toEqual([]);
  });

  it("samples a table that is too large for the limit, and then leaves it alone", async () => {
    await insert("parts", 101, 30_000);
    await runUpkeep({}, 5000);
    expect(shop.analyses).toEqual(['ANALYZE main."crates"', expect.stringMatching(/^PRAGMA optimize/)]);
    expect(await readStatistic("parts")).toMatch(/^30000 /);
    shop = watch(env.SHOP_DB);
    nowMs += DAY_MS;
    await runUpkeep({}, 5000);
    expect(shop.analyses).toEqual([]);
  });

  it("goes on with a large table that was not sampled because it had not grown enough", async () => {
    await insert("parts", 101, 3000);
    await runUpkeep({}, 500);
    expect(await readStatistic("parts")).toMatch(/^3000 /);
    await insert("parts", 3001, 20_000);
    nowMs += DAY_MS;
    await runUpkeep({}, 500);
    expect(await readStatistic("parts")).toMatch(/^3000 /);
    await insert("parts", 20_001, 36_000);
    nowMs += DAY_MS;
    await runUpkeep({}, 500);
    expect(await readStatistic("parts")).toMatch(/^3[3-9][0-9]{3} /);
    shop = watch(env.SHOP_DB);
    nowMs += DAY_MS;
    await runUpkeep({}, 500);
    expect(shop.analyses).toEqual([]);
  });

  it("leaves what exceeds the limit of a day to the next one", async () => {
    await runUpkeep({}, 300);
    expect(shop.analyses).toHaveLength(1);
    nowMs += DAY_MS;
    await runUpkeep({}, 300);
    expect(shop.analyses.toSorted()).toEqual(['ANALYZE main."crates"', 'ANALYZE main."parts"']);
  });

  it("runs again when stored row counts cannot be read", async () => {
    await runUpkeep();
    shop = watch(env.SHOP_DB);
    await env.GATEHOUSE_DB.prepare('UPDATE source_statistics SET row_counts = \'{"parts": "many\'').run();
    nowMs += DAY_MS;
    await runUpkeep();
    expect(shop.analyses).toHaveLength(2);
  });

  it("runs at once after npm start has marked the statistics as due", async () => {
    await runUpkeep();
    shop = watch(env.SHOP_DB);
    await insert("parts", 101, 500);
    await env.GATEHOUSE_DB.prepare(STATISTICS_DUE_SQL).run();
    await runUpkeep();
    expect(shop.analyses).toEqual(['ANALYZE main."parts"']);
  });

  it("skips declared tables that do not exist, and forgets sources that are no longer declared", async () => {
    await env.SHOP_DB.prepare("DROP TABLE crates").run();
    await env.GATEHOUSE_DB.prepare("INSERT INTO source_statistics VALUES ('gone', 1, 1, '{}')").run();
    await runUpkeep();
    expect(shop.analyses).toEqual(['ANALYZE main."parts"']);
    const { results } = await env.GATEHOUSE_DB.prepare("SELECT source FROM source_statistics ORDER BY source").all();
    expect(results).toEqual([{ source: "ops" }, { source: "shop" }]);
  });

  it("is part of what the cron trigger runs", async () => {
    await env.SHOP_DB.prepare(
      `INSERT OR REPLACE INTO customers (id, name, email, address, region, segment, created_at)
        VALUES (1, 'A', 'a@a.example', 'Quay Street 1', 'north', 'trade', '2026-01-01')`,
    ).run();
    await exports.default.scheduled({ scheduledTime: new Date(), cron: "*/10 * * * *" });
    const stored = env.GATEHOUSE_DB.prepare("SELECT row_counts FROM source_statistics WHERE source = 'shop'");
    expect(await stored.first("row_counts")).toContain('"customers":1');
    expect(await readStatistic("customers")).toMatch(/^1 /);
  });
});

describe("the table of statistics", () => {
  it.each([
    "SELECT * FROM sqlite_stat1",
    "SELECT stat FROM main.sqlite_stat1",
    "SELECT * FROM parts, sqlite_stat1",
    "SELECT * FROM SQLITE_STAT1",
    "SELECT * FROM sqlite_stat4",
    "SELECT (SELECT group_concat(stat) FROM 'sqlite_stat1')",
    "WITH x AS (SELECT * FROM [sqlite_stat1]) SELECT * FROM x",
    "SELECT * FROM pragma_optimize(-1)",
  ])("cannot be read by %s", async (sql) => {
    await runUpkeep();
    expect(await createReader(config).outcome("reader", sql)).toMatch(/^(?:query_refused|query_failed|not_found)/);
  });

  it("appears between two reads without a schema drift", async () => {
    const reader = createReader(config);
    expect(await reader.outcome("reader", "SELECT count(*) FROM parts")).toBe("[[100]]");
    await runUpkeep();
    expect(await reader.outcome("reader", "SELECT count(*) FROM parts WHERE name = 'p1'")).toBe("[[20]]");
  });
});
