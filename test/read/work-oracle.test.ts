// The work limit as an oracle: an attacker varies the work of a query over a table with a row rule, and observes where refusals begin. This
// test measures what about 1,000 such queries reveal about the number of rows that the rule hides.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { AppError } from "../../src/errors.ts";
import type { SqlValue } from "../../src/sql/parameters.ts";
import { NORTHERN, twinConfig } from "../support/twins.ts";
import { createReader, tableSource } from "../support/governed.ts";
import type { Reader } from "../support/governed.ts";

const MAX_SIZE = 30_000;

/** Queries whose work grows with `size` and with the table. */
const SHAPES: readonly ((size: number) => readonly [sql: string, values: readonly SqlValue[]])[] = [
  (size) => ["SELECT count(*) FROM clients CROSS JOIN json_each(?)", [ones(size)]],
  (size) => ["SELECT count(*) FROM json_each(?) CROSS JOIN clients", [ones(size)]],
  (size) => ["SELECT count(*) FROM clients a JOIN json_each(?) j ON a.notes = j.value", [ones(size)]],
  (size) => ["SELECT count(*) FROM clients a JOIN json_each(?) j ON a.score = j.value", [ones(size)]],
  (size) => ["SELECT (SELECT count(*) FROM clients c WHERE c.notes < j.value) FROM json_each(?) j", [ones(size)]],
  (size) => ["SELECT (SELECT count(*) FROM clients c WHERE c.name = j.value) FROM json_each(?) j", [ones(size)]],
  (size) => ["WITH q AS MATERIALIZED (SELECT name FROM clients) SELECT count(*) FROM q, json_each(?)", [ones(size)]],
  (size) => [
    "SELECT count(*) FROM clients WHERE json(name) IS NULL AND id IN (SELECT value FROM json_each(?))",
    [ones(size)],
  ],
  (size) => [
    `SELECT count(*) FROM clients a JOIN clients b ON b.score IN (${numbers(Math.min(size, 1500))}) CROSS JOIN json_each(?)`,
    [ones(Math.ceil(size / 1500))],
  ],
  (size) => [
    "WITH q AS (SELECT score, name, count(*) FROM clients GROUP BY 1, 2) SELECT count(*) FROM q a, q b, json_each(?)",
    [ones(size)],
  ],
  (size) => [
    "SELECT count(*) FROM (SELECT DISTINCT notes FROM clients) a CROSS JOIN json_each(?) JOIN clients",
    [ones(size)],
  ],
  (size) => [
    `SELECT sum(x) OVER (ORDER BY id ROWS BETWEEN ? PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW)
      FROM (SELECT id, id AS x FROM clients)`,
    [size],
  ],
];

/** Numbers that no row has, for an IN list. */
function numbers(count: number): string {
  return Array.from({ length: count }, (_value, index) => index + 10_000_000).join(",");
}

/** A JSON array of `size` ones. */
function ones(size: number): string {
  return `[${"1,".repeat(Math.max(0, size - 1))}1]`;
}

/** Finds the largest accepted size by bisection, and the number of queries that this took. */
async function findThreshold(
  reader: Reader,
  shape: (typeof SHAPES)[number],
): Promise<readonly [size: number, queries: number]> {
  let accepted = 0;
  let refused = MAX_SIZE;
  let queries = 0;
  while (refused - accepted > 1) {
    const size = Math.floor((accepted + refused) / 2);
    queries += 1;
    if (await isAccepted(reader, ...shape(size))) accepted = size;
    else refused = size;
  }
  return [accepted, queries];
}

async function isAccepted(reader: Reader, sql: string, values: readonly SqlValue[]): Promise<boolean> {
  try {
    await reader.read(NORTHERN, sql, values, 1);
    return true;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    if (!/too much work/.test(error.publicMessage)) return true;
    return false;
  }
}

interface Mode {
  /** Sizes of one size class. */
  readonly sizes: readonly number[];
  /** The first size of the next class. */
  readonly nextSize: number;
  /** Queries within this limit run over the few rows that the table really has. */
  readonly maxSteps: number;
}

