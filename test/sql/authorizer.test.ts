// Layer 3 alone: what SQLite's authorizer allows and refuses, whatever the layers before it let through.
import { describe, expect, it } from "vitest";
import { authorize } from "../../src/sql/authorizer.ts";
import type { AuthorizeOptions, Verdict } from "../../src/sql/authorizer.ts";
import { copySchema } from "../../src/sql/schema-copy.ts";
import type { SchemaObject } from "../../src/sql/schema-objects.ts";
import { ALLOW, openEngine } from "../../src/sql/engine/sqlite.ts";
import callback from "../../src/sql/engine/callback.wasm";

const schemaObject = (name: string, sql: string, type = "table", table = name): SchemaObject => ({
  type,
  name,
  table,
  rootPage: 2,
  sql,
});

const copy = copySchema(
  {
    objects: [
      schemaObject("people", "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, email TEXT, secret TEXT)"),
      schemaObject("people_name", "CREATE INDEX people_name ON people (name)", "index", "people"),
      schemaObject("hidden", "CREATE TABLE hidden (id INTEGER PRIMARY KEY, secret TEXT)"),
      schemaObject("everyone", "CREATE VIEW everyone AS SELECT * FROM people", "view"),
      schemaObject("undeclared", "CREATE TABLE undeclared (secret TEXT)"),
    ],
    statistics: [],
    rowCounts: new Map(),
  },
  ["people", "hidden"],
);

const OPTIONS: AuthorizeOptions = {
  readPermissions: [{ cteName: "guard_n", table: "people", columns: new Set(["id", "name", "email"]) }],
  shadowedNames: new Set(["people"]),
  allowsRecursion: false,
};
const VIEW = [
  "WITH guard_n AS (SELECT id, name, substr(email, 1, 1) AS email FROM main.people WHERE id > 0),",
  "people AS (SELECT * FROM guard_n)",
].join(" ");

const judge = (sql: string, options: Partial<AuthorizeOptions> = {}): Verdict =>
  authorize(sql, copy, { ...OPTIONS, ...options });

describe("authorize: statements that layer 3 allows", () => {
  it.each([
    "SELECT * FROM people",
    "SELECT count(*) FROM people",
    "SELECT id FROM people ORDER BY id",
    "SELECT a.name FROM people a JOIN people b ON a.id = b.id",
    "SELECT (SELECT count(*) FROM people p WHERE p.id < q.id) FROM people q",
    "SELECT 1 FROM people, people",
    "SELECT name, row_number() OVER (ORDER BY id) FROM people",
    "SELECT value FROM json_each('[1]')",
    "SELECT key, value FROM json_tree(json_object('a', 1)) WHERE type = 'integer'",
    "SELECT name ->> 'x', json_extract(name, '$.a') FROM people",
    "SELECT strftime('%Y', 'now'), current_date, round(1.5), sqrt(4)",
    "SELECT 1 UNION SELECT id FROM people EXCEPT SELECT 2",
  ])("allows %s", (body) => {
    expect(judge(`${VIEW} ${body}`).kind).toBe("allowed");
  });

  it("returns the names of the result columns", () => {
    expect(judge(`${VIEW} SELECT *, 1 AS one, id AS "Id!" FROM people`)).toEqual({
      kind: "allowed",
      columns: ["id", "name", "email", "one", "Id!"],
    });
  });

  it("allows recursion only if the options allow it", () => {
    const sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n LIMIT 3";
    expect(judge(sql)).toEqual({ kind: "forbidden", action: { kind: "recursion" } });
    expect(judge(sql, { allowsRecursion: true }).kind).toBe("allowed");
  });
});

describe("authorize: reads that layer 3 forbids", () => {
  it.each([
    "SELECT secret FROM main.people",
    "SELECT email FROM main.people",
    "SELECT id FROM main.people",
    "SELECT count(*) FROM main.hidden",
    "SELECT * FROM hidden",
    "SELECT count(*) FROM hidden",
    "SELECT 1 FROM hidden",
    "SELECT * FROM main.hidden AS people",
    "SELECT (SELECT secret FROM hidden)",
    "SELECT * FROM people WHERE id IN (SELECT id FROM main.people)",
    "SELECT * FROM people WHERE EXISTS (SELECT 1 FROM hidden)",
    "SELECT * FROM sqlite_schema",
    "SELECT count(*) FROM sqlite_schema",
    "SELECT * FROM main.sqlite_master",
    "SELECT rowid FROM main.people",
  ])("forbids %s", (body) => {
    expect(judge(`${VIEW} ${body}`)).toEqual({ kind: "forbidden", action: { kind: "read" } });
  });

  it("forbids a guard view to read another column or table, and a view with another name to read at all", () => {
    const read = { kind: "forbidden", action: { kind: "read" } };
    expect(judge("WITH guard_n AS (SELECT secret FROM main.people) SELECT * FROM guard_n")).toEqual(read);
    expect(judge("WITH guard_n AS (SELECT id FROM main.hidden) SELECT * FROM guard_n")).toEqual(read);
    expect(judge("WITH guard_x AS (SELECT id FROM main.people) SELECT * FROM guard_x")).toEqual(read);
  });

  it("forbids a read without a column when nothing shadows the table", () => {
    const read = { kind: "forbidden", action: { kind: "read" } };
    expect(judge("SELECT count(*) FROM people", { shadowedNames: new Set() })).toEqual(read);
    expect(judge(`${VIEW} SELECT count(*) FROM people, hidden`)).toEqual(read);
  });
});

