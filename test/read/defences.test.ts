// Refusals by a defence reach the operator's log with their code, and without any SQL or data.
import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createD1Source } from "../../src/tables/d1-source.ts";
import { createDefenceLog } from "../../src/read/defence-log.ts";
import { createSchemaCache } from "../../src/tables/schema-cache.ts";
import { defenceReporting } from "../../src/read/defences.ts";
import { authorizer, exactValues, createGovernedMiddleware, verification } from "../../src/read/governed-middleware.ts";
import { createWorkspaceReading, createWorkspaceSource } from "../../src/results/workspace-source.ts";
import { parseStatement } from "../../src/sql/statement.ts";
import { DEFENCE_CODES } from "../../src/sql/defence-refusal.ts";
import { buildOpcodeRefusal } from "../../src/sql/opcodes.ts";
import { createSchemaSandbox } from "../../src/sql/schema-sandbox.ts";
import { config, plant } from "../sql/attacks/fixture.ts";
import { SHAPES } from "../sql/planning/statements.ts";
import { listenedReader } from "../support/listened.ts";
import { createReader, tableSource } from "../support/governed.ts";
import type { Reader } from "../support/governed.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";

/** Changes the rows of EXPLAIN to those that another version of the platform might return. */
type ChangeExplain = (rows: readonly Record<string, unknown>[]) => readonly Record<string, unknown>[];

