// Statements that come again: they are planned, judged and explained once, and nothing that was found of them lets anybody see
// more. What is sent to the database is listened to.
import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { defineGatehouse, mask, subject } from "../../src/config.ts";
import { createSchemaKeeper } from "../../src/sources/d1-schema.ts";
import { Drift } from "../../src/sources/reading.ts";
import { SCHEMA_OBJECTS_SQL } from "../../src/sql/schema.ts";
import type { Reader } from "../support/governed.ts";
import { listenedReader } from "../support/listened.ts";

const TEXT = { type: "text", description: "Text" } as const;
const NUMBER = { type: "integer", description: "Number" } as const;

const config = defineGatehouse({
  organisation: { name: "Test", contact: "Test" },
  sources: {
    shop: {
      kind: "d1",
      binding: "SHOP_DB",
      title: "Shop",
      description: "Shop",
      tables: {
        parcels: { description: "Parcels", key: "id", columns: { id: NUMBER, region: TEXT, note: TEXT } },
        people: { description: "People", key: "id", columns: { id: NUMBER, email: TEXT } },
      },
    },
  },
  roles: {
    all: {
      description: "a",
      rules: [
        { action: "read", datasets: ["shop.parcels"] },
        { action: "read", datasets: ["shop.people"], masks: { email: mask.email } },
      ],
    },
    clear: { description: "c", rules: [{ action: "read", datasets: ["shop.people"] }] },
    region: {
      description: "r",
      rules: [
        {
          action: "read",
          datasets: ["shop.parcels"],
          hidden: ["note"],
          rows: { column: "region", op: "=", value: subject("region") },
        },
      ],
    },
  },
  members: [
    { email: "all@harbor.example", name: "a", roles: ["all"] },
    { email: "north@harbor.example", name: "n", roles: ["region"], attributes: { region: "north" } },
    { email: "clear@harbor.example", name: "c", roles: ["clear"] },
    { email: "both@harbor.example", name: "b", roles: ["clear", "all"] },
    { email: "south@harbor.example", name: "s", roles: ["region"], attributes: { region: "south" } },
  ],
});

let listened: ReturnType<typeof listenedReader>;
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
  listened = listenedReader(config, env.SHOP_DB);
  ({ reader } = listened);
});

const explained = (): number => listened.sent.filter((sql) => sql.startsWith("EXPLAIN ")).length;
const rowsOf = async (account: string, sql: string, values: readonly (string | number)[] = []) =>
  (await reader.read(account, sql, values)).rows;