/** Without statistics, only a range of ids up to 10,000 counts as that number of rows. A larger table would need real rows. */
const WITHOUT_STATISTICS: Mode = {
  sizes: [257, 500, 1000, 2000, 3000, 4000, 4096],
  nextSize: 4097,
  maxSteps: 50_000_000,
};
const AFTER_ANALYZE: Mode = {
  sizes: [4_097, 5000, 9000, 12_000, 30_000, 50_000, 65_536],
  nextSize: 65_537,
  maxSteps: 1_000_000_000,
};

/** Everything that an attacker can observe with all shapes of queries. */
async function observeThresholds(
  maxSteps: number,
): Promise<{ readonly thresholds: readonly number[]; readonly queries: number }> {
  // A new reader reads the schema and the table sizes again.
  const config = twinConfig("SHOP_DB");
  const reader = createReader(config, tableSource(config, undefined, undefined, maxSteps));
  const thresholds: number[] = [];
  let queries = 0;
  for (const shape of SHAPES) {
    const [size, shapeQueries] = await findThreshold(reader, shape);
    thresholds.push(size);
    queries += shapeQueries;
  }
  return { thresholds, queries };
}

describe.each([
  ["without statistics", WITHOUT_STATISTICS],
  ["after ANALYZE", AFTER_ANALYZE],
] as const)("what an attacker learns from refusals %s", (mode, { sizes, nextSize, maxSteps }) => {
  beforeAll(async () => {
    await env.SHOP_DB.batch(
      [
        "DROP TABLE IF EXISTS clients",
        "CREATE TABLE clients (id INTEGER PRIMARY KEY, name TEXT, region TEXT, score INTEGER, notes TEXT)",
        "CREATE INDEX clients_name ON clients (name)",
        "CREATE INDEX clients_score ON clients (score)",
        "INSERT INTO clients VALUES (1, 'Ann', 'north', 1, 'Notes'), (2, 'Bob', 'north', 2, 'Notes')",
        "CREATE TABLE IF NOT EXISTS contacts (id INTEGER PRIMARY KEY, name TEXT, region TEXT, score INTEGER, notes TEXT)",
        "CREATE TABLE IF NOT EXISTS words (id INTEGER PRIMARY KEY, word TEXT, body TEXT)",
      ].map((sql) => env.SHOP_DB.prepare(sql)),
    );
  });

  /** Gatehouse estimates a table's size by its range of ids and by statistics, so the rows between need not exist. */
  const pretendSize = async (size: number): Promise<void> => {
    await env.SHOP_DB.prepare("INSERT INTO clients VALUES (?, 'Hid', 'south', 3, 'Notes')").bind(size).run();
    if (mode === "without statistics") return;
    await env.SHOP_DB.prepare("ANALYZE").run();
    const statistic = env.SHOP_DB.prepare("UPDATE sqlite_stat1 SET stat = ?2 WHERE tbl = 'clients' AND idx = ?1");
    await env.SHOP_DB.batch([
      statistic.bind("clients_name", `${size} 1`),
      statistic.bind("clients_score", `${size} ${Math.ceil(size / 100)}`),
    ]);
  };

  it("is the size class of the table, a power of 16, and nothing more", { timeout: 120_000 }, async () => {
    const sizesByThresholds = new Map<string, number[]>();
    let queries = 0;
    for (const size of [...sizes, nextSize]) {
      await pretendSize(size);
      const { thresholds, queries: sizeQueries } = await observeThresholds(maxSteps);
      queries += sizeQueries;
      const text = JSON.stringify(thresholds);
      sizesByThresholds.set(text, [...(sizesByThresholds.get(text) ?? []), size]);
    }
    console.log(`work oracle ${mode}: ${queries} adaptive queries, ${JSON.stringify([...sizesByThresholds])}`);
    expect(queries).toBeGreaterThan(900);
    expect([...sizesByThresholds.values()]).toEqual([sizes, [nextSize]]);
  });
});
