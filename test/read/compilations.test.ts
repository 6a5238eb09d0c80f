// How often SQLite compiles a statement that it has not seen before: each compilation delays the first answer, so layers share them. The
// tests put a middleware in front of all others that counts the calls of the schema copy's engine.
import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, expect, it } from "vitest";
import { mask } from "../../src/config/define-gatehouse.ts";
import { createGovernedMiddleware } from "../../src/read/governed-middleware.ts";
import type { Middleware } from "../../src/read/read-pipeline.ts";
import type { Engine } from "../../src/sql/engine/sqlite.ts";
import { listenedReader } from "../support/listened.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";

const config = buildPolicy({
  tables: { parcels: { id: key(NUMBER), region: TEXT, note: TEXT } },
  roles: {
    all: [allow("shop.parcels")],
    north: [allow("shop.parcels", { hidden: ["note"], rows: { column: "region", op: "=", value: "north" } })],
    masked: [allow("shop.parcels", { masks: { note: mask.redact } })],
  },
  members: { all: ["all"], north: ["north"], masked: ["masked"] },
});

const COMPILING = new Set(["compile", "compileWithPlan", "plan", "listInstructions", "execute"]);
let compilations: string[] = [];

const counting: Middleware = (next) => (context) => {
  const observe = (engine: Engine): Engine =>
    new Proxy(engine, {
      get(target, name, receiver) {
        if (COMPILING.has(String(name))) compilations.push(String(name));
        return Reflect.get(target, name, receiver);
      },
    });
  return next({
    ...context,
    schema: { use: (work) => context.schema.use((copy) => work({ ...copy, engine: observe(copy.engine) })) },
  });
};

const { reader } = listenedReader(config, env.SHOP_DB, [
  counting,
  ...createGovernedMiddleware({ allowsRecursion: false, maxSteps: 1e9 }),
]);

beforeAll(async () => {
  await env.SHOP_DB.batch(
    [
      "CREATE TABLE parcels (id INTEGER PRIMARY KEY, region TEXT, note TEXT)",
      "INSERT INTO parcels VALUES (1, 'north', 'one'), (2, 'south', 'two'), (3, 'north', 'three')",
    ].map((sql) => env.SHOP_DB.prepare(sql)),
  );
  // What is found out about the table itself serves all statements.
  for (const account of ["all", "north", "masked"]) await reader.read(account, "SELECT region FROM parcels");
});

beforeEach(() => {
  compilations = [];
});

it.each([
  ["all", "SELECT * FROM parcels WHERE id = 3", [[3, "north", "three"]]],
  [
    "all",
    "WITH a AS (SELECT id, note FROM parcels) SELECT a.note, b.region FROM a JOIN parcels b ON b.id = a.id LIMIT 1",
    [["one", "north"]],
  ],
  ["north", "SELECT id, region FROM parcels WHERE id > 1", [[3, "north"]]],
  ["masked", "SELECT id, region FROM parcels WHERE id > 2", [[3, "north"]]],
])("compiles a statement of stored columns twice, read by %s: %s", async (account, sql, rows) => {
  expect((await reader.read(account, sql)).rows).toEqual(rows);
  expect(compilations).toEqual(["compile", "compileWithPlan"]);
});

it.each([
  ["all", "SELECT count(*) FROM parcels WHERE region = 'north'", [[2]]],
  ["north", "SELECT max(id) FROM parcels", [[3]]],
])("compiles a statement with expressions three times, read by %s: %s", async (account, sql, rows) => {
  expect((await reader.read(account, sql)).rows).toEqual(rows);
  expect(compilations).toEqual(["compile", "compileWithPlan", "listInstructions"]);
});

it("compiles a repeated statement not at all", async () => {
  const sql = "SELECT id FROM parcels WHERE region = 'south'";
  await reader.read("all", sql);
  compilations = [];
  await reader.read("all", sql);
  expect(compilations).toEqual([]);
});

it("compiles a statement over views where a star would show a hidden column", async () => {
  const { rows, columns } = await reader.read("north", "SELECT * FROM parcels WHERE id = 1");
  expect({ rows, columns }).toEqual({ rows: [[1, "north"]], columns: ["id", "region"] });
  expect(compilations.filter((name) => name === "execute")).toHaveLength(2);
});
