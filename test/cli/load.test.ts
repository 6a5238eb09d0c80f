// Loads each kind of file that stopped or falsified a load: every table is loaded with all its values, or named.
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { discardLoad, readLoadRecord } from "../../cli/introspection/load-record.ts";
import { loadInto, openFile } from "../../cli/introspection/load.ts";
import { readDatabase } from "../../cli/introspection/schema.ts";
import { openLocalD1, readBoth, saidOf } from "./local-d1.ts";
import type { LoadedDatabase, LocalD1, LocalDatabase } from "./local-d1.ts";

let d1: LocalD1;
beforeAll(async () => void (d1 = await openLocalD1()));
afterAll(async () => d1.dispose());

async function expectSame(loaded: LoadedDatabase, ...tables: readonly string[]): Promise<void> {
  for (const table of tables) {
    const { expected, actual } = await readBoth(loaded, table);
    expect(actual, table).toEqual(expected);
    expect(expected.length, table).toBeGreaterThan(0);
  }
}

const numbers = (count: number): string =>
  `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`;

describe("values", () => {
  it("keeps rows over 100 KB, text and blobs up to 2 MB", async () => {
    const loaded = await d1.loadSql("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b BLOB, c, d)", (database) => {
      const insert = database.prepare("INSERT INTO t VALUES (?, ?, ?, ?, ?)");
      insert.run(1, "x".repeat(150_000), null, 1, null);
      insert.run(2, "ü\0".repeat(300_000), new Uint8Array(700_000).fill(7), "y", 1.5);
      insert.run(3, null, new Uint8Array(1_900_000).fill(255), null, null);
      insert.run(4, "small", new Uint8Array(0), "", 0);
    });
    expect(loaded).toMatchObject({ rows: 4, tables: 1, notes: [] });
    await expectSame(loaded, "t");
  });

  it("names the table when rows are larger than 2 MB, and loads its other rows", async () => {
    const loaded = await d1.loadSql("CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(3000000)), ('kept')");
    expect(loaded.rows).toBe(1);
    expect(saidOf(loaded, "t").join()).toContain("1 row is larger than the 2 MB");
  });

  it("keeps integers beyond 2^53, fractions, infinities and the type of each value", async () => {
    const loaded = await d1.loadSql(`CREATE TABLE t (a, b INTEGER, c REAL, d TEXT, e NUMERIC, f ANY);
      INSERT INTO t VALUES (9223372036854775807, -9223372036854775808, 9e999, '9007199254740993', 0.1, 5),
        (5.0, 'not a number', -9e999, x'00', 1e300, '5'), (-0.0, 5e-324, 1.7976931348623157e308, NULL, 9007199254740993, 1.0);
      CREATE TABLE s (a ANY, b INTEGER) STRICT; INSERT INTO s VALUES ('5', 5), (5, NULL), (x'', 1)`);
    await expectSame(loaded, "t", "s");
  });

  it("keeps NUL characters and invalid UTF-8 in text, and counts the invalid values", async () => {
    const loaded = await d1.loadSql(`CREATE TABLE t (a TEXT, b);
      INSERT INTO t VALUES (CAST(x'610062' AS TEXT), CAST(x'61ff62' AS TEXT)), (CAST(x'00' AS TEXT), CAST(x'c3' AS TEXT)), ('\ufffd', 'ok')`);
    await expectSame(loaded, "t");
    expect(saidOf(loaded, "t.b")).toEqual(["has 2 values that are not valid UTF-8, kept byte by byte."]);
  });

  it("reads a UTF-16 file", async () => {
    const loaded = await d1.loadSql(
      "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('zoë 😀')",
    );
    expect(await loaded.query("SELECT a FROM t")).toEqual([{ a: "zoë 😀" }]);
  });
});

