// Repeated statements are planned, authorized and explained once, and the cached verdicts never let another user see more. The tests
// inspect the SQL that is sent to the database.
import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { mask, subject } from "../../src/config/define-gatehouse.ts";
import { createSchemaCache } from "../../src/tables/schema-cache.ts";
import { SchemaDrift } from "../../src/read/read-pipeline.ts";
import { SCHEMA_OBJECTS_SQL } from "../../src/sql/schema-objects.ts";
import type { Reader } from "../support/governed.ts";
import { listenedReader } from "../support/listened.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";

const config = buildPolicy({
  tables: {
    parcels: { id: key(NUMBER), region: TEXT, note: TEXT },
    people: { id: key(NUMBER), email: TEXT },
  },
  roles: {
    all: [allow("shop.parcels"), allow("shop.people", { masks: { email: mask.email } })],
    clear: [allow("shop.people")],
    region: [
      allow("shop.parcels", { hidden: ["note"], rows: { column: "region", op: "=", value: subject("region") } }),
    ],
  },
  members: {
    all: ["all"],
    north: { roles: ["region"], attributes: { region: "north" } },
    clear: ["clear"],
    both: ["clear", "all"],
    south: { roles: ["region"], attributes: { region: "south" } },
  },
});

let listenedDatabase: ReturnType<typeof listenedReader>;
let reader: Reader;

beforeAll(async () => {
  await env.SHOP_DB.batch(
    [
      "CREATE TABLE parcels (id INTEGER PRIMARY KEY, region TEXT, note TEXT)",
      "INSERT INTO parcels VALUES (1, 'north', 'one'), (2, 'south', 'two'), (3, 'north', 'three')",
      "CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT, more TEXT, and_more TEXT)",
      "CREATE INDEX people_email ON people (email)",
      "INSERT INTO people (id, email) VALUES (1, 'b@x.example'), (2, 'a@x.example')",
    ].map((sql) => env.SHOP_DB.prepare(sql)),
  );
});

beforeEach(() => {
  listenedDatabase = listenedReader(config, env.SHOP_DB);
  ({ reader } = listenedDatabase);
});

const countExplains = (): number => listenedDatabase.sent.filter((sql) => sql.startsWith("EXPLAIN ")).length;
const readRows = async (account: string, sql: string, values: readonly (string | number)[] = []) =>
  (await reader.read(account, sql, values)).rows;

