// Refusals by a defence reach the operator's log, each with its code, and nothing of the SQL or the data with them.
import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createD1Source } from "../../src/sources/d1.ts";
import { createDefenceLog } from "../../src/sources/defence-log.ts";
import { createSchemaKeeper } from "../../src/sources/d1-schema.ts";
import { reporting } from "../../src/sources/defences.ts";
import { authorizer, exactValues, governedLayers, verification } from "../../src/sources/layers.ts";
import { createWorkspaceSource } from "../../src/sources/workspace.ts";
import { parseStatement } from "../../src/sql/statement.ts";
import { DEFENCE_CODES } from "../../src/sql/defence.ts";
import { opcodeRefusal } from "../../src/sql/opcodes.ts";
import { createScratch } from "../../src/sql/scratch.ts";
import { defineGatehouse } from "../../src/config.ts";
import { config, plant } from "../sql/attacks/fixture.ts";
import { SHAPES } from "../sql/planning/statements.ts";
import { listenedReader } from "../support/listened.ts";
import { createReader, tableSource } from "../support/governed.ts";
import type { Reader } from "../support/governed.ts";

/** Rows of EXPLAIN, as a platform of another version might give them. */
type Explain = (rows: readonly Record<string, unknown>[]) => readonly Record<string, unknown>[];

/** The attacked database as a newer platform would have it: what EXPLAIN gives is another. */
function upgraded(database: D1Database, explain: Explain): D1Database {
  return new Proxy(database, {
    get(target, name) {
      if (name !== "withSession") {
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      }
      return (bookmark: string) => {
        const session = target.withSession(bookmark);
        return {
          prepare: (sql: string) => session.prepare(sql),
          getBookmark: () => session.getBookmark(),
          async batch(statements: D1PreparedStatement[]) {
            const results = await session.batch<Record<string, unknown>>(statements);
            return results.map((result) =>
              "opcode" in (result.results[0] ?? {}) ? { ...result, results: explain(result.results) } : result,
            );
          },
        };
      };
    },
  });
}

let lines: string[] = [];
beforeAll(plant);
beforeEach(() => {
  lines = [];
});

/** A reader of the attacked database whose refusals are written to `lines`. */
function reader(explain: Explain = (rows) => rows): Reader {
  const defenceLog = createDefenceLog({ log: (line) => lines.push(line), now: () => 0 });
  const { declaration, datasets } = tableSource(config);
  const database = upgraded(env.SHOP_DB, explain);
  const schemas = createSchemaKeeper(declaration, datasets, database, () => {});
  const layers = governedLayers({ allowsRecursion: false, maxSteps: 1e9, onRefusal: defenceLog(declaration.name) });
  return createReader(config, createD1Source(declaration, datasets, database, schemas, layers));
}

const first = <T>(rows: readonly T[], change: (row: T) => T): readonly T[] =>
  rows.map((row, index) => (index === 1 ? change(row) : row));

