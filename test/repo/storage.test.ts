// Checks that docs/storage.md names every table that the code creates with its columns, every object class and every binding. The tables
// are those that the code's own statements leave in an empty SQLite database.
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { SOURCE_TABLES_SQL } from "../../src/masking-tokens/masking-token-table.ts";
import { CHANGE_TABLES_SQL } from "../../src/tables/change-journal.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const read = (file: string): string => readFileSync(path.join(ROOT, file), "utf8");
const storagePage = read("docs/storage.md");

const LAYOUT_MODULE = "src/lib/storage-layout.ts";
/** It creates the FTS5 table of each source of documents, which no migration can know. */
const DOCUMENT_TABLE_FILE = "src/documents/reindex-store.ts";
const MASKING_TOKEN_FILE = "src/masking-tokens/masking-token-table.ts";
/** It has the tables that changes need beside the data. */
const CHANGE_TABLE_FILE = "src/tables/change-journal.ts";
/** It creates a table for each result of a user. */
const RESULT_TABLE_FILE = "src/results/workspace-object.ts";

/** The parts of src/lib/storage-layout.ts and of a layout that this test uses. The Node configuration lacks the platform's types. */
interface Layout {
  readonly holder: string;
  readonly schema: string;
}
interface LayoutModule {
  readonly createLayout: (storage: object, layout: Layout) => void;
}

interface Table {
  readonly name: string;
  readonly columns: readonly string[];
}

const sourceFiles = readdirSync(path.join(ROOT, "src"), { recursive: true, encoding: "utf8" })
  .filter((file) => /\.tsx?$/.test(file))
  .map((file) => path.posix.join("src", file.replaceAll(path.sep, "/")));
const layoutFiles = sourceFiles.filter((file) => file.endsWith("-layout.ts") && file !== LAYOUT_MODULE);

async function importFile<Module>(file: string): Promise<Module> {
  return import(/* @vite-ignore */ pathToFileURL(path.join(ROOT, file)).href);
}

/** Reads the tables that `create` leaves in an empty database, without those of SQLite's own and of FTS5's own. */
function readTables(create: (database: DatabaseSync) => void): readonly Table[] {
  const database = new DatabaseSync(":memory:");
  create(database);
  const rows = database
    .prepare(
      `SELECT t.name AS tableName, c.name AS columnName FROM pragma_table_list AS t JOIN pragma_table_info(t.name) AS c
        WHERE t.schema = 'main' AND t.type IN ('table', 'virtual') AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'`,
    )
    .all();
  database.close();
  const columnsByTable = Map.groupBy(rows, ({ tableName }) => String(tableName));
  return [...columnsByTable].map(([name, columns]) => ({
    name,
    columns: columns.map(({ columnName }) => String(columnName)),
  }));
}

/** Creates a layout as an object with empty storage does. */
async function readLayoutTables(layout: Layout): Promise<readonly Table[]> {
  const { createLayout } = await importFile<LayoutModule>(LAYOUT_MODULE);
  return readTables((database) => {
    const exec = (sql: string, ...values: readonly number[]): void =>
      values.length === 0 ? database.exec(sql) : void database.prepare(sql).run(...values);
    createLayout({ transactionSync: (work: () => void) => work(), sql: { exec } }, layout);
  });
}

function readDatabaseTables(): readonly Table[] {
  const migrations = readdirSync(path.join(ROOT, "migrations")).filter((file) => file.endsWith(".sql"));
  const [, documentTable = ""] = /`(CREATE VIRTUAL TABLE [^`]+)`/.exec(read(DOCUMENT_TABLE_FILE)) ?? [];
  return readTables((database) => {
    for (const file of migrations.toSorted()) database.exec(read(path.join("migrations", file)));
    database.exec(documentTable.replaceAll("${table}", '"document_{source}_fts"'));
  });
}

function getSection(heading: string): string {
  return storagePage.split(/^## /m).find((part) => part.startsWith(heading)) ?? "";
}

/** Returns the rows of a section's tables by the code in their first cell. */
function getRows(section: string): ReadonlyMap<string, string> {
  return new Map([...section.matchAll(/^\| `([^`]+)`.*$/gm)].map(([row, name = ""]) => [name, row]));
}

