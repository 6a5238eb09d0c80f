// Views of the database as datasets: the rules of the view apply to what it returns, and it can neither reach what no user may read nor
// take more work than a query may.
import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { mask } from "../../src/config/define-gatehouse.ts";
import { createReader, openFor, tableSource } from "../support/governed.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";

const PEOPLE = { id: NUMBER, name: TEXT, region: TEXT, email: TEXT };
const REFUSED = {
  reads_internal: "SELECT id AS x FROM _gatehouse_secret",
  reads_schema: "SELECT name AS x FROM sqlite_schema",
  reads_settings: "SELECT name AS x FROM pragma_table_info('people')",
  reads_statistics: "SELECT tbl AS x FROM sqlite_stat1",
  counts_internal: "SELECT count(*) AS x FROM _gatehouse_secret",
  hides_internal: "WITH w AS (SELECT id FROM _gatehouse_secret) SELECT (SELECT max(id) FROM w) AS x FROM people",
  over_internal: "SELECT x FROM reads_internal",
  calls_more: "SELECT last_insert_rowid() AS x",
  calls_unknown: "SELECT load_extension('x') AS x",
  recurses: "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n",
  broken: "SELECT missing AS x FROM people",
  over_gone: "SELECT x FROM gone",
};

const config = buildPolicy({
  tables: {
    people: { ...PEOPLE, id: key(NUMBER) },
    staff: { ...PEOPLE, orders: NUMBER },
    northern: { id: NUMBER, name: TEXT },
    ranked: { id: NUMBER, email: TEXT },
    parts: { id: NUMBER, part: TEXT },
    pairs: { a: NUMBER, b: NUMBER },
    quads: { a: NUMBER, d: NUMBER },
    totals: { region: TEXT, people: NUMBER },
    labels: { label: TEXT, size: NUMBER },
    brittle: { region: TEXT, tag: TEXT },
    ...Object.fromEntries(Object.keys(REFUSED).map((name) => [name, { x: NUMBER }])),
  },
  views: [
    "staff",
    "northern",
    "ranked",
    "parts",
    "pairs",
    "quads",
    "totals",
    "labels",
    "brittle",
    ...Object.keys(REFUSED),
  ],
  roles: {
    all: [allow("shop.*")],
    views: [allow(["shop.staff", "shop.northern", "shop.totals"])],
    ruled: [
      allow("shop.staff", {
        rows: { column: "region", op: "=", value: "north" },
        masks: { email: mask.email, name: mask.redact },
      }),
      allow("shop.brittle", { rows: { column: "region", op: "=", value: "north" }, hidden: ["tag"] }),
      allow("shop.people", { rows: { column: "region", op: "=", value: "north" }, hidden: ["email"] }),
    ],
    masked: [allow("shop.ranked", { masks: { email: mask.email } })],
  },
});
const logged: string[] = [];
const log = (message: string): void => void logged.push(message);
const run = async (...statements: readonly string[]): Promise<unknown> =>
  env.SHOP_DB.batch(statements.map((sql) => env.SHOP_DB.prepare(sql)));
const open = (maxQuerySteps?: number) => createReader(config, tableSource(config, "shop", log, maxQuerySteps));

