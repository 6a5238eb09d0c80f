// From a database of which nothing is open to open tables and columns, without editing a file by hand.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectAs } from "../support/node/clients.ts";
import { copyRepository, runScript } from "../support/node/copy.ts";
import { freePort } from "../support/node/server.ts";
import { runProcess } from "../support/node/worker.ts";
import type { WorkerProcess } from "../support/node/worker.ts";

const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-open-"));
const copy = path.join(dir, "gatehouse");
const schemaFile = path.join(copy, "src/introspected-schema/clinic.json");
const open = async (...args: readonly string[]) => runScript(copy, "cli/main.ts", "open", ...args);

let untouched = "";

async function serve(): Promise<{ readonly server: WorkerProcess; readonly output: string }> {
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  const server = await runProcess(
    ["cli/main.ts", "start"],
    { PORT: String(port) },
    "Press Ctrl+C to stop.",
    origin,
    copy,
  );
  return { server, output: server.output() };
}

beforeAll(async () => {
  const file = path.join(dir, "clinic.db");
  const database = new DatabaseSync(file);
  database.exec(`
    CREATE TABLE visits (id INTEGER PRIMARY KEY, day TEXT, minutes INTEGER, email TEXT);
    CREATE TABLE "price.list" (id INTEGER PRIMARY KEY, "net.cents" INTEGER);
    CREATE TABLE price (id INTEGER PRIMARY KEY, list INTEGER);
    INSERT INTO visits VALUES (1, '2026-01-02', 30, 'ann@x.example'), (2, '2026-01-03', 45, 'bob@x.example');
    INSERT INTO "price.list" VALUES (1, 100);
    INSERT INTO price VALUES (1, 2);
    CREATE VIEW days AS SELECT day, count(*) AS n FROM visits GROUP BY day;
  `);
  database.close();
  await copyRepository(copy);
  const { stdout } = await runScript(copy, "cli/main.ts", "introspect", file);
  expect(stdout).toContain("npm run gatehouse -- open clinic --all-but-personal");
  untouched = readFileSync(schemaFile, "utf8");
}, 120_000);

afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("a database of which nothing is open", () => {
  it("says so at the start and in describe, with the command", { timeout: 120_000 }, async () => {
    const { server, output } = await serve();
    try {
      const says = "4 tables, all hidden. The operator opens them: npm run gatehouse -- open <source.table> …";
      expect(output).toContain(says);
      const client = await connectAs("sdk v2, 2026", `${server.origin}/mcp`, "owner@example.com");
      expect((await client.call("describe", {})).structured).toMatchObject({ hint: says });
    } finally {
      await server.stop("SIGTERM");
    }
  });
});

describe("npm run gatehouse -- open", () => {
  it.each([
    [["clinic.visit"], "There is no table or column clinic.visit.\nDid you mean clinic.visits?"],
    [["clinic.visits", "clinic.visits.e_mail"], "Did you mean clinic.visits.email?"],
    [["clinic.visits.email"], "Open both: npm run gatehouse -- open clinic.visits clinic.visits.email"],
    [["clinic"], "npm run gatehouse -- open clinic --all-but-personal"],
    [["visits"], "There is no table or column visits.\nDid you mean clinic.visits?"],
    [["vistis"], "Did you mean clinic.visits?"],
    [["minutes"], "Did you mean clinic.visits.minutes?"],
    [["price.lst"], "Did you mean clinic.price.list"],
    [[], "Name what to open: clinic."],
    [["clinics", "--all-but-personal"], "There is no source clinics. There are: clinic."],
  ])("changes nothing for the arguments %j, and says what to do", async (args, message) => {
    expect((await open(...args)).stderr).toContain(message);
    expect(readFileSync(schemaFile, "utf8")).toBe(untouched);
  });

  it("opens tables and columns whose names contain dots, and says what becomes visible to whom", async () => {
    const { stdout } = await open("clinic.visits", "clinic.price.list");
    expect(stdout.split("\n")).toEqual(
      expect.arrayContaining([
        "clinic.visits is open.",
        "  The role clinic-reader sees id, day, minutes.",
        "  Still hidden: email.",
        "  The role clinic-reader sees id, net.cents.",
      ]),
    );
    const { tables } = JSON.parse(readFileSync(schemaFile, "utf8"));
    expect([tables.visits.hidden, tables["price.list"].hidden, tables.price.hidden]).toEqual([
      undefined,
      undefined,
      true,
    ]);
    expect(tables.visits.columns.email).toMatchObject({ hidden: true });
    expect((await open("clinic.visits.email")).stdout).toContain("sees id, day, minutes, email.");
  });

  it("opens all tables without the columns that look personal, as JSON for a program", async () => {
    const { stdout } = await open("clinic", "--all-but-personal", "--json");
    const { datasets, closedViews } = JSON.parse(stdout);
    expect(closedViews).toEqual(["clinic.days"]);
    expect(JSON.parse(readFileSync(schemaFile, "utf8")).tables.days).toMatchObject({ view: true, hidden: true });
    expect(datasets.map(({ dataset }: { dataset: string }) => dataset)).toEqual([
      "clinic.price",
      "clinic.price.list",
      "clinic.visits",
    ]);
    expect(datasets[0]).toEqual({
      dataset: "clinic.price",
      view: false,
      hidden: [],
      readers: [{ role: "clinic-reader", rows: "all", columns: { id: "clear", list: "clear" } }],
    });
  });

  it("lets users ask after a restart, without a file edited by hand", { timeout: 120_000 }, async () => {
    const { server } = await serve();
    try {
      const client = await connectAs("sdk v2, 2026", `${server.origin}/mcp`, "owner@example.com");
      const { structured } = await client.call("query", { source: "clinic", sql: "SELECT sum(minutes) FROM visits" });
      expect(structured).toMatchObject({ rows: [[75]] });
    } finally {
      await server.stop("SIGTERM");
    }
  });
});
