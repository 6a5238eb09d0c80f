// Statistics in an isolate that lives long: they are read again behind a read, at most once an hour, and reads go on meanwhile.
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { createEnginePool } from "../../src/sql/engine/pool.ts";
import { createSchemaCache } from "../../src/tables/schema-cache.ts";
import { NUMBER, TEXT, allow, buildPolicy } from "../support/policy-builder.ts";

const HOUR_MS = 3_600_000;
const { policy } = buildPolicy({
  tables: { parts: { id: NUMBER, name: TEXT, weight: NUMBER } },
  roles: {
    reader: [allow("shop.parts")],
    ruled: [allow("shop.parts", { rows: { column: "name", op: "=", value: "a" } })],
  },
});
const [declaration] = policy.sources;
const datasets = policy.datasets.filter((dataset) => dataset.kind === "table");
const NO_RULES: Required<Parameters<typeof createSchemaCache>>[4] = {
  maskingTokenColumns: [],
  expressions: [],
  rowRestrictedTables: [],
};
const NAME_RULE = { ...NO_RULES, rowRestrictedTables: [{ table: "parts", columns: ["name"] }] };

async function insertParts(from: number, to: number, names: number): Promise<void> {
  await env.SHOP_DB.prepare(
    `INSERT INTO parts WITH RECURSIVE n(n) AS (SELECT ${from} UNION ALL SELECT n + 1 FROM n WHERE n < ${to})
      SELECT n, 'c' || (n % ${names}), n FROM n`,
  ).run();
}

/** Creates a cache as a new isolate has it, with a clock that the test sets, and counts the statements that it prepares. */
function createIsolate(database: D1Database = env.SHOP_DB, requirements = NO_RULES) {
  if (declaration === undefined) throw new TypeError("the policy has no source");
  const clock = { ms: 1_000_000 };
  const background: Promise<unknown>[] = [];
  const log: string[] = [];
  const cache = createSchemaCache(
    declaration,
    datasets,
    database,
    (message) => log.push(message),
    requirements,
    createEnginePool(),
    { now: () => clock.ms, waitUntil: (work) => void background.push(work) },
  );
  const openSnapshot = async () => (await cache.open(["parts"])).use((copy) => copy.snapshot);
  const countRows = async () => (await openSnapshot()).rowCounts.get("parts");
  return { cache, clock, background, log, openSnapshot, countRows };
}

beforeEach(async () => {
  await env.SHOP_DB.batch(
    [
      "DROP TABLE IF EXISTS parts",
      "CREATE TABLE parts (id INTEGER PRIMARY KEY, name TEXT, weight INTEGER)",
      "CREATE INDEX parts_name ON parts (name)",
      "CREATE INDEX parts_weight ON parts (weight)",
      "INSERT INTO parts VALUES (1, 'a', 1), (2, 'b', 2)",
    ].map((sql) => env.SHOP_DB.prepare(sql)),
  );
});

async function growAndAnalyze(): Promise<void> {
  await env.SHOP_DB.batch(
    [
      `INSERT INTO parts WITH RECURSIVE n(n) AS (SELECT 3 UNION ALL SELECT n + 1 FROM n WHERE n < 600)
        SELECT n, 'c' || (n % 7), n FROM n`,
      "ANALYZE",
    ].map((sql) => env.SHOP_DB.prepare(sql)),
  );
}