beforeAll(async () => {
  await run(
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, region TEXT, email TEXT, salary INTEGER, tags TEXT)",
    "CREATE INDEX people_email ON people (email, id)",
    "CREATE TABLE jobs (id INTEGER PRIMARY KEY, person INTEGER)",
    "CREATE TABLE _gatehouse_secret (id INTEGER)",
    `INSERT INTO people SELECT value, 'Name ' || value, iif(value % 2, 'north', 'south'), 'n' || (9 - value) || '@x.example',
      100 - value, '["a","b"]' FROM json_each('[1,2,3,4,5,6]')`,
    "INSERT INTO jobs SELECT value, value % 3 + 1 FROM json_each('[1,2,3,4,5,6,7]')",
    `CREATE VIEW staff AS SELECT p.id, p.name, p.region, p.email, count(o.id) AS orders
      FROM people AS p LEFT JOIN jobs AS o ON o.person = p.id GROUP BY p.id`,
    "CREATE TABLE noted (id INTEGER PRIMARY KEY, region TEXT, tags TEXT)",
    `INSERT INTO noted VALUES (1, 'north', '["a"]'), (2, 'south', 'no JSON')`,
    "CREATE VIEW brittle AS SELECT region, json_extract(tags, '$[0]') AS tag FROM noted",
    "CREATE VIEW northern (id, name) AS SELECT id, name FROM staff WHERE region = 'north'",
    "CREATE VIEW ranked AS SELECT id, email FROM people INDEXED BY people_email ORDER BY email",
    "CREATE VIEW parts AS SELECT people.id, t.value AS part FROM people, json_each(people.tags) AS t",
    "CREATE VIEW pairs AS SELECT x.id AS a, y.id AS b FROM people AS x, people AS y",
    "CREATE VIEW quads AS SELECT p.a, q.b AS d FROM pairs AS p, pairs AS q",
    "CREATE VIEW totals AS SELECT region, count(*) AS people FROM people GROUP BY region",
    "CREATE VIEW labels AS SELECT name AS label, id + 0 AS size FROM people",
    ...Object.entries(REFUSED).map(([name, select]) => `CREATE VIEW ${name} AS ${select}`),
  );
});
beforeEach(() => void (logged.length = 0));

describe("a view of the database", () => {
  it.each([
    ["all", "SELECT id, orders FROM staff WHERE orders > 2 ORDER BY 1", [[2, 3]]],
    ["views", "SELECT * FROM northern ORDER BY id DESC LIMIT 1", [[5, "Name 5"]]],
    ["views", "SELECT count(*) FROM northern", [[3]]],
    [
      "all",
      "SELECT id, group_concat(part, '') FROM parts WHERE id < 3 GROUP BY id ORDER BY id",
      [
        [1, "ab"],
        [2, "ab"],
      ],
    ],
    ["all", "SELECT t.people FROM totals t JOIN people p USING (region) WHERE p.id = 1", [[3]]],
    [
      "all",
      "SELECT s.id FROM staff s JOIN northern n ON n.id = s.id LEFT JOIN people p ON p.id = s.id ORDER BY 1",
      [[1], [3], [5]],
    ],
    ["all", "SELECT label FROM labels WHERE label = 'NAME 2' AND size = 2", [["Name 2"]]],
    ["ruled", "SELECT * FROM staff ORDER BY id LIMIT 1", [[1, "[redacted]", "north", "n…@x.example", 2]]],
    ["ruled", "SELECT count(*), min(region), max(region) FROM staff", [[3, "north", "north"]]],
  ])("answers for %s: %s", async (account, sql, rows) => {
    expect((await open().read(account, sql)).rows).toEqual(rows);
  });

  it("says of the columns of a result how the view's columns compare", async () => {
    const { shape } = await open().read("all", "SELECT label, size FROM labels");
    expect(shape.columns).toEqual([
      { origin: { table: "labels", column: "label" }, affinity: "TEXT", collation: "NOCASE" },
      { origin: { table: "labels", column: "size" }, affinity: "NONE", collation: "BINARY" },
    ]);
  });

  it.each([
    "SELECT * FROM people",
    "SELECT * FROM jobs",
    "SELECT salary FROM staff",
    "SELECT rowid FROM staff",
    "WITH staff AS (SELECT * FROM people) SELECT * FROM staff",
    "WITH northern AS (SELECT * FROM jobs) SELECT * FROM northern, staff",
    "SELECT * FROM ranked",
  ])("opens nothing else to a role that may read it: %s", async (sql) => {
    expect(await open().outcome("views", sql)).toMatch(/^query_(?:failed|refused): /);
  });

  it("fails with one message that does not say what its own SELECT met in a row", async () => {
    const { outcome } = open();
    const failed = "query_failed: The query, or the SELECT of a view that it reads, failed while running.";
    expect(await outcome("all", "SELECT region FROM brittle")).toContain('["north"]');
    expect(await outcome("all", "SELECT tag FROM brittle")).toBe(failed);
    expect(await outcome("ruled", "SELECT json_extract(region, '$') FROM brittle")).toBe(failed);
  });

  it.each(Object.entries(REFUSED))("is refused where it is %s (%s)", async (name, select) => {
    const { outcome } = open();
    expect(await outcome("all", `SELECT * FROM ${name}`), select).toMatch(/^source_unavailable: /);
    expect(logged.join("\n")).toContain(`.${name}: `);
    expect(await outcome("all", "SELECT count(*) FROM people")).toBe("[[6]]");
  });

  it.each([
    "SELECT id FROM ranked",
    "SELECT id FROM ranked LIMIT 3",
    "SELECT id, email FROM ranked",
    "SELECT email FROM ranked",
  ])("reveals no order of masked values: %s", async (sql) => {
    const before = await open().outcome("masked", sql);
    await run("UPDATE people SET email = 'n' || (10 - substr(email, 2, 1)) || '@x.example'");
    expect(await open().outcome("masked", sql)).toBe(before);
  });
});

