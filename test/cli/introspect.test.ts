// Takes an operator's database from a file to the first answer: introspects it with everything hidden, opens two tables, serves it, and
// queries it with a real client.
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { connectAs } from "../support/node/clients.ts";
import { copyRepository, runScript } from "../support/node/copy.ts";
import { freePort } from "../support/node/server.ts";
import { ROOT, runProcess } from "../support/node/worker.ts";
import type { WorkerProcess } from "../support/node/worker.ts";

const SECRET = "planted-secret";
const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-introspect-"));
const copy = path.join(dir, "gatehouse");
const file = path.join(dir, "club members.sqlite");
const schemaFile = path.join(copy, "src/introspected-schema/club_members.json");
const run = promisify(execFile);

interface SchemaFile {
  title: string;
  tables: Record<
    string,
    { description: string; hidden?: boolean; key?: string; columns: Record<string, Record<string, unknown>> }
  >;
}

function makeFile(): void {
  const database = new DatabaseSync(file);
  database.exec(`
    CREATE TABLE "member" (id INTEGER PRIMARY KEY, fullName TEXT, "e-mail" TEXT, level TEXT, joined_at TEXT, contact TEXT);
    CREATE TABLE visits (
      id INTEGER PRIMARY KEY,
      member_id INTEGER,
      trainer INTEGER REFERENCES trainers(no),
      minutes INTEGER,
      price REAL GENERATED ALWAYS AS (minutes * 0.5) STORED
    );
    CREATE TABLE trainers (no INTEGER PRIMARY KEY, boss INTEGER REFERENCES trainers(no));
    CREATE TABLE "odd ""name"" 100%" (k TEXT PRIMARY KEY, "sel ect" TEXT, raw BLOB) WITHOUT ROWID;
    CREATE TABLE fts5_like (id INTEGER PRIMARY KEY);
    CREATE VIEW everyone AS SELECT * FROM member;
    CREATE VIRTUAL TABLE notes_index USING fts5(body);
    CREATE INDEX visits_member ON visits (member_id);
    INSERT INTO trainers VALUES (2, NULL), (1, 2);
    INSERT INTO "odd ""name"" 100%" VALUES ('it''s', '${SECRET}', x'00ff');
    INSERT INTO notes_index VALUES ('${SECRET}');
  `);
  const member = database.prepare('INSERT INTO "member" VALUES (?, ?, ?, ?, ?, ?)');
  const visit = database.prepare("INSERT INTO visits (id, member_id, trainer, minutes) VALUES (?, ?, ?, ?)");
  for (let id = 1; id <= 30; id += 1) {
    member.run(
      id,
      `${SECRET} ${id}`,
      `m${id}@${SECRET}.example`,
      ["gold", "silver"][id % 2] ?? null,
      "2026-01-02 10:00:00",
      `m${id}@club.example`,
    );
    visit.run(id, id, 1 + (id % 2), id);
  }
  database.close();
}

const introspect = async (...args: readonly string[]) => runScript(copy, "cli/main.ts", "introspect", ...args);
const read = (): SchemaFile => JSON.parse(readFileSync(schemaFile, "utf8"));
const write = (data: SchemaFile): void => writeFileSync(schemaFile, JSON.stringify(data));

/** The text of every file that introspection may write, by name. */
function readProjectFiles(): Readonly<Record<string, string>> {
  const folder = path.join(copy, "src/introspected-schema");
  const sources = existsSync(folder) ? readdirSync(folder).map((name) => `src/introspected-schema/${name}`) : [];
  const names = ["wrangler.jsonc", "worker-configuration.d.ts", "src/introspected-schema.ts", ...sources];
  return Object.fromEntries(names.map((name) => [name, readFileSync(path.join(copy, name), "utf8")]));
}

/** Waits until some local database has the record of a load that has not ended, and rows. */
async function waitForRecord(stateDir: string): Promise<void> {
  const isLoading = (stateFile: string): boolean => {
    try {
      const database = new DatabaseSync(stateFile, { readOnly: true });
      try {
        const rows = database
          .prepare("SELECT count(*) AS n FROM t WHERE (SELECT complete FROM _gatehouse_load) = 0")
          .get();
        return Number(rows?.["n"]) > 0;
      } finally {
        database.close();
      }
    } catch {
      // Another database, or one that does not have these tables yet.
      return false;
    }
  };
  await vi.waitUntil(
    () =>
      readdirSync(stateDir, { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".sqlite"))
        .some((name) => isLoading(path.join(stateDir, name))),
    { timeout: 60_000, interval: 20 },
  );
}

