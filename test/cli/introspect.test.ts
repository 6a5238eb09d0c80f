// Takes an operator's database from a file to the first answer: introspects it with everything hidden, opens two tables, serves it, and
// queries it with a real client.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
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

beforeAll(async () => {
  makeFile();
  await copyRepository(copy);
}, 60_000);

afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("npm run introspect", () => {
  it("says what to do for each wrong argument, and changes nothing", async () => {
    expect((await introspect()).stderr).toContain("npm run introspect -- CRM_DB");
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

  it("leaves no tables behind when a file cannot be loaded", { timeout: 60_000 }, async () => {
    const dump = path.join(dir, "broken.sql");
    const tables = "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a INTEGER REFERENCES a(id));";
    writeFileSync(dump, `${tables} INSERT INTO b VALUES (7);`);
    expect((await introspect(dump)).stderr).toContain("The file could not be loaded: ");
    writeFileSync(dump, `${tables} INSERT INTO b VALUES (7); INSERT INTO a VALUES (7);`);
    expect((await introspect(dump)).stdout).toContain("Loaded 2 rows into the local database BROKEN_DB");
  });

  it(
    "loads a file and declares all of it as hidden, with keys, references, types and reasons",
    { timeout: 60_000 },
    async () => {
      const { stdout, stderr } = await introspect(file);
      expect(stderr).toBe("");
      expect(stdout).toContain("Loaded 63 rows into the local database CLUB_MEMBERS_DB");
      expect(stdout).toContain("Skipped: everyone is a view");
      expect(stdout).toContain("Skipped: notes_index is a virtual table");
      expect(stdout).toContain("Skipped: fts5_like begins with a reserved prefix");
      const { tables } = read();
      expect(Object.keys(tables)).toEqual(["member", 'odd "name" 100%', "trainers", "visits"]);
      expect(Object.values(tables).every(({ hidden }) => hidden)).toBe(true);
      expect(tables["member"]).toMatchObject({
        key: "id",
        columns: {
          fullName: { hidden: true, description: "Full name (looks like a person's name)" },
          "e-mail": { hidden: true },
          contact: { hidden: true, description: "Contact (looks like an email address)" },
          level: { type: "text", examples: ["gold", "silver"] },
          joined_at: { type: "datetime" },
        },
      });
      expect(tables["visits"]?.columns).toMatchObject({
        member_id: { references: "member.id" },
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
      /src\/introspected-schema\/club_members\.json has 1 problem\(s\):\n- tables\.member\.columns\.joined_at\.type: /,
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
    expect(await client.toolNames()).toEqual(["search", "fetch", "describe", "query", "other-rows", "table-rows"]);
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
