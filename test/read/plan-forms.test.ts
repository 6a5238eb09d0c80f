// The form in which a statement reaches the database: by which index it reads, whether row rules keep theirs, and which columns its views
// compute. Looks at the plans of the database itself, for the SQL that was sent.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { mask } from "../../src/config/define-gatehouse.ts";
import { createGovernedMiddleware } from "../../src/read/governed-middleware.ts";
import { createD1Source } from "../../src/tables/d1-source.ts";
import { createSchemaCache } from "../../src/tables/schema-cache.ts";
import { createReader } from "../support/governed.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";

const COLUMNS = {
  id: key(NUMBER),
  person_id: NUMBER,
  region: TEXT,
  tenant: NUMBER,
  email: TEXT,
  placed_at: TEXT,
  note: TEXT,
};
const regions = { column: "region", op: "in", value: ["north", "east"] } as const;

const config = buildPolicy({
  tables: { trips: COLUMNS },
  roles: {
    owner: [allow("shop.trips")],
    // A half of the rows.
    region: [allow("shop.trips", { rows: regions })],
    // A thousandth of the rows.
    tenant: [allow("shop.trips", { rows: { column: "tenant", op: "=", value: 7 } })],
    masked: [allow("shop.trips", { rows: regions, masks: { email: mask.email } })],
  },
});

