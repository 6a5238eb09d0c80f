// Gives tests of loading a local D1 as the command opens it, a new database for each load, and compares it with the file that was loaded.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { openStorage } from "../../cli/local-server/local.ts";
import { loadInto, openFile } from "../../cli/introspection/load.ts";
import type { Loaded, OpenedFile } from "../../cli/introspection/load.ts";
import { ROOT } from "../support/node/worker.ts";

const MAX_DATABASES = 90;

export type LocalDatabase = Parameters<typeof loadInto>[0];

/** A loaded database: what loading said, and ways to read both sides. */
export interface LoadedDatabase extends Loaded {
  readonly opened: OpenedFile;
  readonly target: LocalDatabase;
  readonly query: (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;
}

/** A folder for files, and a local D1 with empty databases. */
export interface LocalD1 {
  readonly dir: string;
  create(): Promise<LocalDatabase>;
  loadFile(file: string): Promise<LoadedDatabase>;
  load(opened: OpenedFile): Promise<LoadedDatabase>;
  /** Makes a database file with SQL and loads it. */
  loadSql(sql: string, change?: (database: DatabaseSync) => void): Promise<LoadedDatabase>;
  loadDump(text: string | Buffer): Promise<LoadedDatabase>;
  dispose(): Promise<void>;
}

export async function openLocalD1(): Promise<LocalD1> {
  const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-load-"));
  const ids = Array.from({ length: MAX_DATABASES }, (_value, index): [string, string] => [`T${index}`, `t${index}`]);
  const storage = await openStorage(path.join(ROOT, "wrangler.jsonc"), path.join(dir, "state"), {
    added: Object.fromEntries(ids),
  });
  let created = 0;
  const nextFile = (extension: string): string => path.join(dir, `file-${created}.${extension}`);
  const create = async (): Promise<LocalDatabase> => storage.getD1Database(`T${created++}`);
  const load = async (opened: OpenedFile): Promise<LoadedDatabase> => {
    const target = await create();
    const loaded = await loadInto(target, opened, { path: "/a file", fingerprint: "f" });
    const query = async (sql: string) => (await target.prepare(sql).all()).results as Record<string, unknown>[];
    return { ...loaded, opened, target, query };
  };
  const loadFile = async (file: string): Promise<LoadedDatabase> => load(openFile(file));
  return {
    dir,
    create,
    load,
    loadFile,
    loadSql: async (sql, change) => {
      const file = nextFile("sqlite");
      const database = new DatabaseSync(file, { enableForeignKeyConstraints: false });
      database.enableDefensive(false);
      database.exec(sql);
      change?.(database);
      database.close();
      return loadFile(file);
    },
    loadDump: async (text) => {
      const file = nextFile("sql");
      writeFileSync(file, text);
      return loadFile(file);
    },
    dispose: async () => {
      await storage.dispose();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Lists the columns of a table that a query can read. */
function listColumns(source: DatabaseSync, table: string): readonly string[] {
  return source
    .prepare("SELECT name FROM pragma_table_xinfo(?, 'main') WHERE hidden = 0 ORDER BY cid")
    .all(table)
    .map((row) => `"${String(row["name"]).replaceAll('"', '""')}"`);
}

/** Reads every value of a table from both sides as text that keeps its type and bytes; rows in one order. */
export async function readBoth(
  { opened: { database: source }, query }: LoadedDatabase,
  table: string,
): Promise<{ readonly expected: readonly string[]; readonly actual: readonly string[] }> {
  const values = listColumns(source, table).map(
    (name, index) =>
      `typeof(${name}) || CASE typeof(${name}) WHEN 'real' THEN quote(${name}) ELSE hex(${name}) END AS c${index}`,
  );
  const sql = `SELECT ${values.join(", ")} FROM "${table.replaceAll('"', '""')}"`;
  const lines = (rows: readonly object[]): readonly string[] =>
    rows.map((row) => Object.values(row).join("|")).toSorted();
  return { expected: lines(source.prepare(sql).all()), actual: lines(await query(sql)) };
}

/** Lists what a load said of an object. */
export function saidOf({ leftOut, notes }: Loaded, name: string): readonly string[] {
  return [...leftOut, ...notes].filter((entry) => entry.name === name).map(({ reason }) => reason);
}