describe("a repeated statement", () => {
  const BY_ID = "SELECT region FROM parcels WHERE id = ?";

  it("is explained once for all values, and the schema is compared with the copy each time", async () => {
    expect(await readRows("all", BY_ID, [1])).toEqual([["north"]]);
    expect(await readRows("all", BY_ID, [2])).toEqual([["south"]]);
    expect(countExplains()).toBe(1);
    const schemaReads = listenedDatabase.sent.filter(
      (sql) => sql.includes("sqlite_schema") && sql.includes("tbl_name COLLATE"),
    );
    expect(schemaReads).toHaveLength(2);
  });

  it.each([
    "SELECT load_extension('x')",
    "SELECT id, \"load_extension\"('x') FROM parcels",
    "SELECT [load_extension] /* ( */ ('x')",
    "SELECT CASE WHEN id > 5 THEN later_function(region) END FROM parcels",
    "SELECT count(*) FROM parcels WHERE later_function() OVER () = 1",
    "WITH w AS (SELECT later_function(1) AS a) SELECT a FROM w",
  ])("never reaches the database when it calls a function that no list has: %s", async (sql) => {
    for (let time = 0; time < 2; time += 1)
      expect(await reader.read("all", sql, []).then(String, String)).toMatch(/function|window/);
    expect(listenedDatabase.sent.filter((sent) => /load_extension|later_function/.test(sent))).toEqual([]);
  });

  it("gets the same message each time when SQLite rejects it", async () => {
    const sql = "SELECT json_group_array(parcels('a', region, 'b', secret)) FROM parcels";
    const read = async (): Promise<string> => reader.read("all", sql, []).then(String, String);
    const first = await read();
    expect(first).toMatch(/There is no (?:function parcels|column secret)/);
    expect([await read(), await read()]).toEqual([first, first]);
  });

  it("shows each user their own rows", async () => {
    const sql = "SELECT id FROM parcels ORDER BY id";
    for (let times = 0; times < 2; times += 1) {
      expect(await readRows("north", sql)).toEqual([[1], [3]]);
      expect(await readRows("south", sql)).toEqual([[2]]);
      expect(await readRows("all", sql)).toEqual([[1], [2], [3]]);
    }
    expect(countExplains()).toBe(2);
  });

  it("is refused to a user who may not read its tables or columns after another user got an answer", async () => {
    const sql = "SELECT note FROM parcels WHERE id = 1";
    expect(await readRows("all", sql)).toEqual([["one"]]);
    expect(await reader.outcome("north", sql)).toMatch(/^query_failed: There is no column note /);
    expect(await readRows("all", "SELECT count(*) FROM people")).toEqual([[2]]);
    expect(await reader.outcome("north", "SELECT count(*) FROM people")).toMatch(
      /^query_failed: There is no table people /,
    );
  });

  it("is explained again when the schema has changed", async () => {
    const sql = "SELECT count(*) FROM parcels";
    await readRows("all", sql);
    await env.SHOP_DB.prepare("CREATE INDEX parcels_region ON parcels (region)").run();
    expect(await readRows("all", sql)).toEqual([[3]]);
    expect(countExplains()).toBe(2);
    await env.SHOP_DB.prepare("DROP INDEX parcels_region").run();
    expect(await readRows("all", sql)).toEqual([[3]]);
    expect(countExplains()).toBe(3);
  });

  it("is explained each time when the plan for other values could use an index on a masked column", async () => {
    const sql = "SELECT id FROM people WHERE id < ?";
    await readRows("all", sql, [10]);
    await readRows("all", sql, [10]);
    expect(countExplains()).toBe(2);
  });

  it("has a separate plan for a user who sees the same views with other masks", async () => {
    const sql = "SELECT id FROM people";
    // An index may order values that are shown in clear. With a mask, the order must not reveal them.
    const clearRows = await readRows("clear", sql);
    const maskedRows = await readRows("all", sql);
    expect(await readRows("all", sql)).toEqual(maskedRows);
    expect(await readRows("both", sql)).toEqual(maskedRows);
    expect(await readRows("clear", sql)).toEqual(clearRows);
    expect(clearRows).not.toEqual(maskedRows);
  });

  it("is authorized again when a table gets the name of a function that the statement calls", async () => {
    const sql = "SELECT value FROM json_each('word')";
    expect(await reader.outcome("all", sql)).toMatch(/^query_failed: /);
    const list = "SELECT value FROM json_each('[1]')";
    expect(await readRows("all", list)).toEqual([[1]]);
    await env.SHOP_DB.prepare("CREATE VIRTUAL TABLE json_each USING fts5(value)").run();
    try {
      await env.SHOP_DB.prepare("INSERT INTO json_each VALUES ('word SECRET')").run();
      for (const repeatedSql of [sql, list, "SELECT json_each.value FROM json_each('word')"])
        expect(await reader.outcome("all", repeatedSql), repeatedSql).toMatch(
          /^(?:query_refused|query_failed|source_unavailable): /,
        );
    } finally {
      await env.SHOP_DB.prepare("DROP TABLE json_each").run();
    }
    expect(await readRows("all", list)).toEqual([[1]]);
  });
});

describe("a schema that changes during concurrent reads", () => {
  it("is read again once, and all reads are answered", async () => {
    const sql = "SELECT count(*) FROM parcels";
    await readRows("all", sql);
    const countSchemaReads = () => listenedDatabase.sent.filter((sentSql) => sentSql === SCHEMA_OBJECTS_SQL).length;
    const schemaReadsBefore = countSchemaReads();
    const release = listenedDatabase.hold();
    const firstReads = Array.from({ length: 10 }, () => readRows("all", sql));
    await env.SHOP_DB.prepare("CREATE INDEX parcels_note ON parcels (note)").run();
    release();
    // Each answered read starts another one, which runs with the new schema.
    const answers = await Promise.all(
      firstReads.map(async (firstRead) => {
        const rows = await firstRead;
        return [rows, await readRows("all", sql)];
      }),
    );
    expect(answers.flat()).toEqual(Array.from({ length: 20 }, () => [[3]]));
    expect(countSchemaReads()).toBe(schemaReadsBefore + 1);
    await env.SHOP_DB.prepare("DROP INDEX parcels_note").run();
  });
});

describe("a schema copy whose engine has failed", () => {
  it("refuses its other readers, and is replaced at the next opening", async () => {
    const [declaration] = config.policy.sources;
    if (declaration === undefined) throw new Error("no source");
    const schemas = createSchemaCache(declaration, [], env.SHOP_DB, () => {});
    const [failingSchema, sharedSchema] = await Promise.all([schemas.open([]), schemas.open([])]);
    const trap = (): never => {
      throw new RangeError("SQLite is out of memory");
    };
    expect(() => failingSchema.use(trap)).toThrow("The SQL is too large or too deeply nested");
    expect(() => sharedSchema.use(() => 1)).toThrow(SchemaDrift);
    expect((await schemas.open([])).use(() => 1)).toBe(1);
  });
});