describe("a statement that comes again", () => {
  const BY_ID = "SELECT region FROM parcels WHERE id = ?";

  it("is explained once, whatever its values, and its schema is held against the copy each time", async () => {
    expect(await rowsOf("all", BY_ID, [1])).toEqual([["north"]]);
    expect(await rowsOf("all", BY_ID, [2])).toEqual([["south"]]);
    expect(explained()).toBe(1);
    const looks = listened.sent.filter((sql) => sql.includes("sqlite_schema") && sql.includes("tbl_name COLLATE"));
    expect(looks).toHaveLength(2);
  });

  it("shows each person their own rows, by values that are bound anew", async () => {
    const sql = "SELECT id FROM parcels ORDER BY id";
    for (let times = 0; times < 2; times += 1) {
      expect(await rowsOf("north", sql)).toEqual([[1], [3]]);
      expect(await rowsOf("south", sql)).toEqual([[2]]);
      expect(await rowsOf("all", sql)).toEqual([[1], [2], [3]]);
    }
    expect(explained()).toBe(2);
  });

  it("is refused to who may not see what it names, though it was answered to another", async () => {
    const sql = "SELECT note FROM parcels WHERE id = 1";
    expect(await rowsOf("all", sql)).toEqual([["one"]]);
    expect(await reader.outcome("north", sql)).toMatch(/^query_failed: There is no column note /);
    expect(await rowsOf("all", "SELECT count(*) FROM people")).toEqual([[2]]);
    expect(await reader.outcome("north", "SELECT count(*) FROM people")).toMatch(
      /^query_failed: There is no table people /,
    );
  });

  it("is judged anew when the schema is another", async () => {
    const sql = "SELECT count(*) FROM parcels";
    await rowsOf("all", sql);
    await env.SHOP_DB.prepare("CREATE INDEX parcels_region ON parcels (region)").run();
    expect(await rowsOf("all", sql)).toEqual([[3]]);
    expect(explained()).toBe(2);
    await env.SHOP_DB.prepare("DROP INDEX parcels_region").run();
    expect(await rowsOf("all", sql)).toEqual([[3]]);
    expect(explained()).toBe(3);
  });

  it("is explained each time where an index could order by what is masked: with other values it may be taken", async () => {
    const sql = "SELECT id FROM people WHERE id < ?";
    await rowsOf("all", sql, [10]);
    await rowsOf("all", sql, [10]);
    expect(explained()).toBe(2);
  });

  it("has a plan of its own for who sees the same views with other masks", async () => {
    const sql = "SELECT id FROM people";
    // An index orders what is shown in clear; who has a mask as well must get an order that tells nothing.
    const clear = await rowsOf("clear", sql);
    const alone = await rowsOf("all", sql);
    expect(await rowsOf("all", sql)).toEqual(alone);
    expect(await rowsOf("both", sql)).toEqual(alone);
    expect(await rowsOf("clear", sql)).toEqual(clear);
    expect(clear).not.toEqual(alone);
  });

  it("is judged anew when a table takes the name of a function that it calls", async () => {
    const sql = "SELECT value FROM json_each('word')";
    expect(await reader.outcome("all", sql)).toMatch(/^query_failed: /);
    const list = "SELECT value FROM json_each('[1]')";
    expect(await rowsOf("all", list)).toEqual([[1]]);
    await env.SHOP_DB.prepare("CREATE VIRTUAL TABLE json_each USING fts5(value)").run();
    try {
      await env.SHOP_DB.prepare("INSERT INTO json_each VALUES ('word SECRET')").run();
      for (const one of [sql, list, "SELECT json_each.value FROM json_each('word')"])
        expect(await reader.outcome("all", one), one).toMatch(/^(?:query_refused|query_failed|source_unavailable): /);
    } finally {
      await env.SHOP_DB.prepare("DROP TABLE json_each").run();
    }
    expect(await rowsOf("all", list)).toEqual([[1]]);
  });
});

describe("a schema that changes while many ask", () => {
  it("is read again once, and everybody is answered", async () => {
    const sql = "SELECT count(*) FROM parcels";
    await rowsOf("all", sql);
    const before = listened.sent.filter((one) => one === SCHEMA_OBJECTS_SQL).length;
    const release = listened.hold();
    const first = Array.from({ length: 10 }, () => rowsOf("all", sql));
    await env.SHOP_DB.prepare("CREATE INDEX parcels_note ON parcels (note)").run();
    release();
    // Others come as the first are answered, by then with the schema as it is now.
    const answers = await Promise.all(
      first.map(async (answer) => {
        const own = await answer;
        return [own, await rowsOf("all", sql)];
      }),
    );
    expect(answers.flat()).toEqual(Array.from({ length: 20 }, () => [[3]]));
    expect(listened.sent.filter((one) => one === SCHEMA_OBJECTS_SQL)).toHaveLength(before + 1);
    await env.SHOP_DB.prepare("DROP INDEX parcels_note").run();
  });
});

describe("a copy whose engine broke", () => {
  it("is used by nobody who holds it, and made anew for the next", async () => {
    const [declaration] = config.policy.sources;
    if (declaration === undefined) throw new Error("no source");
    const schemas = createSchemaKeeper(declaration, [], env.SHOP_DB, () => {});
    const [one, other] = await Promise.all([schemas.open([]), schemas.open([])]);
    const trap = (): never => {
      throw new RangeError("SQLite is out of memory");
    };
    expect(() => one.use(trap)).toThrow("The SQL is too large or too deeply nested");
    expect(() => other.use(() => 1)).toThrow(Drift);
    expect((await schemas.open([])).use(() => 1)).toBe(1);
  });
});
