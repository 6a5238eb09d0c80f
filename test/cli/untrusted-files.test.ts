// Opens untrusted dumps and SQLite files as introspection does: what they must not do while being read, and that ordinary dumps load.
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { guessTables } from "../../cli/introspection/guess.ts";
import { openFile } from "../../cli/introspection/load.ts";
import type { OpenedFile } from "../../cli/introspection/load.ts";
import { readDatabase } from "../../cli/introspection/schema.ts";
import { openLocalD1 } from "./local-d1.ts";
import type { LoadedDatabase, LocalD1 } from "./local-d1.ts";

const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-files-"));
const victim = path.join(dir, "victim.sqlite");
const written = path.join(dir, "written.sqlite");
const TABLE = "CREATE TABLE a (id INTEGER PRIMARY KEY, b TEXT); INSERT INTO a VALUES (1, 'x');";

beforeAll(async () => {
  d1 = await openLocalD1();
  const database = new DatabaseSync(victim);
  database.exec("CREATE TABLE secrets (v TEXT); INSERT INTO secrets VALUES ('planted');");
  database.close();
});

afterAll(async () => {
  await d1.dispose();
  rmSync(dir, { recursive: true, force: true });
});

function openDump(text: string, name = "dump.sql"): OpenedFile {
  const file = path.join(dir, name);
  writeFileSync(file, text);
  return openFile(file);
}

let d1: LocalD1;
const load = async (opened: OpenedFile): Promise<LoadedDatabase> => d1.load(opened);

/** Creates a database file whose schema table is edited directly. */
function makeTamperedFile(name: string, tamper: string): string {
  const file = path.join(dir, name);
  const database = new DatabaseSync(file);
  database.enableDefensive(false);
  database.exec(`${TABLE} PRAGMA writable_schema = ON; ${tamper}`);
  database.close();
  return file;
}

describe("opening a dump", () => {
  it.each([
    ["ATTACH of a new file", `ATTACH '${written}' AS other; CREATE TABLE other.t (a);`],
    ["ATTACH of an existing file", `ATTACH '${victim}' AS other; INSERT INTO a SELECT 2, v FROM other.secrets;`],
    ["ATTACH by a URI", `ATTACH 'file:${written}?mode=rwc' AS other; CREATE TABLE other.t (a);`],
    ["ATTACH by an expression", `ATTACH '${written.slice(0, 6)}' || '${written.slice(6)}' AS other;`],
    ["ATTACH in lower case behind a comment", `/* x */ attach database '${written}' as other;`],
    ["ATTACH of memory", "ATTACH ':memory:' AS other;"],
    ["VACUUM INTO", `VACUUM INTO '${written}';`],
    ["VACUUM main INTO an expression", `VACUUM main INTO '${written.slice(0, 6)}' || '${written.slice(6)}';`],
    ["load_extension", "SELECT load_extension('/tmp/x.so');"],
    ["load_extension with an entry point", `INSERT INTO a SELECT 2, "load_extension"('/tmp/x', 'e');`],
    ["fts3_tokenizer", "SELECT fts3_tokenizer('simple');"],
    ["a virtual table of a module that reads the file's pages", "CREATE VIRTUAL TABLE pages USING dbstat;"],
  ])("refuses %s and writes no file", (_name, sql) => {
    const before = readdirSync(dir).filter((name) => name !== "dump.sql");
    expect(() => openDump(`${TABLE} ${sql}`)).toThrow(/may not/);
    expect(existsSync(written)).toBe(false);
    expect(readdirSync(dir).filter((name) => name !== "dump.sql")).toEqual(before);
  });

  it.each([
    ["an UPDATE", "UPDATE sqlite_schema SET sql = 'CREATE TABLE a (c)' WHERE name = 'a';"],
    [
      "an INSERT",
      "INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) VALUES ('table', 'z', 'z', 2, 'x');",
    ],
    ["a DELETE", "DELETE FROM sqlite_schema;"],
  ])("refuses %s on the schema table after PRAGMA writable_schema", (_name, sql) => {
    expect(() => openDump(`${TABLE} PRAGMA writable_schema = ON; ${sql}`)).toThrow("may not be modified");
  });

  it("skips triggers, so that none acts while rows are loaded", async () => {
    const trigger =
      "CREATE TRIGGER grow AFTER INSERT ON a BEGIN INSERT INTO a SELECT NULL, new.b FROM a; UPDATE a SET b = 'changed'; END;";
    const database = openDump(`${TABLE} ${trigger} INSERT INTO a VALUES (2, 'y');`);
    expect(await (await load(database)).query("SELECT * FROM a")).toEqual([
      { id: 1, b: "x" },
      { id: 2, b: "y" },
    ]);
  });

  it("ignores pragmas that change settings of the connection", () => {
    const { database } = openDump(
      `PRAGMA encoding = 'UTF-16'; PRAGMA trusted_schema = ON; PRAGMA page_size = 512; ${TABLE}`,
    );
    database.setAuthorizer(null);
    expect(database.prepare("PRAGMA encoding").get()).toEqual({ encoding: "UTF-8" });
    expect(database.prepare("PRAGMA trusted_schema").get()).toEqual({ trusted_schema: 0 });
  });

  it("reads the real table when a temporary table shadows it", async () => {
    const database = openDump(`${TABLE} CREATE TEMP TABLE a (id, b, c); INSERT INTO temp.a VALUES (9, 'fake', 0);`);
    expect(await (await load(database)).query("SELECT * FROM a")).toEqual([{ id: 1, b: "x" }]);
  });

  it("loads a dump with the statements of ordinary dumps", async () => {
    const database = openDump(
      `PRAGMA foreign_keys=OFF; PRAGMA defer_foreign_keys=TRUE; BEGIN TRANSACTION;
      CREATE TABLE IF NOT EXISTS "child" (id INTEGER PRIMARY KEY, a REFERENCES parent(id), n TEXT DEFAULT (upper('q')));
      CREATE TABLE parent (id INTEGER PRIMARY KEY AUTOINCREMENT, twice INTEGER GENERATED ALWAYS AS (id * 2) VIRTUAL);
      INSERT INTO "child" VALUES (1, 1, replace('a\\nb', '\\n', char(10))); INSERT INTO parent (id) VALUES (1);
      ALTER TABLE parent ADD COLUMN late TEXT; UPDATE parent SET late = date('2026-01-02');
      DELETE FROM sqlite_sequence; INSERT INTO sqlite_sequence VALUES ('parent', 1);
      CREATE INDEX child_a ON child (a); CREATE UNIQUE INDEX child_n ON child (lower(n)); CREATE VIEW v AS SELECT * FROM child;
      CREATE TRIGGER t AFTER DELETE ON child BEGIN DELETE FROM parent; END;
      CREATE VIRTUAL TABLE notes USING fts5(body); INSERT INTO notes VALUES ('hello'); COMMIT; ANALYZE; VACUUM;
      SAVEPOINT s;
      WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 4) INSERT INTO parent (id) SELECT i FROM n;
      RELEASE s;`,
      "ORDINARY.SQL",
    );
    const { rows, leftOut, query } = await load(database);
    expect(rows).toBe(5);
    expect(leftOut.map(({ name }) => name)).toEqual(["t", "notes"]);
    expect(await query("SELECT n FROM v")).toEqual([{ n: "a\nb" }]);
    expect(await query("SELECT id, a, n FROM child")).toEqual([{ id: 1, a: 1, n: "a\nb" }]);
    expect(await query("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql <> ''")).toHaveLength(2);
  });
});

