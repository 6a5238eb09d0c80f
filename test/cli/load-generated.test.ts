// Loads generated SQLite files and compares every value with SQLite's own reading of the file. LOAD_SEED repeats a file that failed.
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, it } from "vitest";
import { generateFile } from "./generated-file.ts";
import { readDatabase } from "../../cli/introspection/schema.ts";
import { openLocalD1, readBoth, saidOf } from "./local-d1.ts";
import type { LoadedDatabase, LocalD1 } from "./local-d1.ts";

const FILES = 25;
const MAX_MS = 40_000;
const fixedSeed = process.env["LOAD_SEED"];
const firstSeed = fixedSeed === undefined ? Date.now() % 1_000_000_000 : Number(fixedSeed);

let d1: LocalD1;
beforeAll(async () => void (d1 = await openLocalD1()));
afterAll(async () => d1.dispose());

/** Compares the views and keys that introspection finds with those of the file. Reading a view needs a connection without limits. */
async function expectViewsAndKeys(loaded: LoadedDatabase, file: string, what: string): Promise<void> {
  const database = new DatabaseSync(file, { readOnly: true });
  const { tables, leftOut } = await readDatabase(loaded.target);
  for (const { name, viewOf, key } of tables) {
    const columns = database.prepare("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk").all(name);
    expect(key, `${name} of ${what}`).toEqual(columns.map((column) => column["name"]));
    if (viewOf === null) continue;
    const { expected, actual } = await readBoth({ ...loaded, opened: { ...loaded.opened, database } }, name);
    expect(actual, `${name} of ${what}`).toEqual(expected);
  }
  const views = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'view'").all();
  for (const view of views) {
    const name = String(view["name"]);
    const reasons = [...loaded.leftOut, ...leftOut].filter((entry) => entry.name === name).map(({ reason }) => reason);
    const isFound = tables.some((table) => table.name === name);
    expect([name.replace(/[ ;]\d+$/, ""), isFound, reasons.length], what).toEqual([
      name.replace(/[ ;]\d+$/, ""),
      /^(?:over;|view|rows)/.test(name),
      isFound ? 0 : 1,
    ]);
  }
  database.close();
}

it(
  `loads every table and view of generated files exactly (LOAD_SEED=${firstSeed})`,
  { timeout: 3 * MAX_MS },
  async () => {
    const started = Date.now();
    for (let seed = firstSeed; seed < firstSeed + FILES && Date.now() - started < MAX_MS; seed += 1) {
      const file = path.join(d1.dir, `${seed}.sqlite`);
      const sql = generateFile(file, seed);
      const what = `LOAD_SEED=${seed}\n${sql}`;
      const loaded = await d1.loadFile(file).catch((error: unknown) => {
        throw new Error(what, { cause: error });
      });
      const objects = loaded.opened.database
        .prepare("SELECT type, name FROM sqlite_schema WHERE sql IS NOT NULL")
        .all();
      const present = new Set((await loaded.query("SELECT name FROM sqlite_schema")).map(({ name }) => String(name)));
      for (const { type, name } of objects) {
        const object = String(name);
        // Each table is loaded as declared or named: no generated table is one that D1 could not hold.
        if (type === "table") expect(present, what).toContain(object);
        else if (!present.has(object)) expect(saidOf(loaded, object), what).toHaveLength(1);
        if (type !== "table") continue;
        expect(saidOf(loaded, object).join(), what).not.toMatch(/primary key only|without its foreign keys/);
        const { expected, actual } = await readBoth(loaded, object);
        expect(actual, `${object} of ${what}`).toEqual(expected);
      }
      const missingIndexes = objects.filter(({ type, name }) => type === "index" && !present.has(String(name)));
      expect(missingIndexes, what).toEqual([]);
      await expectViewsAndKeys(loaded, file, what);
    }
  },
);
