// Takes a source with awkward names in, asks it, empties its local database, and takes it out again.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addDatabase, removeDatabase } from "../../cli/introspection/configuration.ts";
import { connectAs } from "../support/node/clients.ts";
import { copyRepository, runScript } from "../support/node/copy.ts";
import { freePort } from "../support/node/server.ts";
import { runProcess } from "../support/node/worker.ts";

const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-remove-"));
const copy = path.join(dir, "gatehouse");
const run = async (...args: readonly string[]) => runScript(copy, "cli/main.ts", ...args);
const read = (file: string): string => readFileSync(path.join(copy, file), "utf8");
const CHANGED = ["wrangler.jsonc", "worker-configuration.d.ts", "src/introspected-schema.ts"];
const policyFile = "src/gatehouse.config.ts";

let before: readonly string[] = [];
let introspected = "";

beforeAll(async () => {
  const file = path.join(dir, "stock.db");
  const database = new DatabaseSync(file);
  database.exec(`
    CREATE TABLE "constructor" ("id" INTEGER PRIMARY KEY, "toString" TEXT, "valueOf" INTEGER, "__proto__" TEXT, "hasOwnProperty" TEXT);
    INSERT INTO "constructor" VALUES (1, 'nuts', 5, 'x', 'y'), (2, 'bolts', 7, 'x', 'y');
    CREATE TABLE "__proto__" (id INTEGER PRIMARY KEY, name TEXT);
    INSERT INTO "__proto__" VALUES (1, 'a');
    CREATE TABLE "toString" (id INTEGER PRIMARY KEY, "constructor" INTEGER REFERENCES "constructor" (id));
    INSERT INTO "toString" VALUES (1, 2);
    CREATE VIEW few AS SELECT id FROM "toString";
  `);
  database.close();
  await copyRepository(copy);
  before = CHANGED.map(read);
  const { stdout, stderr } = await run("introspect", file);
  introspected = `${stdout}${stderr}`;
}, 120_000);

afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("a file with names that objects of JavaScript have", () => {
  it("is declared, without the one name that a policy file cannot hold", async () => {
    expect(introspected).toContain("Skipped: __proto__ has a name that a policy file cannot hold.");
    expect(introspected).toContain("Skipped: constructor.__proto__ has a name that a policy file cannot hold.");
    const { tables } = JSON.parse(read("src/introspected-schema/stock.json"));
    expect(Object.keys(tables)).toEqual(expect.arrayContaining(["constructor", "toString"]));
    expect(Object.keys(tables.constructor.columns)).toEqual(["id", "toString", "valueOf", "hasOwnProperty"]);
    const again = await run("introspect", "STOCK_DB");
    expect(again.stdout).not.toMatch(/Added|Removed/);
  });

  it("is opened and asked, and shown in each report", { timeout: 120_000 }, async () => {
    const { stdout } = await run("open", "stock", "--all-but-personal");
    expect(stdout).toContain("The role stock-reader sees id, toString, valueOf, hasOwnProperty.");
    const sql = 'SELECT c."toString", c."valueOf" FROM "constructor" c JOIN "toString" t ON t."constructor" = c.id';
    const port = await freePort();
    const origin = `http://localhost:${port}`;
    const server = await runProcess(
      ["cli/main.ts", "start"],
      { PORT: String(port) },
      "Press Ctrl+C to stop.",
      origin,
      copy,
    );
    try {
      const client = await connectAs("sdk v2, 2026", `${origin}/mcp`, "owner@example.com");
      expect((await client.call("query", { source: "stock", sql })).structured).toMatchObject({ rows: [["bolts", 7]] });
      const star = await client.call("query", { source: "stock", sql: 'SELECT * FROM "constructor"' });
      expect(star.structured).toMatchObject({ columns: ["id", "toString", "valueOf", "hasOwnProperty"] });
      const described = await client.call("describe", { dataset: "stock.constructor" });
      expect(JSON.stringify(described.structured)).toContain("valueOf");
      expect((await run("remove", "stock", "--yes")).stderr).toContain("npm start uses this state in process");
    } finally {
      await server.stop("SIGTERM");
    }
    const { stdout: checked } = await run("policy", "check");
    expect(checked).toContain("stock.toString");
    const explainedNow = await run("explain-query", "--role", "stock-reader", "--source", "stock", sql);
    expect(explainedNow.stdout).toContain("The query would run.");
  });
});