/** Expects the section to have a row for each of these tables that names each column, and no other row. */
function expectDocumented(heading: string, tables: readonly Table[]): void {
  const rows = getRows(getSection(heading));
  expect(tables.length).toBeGreaterThan(0);
  expect([...rows.keys()].toSorted()).toEqual(tables.map(({ name }) => name).toSorted());
  for (const { name, columns } of tables) {
    expect(columns.length, name).toBeGreaterThan(0);
    for (const column of columns) expect(rows.get(name), `${name}.${column}`).toContain(`\`${column}\``);
  }
}

function listObjectClasses(): readonly string[] {
  return [...read("wrangler.jsonc").matchAll(/"class_name": "(\w+)"/g)].map(([, name = ""]) => name);
}

describe("docs/storage.md", () => {
  it("is compared with every file that creates tables", () => {
    // The copy of a view is a table in memory.
    const storingFiles = sourceFiles.filter((file) => file !== "src/sql/view-copy.ts");
    const creatingFiles = storingFiles.filter((file) => /CREATE (?:VIRTUAL )?TABLE/.test(read(file)));
    const sourceTableFiles = [DOCUMENT_TABLE_FILE, MASKING_TOKEN_FILE, CHANGE_TABLE_FILE, RESULT_TABLE_FILE];
    const comparedFiles = [...layoutFiles, LAYOUT_MODULE, ...sourceTableFiles];
    expect(creatingFiles.toSorted()).toEqual(comparedFiles.toSorted());
    expect(read(DOCUMENT_TABLE_FILE).match(/CREATE VIRTUAL TABLE/g)).toHaveLength(1);
  });

  it.each(layoutFiles)("names every table and column of %s, and no other table", async (file) => {
    const [layout, ...others] = Object.values(await importFile<Readonly<Record<string, Layout>>>(file));
    expect(others).toEqual([]);
    if (layout === undefined) expect.unreachable(`${file} exports no layout`);
    expectDocumented(`Durable Object \`${layout.holder}\``, await readLayoutTables(layout));
  });

  it("names every table and column of GATEHOUSE_DB after all migrations, and no other table", () => {
    expectDocumented("D1 database `GATEHOUSE_DB`", readDatabaseTables());
  });

  it("names every table and column that Gatehouse keeps in a source's database, and no other table", () => {
    const statements = [...SOURCE_TABLES_SQL, ...CHANGE_TABLES_SQL];
    const tables = readTables((database) => statements.forEach((sql) => database.exec(sql)));
    expectDocumented("In a source's own database", tables);
  });

  it("names the keys of WorkspaceObject, which has no layout of tables", () => {
    const section = getSection("Durable Object `WorkspaceObject`");
    for (const key of ["rows:{id}:{part}", "result:{id}", "index", "layout"]) expect(section).toContain(`\`${key}\``);
  });

  it("has a section for every object class, and each class but WorkspaceObject has a layout", async () => {
    const classes = listObjectClasses();
    expect(classes.length).toBeGreaterThan(3);
    for (const name of classes) expect(getSection(`Durable Object \`${name}\``), name).not.toBe("");
    const modules = await Promise.all(layoutFiles.map(importFile<Readonly<Record<string, Layout>>>));
    const holders = modules.flatMap((module) => Object.values(module).map(({ holder }) => holder));
    expect([...holders, "WorkspaceObject"].toSorted()).toEqual([...new Set(classes)].toSorted());
  });

  it("names every binding that Gatehouse itself needs", () => {
    // Bindings of sources belong to their operator. Gatehouse's own are those that the sample has too.
    const listBindings = (text: string): readonly string[] =>
      [...text.matchAll(/"(?:binding|name)": "([A-Z_]+)"/g)].map(([, name = ""]) => name);
    const sampleBindings = listBindings(read("sample/wrangler.jsonc"));
    const ownBindings = listBindings(read("wrangler.jsonc")).filter((name) => sampleBindings.includes(name));
    expect(ownBindings.length).toBeGreaterThan(4);
    for (const name of ownBindings) expect(storagePage).toContain(`\`${name}\``);
  });
});