beforeAll(async () => {
  makeFile();
  await copyRepository(copy);
}, 60_000);

afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("npm run introspect", () => {
  it("says what to do for each wrong argument, and changes nothing", { timeout: 60_000 }, async () => {
    expect((await introspect()).stderr).toContain("npm run introspect -- crm.sqlite");
    expect((await introspect("CRM_DB")).stderr).toContain("wrangler.jsonc has no database CRM_DB. It has none.");
    expect((await introspect("GATEHOUSE_DB")).stderr).toContain("GATEHOUSE_DB is Gatehouse's own database");
    expect((await introspect("gatehouse.sqlite")).stderr).toContain("Give the file another name.");
    expect((await introspect("CRM_DB", "--remote")).stderr).toContain("npx wrangler d1 export");
    writeFileSync(path.join(dir, "no.sqlite"), "not a database");
    expect((await introspect(path.join(dir, "no.sqlite"))).stderr).toContain("no.sqlite is not a database: ");
    expect((await introspect(path.join(dir, "absent.db"))).stderr).toContain("There is no file ");
    expect(readFileSync(path.join(copy, "wrangler.jsonc"), "utf8")).toBe(
      readFileSync(path.join(ROOT, "wrangler.jsonc"), "utf8"),
    );
  });

  it(
    "changes no file when the file has no table that can be loaded, and when a later step fails",
    { timeout: 60_000 },
    async () => {
      const before = readProjectFiles();
      const wide = path.join(dir, "wide.sql");
      writeFileSync(
        wide,
        `CREATE TABLE w (${Array.from({ length: 101 }, (_value, index) => `c${index}`).join(", ")});`,
      );
      expect((await introspect(wide)).stderr).toContain("w has 101 columns");
      expect(readProjectFiles()).toEqual(before);
      // A folder in the place of the module makes writing it fail, after wrangler.jsonc was written.
      const module = path.join(copy, "src/introspected-schema.ts");
      const text = readFileSync(module, "utf8");
      rmSync(module);
      mkdirSync(path.join(module, "in the way"), { recursive: true });
      const broken = path.join(dir, "broken.sql");
      writeFileSync(broken, "CREATE TABLE a (id INTEGER PRIMARY KEY);");
      const failed = await introspect(broken);
      rmSync(module, { recursive: true });
      writeFileSync(module, text);
      expect(failed.stderr).not.toBe("");
      expect(readProjectFiles()).toEqual(before);
    },
  );

  it(
    "loads rows that break foreign keys and reports them, and changes only its own lines of wrangler.jsonc",
    { timeout: 60_000 },
    async () => {
      const config = path.join(copy, "wrangler.jsonc");
      const own = readFileSync(config, "utf8").replace('"minify": true,', '"minify":   true  , // mine');
      writeFileSync(config, own);
      const dump = path.join(dir, "broken.sql");
      writeFileSync(
        dump,
        "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a INTEGER REFERENCES a(id)); INSERT INTO b VALUES (7);",
      );
      const { stdout } = await introspect(dump);
      expect(stdout).toContain("Loaded 1 rows into the local database BROKEN_DB");
      expect(stdout).toContain("Note: b was loaded without the foreign key of a: 1 row refers to no row of a.");
      expect(JSON.parse(readFileSync(path.join(copy, "src/introspected-schema/broken.json"), "utf8"))).toMatchObject({
        tables: { b: { columns: { a: { references: "a.id" } } } },
      });
      const after = readFileSync(config, "utf8");
      const added = after.split("\n").filter((line) => !own.split("\n").includes(line));
      expect(added.map((line) => line.trim())).toEqual([
        '"binding": "BROKEN_DB",',
        '"database_name": "broken",',
        '"database_id": "local-broken",',
      ]);
      expect(after).toContain('"minify":   true  , // mine');
      writeFileSync(config, after.replace('"minify":   true  , // mine', '"minify": true,'));
      await run(
        process.execPath,
        [path.join(ROOT, "node_modules/.bin/prettier"), "--check", config, path.join(copy, "src")],
        { cwd: copy },
      );
      await run(
        process.execPath,
        [
          path.join(ROOT, "node_modules/.bin/wrangler"),
          "types",
          "--check",
          "--include-runtime=false",
          "--strict-vars=false",
        ],
        { cwd: copy },
      );
    },
  );

  it("refuses a second file for the same binding, and loads it under another", { timeout: 60_000 }, async () => {
    const before = readProjectFiles();
    const folder = path.join(dir, "other");
    mkdirSync(folder);
    const second = path.join(folder, "Broken.db");
    const database = new DatabaseSync(second);
    database.exec("CREATE TABLE a (id INTEGER PRIMARY KEY)");
    const { stderr } = await introspect(second);
    expect(stderr).toContain("BROKEN_DB holds the data of another file, ");
    expect(stderr).toContain("--as OTHER_BROKEN_DB");
    expect(readProjectFiles()).toEqual(before);
    // A clone without the local state recognises another database by its tables.
    database.exec("DROP TABLE a; CREATE TABLE other (id INTEGER PRIMARY KEY); INSERT INTO other VALUES (1)");
    database.close();
    expect((await introspect(second)).stderr).toContain(
      "None of the tables in src/introspected-schema/broken.json is in Broken.db.",
    );
    expect(readProjectFiles()).toEqual(before);
    expect((await introspect(second, "--as", "other_db")).stderr).toContain("--as names the binding of a file");
    expect((await introspect(second, "--as", "OTHER_BROKEN_DB")).stdout).toContain(
      "Loaded 1 rows into the local database OTHER_BROKEN_DB",
    );
  });

  it("starts a load that was killed again from the beginning", { timeout: 120_000 }, async () => {
    const big = path.join(dir, "killed.db");
    const database = new DatabaseSync(big);
    database.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); CREATE INDEX i ON t (a);
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) INSERT INTO t SELECT i, 'value ' || i FROM n`);
    database.close();
    const before = readProjectFiles();
    const child = spawn(process.execPath, [path.join(copy, "cli/main.ts"), "introspect", big], {
      cwd: copy,
      detached: true,
      stdio: "ignore",
    });
    const ended = new Promise((resolve) => child.on("close", resolve));
    await waitForRecord(path.join(copy, ".wrangler/state"));
    process.kill(-(child.pid ?? 0), "SIGKILL");
    await ended;
    expect(readProjectFiles()).toEqual(before);
    const { stdout } = await introspect(big);
    expect(stdout).toContain("The last load into KILLED_DB did not end.");
    expect(stdout).toContain("Loaded 300000 rows into the local database KILLED_DB");
  });

  it(
    "loads a file and declares all of it as hidden, with keys, references, types and reasons",
    { timeout: 60_000 },
    async () => {
      const { stdout, stderr } = await introspect(file);
      expect(stderr).toBe("");
      expect(stdout).toContain("Loaded 63 rows into the local database CLUB_MEMBERS_DB");
      expect(stdout).toContain("4 tables and 1 view with");
      expect(stdout).toContain("Skipped: notes_index is a virtual table");
      expect(stdout).toContain("Skipped: fts5_like begins with a reserved prefix");
      const { tables } = read();
      expect(Object.keys(tables)).toEqual(["everyone", "member", 'odd "name" 100%', "trainers", "visits"]);
      expect(tables["everyone"]).toHaveProperty("guess.description", expect.stringContaining("a view over member"));
      expect(Object.values(tables).every(({ hidden }) => hidden)).toBe(true);
      expect(tables["member"]).toMatchObject({
        key: "id",
        columns: {
          fullName: { hidden: true, guess: { description: "Full name", personal: "a person's name" } },
          "e-mail": { hidden: true },
          contact: { hidden: true, guess: { description: "Contact", personal: "an email address" } },
          level: { type: "text", examples: ["gold", "silver"] },
          joined_at: { type: "datetime" },
        },
      });
      expect(tables["visits"]?.columns).toMatchObject({
        member_id: { guess: { references: "member.id" } },
        trainer: { references: "trainers.no" },
        price: { type: "real" },
      });
      expect(readFileSync(schemaFile, "utf8")).not.toContain(SECRET);
      expect(readFileSync(path.join(copy, "wrangler.jsonc"), "utf8")).toContain("// The origin that users connect to");
    },
  );

  it(
    "keeps the operator's edits when run again, adds new columns as hidden, and reports what vanished",
    { timeout: 60_000 },
    async () => {
      const data = read();
      data.title = "The club";
      delete data.tables["member"]?.hidden;
      delete data.tables["visits"]?.hidden;
      Object.assign(data.tables["member"]?.columns["level"] ?? {}, { description: "How much they pay" });
      delete data.tables["visits"]?.columns["minutes"];
      Object.assign(data.tables["trainers"]?.columns ?? {}, { gone: { type: "text", description: "Was there once" } });
      Object.assign(data.tables, { lost: { description: "Was there once", columns: {} } });
      write(data);
      const { stdout } = await introspect("CLUB_MEMBERS_DB");
      expect(stdout).toContain("Added, and hidden: visits.minutes.");
      expect(stdout).toContain("Removed, as the database no longer has them: lost, trainers.gone.");
      const { title, tables } = read();
      expect([title, tables["member"]?.hidden, tables["trainers"]?.hidden]).toEqual(["The club", undefined, true]);
      expect(tables["member"]?.columns["level"]).toMatchObject({ description: "How much they pay" });
      expect(tables["visits"]?.columns["minutes"]).toMatchObject({ hidden: true });
    },
  );

  it("names the invalid value in an edited file and leaves the file unchanged", { timeout: 60_000 }, async () => {
    const before = readFileSync(schemaFile, "utf8");
    writeFileSync(schemaFile, before.replace('"type": "datetime"', '"type": "moment"'));
    expect((await introspect("CLUB_MEMBERS_DB")).stderr).toMatch(
      /src\/introspected-schema\/club_members\.json:\d+:\d+: tables\.everyone\.columns\.joined_at\.type: takes one of /,
    );
    writeFileSync(schemaFile, before);
  });
});

describe("npm run new:tool", () => {
  const make = async (...args: readonly string[]) =>
    run(process.execPath, [path.join(copy, "cli/main.ts"), "new-tool", ...args], { cwd: copy }).catch(
      (error: unknown) => ({
        stdout: "",
        stderr: String(Object(error).stderr),
      }),
    );

  it("refuses missing, invalid and taken names", async () => {
    expect((await make()).stderr).toContain("npm run new:tool -- top-customers");
    expect((await make("Top Customers")).stderr).toContain("Give a name");
    expect((await make("query")).stderr).toContain("The name query is reserved.");
  });

  it("creates a tool and lists it beside the existing custom tools", { timeout: 30_000 }, async () => {
    await make("other-rows");
    expect((await make("table-rows")).stdout).toContain("src/server/tools/custom/table-rows.ts: created");
    expect((await make("table-rows")).stderr).toContain("already exists");
    expect((await make("table_rows")).stderr).toContain("The tool table-rows has the same name in code");
    const list = readFileSync(path.join(copy, "src/server/tools/custom-tools.ts"), "utf8");
    expect(list).toContain("CUSTOM_TOOLS: readonly Tool[] = [otherRowsTool, tableRowsTool]");
  });
});

describe("a served database", () => {
  let server: WorkerProcess | undefined;

  beforeAll(async () => {
    const data = read();
    delete data.tables["visits"]?.columns["minutes"]?.["hidden"];
    write(data);
    const port = await freePort();
    server = await runProcess(
      ["cli/main.ts", "start"],
      { PORT: String(port) },
      "Press Ctrl+C to stop.",
      `http://localhost:${port}`,
      copy,
    );
  }, 60_000);

  afterAll(async () => server?.stop("SIGTERM"));

  it("gives the owner the opened tables and nothing that is hidden", async () => {
    const client = await connectAs("sdk v2, 2026", `${server?.origin}/mcp`, "owner@example.com");
    const described = await client.call("describe", {});
    expect(described.structured).toMatchObject({
      sources: [{ source: "club_members", datasets: ["club_members.member", "club_members.visits"] }],
    });
    const sql =
      "SELECT level, count(*) AS visits, sum(minutes) FROM visits JOIN member ON member.id = member_id GROUP BY level ORDER BY level";
    const asked = await client.call("query", { source: "club_members", sql });
    expect(asked.structured).toMatchObject({
      rows: [
        ["gold", 15, 240],
        ["silver", 15, 225],
      ],
    });
    const wires = [described.wire];
    for (const query of [
      "SELECT * FROM member",
      "SELECT fullName FROM member",
      'SELECT * FROM "odd ""name"" 100%"',
      "SELECT * FROM trainers",
    ])
      wires.push((await client.call("query", { source: "club_members", sql: query })).wire);
    for (const id of ["club_members.trainers", "club_members.member/1"])
      wires.push((await client.call("fetch", { id })).wire);
    wires.push((await client.call("search", { query: "trainers boss full name mail" })).wire);
    expect(wires.join("\n")).not.toContain(SECRET);
    expect(wires.join("\n")).not.toMatch(/fullName"|"e-mail|boss|refers|trainers\.no/);
    // The tools that the test above created.
    expect((await client.toolNames()).slice(6)).toEqual(["other-rows", "table-rows"]);
    const counted = await client.call("table-rows", { source: "club_members", table: "member" });
    expect(counted.structured).toMatchObject({
      rows: [[30]],
      rules: ["club-members-reader/allow/read/club_members.member"],
    });
    expect((await client.call("table-rows", { source: "club_members", table: "trainers" })).text).toContain(
      "query_failed",
    );
    await client.close();
  });
});
