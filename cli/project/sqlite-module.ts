// Generates the SQLite module of the Worker: the package's WebAssembly without the code that the engine cannot reach. wrangler.jsonc runs
// this file before every build, and whatever else loads the module calls it first.
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { FUNCTION_TABLE, SQLITE_FUNCTIONS } from "../../src/sql/engine/sqlite-exports.ts";
import { findExtensions } from "./sqlite-extensions.ts";
import { trimWasm } from "./wasm-trimmer.ts";

/** Where the engine imports it from. */
const FILE = path.resolve(import.meta.dirname, "../../src/sql/engine/sqlite3.wasm");

/** Writes the module unless the file has it already. */
export function generateSqliteModule(file = FILE): void {
  const original = readFileSync(createRequire(import.meta.url).resolve("@sqlite.org/sqlite-wasm/sqlite3.wasm"));
  const trimmed = trimWasm(original, [...SQLITE_FUNCTIONS, FUNCTION_TABLE], findExtensions);
  if (!WebAssembly.validate(trimmed)) throw new Error("SQLite's WebAssembly module is not valid after it was trimmed");
  if (existsSync(file) && readFileSync(file).equals(trimmed)) return;
  // Another process may be reading the file, or writing it.
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, trimmed);
  renameSync(draft, file);
}

if (import.meta.main) generateSqliteModule();