describe("npm run gatehouse -- remove", () => {
  it.each([
    [["stok", "--yes"], "There is no introspected source stok.\nDid you mean stock?"],
    [
      ["stock"],
      "deletes src/introspected-schema/stock.json, and, if no other source has STOCK_DB, its entry in wrangler.jsonc",
    ],
  ])("%j changes nothing, and says: %s", async (args, message) => {
    const texts = CHANGED.map(read);
    expect((await run("remove", ...args)).stderr).toContain(message);
    expect(CHANGED.map(read)).toEqual(texts);
  });

  it("names what in the policy file still needs the source, leaves a source of its own, and changes no file", async () => {
    const policy = read(policyFile);
    const rule = 'helper: { description: "Helps", rules: [{ action: "read", datasets: ["stock.toString"] }] }';
    const own = 'own: { kind: "d1", binding: "OWN_DB", title: "Own", description: "Own", tables: {} }';
    const edited = policy
      .replace("...introspected.roles", `...introspected.roles, ${rule}`)
      .replace("...introspected.sources", `...introspected.sources, ${own}`);
    writeFileSync(path.join(copy, policyFile), edited);
    const texts = CHANGED.map(read);
    const { stderr } = await run("remove", "stock", "--yes");
    expect(stderr).toContain("The policy file needs stock, so nothing was removed.");
    expect(stderr).toContain("roles.helper.rules[0].datasets[0]: there is no dataset stock.toString.");
    expect((await run("remove", "own", "--yes")).stderr).toContain(
      "own is declared by hand in src/gatehouse.config.ts",
    );
    expect(CHANGED.map(read)).toEqual(texts);
    expect(existsSync(path.join(copy, "src/introspected-schema/stock.json"))).toBe(true);
    writeFileSync(path.join(copy, policyFile), policy);
  }, 120_000);

  it("removes the declaration, the binding and the data, and says what stays in the account", async () => {
    const configuration = path.join(copy, "wrangler.jsonc");
    writeFileSync(
      configuration,
      read("wrangler.jsonc").replace(
        '"local-stock"',
        '"11111111-1111-4111-8111-111111111111", "preview_database_id": "local-stock"',
      ),
    );
    const { stdout, stderr } = await run("remove", "stock", "--yes");
    expect(stderr).toBe("");
    expect(stdout).toContain("stock was removed");
    expect(stdout).toContain("npx wrangler d1 delete stock");
    expect(CHANGED.map(read)).toEqual(before);
    expect(existsSync(path.join(copy, "src/introspected-schema/stock.json"))).toBe(false);
    const again = await run("introspect", path.join(dir, "stock.db"));
    expect(again.stdout).not.toContain("did not end");
    expect(again.stdout).toContain("Loaded 4 rows into the local database STOCK_DB.");
  }, 120_000);
});

describe("a binding that a source declared by hand shares", () => {
  it("stays with its data when the introspected source is removed", { timeout: 120_000 }, async () => {
    const policy = read(policyFile);
    const own = 'own: { kind: "d1", binding: "STOCK_DB", title: "Own", description: "Own", tables: {} }';
    writeFileSync(
      path.join(copy, policyFile),
      policy.replace("...introspected.sources", `...introspected.sources, ${own}`),
    );
    const { stdout } = await run("remove", "stock", "--yes");
    expect(stdout).toContain("stock was removed");
    expect(read("wrangler.jsonc")).toContain("STOCK_DB");
    const again = await run("introspect", path.join(dir, "stock.db"));
    expect(again.stdout).toContain("The file is loaded already, unchanged");
    writeFileSync(path.join(copy, policyFile), policy);
  });
});

describe("an empty local database of a declared source", () => {
  it(
    "is called empty with the command that loads it, by the start and by explain-query",
    { timeout: 120_000 },
    async () => {
      await run("open", "stock", "--all-but-personal");
      rmSync(path.join(copy, ".wrangler/state/v3/d1"), { recursive: true });
      const hint = "STOCK_DB is empty, load its file again: npm run introspect -- <file> --as STOCK_DB";
      const { stderr } = await run("start");
      expect(stderr).toContain(`- sources.stock: ${hint}`);
      expect(stderr).not.toContain("no table of this name");
      const sql = 'SELECT id FROM "toString"';
      expect((await run("explain-query", "--role", "stock-reader", "--source", "stock", sql)).stderr).toContain(hint);
    },
  );
});

describe("removing a database from wrangler.jsonc", () => {
  const ENTRY = { binding: "CRM_DB", database_name: "crm", database_id: "local-crm" };
  const OWN = '{ "binding": "GATEHOUSE_DB", "database_name": "gatehouse", "database_id": "local" }';
  const OWN_LINES = ["    {", '      "binding": "GATEHOUSE_DB",', '      "database_id": "local"'];
  const lines = (...texts: readonly string[]): string => texts.join("\n");

  it.each([
    ["a trailing comma", lines("{", '  "d1_databases": [', ...OWN_LINES, "    },", "  ],", "}", "")],
    ["no trailing comma", lines("{", '  "d1_databases": [', ...OWN_LINES, "    }", "  ]", "}", "")],
    ["CRLF", lines("{", '  "d1_databases": [', ...OWN_LINES, "    }", "  ]", "}", "").replaceAll("\n", "\r\n")],
  ])("gives the text before it was added: %s", (_name, text) => {
    const added = addDatabase(text, ENTRY);
    expect(added).toContain("CRM_DB");
    expect(removeDatabase(added, "CRM_DB")).toBe(text);
    expect(removeDatabase(text, "CRM_DB")).toBe(text);
  });

  it("keeps comments and other entries, in every environment", () => {
    const crm = '{ "binding": "CRM_DB" }';
    const text = lines(
      "{",
      '  "d1_databases": [',
      "    // Customers, [old], see CRM_DB",
      `    ${crm}, /* the last */`,
      `    ${OWN}`,
      "  ],",
      `  "env": { "staging": { "d1_databases": [${OWN}, ${crm}] }, "test": {} }`,
      "}",
    );
    expect(removeDatabase(text, "CRM_DB")).toBe(
      lines(
        "{",
        '  "d1_databases": [',
        "    // Customers, [old], see CRM_DB",
        "    /* the last */",
        `    ${OWN}`,
        "  ],",
        `  "env": { "staging": { "d1_databases": [${OWN} ] }, "test": {} }`,
        "}",
      ),
    );
  });
});