beforeAll(async () => {
  for (const sql of [
    "CREATE TABLE trips (id INTEGER PRIMARY KEY, person_id INTEGER, region TEXT, tenant INTEGER, email TEXT, placed_at TEXT, note TEXT)",
    "CREATE INDEX trips_region ON trips (region)",
    "CREATE INDEX trips_tenant ON trips (tenant)",
    "CREATE INDEX trips_placed ON trips (placed_at)",
    "CREATE INDEX trips_person ON trips (person_id)",
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
     INSERT INTO trips SELECT i, i % 2000, CASE i % 4 WHEN 0 THEN 'north' WHEN 1 THEN 'east' WHEN 2 THEN 'south' ELSE 'west' END,
       i % 1000, 'p' || i || '@x.example', datetime('2026-01-01', (i * 5) || ' minutes'), 'n' || i % 500 FROM n`,
  ])
    await env.SHOP_DB.prepare(sql).run();
});

/** Reads, and returns the plan that the database has for what was sent, as one text. */
async function planOf(account: string, sql: string): Promise<{ readonly plan: string; readonly sent: string }> {
  const [declaration] = config.policy.sources;
  if (declaration === undefined) throw new Error("no source");
  const datasets = config.policy.datasets.filter((dataset) => dataset.kind === "table");
  const rowRestrictedTables = [{ table: "trips", columns: ["region", "tenant"] }];
  const requirements = { maskingTokenColumns: [], expressions: [], rowRestrictedTables };
  const schemas = createSchemaCache(declaration, datasets, env.SHOP_DB, () => {}, requirements);
  let plan: string | undefined;
  let sent = "";
  const layers = createGovernedMiddleware({ allowsRecursion: true, maxSteps: 1e9 });
  const source = createD1Source(declaration, datasets, env.SHOP_DB, schemas, [
    ...layers,
    (next) => async (context) => {
      const { before, body, after, parameters } = context.query;
      sent = `${before}${body}${after}`;
      const { results } = await env.SHOP_DB.prepare(`EXPLAIN QUERY PLAN ${sent}`)
        .bind(...parameters)
        .all<{ detail: string }>();
      plan = results.map(({ detail }) => detail).join("\n");
      return next(context);
    },
  ]);
  const outcome = await createReader(config, source).outcome(account, sql);
  expect(outcome).toMatch(/^\[/);
  return { plan: plan ?? "", sent };
}

const DAY = "SELECT count(*) FROM trips WHERE placed_at >= '2026-02-01' AND placed_at < '2026-02-02'";

describe.each(["without statistics", "with statistics"])("a rule that shows half of the rows, %s", (statistics) => {
  beforeAll(async () => {
    if (statistics === "with statistics") await env.SHOP_DB.prepare("ANALYZE").run();
  });

  it.each(["region", "masked"])("leaves the index to a range of the query, for %s", async (account) => {
    expect((await planOf(account, DAY)).plan).toContain("USING INDEX trips_placed (placed_at>? AND placed_at<?)");
  });

  it("leaves the index to the order of the first rows", async () => {
    const { plan } = await planOf("region", "SELECT id, placed_at FROM trips ORDER BY placed_at DESC LIMIT 20");
    expect(plan).toContain("SCAN main.trips USING INDEX trips_placed");
    expect(plan).not.toContain("USE TEMP B-TREE FOR ORDER BY");
  });

  it("leaves the index to correlated ranges", async () => {
    const { plan } = await planOf(
      "region",
      `WITH RECURSIVE days(day) AS (SELECT '2026-02-01' UNION ALL SELECT date(day, '+1 day') FROM days WHERE day < '2026-02-20')
       SELECT day, (SELECT count(*) FROM trips t WHERE t.placed_at >= d.day AND t.placed_at < date(d.day, '+1 day')) FROM days d`,
    );
    expect(plan).toContain("USING INDEX trips_placed (placed_at>? AND placed_at<?)");
  });

  it("is never searched in an inner loop", async () => {
    const { plan } = await planOf(
      "region",
      "SELECT count(*) FROM trips a JOIN trips b ON a.note = b.note WHERE a.id < 50",
    );
    expect(plan.split("trips_region").length - 1).toBeLessThanOrEqual(1);
  });

  it("lets SQLite join a masked column by an index of its own", async () => {
    const { plan } = await planOf("masked", "SELECT count(*) FROM trips a JOIN trips b ON a.email = b.email");
    expect(plan).toMatch(/USING AUTOMATIC (?:PARTIAL )?COVERING INDEX \(email=\?\)/);
  });
});

describe("a masked column", () => {
  it.each([
    "SELECT substr(email, 1, 1) AS letter, count(*) FROM trips WHERE email IS NOT NULL GROUP BY letter",
    "SELECT substr(email, instr(email, '@') + 1) AS domain, count(*) AS trips FROM trips WHERE email IS NOT NULL GROUP BY domain",
  ])("is computed once for each row in %s", async (sql) => {
    const { plan } = await planOf("masked", sql);
    // A view that SQLite runs beside the query has each column ready for all places that use it.
    expect(plan).toMatch(/CO-ROUTINE guard_/);
  });

  it("is computed only for rows that a condition in clear finds", async () => {
    const { plan } = await planOf("masked", "SELECT email, lower(email) FROM trips WHERE note = 'n7'");
    expect(plan).not.toMatch(/CO-ROUTINE guard_/);
  });

  it("leaves an index to the order of the first rows", async () => {
    const { plan } = await planOf("masked", "SELECT email, lower(email) FROM trips ORDER BY placed_at LIMIT 5");
    expect(plan).toContain("USING INDEX trips_placed");
  });

  it.each([
    "SELECT count(*) FROM trips a JOIN trips b ON a.email = b.email AND a.id < b.id",
    "SELECT count(*) FROM trips a WHERE a.id < 2000 AND EXISTS (SELECT 1 FROM trips b WHERE b.email = a.email AND b.id > a.id)",
  ])("is found by an index that SQLite makes, where the query also compares keys: %s", async (sql) => {
    const { plan } = await planOf("masked", sql);
    expect(plan).toMatch(/USING AUTOMATIC (?:PARTIAL )?COVERING INDEX \(email=\?/);
  });
});

describe("a rule that shows few rows", () => {
  it.each([
    "SELECT count(note) FROM trips",
    "SELECT id, placed_at FROM trips ORDER BY placed_at DESC LIMIT 20",
    "SELECT count(*) FROM trips WHERE placed_at > '2026-01-02'",
  ])("is searched by its index: %s", async (sql) => {
    expect((await planOf("tenant", sql)).plan).toContain("USING INDEX trips_tenant (tenant=?)");
  });
});

describe("a FULL or RIGHT join under a rule", () => {
  it.each([
    "SELECT count(*), count(a.id), count(b.id) FROM trips a FULL JOIN trips b ON b.person_id = a.id",
    "SELECT count(*), count(a.id), count(b.id) FROM trips a RIGHT JOIN trips b ON b.person_id = a.id",
  ])("runs as LEFT joins that search by key, without a fence: %s", async (sql) => {
    const { plan } = await planOf("region", sql);
    expect(plan).toContain("USING INTEGER PRIMARY KEY (rowid=?) LEFT-JOIN");
    expect(plan).not.toMatch(/RIGHT-JOIN|guard_/);
  });

  it.each([
    "SELECT count(*) FROM trips a FULL JOIN trips b ON b.person_id = a.id WHERE abs(a.tenant) IS NOT 4",
    "SELECT count(*) FROM trips a RIGHT JOIN trips b ON b.person_id = a.id AND abs(b.tenant) > 4",
  ])("keeps the fence of an expression that can fail: %s", async (sql) => {
    const { plan } = await planOf("region", sql);
    expect(plan).not.toContain("RIGHT-JOIN");
    expect(plan).toMatch(/(?:MATERIALIZE|CO-ROUTINE) (?:guard_|trips)/);
  });
});

describe("a guard view", () => {
  it("computes only the columns that the statement uses", async () => {
    const { sent } = await planOf("masked", "SELECT id FROM trips WHERE json_valid(note, 1) AND id < 9");
    expect(sent).toContain('"note"');
    expect(sent).not.toContain('"email"');
  });

  it("computes all columns for a star", async () => {
    const { sent } = await planOf("masked", "SELECT * FROM (SELECT * FROM trips) WHERE id < 9");
    expect(sent).toContain('AS "email"');
  });
});