describe("statistics that an isolate has read", () => {
  it("stay for an hour without a statement, and are then read again behind the next read", async () => {
    const { clock, background, countRows, openSnapshot } = createIsolate();
    expect(await countRows()).toBe(2);
    await growAndAnalyze();
    clock.ms += HOUR_MS - 1;
    expect(await countRows()).toBe(2);
    expect(background).toHaveLength(0);
    clock.ms += 1;
    expect(await countRows()).toBe(2);
    expect(background).toHaveLength(1);
    await Promise.all(background);
    expect(await countRows()).toBe(600);
    expect((await openSnapshot()).statistics).toContainEqual({ table: "parts", index: "parts_name", text: "600 67" });
    expect(background).toHaveLength(1);
  });

  it("stay in the same copy when nothing has changed", async () => {
    const { cache, clock, background } = createIsolate();
    const schema = await cache.open(["parts"]);
    clock.ms += HOUR_MS;
    await cache.open(["parts"]);
    await Promise.all(background);
    expect(await cache.open(["parts"])).toBe(schema);
  });

  it("stay in the same copy when a table has grown to less than twice its rows, or a small table by a few", async () => {
    const { cache, clock, background } = createIsolate();
    const small = await cache.open(["parts"]);
    await insertParts(3, 8, 2);
    clock.ms += HOUR_MS;
    await cache.open(["parts"]);
    await Promise.all(background);
    expect(await cache.open(["parts"])).toBe(small);
    await insertParts(9, 1000, 2);
    clock.ms += HOUR_MS;
    await cache.open(["parts"]);
    await Promise.all(background);
    const grown = await cache.open(["parts"]);
    expect(grown).not.toBe(small);
    for (const [from, to] of [
      [1001, 1400],
      [1401, 1900],
    ] as const) {
      await insertParts(from, to, 2);
      clock.ms += HOUR_MS;
      await cache.open(["parts"]);
      await Promise.all(background);
      expect(await cache.open(["parts"])).toBe(grown);
    }
    // Compared with the copy, and not with the refresh before, so that slow growth adds up.
    await insertParts(1901, 2100, 2);
    clock.ms += HOUR_MS;
    await cache.open(["parts"]);
    await Promise.all(background);
    expect(await cache.open(["parts"])).not.toBe(grown);
  });

  it("are replaced when a column that a row rule compares has many more values, without more rows", async () => {
    await insertParts(3, 600, 2);
    const { clock, background, openSnapshot } = createIsolate(env.SHOP_DB, NAME_RULE);
    expect((await openSnapshot()).valueCounts).toEqual(new Map([["parts.name", 4]]));
    await env.SHOP_DB.prepare("UPDATE parts SET name = 'c' || (id % 64)").run();
    clock.ms += HOUR_MS;
    await openSnapshot();
    await Promise.all(background);
    expect((await openSnapshot()).valueCounts).toEqual(new Map([["parts.name", 64]]));
  });

  it("count only the values of columns that row rules compare, by any spelling of their names", async () => {
    const rule = { ...NO_RULES, rowRestrictedTables: [{ table: "Parts", columns: ["NAME"] }] };
    expect([...((await createIsolate(env.SHOP_DB, rule).openSnapshot()).valueCounts?.keys() ?? [])]).toEqual([
      "parts.name",
    ]);
    expect((await createIsolate().openSnapshot()).valueCounts).toEqual(new Map());
  });

  it("leave a copy that a read still uses in working order when they are replaced", async () => {
    const { cache, clock, background } = createIsolate();
    const schema = await cache.open(["parts"]);
    await growAndAnalyze();
    clock.ms += HOUR_MS;
    await cache.open(["parts"]);
    await Promise.all(background);
    expect(schema.use((copy) => copy.getTableShape("parts").rowidColumn)).toBe("id");
    expect(await cache.open(["parts"])).not.toBe(schema);
  });

  it("make the next read open the whole schema again when the schema has changed too", async () => {
    const { clock, background, openSnapshot } = createIsolate();
    await openSnapshot();
    await env.SHOP_DB.prepare("ALTER TABLE parts ADD COLUMN size INTEGER").run();
    clock.ms += HOUR_MS;
    await openSnapshot();
    await Promise.all(background);
    expect((await openSnapshot()).objects.find(({ name }) => name === "parts")?.sql).toContain("size");
  });

  it("stay, with a line in the log, while the database does not answer, and are asked for an hour later", async () => {
    let fails = false;
    const database = new Proxy(env.SHOP_DB, {
      get(target, property) {
        if (fails) throw new Error("D1_ERROR: the database is overloaded");
        const value: unknown = Reflect.get(target, property);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const { clock, background, log, countRows } = createIsolate(database);
    await countRows();
    await growAndAnalyze();
    fails = true;
    clock.ms += HOUR_MS;
    expect(await countRows()).toBe(2);
    await Promise.all(background);
    expect(log).toEqual(["sources.shop: the statistics could not be read again: D1_ERROR: the database is overloaded"]);
    fails = false;
    expect(await countRows()).toBe(2);
    expect(background).toHaveLength(1);
    clock.ms += HOUR_MS;
    await countRows();
    await Promise.all(background);
    expect(await countRows()).toBe(600);
  });

  it("have only size classes where a row rule hides rows, also when they were read again", async () => {
    const { clock, background, openSnapshot } = createIsolate(env.SHOP_DB, NAME_RULE);
    await openSnapshot();
    await growAndAnalyze();
    clock.ms += HOUR_MS;
    await openSnapshot();
    await Promise.all(background);
    expect((await openSnapshot()).statistics).toContainEqual({ table: "parts", index: "parts_name", text: "4096 256" });
  });

  it("have only size classes of the masking-token table, which counts values of hidden rows too", async () => {
    await env.SHOP_DB.prepare(
      `INSERT OR IGNORE INTO _gatehouse_masking_token WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 300)
        SELECT 'd', n, 't' || n FROM n`,
    ).run();
    await env.SHOP_DB.prepare("ANALYZE").run();
    const { statistics, rowCounts } = await createIsolate().openSnapshot();
    expect(rowCounts.get("_gatehouse_masking_token")).toBe(4096);
    expect(JSON.stringify(statistics)).not.toContain("300");
  });
});