describe("a refusal by a defence is logged", () => {
  const expanding = SHAPES.find(({ name }) => name.startsWith("joins a WITH"))?.sql(14) ?? "";
  const doubling = SHAPES.find(({ name }) => name.startsWith("doubles"))?.sql(20) ?? "";

  it.each([
    [
      "a function that is not allowed",
      "SELECT randomblob(9), 'S3CRET' FROM people",
      "code=forbidden_function function=randomblob",
    ],
    ["WITH queries that are named too often", expanding, "code=planning_limit limit=expansion"],
    ["columns that double", doubling, "code=planning_limit limit=work"],
  ])("for %s", async (_what, sql, line) => {
    expect(await reader().outcome("north", sql)).toMatch(/^query_refused: /);
    expect(lines).toEqual([`defence ${line} source=shop count=1`]);
  });

  it("for a name that the database has, and the guard did not deny", async () => {
    // Layer 2 lets no such name through, so only its absence shows that layer 3 would stop and log it.
    const { declaration, datasets } = tableSource(config);
    const log = createDefenceLog({ log: (line) => lines.push(line), now: () => 0 })(declaration.name);
    const schemas = createSchemaKeeper(declaration, datasets, env.SHOP_DB, () => {});
    const layers = [reporting(log), authorizer({ allowsRecursion: false }), exactValues(), verification(log)];
    const source = createD1Source(declaration, datasets, env.SHOP_DB, schemas, layers);
    expect(await createReader(config, source).outcome("north", "SELECT notes FROM people")).toMatch(/^query_refused/);
    expect(lines).toEqual(["defence code=forbidden_read layer=authorizer source=shop count=1"]);
  });

  it.each([
    [
      "one that nobody knows",
      (rows) => first(rows, (row) => ({ ...row, opcode: "Teleport" })),
      "unknown_opcode opcode=Teleport",
    ],
    [
      "one that writes",
      (rows) => first(rows, (row) => ({ ...row, opcode: "OpenWrite" })),
      "forbidden_opcode opcode=OpenWrite",
    ],
    [
      "a table that was not opened",
      (rows) => [...rows, { opcode: "OpenRead", p1: 9, p2: 9999, p3: 0 }],
      "forbidden_opcode opcode=OpenRead",
    ],
    [
      "columns of other names",
      (rows) => rows.map(({ opcode }) => ({ opcode: undefined, operation: opcode })),
      "unknown_opcode opcode=undefined",
    ],
    [
      "something that is no name",
      (rows) => first(rows, (row) => ({ ...row, opcode: "a b\nc=d" })),
      "unknown_opcode opcode=other",
    ],
  ] satisfies readonly (readonly [string, Explain, string])[])(
    "for an instruction: %s",
    async (_what, explain, line) => {
      const outcome = await reader(explain).outcome("north", "SELECT name FROM people WHERE name = 'S3CRET'");
      expect(outcome).toMatch(/^query_refused: The SQL does something that is not available here/);
      expect(lines).toEqual([`defence code=${line} source=shop count=1`]);
    },
  );

  it("for a program of no instructions, which must not count as harmless", async () => {
    const explain: Explain = () => [];
    expect(await reader(explain).outcome("north", "SELECT name FROM people")).toMatch(/^query_refused/);
    expect(lines).toEqual(["defence code=unknown_opcode opcode=none source=shop count=1"]);
  });

  it("for a schema that changed behind the copy, though the query is answered", async () => {
    const of = reader();
    await of.read("north", "SELECT name FROM people");
    await env.SHOP_DB.exec("ALTER TABLE people ADD COLUMN more TEXT");
    expect(await of.outcome("north", "SELECT name FROM people ORDER BY name")).toMatch(/^\[/);
    expect(lines).toEqual(["defence code=schema_drift cause=changed source=shop count=1"]);
  });

  it("for kept results too", async () => {
    const defenceLog = createDefenceLog({ log: (line) => lines.push(line), now: () => 0 });
    const workspace = env.WORKSPACE.get(env.WORKSPACE.idFromName(crypto.randomUUID()));
    const { source } = createWorkspaceSource({
      workspace,
      results: [],
      objects: [],
      scratch: createScratch(),
      maxSteps: 1e9,
      onRefusal: defenceLog("workspace"),
    });
    const limits = { maxRows: 1, maxValueBytes: 1000, maxTotalBytes: 1000, bookmark: null };
    const read = source.read([], parseStatement("SELECT zeroblob(9)"), [], limits);
    await expect(read).rejects.toMatchObject({ code: "query_refused" });
    expect(lines).toEqual(["defence code=forbidden_function function=zeroblob source=workspace count=1"]);
  });

  it("but not for what people get wrong every day", async () => {
    const of = reader();
    for (const sql of ["SELECT nmae FROM people", "SELECT * FROM salaries", "SELECT", "SELECT nosuch(1)"])
      expect(await of.outcome("north", sql)).toMatch(/^query_/);
    expect(lines).toEqual([]);
  });
});

describe("an order of rows that would tell", () => {
  const column = { type: "text", description: "Text" } as const;
  const policied = defineGatehouse({
    organisation: { name: "Test", contact: "Test" },
    sources: {
      ops: {
        kind: "d1",
        binding: "OPS_DB",
        title: "Ops",
        description: "Ops",
        tables: {
          things: {
            description: "Things",
            key: "id",
            columns: { id: { type: "integer", description: "Number" }, name: column },
          },
        },
      },
    },
    roles: { r: { description: "r", rules: [{ action: "read", datasets: ["ops.things"] }] } },
    members: [{ email: "r@harbor.example", name: "r", roles: ["r"] }],
  });

  beforeAll(async () => {
    await env.OPS_DB.exec("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT, weight INTEGER)");
    await env.OPS_DB.exec("CREATE INDEX things_name ON things (name, weight)");
    await env.OPS_DB.exec("INSERT INTO things VALUES (1, 'thing 1', 9), (2, 'thing 2', 8), (3, 'thing 2', 7)");
  });

  it("is logged, though the query is answered in another order", async () => {
    const onRefusal = createDefenceLog({ log: (line) => lines.push(line), now: () => 0 })("ops");
    const layers = governedLayers({ allowsRecursion: false, maxSteps: 1e9, onRefusal });
    const { reader: of } = listenedReader(policied, env.OPS_DB, layers);
    // The database plans by the value, which the copy does not know.
    const sql = "SELECT id FROM things WHERE id > 0 AND name GLOB ?";
    expect(await of.outcome("r", sql, ["thing 2*"])).toBe("[[2],[3]]");
    expect(lines).toEqual(["defence code=order_leak cause=plan source=ops count=1"]);
  });
});

describe("the log of refusals", () => {
  const kind = { code: "forbidden_function", detail: "randomblob" } as const;

  it("writes the first of a kind at once, and then its count at most once a minute", () => {
    let now = 1000;
    const report = createDefenceLog({ log: (line) => lines.push(line), now: () => now })("shop");
    for (let time = 0; time < 5; time += 1) report(kind);
    expect(lines).toEqual(["defence code=forbidden_function function=randomblob source=shop count=1"]);
    now += 59_999;
    report(kind);
    expect(lines).toHaveLength(1);
    now += 1;
    report(kind);
    expect(lines[1]).toBe("defence code=forbidden_function function=randomblob source=shop count=6");
    now += 60_000;
    report(kind);
    expect(lines[2]).toContain("count=1");
  });

  it("writes what was counted of one kind when another comes", () => {
    let now = 1000;
    const report = createDefenceLog({ log: (line) => lines.push(line), now: () => now })("shop");
    for (let time = 0; time < 3; time += 1) report(kind);
    now += 60_000;
    report({ code: "schema_drift", detail: "changed" });
    expect(lines.slice(1)).toEqual([
      "defence code=forbidden_function function=randomblob source=shop count=2",
      "defence code=schema_drift cause=changed source=shop count=1",
    ]);
  });

  it("tells sources and details apart, and bounds how many", () => {
    const log = createDefenceLog({ log: (line) => lines.push(line), now: () => 0 });
    for (const source of ["shop", "ops"]) log(source)(kind);
    expect(lines).toHaveLength(2);
    for (let index = 0; index < 2000; index += 1) log("shop")({ code: "unknown_opcode", detail: `Op${index}` });
    expect(lines.length).toBeLessThanOrEqual(500);
  });

  it.each(["", "two words", "a\nb", "x".repeat(41), "name='S3CRET'", "ünïcode"])(
    "writes other for the detail %j",
    (detail) => {
      createDefenceLog({ log: (line) => lines.push(line), now: () => 0 })("shop")({ code: "unknown_opcode", detail });
      expect(lines).toEqual(["defence code=unknown_opcode opcode=other source=shop count=1"]);
    },
  );

  it("has a code for instructions that are refused on purpose and one for those that are new", () => {
    const codeOf = (opcode: string): string => opcodeRefusal({ opcode, p1: 0, p2: 0, p3: 0 }).code;
    expect(["OpenWrite", "ParseSchema", "VUpdate", "Destroy"].map(codeOf)).toEqual(Array(4).fill("forbidden_opcode"));
    expect(codeOf("Hyperjump")).toBe("unknown_opcode");
    expect(new Set(DEFENCE_CODES).size).toBe(DEFENCE_CODES.length);
  });
});
