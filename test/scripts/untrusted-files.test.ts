// Dumps and SQLite files of others, opened as introspection opens them: what they may do while they are read, and what stays ordinary.
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { guessTables } from "../../scripts/introspection/guess.ts";
import { loadInto, openFile } from "../../scripts/introspection/load.ts";
import { readDatabase } from "../../scripts/introspection/schema.ts";

const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-files-"));
const victim = path.join(dir, "victim.sqlite");
const written = path.join(dir, "written.sqlite");
const TABLE = "CREATE TABLE a (id INTEGER PRIMARY KEY, b TEXT); INSERT INTO a VALUES (1, 'x');";

beforeAll(() => {
  const database = new DatabaseSync(victim);
  database.exec("CREATE TABLE secrets (v TEXT); INSERT INTO secrets VALUES ('planted');");
  database.close();
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

function openDump(text: string, name = "dump.sql"): DatabaseSync {
  const file = path.join(dir, name);
  writeFileSync(file, text);
  return openFile(file);
}

/** A target that keeps the statements. */
function recordingTarget() {
  const statements: string[] = [];
  return {
    statements,
    prepare: (sql: string): unknown => sql,
    batch: async (batch: never[]): Promise<unknown> => statements.push(...batch.map(String)),
  };
}

async function load(database: DatabaseSync) {
  const target = recordingTarget();
  const loaded = await loadInto(target, database);
  return { ...loaded, statements: target.statements };
}

/** A file whose schema table was written by hand. */
function makeTamperedFile(name: string, tamper: string): string {
  const file = path.join(dir, name);
  const database = new DatabaseSync(file);
  database.enableDefensive(false);
  database.exec(`${TABLE} PRAGMA writable_schema = ON; ${tamper}`);
  database.close();
  return file;
}

describe("a dump", () => {
  it.each([
    ["ATTACH of a new file", `ATTACH '${written}' AS other; CREATE TABLE other.t (a);`],
    ["ATTACH of a file that is there", `ATTACH '${victim}' AS other; INSERT INTO a SELECT 2, v FROM other.secrets;`],
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
  ])("is refused for %s, and writes no file", (_name, sql) => {
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
  ])("cannot change the schema table with %s after PRAGMA writable_schema", (_name, sql) => {
    expect(() => openDump(`${TABLE} PRAGMA writable_schema = ON; ${sql}`)).toThrow("may not be modified");
  });

  it("has no triggers that act while its rows are loaded", async () => {
    const trigger =
      "CREATE TRIGGER grow AFTER INSERT ON a BEGIN INSERT INTO a SELECT NULL, new.b FROM a; UPDATE a SET b = 'changed'; END;";
    const database = openDump(`${TABLE} ${trigger} INSERT INTO a VALUES (2, 'y');`);
    expect((await load(database)).statements.join("\n")).toContain("VALUES (1, 'x'), (2, 'y')");
  });

  it("changes no setting of the connection", () => {
    const database = openDump(
      `PRAGMA encoding = 'UTF-16'; PRAGMA trusted_schema = ON; PRAGMA page_size = 512; ${TABLE}`,
    );
    database.setAuthorizer(null);
    expect(database.prepare("PRAGMA encoding").get()).toEqual({ encoding: "UTF-8" });
    expect(database.prepare("PRAGMA trusted_schema").get()).toEqual({ trusted_schema: 0 });
  });

  it("cannot put a temporary table in front of its own", async () => {
    const database = openDump(`${TABLE} CREATE TEMP TABLE a (id, b, c); INSERT INTO temp.a VALUES (9, 'fake', 0);`);
    const { statements } = await load(database);
    expect(statements.join("\n")).toContain("(1, 'x')");
    expect(statements.join("\n")).not.toContain("fake");
  });

  it("loads as before with the statements of ordinary dumps", async () => {
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
      SAVEPOINT s; WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 4) INSERT INTO parent (id) SELECT i FROM n; RELEASE s;`,
      "ORDINARY.SQL",
    );
    const { rows, leftOut, statements } = await load(database);
    expect(rows).toBe(5);
    expect(leftOut.map(({ name }) => name)).toEqual(["v", "notes"]);
    expect(statements.join("\n")).toContain("(1, 1, 'a\nb')");
    expect(statements.filter((sql) => /^CREATE (?:UNIQUE )?INDEX/.test(sql))).toHaveLength(2);
  });
});

describe("names of tables and columns of a file", () => {
  it("are left out, and said so, when they hold an invisible character", async () => {
    const database = new DatabaseSync(":memory:");
    database.exec(`
      CREATE TABLE plain ("id\u200b" INTEGER PRIMARY KEY, "na\u202eme" TEXT, city TEXT, "part\u200bner" INTEGER, other INTEGER REFERENCES "bad\u202etable"(id));
      CREATE TABLE "bad\u202etable" (id INTEGER PRIMARY KEY);
      CREATE TABLE "bad\u009btable" (id INTEGER PRIMARY KEY);
    `);
    for (let id = 0; id < 9; id += 1)
      database.prepare("INSERT INTO plain (city) VALUES (?)").run(["Bern", "Ba\u202esel"][id % 2] ?? null);
    const results = async (sql: string) => ({ results: database.prepare(sql).all() as unknown[] });
    const found = await readDatabase({ prepare: (sql) => ({ all: async () => results(sql) }) });
    expect(found.leftOut).toEqual([
      { name: "bad\u009btable", reason: "has a character in its name that cannot be seen (U+009B)." },
      { name: "bad\u202etable", reason: "has a character in its name that cannot be seen (U+202E)." },
      { name: "plain.id\u200b", reason: "has a character in its name that cannot be seen (U+200B)." },
      { name: "plain.na\u202eme", reason: "has a character in its name that cannot be seen (U+202E)." },
      { name: "plain.part\u200bner", reason: "has a character in its name that cannot be seen (U+200B)." },
    ]);
    const guessed = guessTables(found.tables);
    expect(JSON.stringify(guessed)).not.toMatch(/[\u0080-\u009f\u200b\u202e]/);
    expect(Object.keys(guessed["plain"]?.columns ?? {})).toEqual(["city", "other"]);
    expect(guessed["plain"]?.key).toBeUndefined();
  });
});

describe("a SQLite file", () => {
  it("is refused when its schema table calls a view a table", () => {
    const file = makeTamperedFile(
      "view.sqlite",
      "INSERT INTO sqlite_schema VALUES ('table', 'v', 'v', 0, 'CREATE VIEW v AS SELECT load_extension(''/tmp/x'') AS b');",
    );
    expect(() => openFile(file)).toThrow("malformed database schema");
  });

  it("is not read through a virtual table whose declaration begins with a comment", async () => {
    const file = makeTamperedFile(
      "virtual.sqlite",
      "INSERT INTO sqlite_schema VALUES ('table', 'pages', 'pages', 0, 'CREATE /**/ VIRTUAL TABLE pages USING dbstat');",
    );
    const { statements, leftOut } = await load(openFile(file));
    expect(statements.join("\n")).not.toContain("pages");
    expect(leftOut.map(({ name }) => name)).toEqual(["pages"]);
  });

  it("passes no second statement of a declaration on", async () => {
    const file = makeTamperedFile(
      "second.sqlite",
      "UPDATE sqlite_schema SET sql = sql || '; CREATE TABLE injected (x)' WHERE name = 'a';",
    );
    await expect(load(openFile(file))).rejects.toThrow("more than one statement");
  });

  it("cannot write, attach or change settings through the connection that reads it", () => {
    const database = openFile(victim);
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