describe("foreign keys", () => {
  it("loads tables that refer to each other and to themselves, over many statements", async () => {
    const loaded = await d1.loadSql(`
      CREATE TABLE store (id INTEGER PRIMARY KEY, manager INTEGER NOT NULL REFERENCES staff(id), pad TEXT);
      CREATE TABLE staff (id INTEGER PRIMARY KEY, store INTEGER NOT NULL REFERENCES store, boss INTEGER REFERENCES staff, pad TEXT);
      ${numbers(3000)} INSERT INTO store SELECT i, 3001 - i, hex(zeroblob(200)) FROM n;
      ${numbers(3000)} INSERT INTO staff SELECT i, 3001 - i, nullif(i + 1, 3001), hex(zeroblob(200)) FROM n;`);
    expect(loaded).toMatchObject({ rows: 6000, notes: [], leftOut: [] });
    await expectSame(loaded, "store", "staff");
    expect(await loaded.query("SELECT count(*) AS n FROM pragma_foreign_key_list('staff')")).toEqual([{ n: 2 }]);
    expect(
      await loaded.query("SELECT name FROM sqlite_schema WHERE name LIKE '\\_gatehouse\\_load\\_%' ESCAPE '\\'"),
    ).toEqual([]);
  });

  it.each([
    ["a table that does not exist", "REFERENCES gone(id)", "there is no table gone"],
    ["a column that is not unique", "REFERENCES p(name)", "p has no unique key of these columns"],
    [
      "rows that do not exist",
      "REFERENCES p(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
      "1 row refers to no row of p",
    ],
  ])("loads rows that refer to %s, and says so", async (_name, clause, said) => {
    const loaded = await d1.loadSql(`CREATE TABLE p (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO p VALUES (1, 'a');
      CREATE TABLE c (x INTEGER NOT NULL CONSTRAINT f ${clause} CHECK (x > 0), y REFERENCES p, d DECIMAL(5, 2) DEFAULT 1);
      CREATE TABLE e (x, y, FOREIGN KEY (y) REFERENCES p, CONSTRAINT g FOREIGN KEY (x) ${clause}, UNIQUE (x));
      INSERT INTO c VALUES (7, 1, 1), (1, NULL, 2); INSERT INTO e VALUES (7, 1), (1, 1);`);
    for (const table of ["c", "e"]) expect(saidOf(loaded, table).join()).toContain(said);
    await expectSame(loaded, "p", "c", "e");
    expect(await loaded.query('SELECT "table", "from" FROM pragma_foreign_key_list(\'e\')')).toEqual([
      { table: "p", from: "y" },
    ]);
    expect(await loaded.query("SELECT sql FROM sqlite_schema WHERE name = 'c'")).toMatchObject([
      { sql: expect.stringContaining("CHECK (x > 0)") },
    ]);
  });
});

describe("unique indexes", () => {
  it("keeps foreign keys to columns that an index of its own makes unique, in a cycle too", async () => {
    const loaded =
      await d1.loadSql(`CREATE TABLE c (x TEXT REFERENCES p(k)); CREATE TABLE p (k TEXT, up TEXT REFERENCES p(k));
      CREATE UNIQUE INDEX pk ON p (k); INSERT INTO p VALUES ('a', 'b'), ('b', 'a'); INSERT INTO c VALUES ('b')`);
    expect(loaded).toMatchObject({ rows: 3, notes: [], leftOut: [] });
    expect(await loaded.query("SELECT name FROM sqlite_schema WHERE name = 'pk'")).toHaveLength(1);
    await expectSame(loaded, "p", "c");
  });

  it("loads rows that refer to columns with a unique index of another collation", async () => {
    const loaded = await d1.loadSql(`CREATE TABLE p (k TEXT); CREATE UNIQUE INDEX pk ON p (k COLLATE NOCASE);
      INSERT INTO p VALUES ('a'); CREATE TABLE c (x TEXT REFERENCES p(k), up TEXT REFERENCES c(x)); INSERT INTO c VALUES ('a', NULL)`);
    await expectSame(loaded, "p", "c");
    expect(saidOf(loaded, "c")).not.toEqual([]);
  });
});