/** The database as a newer platform would present it, with other rows of EXPLAIN. */
function createUpgradedDatabase(database: D1Database, changeExplain: ChangeExplain): D1Database {
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
              "opcode" in (result.results[0] ?? {}) ? { ...result, results: changeExplain(result.results) } : result,
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

/** A reader of the database whose refusals are written to `lines`. */
function createLoggedReader(changeExplain: ChangeExplain = (rows) => rows): Reader {
  const defenceLog = createDefenceLog({ log: (line) => lines.push(line), now: () => 0 });
  const { declaration, datasets } = tableSource(config);
  const database = createUpgradedDatabase(env.SHOP_DB, changeExplain);
  const schemas = createSchemaCache(declaration, datasets, database, () => {});
  const middleware = createGovernedMiddleware({
    allowsRecursion: false,
    maxSteps: 1e9,
    onRefusal: defenceLog(declaration.name),
  });
  return createReader(config, createD1Source(declaration, datasets, database, schemas, middleware));
}

const changeSecondRow = <T>(rows: readonly T[], change: (row: T) => T): readonly T[] =>
  rows.map((row, index) => (index === 1 ? change(row) : row));

describe("the defence log has a line", () => {
  const expanding = SHAPES.find(({ name }) => name.startsWith("joins a WITH"))?.sql(14) ?? "";
  const doubling = SHAPES.find(({ name }) => name.startsWith("doubles"))?.sql(20) ?? "";

  it.each([
    [
      "a forbidden function",
      "SELECT randomblob(9), 'S3CRET' FROM people",
      "code=forbidden_function function=randomblob",
    ],
    ["WITH queries that expand to too many SELECTs", expanding, "code=planning_limit limit=expansion"],
    ["columns that double with each WITH query", doubling, "code=planning_limit limit=work"],
  ])("for %s", async (_case, sql, line) => {
    expect(await createLoggedReader().outcome("north", sql)).toMatch(/^query_refused: /);
    expect(lines).toEqual([`defence ${line} source=shop count=1`]);
  });

  it("for a forbidden read that the guard layer did not stop", async () => {
    // The guard (layer 2) stops such names, so this pipeline omits it to show that the authorizer (layer 3) also stops and logs them.
    const { declaration, datasets } = tableSource(config);
    const log = createDefenceLog({ log: (line) => lines.push(line), now: () => 0 })(declaration.name);
    const schemas = createSchemaCache(declaration, datasets, env.SHOP_DB, () => {});
    const middleware = [
      defenceReporting(log),
      authorizer({ allowsRecursion: false }),
      exactValues(),
      verification(log),
    ];
    const source = createD1Source(declaration, datasets, env.SHOP_DB, schemas, middleware);
    expect(await createReader(config, source).outcome("north", "SELECT notes FROM people")).toMatch(/^query_refused/);
    expect(lines).toEqual(["defence code=forbidden_read layer=authorizer source=shop count=1"]);
  });

  it.each([
    [
      "an unknown opcode",
      (rows) => changeSecondRow(rows, (row) => ({ ...row, opcode: "Teleport" })),
      "unknown_opcode opcode=Teleport",
    ],
    [
      "an opcode that writes",
      (rows) => changeSecondRow(rows, (row) => ({ ...row, opcode: "OpenWrite" })),
      "forbidden_opcode opcode=OpenWrite",
    ],
    [
      "an opcode that opens a table without a permission",
      (rows) => [...rows, { opcode: "OpenRead", p1: 9, p2: 9999, p3: 0 }],
      "forbidden_opcode opcode=OpenRead",
    ],
    [
      "EXPLAIN columns with other names",
      (rows) => rows.map(({ opcode }) => ({ opcode: undefined, operation: opcode })),
      "unknown_opcode opcode=undefined",
    ],
    [
      "an opcode that is not a name",
      (rows) => changeSecondRow(rows, (row) => ({ ...row, opcode: "a b\nc=d" })),
      "unknown_opcode opcode=other",
    ],
  ] satisfies readonly (readonly [string, ChangeExplain, string])[])(
    "for a program with %s",
    async (_case, changeExplain, line) => {
      const outcome = await createLoggedReader(changeExplain).outcome(
        "north",
        "SELECT name FROM people WHERE name = 'S3CRET'",
      );
      expect(outcome).toMatch(/^query_refused: The SQL does something that is not available here/);
      expect(lines).toEqual([`defence code=${line} source=shop count=1`]);
    },
  );

  it("for a program without instructions, which must not count as harmless", async () => {
    const changeExplain: ChangeExplain = () => [];
    expect(await createLoggedReader(changeExplain).outcome("north", "SELECT name FROM people")).toMatch(
      /^query_refused/,
    );
    expect(lines).toEqual(["defence code=unknown_opcode opcode=none source=shop count=1"]);
  });

  it("for a schema that has changed since it was copied, although the query is answered", async () => {
    const reader = createLoggedReader();
    await reader.read("north", "SELECT name FROM people");
    await env.SHOP_DB.exec("ALTER TABLE people ADD COLUMN more TEXT");
    expect(await reader.outcome("north", "SELECT name FROM people ORDER BY name")).toMatch(/^\[/);
    expect(lines).toEqual(["defence code=schema_drift cause=changed source=shop count=1"]);
  });

  it("for a forbidden function in a query over stored results", async () => {
    const defenceLog = createDefenceLog({ log: (line) => lines.push(line), now: () => 0 });
    const workspace = env.WORKSPACE.get(env.WORKSPACE.idFromName(crypto.randomUUID()));
    const { source } = createWorkspaceSource({
      workspace,
      results: [],
      objects: [],
      reading: createWorkspaceReading({
        schemaSandbox: createSchemaSandbox(),
        maxSteps: 1e9,
        onRefusal: defenceLog("workspace"),
      }),
    });
    const limits = { maxReadRows: 1, maxValueBytes: 1000, maxTotalBytes: 1000, bookmark: null };
    const read = source.read([], parseStatement("SELECT zeroblob(9)"), [], limits);
    await expect(read).rejects.toMatchObject({ code: "query_refused" });
    expect(lines).toEqual(["defence code=forbidden_function function=zeroblob source=workspace count=1"]);
  });

  it("for none of the common mistakes in SQL", async () => {
    const reader = createLoggedReader();
    for (const sql of ["SELECT nmae FROM people", "SELECT * FROM salaries", "SELECT", "SELECT nosuch(1)"])
      expect(await reader.outcome("north", sql)).toMatch(/^query_/);
    expect(lines).toEqual([]);
  });
});

describe("a plan that leaks the order of hidden values", () => {
  const orderConfig = buildPolicy({
    sources: { ops: { binding: "OPS_DB", tables: { things: { id: key(NUMBER), name: TEXT } } } },
    roles: { r: [allow("ops.things")] },
  });

  beforeAll(async () => {
    await env.OPS_DB.exec("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT, weight INTEGER)");
    await env.OPS_DB.exec("CREATE INDEX things_name ON things (name, weight)");
    await env.OPS_DB.exec("INSERT INTO things VALUES (1, 'thing 1', 9), (2, 'thing 2', 8), (3, 'thing 2', 7)");
  });

  it("is logged, and the query is answered in another order", async () => {
    const onRefusal = createDefenceLog({ log: (line) => lines.push(line), now: () => 0 })("ops");
    const middleware = createGovernedMiddleware({ allowsRecursion: false, maxSteps: 1e9, onRefusal });
    const { reader } = listenedReader(orderConfig, env.OPS_DB, middleware);
    // The database plans with the bound value, which the schema copy does not know.
    const sql = "SELECT id FROM things WHERE id > 0 AND name GLOB ?";
    expect(await reader.outcome("r", sql, ["thing 2*"])).toBe("[[2],[3]]");
    expect(lines).toEqual(["defence code=order_leak cause=plan source=ops count=1"]);
  });
});

describe("createDefenceLog", () => {
  const refusal = { code: "forbidden_function", detail: "randomblob" } as const;

  it("writes the first refusal of a kind at once, and then its count at most once a minute", () => {
    let now = 1000;
    const report = createDefenceLog({ log: (line) => lines.push(line), now: () => now })("shop");
    for (let time = 0; time < 5; time += 1) report(refusal);
    expect(lines).toEqual(["defence code=forbidden_function function=randomblob source=shop count=1"]);
    now += 59_999;
    report(refusal);
    expect(lines).toHaveLength(1);
    now += 1;
    report(refusal);
    expect(lines[1]).toBe("defence code=forbidden_function function=randomblob source=shop count=6");
    now += 60_000;
    report(refusal);
    expect(lines[2]).toContain("count=1");
  });

  it("writes the pending count of one kind when a refusal of another kind comes", () => {
    let now = 1000;
    const report = createDefenceLog({ log: (line) => lines.push(line), now: () => now })("shop");
    for (let time = 0; time < 3; time += 1) report(refusal);
    now += 60_000;
    report({ code: "schema_drift", detail: "changed" });
    expect(lines.slice(1)).toEqual([
      "defence code=forbidden_function function=randomblob source=shop count=2",
      "defence code=schema_drift cause=changed source=shop count=1",
    ]);
  });

  it("counts sources and details separately, and bounds their number", () => {
    const log = createDefenceLog({ log: (line) => lines.push(line), now: () => 0 });
    for (const source of ["shop", "ops"]) log(source)(refusal);
    expect(lines).toHaveLength(2);
    for (let index = 0; index < 2000; index += 1) log("shop")({ code: "unknown_opcode", detail: `Op${index}` });
    expect(lines.length).toBeLessThanOrEqual(500);
  });

  it.each(["", "two words", "a\nb", "x".repeat(41), "name='S3CRET'", "ünïcode"])(
    "writes `other` in place of the detail %j",
    (detail) => {
      createDefenceLog({ log: (line) => lines.push(line), now: () => 0 })("shop")({ code: "unknown_opcode", detail });
      expect(lines).toEqual(["defence code=unknown_opcode opcode=other source=shop count=1"]);
    },
  );

  it("uses different codes for forbidden and for unknown opcodes", () => {
    const getCode = (opcode: string): string => buildOpcodeRefusal({ opcode, p1: 0, p2: 0, p3: 0 }).code;
    expect(["OpenWrite", "ParseSchema", "VUpdate", "Destroy"].map(getCode)).toEqual(Array(4).fill("forbidden_opcode"));
    expect(getCode("Hyperjump")).toBe("unknown_opcode");
    expect(new Set(DEFENCE_CODES).size).toBe(DEFENCE_CODES.length);
  });
});