describe("introspection", () => {
  it("skips and reports tables and columns whose names have an invisible character", async () => {
    const database = new DatabaseSync(":memory:");
    database.exec(`
      CREATE TABLE plain (
        "id\u200b" INTEGER PRIMARY KEY,
        "na\u202eme" TEXT,
        city TEXT,
        "part\u200bner" INTEGER,
        other INTEGER REFERENCES "bad\u202etable"(id)
      );
      CREATE TABLE "bad\u202etable" (id INTEGER PRIMARY KEY);
      CREATE TABLE "bad\u009btable" (id INTEGER PRIMARY KEY);
    `);
    for (let id = 0; id < 9; id += 1)
      database.prepare("INSERT INTO plain (city) VALUES (?)").run(["Bern", "Ba\u202esel"][id % 2] ?? null);
    const results = async (sql: string) => ({ results: database.prepare(sql).all() as unknown[] });
    const schema = await readDatabase({ prepare: (sql) => ({ all: async () => results(sql) }) });
    expect(schema.leftOut).toEqual([
      { name: "bad\u009btable", reason: "has an invisible character in its name (U+009B)." },
      { name: "bad\u202etable", reason: "has an invisible character in its name (U+202E)." },
      { name: "plain.id\u200b", reason: "has an invisible character in its name (U+200B)." },
      { name: "plain.na\u202eme", reason: "has an invisible character in its name (U+202E)." },
      { name: "plain.part\u200bner", reason: "has an invisible character in its name (U+200B)." },
    ]);
    const guessed = guessTables(schema.tables);
    expect(JSON.stringify(guessed)).not.toMatch(/[\u0080-\u009f\u200b\u202e]/);
    expect(Object.keys(guessed["plain"]?.columns ?? {})).toEqual(["city", "other"]);
    expect(guessed["plain"]?.key).toBeUndefined();
  });
});

describe("opening an SQLite file", () => {
  it("refuses a schema table that calls a view a table", () => {
    const file = makeTamperedFile(
      "view.sqlite",
      "INSERT INTO sqlite_schema VALUES ('table', 'v', 'v', 0, 'CREATE VIEW v AS SELECT load_extension(''/tmp/x'') AS b');",
    );
    expect(() => openFile(file)).toThrow("malformed database schema");
  });

  it("skips a virtual table whose declaration hides its kind behind a comment", async () => {
    const file = makeTamperedFile(
      "virtual.sqlite",
      "INSERT INTO sqlite_schema VALUES ('table', 'pages', 'pages', 0, 'CREATE /**/ VIRTUAL TABLE pages USING dbstat');",
    );
    const { query, leftOut } = await load(openFile(file));
    expect(await query("SELECT name FROM sqlite_schema WHERE name = 'pages'")).toEqual([]);
    expect(leftOut.map(({ name }) => name)).toEqual(["pages"]);
  });

  it("refuses a declaration with a second statement", async () => {
    const file = makeTamperedFile(
      "second.sqlite",
      "UPDATE sqlite_schema SET sql = sql || '; CREATE TABLE injected (x)' WHERE name = 'a';",
    );
    await expect(load(openFile(file))).rejects.toThrow("more than one statement");
  });

  it("returns a connection that cannot write, attach or change settings", () => {
    const { database } = openFile(victim);
    for (const sql of [
      `ATTACH '${written}' AS other`,
      `VACUUM INTO '${written}'`,
      "CREATE TEMP TABLE t (a)",
      "PRAGMA journal_mode = DELETE",
      "SELECT load_extension('x')",
    ])
      expect(() => database.exec(sql), sql).toThrow(/not authorized|authorization denied/);
    expect(existsSync(written)).toBe(false);
  });
});
