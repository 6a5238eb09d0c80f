// `npm run introspect -- file --reload`: takes a changed file in place of the one that was loaded, and keeps what the operator did.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openStorage } from "../../cli/local-server/local.ts";
import { copyRepository, runScript } from "../support/node/copy.ts";

const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-reload-"));
const copy = path.join(dir, "gatehouse");
const introspect = async (...args: readonly string[]) => runScript(copy, "cli/main.ts", "introspect", ...args);

interface SchemaFile {
  tables: Record<string, { hidden?: boolean; columns: Record<string, Record<string, unknown>> }>;
}

beforeAll(async () => copyRepository(copy), 60_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("npm run introspect", () => {
  it(
    "replaces the data of a changed file with --reload, and keeps what was opened and written",
    { timeout: 120_000 },
    async () => {
      const weekly = path.join(dir, "weekly.db");
      const change = (sql: string): void => {
        const database = new DatabaseSync(weekly);
        database.exec(sql);
        database.close();
      };
      change(`CREATE TABLE places (ID INTEGER PRIMARY KEY, city TEXT, old TEXT); INSERT INTO places VALUES (1, 'Arden', 'x');
      CREATE TABLE trips (id INTEGER PRIMARY KEY, place INTEGER REFERENCES Places(id)); INSERT INTO trips VALUES (1, 1);
      CREATE TABLE gone (id INTEGER PRIMARY KEY);`);
      await introspect(weekly);
      const weeklyFile = path.join(copy, "src/introspected-schema/weekly.json");
      const readWeekly = (): SchemaFile => JSON.parse(readFileSync(weeklyFile, "utf8"));
      expect(readWeekly().tables["trips"]?.columns["place"]).toMatchObject({ references: "places.ID" });
      await runScript(copy, "cli/main.ts", "open", "weekly.places");
      const opened = readFileSync(weeklyFile, "utf8");
      expect((await introspect(weekly)).stdout).toContain("The file is loaded already, unchanged");
      expect(readFileSync(weeklyFile, "utf8")).toBe(opened);

      change(`ALTER TABLE places DROP COLUMN old; ALTER TABLE places ADD COLUMN country TEXT; DROP TABLE gone;
      CREATE TABLE fresh (id INTEGER PRIMARY KEY); INSERT INTO places VALUES (2, 'Glen', 'Eire'), (3, 'Bay', NULL);`);
      const { stderr } = await introspect(weekly);
      expect(stderr).toContain("has changed since it was loaded into WEEKLY_DB.");
      expect(stderr).toContain("--as WEEKLY_DB --reload");
      expect(readFileSync(weeklyFile, "utf8")).toBe(opened);

      const { stdout } = await introspect(weekly, "--reload");
      expect(stdout).toContain("Loaded 4 rows into the local database WEEKLY_DB.");
      expect(stdout).toContain("Added, and hidden: fresh, places.country.");
      expect(stdout).toContain("Removed, as the database no longer has them: gone, places.old.");
      expect(stdout).toContain("What you opened stays open.");
      const { tables } = readWeekly();
      expect(Object.keys(tables)).toEqual(["fresh", "places", "trips"]);
      expect([tables["places"]?.hidden, tables["places"]?.columns["country"]?.["hidden"]]).toEqual([undefined, true]);
      expect((await introspect("WEEKLY_DB", "--reload")).stderr).toContain("--reload takes the file to load");
    },
  );

  it(
    "changes no file when the policy does not fit, and says what is new and what is gone",
    { timeout: 120_000 },
    async () => {
      const file = path.join(dir, "club.db");
      const change = (sql: string): void => {
        const database = new DatabaseSync(file);
        database.exec(sql);
        database.close();
      };
      change("CREATE TABLE teams (id INTEGER PRIMARY KEY, town TEXT); CREATE TABLE games (id INTEGER PRIMARY KEY)");
      await introspect(file);
      const policyFile = path.join(copy, "src/gatehouse.config.ts");
      const policy = readFileSync(policyFile, "utf8");
      const role = 'fan: { description: "F", rules: [{ action: "read", datasets: ["club.games"] }] },';
      writeFileSync(policyFile, policy.replace("...introspected.roles }", `...introspected.roles, ${role} }`));
      const files = ["src/introspected-schema/club.json", "src/introspected-schema.ts", "wrangler.jsonc"];
      const read = (): readonly string[] => files.map((each) => readFileSync(path.join(copy, each), "utf8"));
      const before = read();
      change("DROP TABLE games; CREATE TABLE matches (id INTEGER PRIMARY KEY)");
      try {
        const { stderr } = await introspect(file, "--reload");
        expect(stderr).toContain("The local database CLUB_DB is loaded, but no file was changed");
        expect(stderr).toContain("Added, and hidden: matches.");
        expect(stderr).toContain("Removed, as the database no longer has them: games.");
        expect(stderr).toMatch(
          /src\/gatehouse\.config\.ts:\d+:\d+: roles\.fan\.rules\[0\]\.datasets\[0\]: there is no dataset club\.games/,
        );
        expect(read()).toEqual(before);
      } finally {
        writeFileSync(policyFile, policy);
      }
      expect((await introspect(file, "--reload")).stdout).toContain("Added, and hidden: matches.");
      expect(read()).not.toEqual(before);
    },
  );

  it(
    "starts a load that was killed from the beginning, and keeps a table that the operator made",
    { timeout: 120_000 },
    async () => {
      const killed = path.join(dir, "killed.db");
      const database = new DatabaseSync(killed);
      database.exec("CREATE TABLE own (id INTEGER PRIMARY KEY); CREATE TABLE rows (id INTEGER PRIMARY KEY, note TEXT)");
      database.exec("INSERT INTO rows VALUES (1, 'a'), (2, 'b'); INSERT INTO own VALUES (7)");
      database.close();
      await introspect(killed);
      const run = async (sql: string): Promise<unknown> => {
        const storage = await openStorage(path.join(copy, "wrangler.jsonc"), path.join(copy, ".wrangler", "state"), {});
        try {
          const local = await storage.getD1Database("KILLED_DB");
          const results = await local.batch(sql.split(";").map((part) => local.prepare(part)));
          return results.at(-1)?.results;
        } finally {
          await storage.dispose();
        }
      };
      const record = "UPDATE _gatehouse_load SET complete = 0, objects = json_array('rows')";
      await run(
        `${record}; DELETE FROM rows; DROP TABLE own; CREATE TABLE own (mine TEXT); INSERT INTO own VALUES ('x')`,
      );
      const { stdout } = await introspect(killed);
      expect(stdout).toContain("The last load into KILLED_DB did not end.");
      expect(stdout).toContain("own is in the local database already");
      expect(await run("SELECT (SELECT count(*) FROM rows) AS rows, (SELECT mine FROM own) AS own")).toEqual([
        { rows: 2, own: "x" },
      ]);
      expect(await run("SELECT complete, objects FROM _gatehouse_load")).toEqual([
        { complete: 1, objects: '["rows"]' },
      ]);
    },
  );
});
