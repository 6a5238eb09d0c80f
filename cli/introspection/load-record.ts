// Remembers in the local database itself which file was loaded into it, and whether the load ended. The record is written before the
// first table and changed with the last statement, so a load that was killed at any moment is found by the next command.
import { createHash } from "node:crypto";
import { createReadStream, realpathSync } from "node:fs";
import { quoteIdentifier } from "../../src/sql/identifier.ts";
import type { TargetDatabase } from "./copy-rows.ts";

/** The table of the record. Its name begins with Gatehouse's prefix, so no dataset and no user's SQL can use it. */
export const LOAD_TABLE = "_gatehouse_load";
/** Tables that hold rows for a moment begin with this. */
export const STAGING_PREFIX = "_gatehouse_load_";

/** The file that a database was, or is being, loaded from. */
export interface LoadedFile {
  readonly path: string;
  /** SHA-256 of its bytes. */
  readonly fingerprint: string;
}

/** A record; `objects` are the tables and views of the file that were to be loaded. */
export interface LoadRecord extends LoadedFile {
  readonly isComplete: boolean;
  readonly objects: readonly string[];
}

/** Reads what identifies a file. Links are followed, so that two names of one file are the same. */
export async function identifyFile(file: string): Promise<LoadedFile> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return { path: realpathSync(file), fingerprint: hash.digest("hex") };
}

/** Whether two records are of one file, which may have been changed or moved. */
export function isSameFile(one: LoadedFile, other: LoadedFile): boolean {
  return one.path === other.path || one.fingerprint === other.fingerprint;
}

/** Reads the record of a database; undefined if no file was loaded into it. */
export async function readLoadRecord(target: TargetDatabase): Promise<LoadRecord | undefined> {
  const { results: tables } = await target
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name = ?1")
    .bind(LOAD_TABLE)
    .all();
  if (tables.length === 0) return undefined;
  const { results } = await target.prepare(`SELECT path, fingerprint, complete, objects FROM ${LOAD_TABLE}`).all();
  const [row] = results;
  if (typeof row !== "object" || row === null) return undefined;
  const { path, fingerprint, complete, objects } = row as Readonly<Record<string, unknown>>;
  return {
    path: String(path),
    fingerprint: String(fingerprint),
    isComplete: complete === 1,
    objects: parseNames(String(objects)),
  };
}

function parseNames(json: string): readonly string[] {
  const names: unknown = JSON.parse(json);
  return Array.isArray(names) ? names.map(String) : [];
}

/** Records that a load begins which will create these tables and views. */
export async function beginLoad(target: TargetDatabase, file: LoadedFile, objects: readonly string[]): Promise<void> {
  const create =
    `CREATE TABLE IF NOT EXISTS ${LOAD_TABLE} (id INTEGER PRIMARY KEY CHECK (id = 1), path TEXT NOT NULL, ` +
    "fingerprint TEXT NOT NULL, complete INTEGER NOT NULL, objects TEXT NOT NULL)";
  const insert = `INSERT OR REPLACE INTO ${LOAD_TABLE} (id, path, fingerprint, complete, objects) VALUES (1, ?1, ?2, 0, ?3)`;
  await target.batch([
    target.prepare(create),
    target.prepare(insert).bind(file.path, file.fingerprint, JSON.stringify(objects)),
  ] as never[]);
}

/** Records that the load ended. */
export async function endLoad(target: TargetDatabase): Promise<void> {
  await target.prepare(`UPDATE ${LOAD_TABLE} SET complete = 1`).all();
}

/** Removes the tables and views of a load. Its record stays and says that the load did not end, until the next load begins. Others stay. */
export async function discardLoad(target: TargetDatabase, { objects }: LoadRecord): Promise<void> {
  await target.prepare(`UPDATE ${LOAD_TABLE} SET complete = 0`).all();
  const listLoaded = async (type: "table" | "view"): Promise<readonly string[]> =>
    (await listObjects(target, type)).filter((name) => objects.includes(name) || name.startsWith(STAGING_PREFIX));
  await dropViews(target, await listLoaded("view"));
  await dropTables(target, await listLoaded("table"));
}

/** Lists the names of a database's tables or views. */
export async function listObjects(target: TargetDatabase, type: "table" | "view"): Promise<readonly string[]> {
  const { results } = await target.prepare("SELECT name FROM sqlite_schema WHERE type = ?1").bind(type).all();
  return results.map((row) => String(Object(row).name));
}

/** Drops views in one transaction. */
export async function dropViews(target: TargetDatabase, views: readonly string[]): Promise<void> {
  if (views.length === 0) return;
  const drops = views.map((name) => target.prepare(`DROP VIEW IF EXISTS ${quoteIdentifier(name)}`));
  await target.batch(drops as never[]);
}

/** Drops tables in one transaction, children before parents if they are listed in the order in which they were created. */
export async function dropTables(target: TargetDatabase, tables: readonly string[]): Promise<void> {
  if (tables.length === 0) return;
  const drops = tables.toReversed().map((name) => `DROP TABLE IF EXISTS ${quoteIdentifier(name)}`);
  await target.batch(["PRAGMA defer_foreign_keys = on", ...drops].map((sql) => target.prepare(sql)) as never[]);
}
