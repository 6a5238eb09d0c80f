// Tests `push` into databases that another push, or somebody else, has left in some state, and local databases with uncommon declarations.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, describe, expect, it } from "vitest";
import { examineViews } from "../../cli/introspection/examine-views.ts";
import { checkLocally } from "../../cli/push/checksum.ts";
import { openSnapshot } from "../../cli/push/local-snapshot.ts";
import type { LocalSnapshot } from "../../cli/push/local-snapshot.ts";
import { pushSnapshot } from "../../cli/push/push.ts";
import type { PushTarget } from "../../cli/push/push.ts";
import { requireUnshared } from "../../cli/push/shared-database.ts";
import { runInProcess, targetOf } from "./push-fixture.ts";

const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-push-"));
const opened: DatabaseSync[] = [];

afterAll(() => {
  for (const database of opened) database.close();
  rmSync(dir, { recursive: true });
});

/** Opens a local database that SQL has filled. */
function localOf(sql: string): LocalSnapshot {
  const file = path.join(dir, `${opened.length}.sqlite`);
  const database = new DatabaseSync(file, { enableDoubleQuotedStringLiterals: true });
  database.exec(sql);
  database.close();
  const snapshot = openSnapshot(file, "crm");
  opened.push(snapshot.database);
  return snapshot;
}

/** A deployed database that SQL has filled. A batch that contains `killAt` ends the process before it runs. */
function deployedOf(sql: string): {
  content: DatabaseSync;
  target: PushTarget;
  killedAt: (text: string) => PushTarget;
} {
  const content = new DatabaseSync(":memory:", { enableDoubleQuotedStringLiterals: true });
  opened.push(content);
  content.exec(sql);
  const run = runInProcess(content);
  const killedAt = (text: string): PushTarget =>
    targetOf(async (batch) => {
      if (batch.some((statement) => statement.sql.includes(text))) throw new Error("killed");
      return run(batch);
    });
  return { content, target: targetOf(run), killedAt };
}

function tablesOf(content: DatabaseSync): readonly string[] {
  const rows = content.prepare(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY 1",
  );
  return rows.all().map(({ name }) => String(name));
}