describe("objects that D1 cannot hold", () => {
  const plain = "CREATE TABLE kept (a); INSERT INTO kept VALUES (1);";

  it("names a table with 101 columns, and loads tables that refer to it", async () => {
    const columns = Array.from({ length: 100 }, (_value, index) => `c${index}`).join(", ");
    const loaded =
      await d1.loadSql(`${plain} CREATE TABLE wide (id INTEGER PRIMARY KEY, ${columns}); INSERT INTO wide (id) VALUES (1);
      CREATE TABLE full (${columns}); INSERT INTO full (c99) VALUES (5);
      CREATE TABLE c (w REFERENCES wide(id)); INSERT INTO c VALUES (1)`);
    expect(saidOf(loaded, "wide").join()).toContain("has 101 columns");
    await expectSame(loaded, "kept", "full", "c");
  });

  it("loads a table without a collation that D1 does not have", async () => {
    const loaded = await d1.loadSql(
      `${plain} CREATE TABLE t (a TEXT COLLATE NOCASE, b TEXT UNIQUE); INSERT INTO t VALUES ('A', 'b'); CREATE INDEX i ON t (b); CREATE INDEX j ON t (a);`,
      (database) =>
        database.exec(`PRAGMA writable_schema = ON;
          UPDATE sqlite_schema SET sql = 'CREATE TABLE t (a TEXT COLLATE NOCASE, b TEXT COLLATE "de_DE" UNIQUE)' WHERE name = 't';
          UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t (b COLLATE de_DE)' WHERE name = 'i'`),
    );
    expect(saidOf(loaded, "t").join()).toContain("without the collation de_DE");
    expect(saidOf(loaded, "i").join()).toContain("de_DE");
    expect(await loaded.query("SELECT b FROM t WHERE a = 'a'")).toEqual([{ b: "b" }]);
    await expectSame(loaded, "kept");
  });

  it("loads the rows of tables whose checks, generated columns and indexes call unknown functions", async () => {
    const loaded = await d1.loadSql(plain, (database) => {
      database.function("geo", { deterministic: true }, (value) => value);
      database.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, a CHECK (geo(a) > 0), g AS (geo(a)), f ANY); INSERT INTO t (a, f) VALUES (4, 'x');
        CREATE TABLE u (a); INSERT INTO u VALUES (1); CREATE INDEX ui ON u (geo(a)); CREATE INDEX up ON u (a) WHERE geo(a) > 0;
        CREATE TRIGGER tr AFTER INSERT ON u BEGIN SELECT geo(new.a); END; CREATE VIEW v AS SELECT geo(a) FROM u`);
    });
    await expectSame(loaded, "kept", "t");
    expect(await loaded.query("SELECT a FROM u")).toEqual([{ a: 1 }]);
    expect(saidOf(loaded, "t").join()).toContain("no such function: geo");
    for (const name of ["ui", "up", "tr", "v"]) expect(saidOf(loaded, name), name).toHaveLength(1);
  });

  it("loads rows that break their table's own constraints", async () => {
    const loaded = await d1.loadSql(
      "CREATE TABLE t (a INTEGER CHECK (a > 5), b TEXT DEFAULT 'x'); PRAGMA ignore_check_constraints = ON; INSERT INTO t VALUES (1, 'y')",
    );
    await expectSame(loaded, "t");
    expect(saidOf(loaded, "t").join()).toContain("CHECK constraint failed");
  });

  it("loads an ordinary table whose name looks like a shadow table's, and skips the real ones", async () => {
    const loaded = await d1.loadSql(`CREATE VIRTUAL TABLE docs USING fts5(body); INSERT INTO docs VALUES ('secret');
      CREATE TABLE docs_meta (a); INSERT INTO docs_meta VALUES (1)`);
    expect(loaded.tables).toBe(1);
    await expectSame(loaded, "docs_meta");
    expect(saidOf(loaded, "docs")).toHaveLength(1);
    expect((await readDatabase(loaded.target)).tables.map(({ name }) => name)).toEqual(["docs_meta"]);
  });

  it("declares an ordinary table beside a virtual table of the local database", async () => {
    const target = await d1.create();
    await target.prepare("CREATE VIRTUAL TABLE docs USING fts5(body)").all();
    await target.prepare("CREATE TABLE docs_meta (a)").all();
    expect((await readDatabase(target)).tables.map(({ name }) => name)).toEqual(["docs_meta"]);
  });

  it("makes statistics for the planner", async () => {
    const loaded = await d1.loadSql(
      `CREATE TABLE t (a); ${numbers(50)} INSERT INTO t SELECT i FROM n; CREATE INDEX i ON t (a);`,
    );
    expect(await loaded.query("SELECT stat FROM sqlite_stat1 WHERE idx = 'i'")).toEqual([{ stat: "50 1" }]);
  });
});

describe("dumps", () => {
  it.each([
    [
      "SQLite's shell writes",
      `PRAGMA writable_schema=ON;
      INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','docs','docs',0,'CREATE VIRTUAL TABLE docs USING fts5(body, tokenize = ''porter'')');`,
    ],
    ["a statement creates", "CREATE VIRTUAL TABLE docs USING fts5(body);"],
  ])("loads a dump with full-text search as %s it", async (_name, virtual) => {
    const loaded =
      await d1.loadDump(`PRAGMA foreign_keys=OFF; BEGIN TRANSACTION; CREATE TABLE docs_meta (a); INSERT INTO docs_meta VALUES ('x;y');
      ${virtual} CREATE TABLE IF NOT EXISTS 'docs_data'(id INTEGER PRIMARY KEY, block BLOB); INSERT INTO docs_data VALUES(1,X'02');
      INSERT INTO docs_data VALUES(10,X'00'); CREATE TABLE IF NOT EXISTS 'docs_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS 'docs_content'(id INTEGER PRIMARY KEY, c0); INSERT INTO docs_content VALUES(1,'secret');
      CREATE TABLE IF NOT EXISTS 'docs_docsize'(id INTEGER PRIMARY KEY, sz BLOB);
      CREATE TABLE IF NOT EXISTS 'docs_config'(k PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO docs_config VALUES('version',4);
      CREATE TABLE after (a); INSERT INTO after VALUES (1); PRAGMA writable_schema=OFF; COMMIT;`);
    expect(loaded).toMatchObject({ tables: 2, rows: 2, notes: [] });
    expect(loaded.leftOut.map(({ name }) => name)).toEqual(["docs"]);
    await expectSame(loaded, "docs_meta", "after");
  });

  it("keeps invalid UTF-8, NUL and semicolons in text, comments and triggers", async () => {
    const text = Buffer.concat([
      Buffer.from("\ufeff-- a; comment\nCREATE TABLE t (a TEXT); /* ; */ INSERT INTO t VALUES ('a"),
      Buffer.from([0xff, 0x00]),
      Buffer.from(
        "''b'), ('é;');\nCREATE TRIGGER x AFTER INSERT ON t BEGIN INSERT INTO t VALUES (CASE WHEN 1 THEN 2 END); SELECT 1; END;\nINSERT INTO t VALUES ('last')",
      ),
    ]);
    const loaded = await d1.loadDump(text);
    expect(await loaded.query("SELECT hex(a) AS a FROM t")).toEqual([
      { a: "61FF002762" },
      { a: "C3A93B" },
      { a: "6C617374" },
    ]);
    expect(loaded.leftOut.map(({ name }) => name)).toEqual(["x"]);
  });

  it("reads the UTF-16 file that PowerShell writes", async () => {
    const loaded = await d1.loadDump(Buffer.from("\ufeffCREATE TABLE t (a); INSERT INTO t VALUES ('ü');", "utf16le"));
    expect(await loaded.query("SELECT a FROM t")).toEqual([{ a: "ü" }]);
  });

  it("names tables that cannot be created and statements that fail, and loads the rest", async () => {
    const loaded = await d1.loadDump(`CREATE TABLE bad (a CHECK (unknown_function(a))); INSERT INTO bad VALUES (1);
      CREATE TABLE t (a TEXT COLLATE de_DE PRIMARY KEY); INSERT INTO t VALUES ('x'); INSERT INTO t VALUES ('x'); CREATE TABLE u (a); INSERT INTO u VALUES (1);`);
    expect(saidOf(loaded, "bad").join()).toContain("no such function: unknown_function");
    expect(saidOf(loaded, "t").toSorted()).toEqual([
      expect.stringContaining("1 statement of the dump failed, first: UNIQUE constraint failed: t.a"),
      expect.stringContaining("without the collation de_DE"),
    ]);
    await expectSame(loaded, "t", "u");
  });

  it.each([
    [
      "MySQL",
      "CREATE TABLE t (a int unsigned NOT NULL AUTO_INCREMENT, PRIMARY KEY (a)) ENGINE=InnoDB; CREATE TABLE u (a);",
    ],
    ["PostgreSQL", "SET statement_timeout = 0; CREATE TABLE u (a); INSERT INTO u VALUES (E'x');"],
    ["SQL Server", "CREATE TABLE [dbo].[t] ([a] INT IDENTITY(1,1)); CREATE TABLE u (a);"],
  ])("names the database that a dump seems to be of: %s", async (database, text) => {
    const loaded = await d1.loadDump(text);
    expect(saidOf(loaded, "The dump").join()).toContain(`seems to be of ${database}.`);
  });

  it("does not take a failed statement of SQLite for one of another database", async () => {
    const loaded = await d1.loadDump(
      "CREATE TABLE t (a PRIMARY KEY); INSERT INTO t VALUES (1); INSERT INTO t VALUES (1);",
    );
    expect(saidOf(loaded, "The dump")).toEqual([]);
  });

  it("runs no PRAGMA of a dump", async () => {
    const loaded = await d1.loadDump(
      "PRAGMA user_version = 7; PRAGMA journal_mode = DELETE; PRAGMA writable_schema = ON; CREATE TABLE t (a);",
    );
    loaded.opened.database.setAuthorizer(null);
    expect(loaded.opened.database.prepare("PRAGMA user_version").get()).toEqual({ user_version: 0 });
  });
});