describe("the work of a view", () => {
  beforeAll(async () => {
    await run(
      "CREATE TABLE many (id INTEGER PRIMARY KEY, kind INTEGER)",
      "INSERT INTO many WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i, i % 7 FROM n",
      "DROP VIEW pairs",
      "CREATE VIEW pairs AS SELECT x.id AS a, y.kind AS b FROM many AS x, many AS y",
    );
  });

  it.each([
    "SELECT count(*) FROM pairs",
    "SELECT a FROM pairs LIMIT 1",
    "SELECT a FROM pairs WHERE a = 1",
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM pairs)",
    "SELECT count(*) FROM quads",
  ])("counts in full: %s", async (sql) => {
    expect(await open(10_000_000).outcome("all", sql)).toMatch(/^query_refused: .*too much work|^query_refused: /);
  });

  it("does not keep small views and tables of the same source from being read", async () => {
    expect(await open(10_000_000).outcome("all", "SELECT people FROM totals ORDER BY region")).toBe("[[3],[3]]");
  });
});

describe("a change of the schema", () => {
  it("reaches the next read when a view or a table below it has changed", async () => {
    const { outcome } = open();
    expect(await outcome("all", "SELECT count(*) FROM northern")).toBe("[[3]]");
    await run(
      "DROP VIEW northern",
      "CREATE VIEW northern (id, name) AS SELECT id, name FROM staff WHERE region = 'south'",
    );
    expect(await outcome("all", "SELECT min(id) FROM northern")).toBe("[[2]]");
    await run("CREATE INDEX people_region ON people (region)");
    expect(await outcome("all", "SELECT min(id) FROM northern")).toBe("[[2]]");
    await run("DROP VIEW staff");
    expect(await outcome("all", "SELECT min(id) FROM northern")).toMatch(/^source_unavailable: /);
  });

  it("refuses a view in the place of a table, and a table in the place of a view", async () => {
    await run("DROP VIEW labels", "CREATE TABLE labels (label TEXT, size INTEGER)");
    await run("DROP TABLE people", "CREATE VIEW people AS SELECT id AS name FROM jobs");
    const { outcome } = open();
    expect(await outcome("all", "SELECT * FROM labels")).toMatch(/^source_unavailable: /);
    expect(await outcome("all", "SELECT * FROM people")).toMatch(/^source_unavailable: /);
    expect(logged.join("\n")).toContain(
      'tables.labels: the database has a table of this name, and no view. Remove "view: true"',
    );
    expect(logged.join("\n")).toContain(
      'tables.people: the database has a view of this name, and no table. Add "view: true"',
    );
    expect(openFor(config, tableSource(config), "all").length).toBeGreaterThan(0);
  });
});