describe("push --replace", () => {
  it("drops an old table whose rows refer to each other and restrict their deletion", async () => {
    const { content, target } = deployedOf(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, p REFERENCES t (id) ON DELETE RESTRICT); INSERT INTO t VALUES (1, NULL), (2, 1), (3, 3);",
    );
    await pushSnapshot(localOf("CREATE TABLE a (id)"), target, "crm");
    expect(tablesOf(content)).toEqual(["_gatehouse_push", "a"]);
  });
  it("replaces a table that was made while a first push was interrupted, which push alone refuses", async () => {
    const local = localOf("CREATE TABLE a (id); INSERT INTO a VALUES (1)");
    const { content, target, killedAt } = deployedOf("");
    await expect(pushSnapshot(local, killedAt("RENAME TO"), undefined)).rejects.toThrow("killed");
    content.exec("CREATE TABLE a (other)");
    await expect(pushSnapshot(local, target, undefined)).rejects.toMatchObject({
      message: "The database crm is not empty: it has a. Nothing was changed.",
      hint: "To replace all of it: npm run gatehouse -- push crm --replace crm",
    });
    expect((await pushSnapshot(local, target, "crm")).data).toMatchObject({ sent: true });
    expect(content.prepare("SELECT * FROM a").all()).toEqual([{ id: 1 }]);
  });
  it("replaces a database that has all of it already", async () => {
    const local = localOf("CREATE TABLE a (id)");
    const { target } = deployedOf("");
    await pushSnapshot(local, target, undefined);
    expect((await pushSnapshot(local, target, "crm")).data).toMatchObject({ sent: true });
  });
  it("has the views as soon as it has the new tables", async () => {
    const { content, target, killedAt } = deployedOf("CREATE TABLE a (old); CREATE VIEW v AS SELECT old FROM a");
    const local = localOf("CREATE TABLE a (id); INSERT INTO a VALUES (1); CREATE VIEW v AS SELECT id FROM a");
    await expect(pushSnapshot(local, killedAt("DROP TABLE"), "crm")).rejects.toThrow("killed");
    expect(tablesOf(content)).toContain("_gatehouse_push_old_0");
    expect(content.prepare("SELECT * FROM v").all()).toEqual([{ id: 1 }]);
    await pushSnapshot(local, target, "crm");
    expect(content.prepare("SELECT * FROM v").all()).toEqual([{ id: 1 }]);
  });

  it("gives a table and a view names that indexes of the replaced tables had", async () => {
    const { content, target } = deployedOf("CREATE TABLE t (a, b); CREATE INDEX A ON t (a); CREATE INDEX v ON t (b)");
    await pushSnapshot(localOf("CREATE TABLE a (id); CREATE VIEW v AS SELECT id FROM a"), target, "crm");
    expect(tablesOf(content)).toEqual(["_gatehouse_push", "a"]);
    expect(content.prepare("SELECT * FROM v").all()).toEqual([]);
  });
  it("refuses a reference to a table that only the replaced data has, before it changes anything", async () => {
    const local = localOf("CREATE TABLE c (id, p REFERENCES Gone (id))");
    const { content, target } = deployedOf("CREATE TABLE gone (id INTEGER PRIMARY KEY)");
    await expect(pushSnapshot(local, target, "crm")).rejects.toMatchObject({
      message: "crm.c refers to the table Gone, which the local database does not have. Nothing was changed.",
      hint: expect.stringContaining("Load a file that has Gone too"),
    });
    expect(tablesOf(content)).toEqual(["gone"]);
    const empty = deployedOf("");
    await pushSnapshot(local, empty.target, undefined);
    expect(tablesOf(empty.content)).toEqual(["_gatehouse_push", "c"]);
  });
});

describe("a push", () => {
  const DECLARED = `CREATE TABLE a (id INTEGER PRIMARY KEY, b REFERENCES b (id), CHECK (a.id > 0)); CREATE TABLE 'b' (id INTEGER PRIMARY KEY, a REFERENCES a (id));
    CREATE UNIQUE INDEX i ON a (b); CREATE VIEW v AS SELECT id FROM a;`;

  it.each([
    ["a missing index", "DROP INDEX i", "index i is missing in D1"],
    ["another index", "DROP INDEX i; CREATE INDEX i ON a (id)", "index i has another declaration in D1"],
    ["a missing view", "DROP VIEW v", "view v is missing in D1"],
    ["a new column", "ALTER TABLE a ADD COLUMN c", "table a has another declaration in D1"],
    ["a new table", "CREATE TABLE n (id)", "table n is only in D1"],
    ["a new trigger", "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END", "trigger t is only in D1"],
  ])("notices %s in a database that it has filled", async (_name, change, difference) => {
    const local = localOf(DECLARED);
    const { content, target } = deployedOf("");
    await pushSnapshot(local, target, undefined);
    expect((await pushSnapshot(local, target, undefined)).data).toMatchObject({ sent: false });
    content.exec(change);
    await expect(pushSnapshot(local, target, undefined)).rejects.toMatchObject({
      message: expect.stringContaining(`crm differs between this machine and D1: ${difference}.`),
      hint: expect.stringContaining("push crm --replace crm"),
    });
  });
  const QUOTED = `CREATE TABLE g (k TEXT CHECK (k IN ("m", "f"))); INSERT INTO g VALUES ('m'); CREATE VIEW v AS SELECT k FROM g WHERE k <> "f"`;

  it("copies a declaration with text in double quotes, and a view over it can be a dataset", async () => {
    const { content, target } = deployedOf("");
    const local = localOf(QUOTED);
    await pushSnapshot(local, target, undefined);
    expect(content.prepare("SELECT * FROM v").all()).toEqual([{ k: "m" }]);
    const asked = { prepare: (sql: string) => ({ all: async () => ({ results: content.prepare(sql).all() }) }) };
    expect(await examineViews(asked)).toEqual(new Map([["v", { reads: ["g"] }]]));
  });

  it("says why a view cannot be examined when a declaration that it reads does not compile", async () => {
    const { content } = deployedOf("");
    content.function("stamp", { deterministic: true }, (_value) => 1);
    content.exec("CREATE TABLE s (id CHECK (stamp(id))); CREATE VIEW v AS SELECT id FROM s");
    const asked = { prepare: (sql: string) => ({ all: async () => ({ results: content.prepare(sql).all() }) }) };
    const reason =
      "is a view that reads more than ordinary tables: no such table: main.s (s: no such function: stamp).";
    expect(await examineViews(asked)).toEqual(new Map([["v", { reason }]]));
  });
  it("counts one of each in the singular", async () => {
    const local = localOf("CREATE TABLE a (id); INSERT INTO a VALUES (1); CREATE INDEX i ON a (id)");
    const { lines } = await pushSnapshot(local, deployedOf("").target, undefined);
    expect(lines).toContain("Pushed 1 table with 1 row, 1 index and 0 views to crm.");
  });
});