describe("a load that was killed", () => {
  it("is found at every moment, and a new load starts from the beginning", { timeout: 60_000 }, async () => {
    const file = path.join(d1.dir, "killed.sqlite");
    const source = new DatabaseSync(file);
    source.exec(`CREATE TABLE a (id INTEGER PRIMARY KEY, up REFERENCES a(id)); CREATE TABLE b (a REFERENCES a(id));
      ${numbers(9)} INSERT INTO a SELECT i, nullif(i + 1, 10) FROM n; INSERT INTO b SELECT id FROM a; CREATE INDEX bi ON b (a);`);
    source.close();
    const identity = { path: file, fingerprint: "1" };
    const target = await d1.create();
    await target.prepare("CREATE TABLE by_hand (a)").all();
    let isComplete = false;
    for (let moment = 0; !isComplete; moment += 1) {
      isComplete = await loadInto(killAfter(target, moment), openFile(file), identity).then(
        () => true,
        () => false,
      );
      const record = await readLoadRecord(target);
      expect(record?.isComplete ?? false, `moment ${moment}`).toBe(isComplete);
      const tables = (await readDatabase(target)).tables.map(({ name }) => name);
      if (record === undefined) expect(tables).toEqual(["by_hand"]);
      if (record === undefined || isComplete) continue;
      expect(record).toMatchObject({ path: file, objects: ["a", "b"] });
      await discardLoad(target, record);
      expect((await readDatabase(target)).tables.map(({ name }) => name)).toEqual(["by_hand"]);
      expect((await readLoadRecord(target))?.isComplete).toBe(false);
    }
    const { results } = await target
      .prepare("SELECT (SELECT count(*) FROM a) AS a, (SELECT count(*) FROM b) AS b")
      .all();
    expect(results).toEqual([{ a: 9, b: 9 }]);
  });
});

/** The process ends between two statements: after this many, none arrives. */
function killAfter(target: LocalDatabase, statements: number): LocalDatabase {
  let left = statements;
  const send = <T>(result: () => T): T => {
    left -= 1;
    if (left < 0) throw new Error("killed");
    return result();
  };
  return { prepare: (sql) => send(() => target.prepare(sql)), batch: async (all) => send(() => target.batch(all)) };
}