describe("authorize: other statements that layer 3 forbids", () => {
  it.each([
    "DELETE FROM people",
    "INSERT INTO hidden VALUES (1, 2)",
    "UPDATE people SET name = 1",
    "CREATE TABLE x (a)",
    "DROP TABLE people",
    "PRAGMA user_version",
    "PRAGMA table_info(people)",
    "SELECT * FROM pragma_table_info('people')",
    "ATTACH ':memory:' AS other",
    "BEGIN",
    "COMMIT",
    "SAVEPOINT x",
    "REINDEX",
    "ANALYZE",
    "VACUUM",
    "EXPLAIN DELETE FROM people",
    "CREATE TEMP TABLE t AS SELECT 1",
  ])("does not allow %s", (sql) => {
    expect(judge(sql).kind).not.toBe("allowed");
  });

  it.each(["SELECT 1; SELECT 2", "SELECT 1; DELETE FROM people", "SELECT 1 ;;"])(
    "forbids text after the statement in %s",
    (sql) => {
      expect(judge(sql)).toEqual({ kind: "forbidden", action: { kind: "other" } });
    },
  );

  it.each([
    "load_extension('x')",
    "sqlite_version()",
    "sqlite_source_id()",
    "sqlite_compileoption_get(1)",
    "last_insert_rowid()",
    "changes()",
    "total_changes()",
    "zeroblob(9)",
    "randomblob(9)",
    "sqlite_offset(1)",
    "fts5(1)",
    "match('a', 'b')",
  ])("does not allow the function in %s", (call) => {
    const verdict = judge(`SELECT ${call}`);
    // A function that SQLite does not know makes the statement invalid.
    expect(verdict.kind).not.toBe("allowed");
    if (verdict.kind === "forbidden") expect(verdict.action.kind).toBe("function");
  });
});

describe("the engine of the authorizer", () => {
  it("returns SQLite's message and its offset for an invalid statement", () => {
    const sql = `${VIEW} SELECT emial FROM people`;
    expect(judge(sql)).toEqual({
      kind: "invalid",
      message: "no such column: emial",
      offset: sql.indexOf("emial"),
    });
  });

  it("accepts double-quoted text in a declaration, as D1 does", () => {
    const engine = openEngine();
    engine.execute(`CREATE TABLE quoted (kind TEXT CHECK (kind IN ("m", "f")))`);
    expect(engine.compile('SELECT "m" FROM quoted', () => ALLOW)).toMatchObject({ ok: false });
    expect(engine.compile("SELECT kind FROM quoted", () => ALLOW)).toMatchObject({ ok: true });
  });

  it("reads double-quoted text in a statement only as a name, as D1 does", () => {
    expect(judge('SELECT "nothing"')).toMatchObject({
      kind: "invalid",
      message: expect.stringMatching(/^no such column/),
    });
  });

  it.each([
    ["deep nesting", `SELECT ${"abs(".repeat(500)}1${")".repeat(500)}`],
    ["many terms", Array(20).fill("SELECT 1").join(" UNION ALL ")],
    ["many columns", `SELECT ${Array(200).fill("1").join(", ")}`],
    ["a long string", `SELECT '${"x".repeat(200_000)}'`],
  ])("rejects a statement beyond D1's limits: %s", (_name, sql) => {
    expect(judge(sql).kind).toBe("invalid");
  });

  it("still works after thousands of statements of different sizes", () => {
    for (let count = 0; count < 3000; count += 1)
      judge(`${VIEW} SELECT '${"é".repeat(count % 5000)}', name FROM people`);
    expect(judge(`${VIEW} SELECT name FROM people`).kind).toBe("allowed");
  });

  it("has a callback module that imports and exports a single function", () => {
    expect(WebAssembly.Module.imports(callback)).toEqual([{ module: "e", name: "a", kind: "function" }]);
    expect(WebAssembly.Module.exports(callback)).toEqual([{ name: "a", kind: "function" }]);
  });
});

describe("copySchema", () => {
  it("reports tables that it cannot copy, and copies the others", () => {
    const { uncopiedObjects, engine } = copySchema(
      {
        objects: [
          schemaObject("docs", "CREATE VIRTUAL TABLE docs USING fts5(body)"),
          schemaObject("odd", "CREATE TABLE odd (a TEXT COLLATE nosuch, b AS (nosuch(a)))"),
          schemaObject("fine", "CREATE TABLE fine (a INTEGER PRIMARY KEY, b INTEGER AS (a + 1) STORED) STRICT"),
        ],
        statistics: [{ table: "fine", index: null, text: "1000" }],
        rowCounts: new Map(),
      },
      ["docs", "odd", "fine", "absent"],
    );
    expect(uncopiedObjects.map(({ table }) => table)).toContain("docs");
    expect(engine.plan("SELECT b FROM fine WHERE a = 1")).toMatchObject([
      { detail: expect.stringMatching(/^SEARCH fine/) },
    ]);
  });
});