describe("the database that a push may write to", () => {
  const bind = (binding: string, id: string | undefined, name = binding) => ({
    kind: "d1" as const,
    binding,
    id,
    name,
  });
  const shop = { bindings: [bind("SHOP_DB", "2"), bind("GATEHOUSE_DB", "3", "gatehouse")] };

  it.each([
    ["an id that GATEHOUSE_DB has", "3", "crm", "GATEHOUSE_DB"],
    ["an id that another source has", "2", "crm", "SHOP_DB"],
    ["the name of GATEHOUSE_DB, whose id is not known yet", undefined, "gatehouse", "GATEHOUSE_DB"],
  ])("is not one with %s", (_name, id, name, other) => {
    const settings = { bindings: [bind("CRM_DB", id, name)] };
    expect(() => requireUnshared([settings, shop], "CRM_DB", { id, name })).toThrow(
      `wrangler.jsonc binds both CRM_DB and ${other} to the database ${name}. A push would replace the data of ${other}.`,
    );
  });

  it("is its own, also in another environment", () => {
    const settings = [{ bindings: [bind("CRM_DB", "1")] }, { bindings: [bind("CRM_DB", "1")] }, shop];
    expect(() => requireUnshared(settings, "CRM_DB", { id: "1", name: "gatehouse" })).not.toThrow();
  });
});

describe("the ranges of a checksum", () => {
  it("end at infinite keys, and at no key whose text would make the statement too long", () => {
    const local = localOf(`CREATE TABLE r (k REAL, n INT, PRIMARY KEY (k, n)) WITHOUT ROWID;
      WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < 20000)
        INSERT INTO r SELECT k.column1, n FROM c, (VALUES (-9e999), (9e999)) AS k;
      CREATE TABLE l (k TEXT PRIMARY KEY) WITHOUT ROWID;
      WITH RECURSIVE c(n) AS (SELECT 10 UNION ALL SELECT n + 1 FROM c WHERE n < 50)
        INSERT INTO l SELECT replace(printf('%060000d', n), '0', 'x') FROM c;`);
    const [infinite, long] = local.tables.map((table) =>
      checkLocally(local.database, table).ranges.map(({ where, checksum }) => ({ where, rows: checksum.rows })),
    );
    expect(infinite?.map(({ rows }) => rows)).toEqual([20_000, 20_000, 2]);
    expect(infinite?.[1]?.where).toContain("(9e999, ");
    expect(long?.reduce((sum, { rows }) => sum + rows, 0)).toBe(41);
    for (const { where } of long ?? []) expect(where.length).toBeLessThan(50_000);
  });
});
