// What SQLite may do while introspection opens a file of others. A dump is SQL that its author wrote, and the schema of a database
// file is too: without an authorizer, ATTACH and VACUUM INTO write files anywhere.
import { constants } from "node:sqlite";
import type { DatabaseSync } from "node:sqlite";

/** A file asked for something that no dump needs. The message names it. */
export class RefusedFile extends Error {}

/** Modules whose tables live in the database itself. `dbstat` and others of this SQLite read its pages. */
const MODULES = ["fts3", "fts4", "fts5", "rtree", "rtree_i32", "geopoly"];
/** Functions that load code, or that builds of SQLite have for files. */
const FUNCTIONS = ["load_extension", "fts3_tokenizer", "readfile", "writefile", "fsdir", "edit", "zipfile"];
/** What `loadInto` asks of a schema, and what full-text search asks of its own tables. */
const PRAGMAS_TO_READ = ["table_xinfo", "foreign_key_list", "data_version"];

const { SQLITE_OK, SQLITE_DENY, SQLITE_IGNORE } = constants;

/** A verdict; a refusal says which operation the file asked for. */
type Verdict = { readonly code: number; readonly refused?: string };

const ALLOWED: Verdict = { code: SQLITE_OK };
const SKIPPED: Verdict = { code: SQLITE_IGNORE };
const refuse = (what: string): Verdict => ({ code: SQLITE_DENY, refused: what });

/**
 * Runs the SQL of a dump. Errors: `RefusedFile`; SQLite's own for anything else. Triggers are not made, because one before the rows
 * would act on each of them, and settings are left as they are: neither is part of the data.
 */
export function runDump(database: DatabaseSync, sql: string): void {
  let refused: string | undefined;
  confine(database, (action, first, second) => {
    const verdict = judgeDump(action, first, second);
    refused ??= verdict.refused;
    return verdict.code;
  });
  try {
    database.exec(sql);
  } catch (error) {
    if (refused === undefined) throw error;
    throw new RefusedFile(`a dump may not ${refused}`, { cause: error });
  }
}

function judgeDump(action: number, first: string | null, second: string | null): Verdict {
  switch (action) {
    case constants.SQLITE_ATTACH:
      // VACUUM attaches a nameless temporary database to itself; VACUUM INTO attaches the file that it writes.
      return first === "" ? ALLOWED : refuse("open another database (ATTACH, VACUUM INTO)");
    case constants.SQLITE_FUNCTION:
      return isOf(FUNCTIONS, second) ? refuse(`call ${second ?? ""}()`) : ALLOWED;
    case constants.SQLITE_CREATE_VTABLE:
      return isOf(MODULES, second) ? ALLOWED : refuse(`make a virtual table of the module ${second ?? ""}`);
    case constants.SQLITE_CREATE_TRIGGER:
    case constants.SQLITE_CREATE_TEMP_TRIGGER:
      return SKIPPED;
    case constants.SQLITE_PRAGMA:
      return isOf(["data_version"], first) ? ALLOWED : SKIPPED;
    default:
      return ALLOWED;
  }
}

/** From here on the database can only be read, and only its tables: nothing through a view, which would run its SQL. */
export function confineToReading(database: DatabaseSync): void {
  confine(database, (action, first, second, _schema, viewOrTrigger) => {
    switch (action) {
      case constants.SQLITE_SELECT:
      case constants.SQLITE_READ:
        return viewOrTrigger === null ? SQLITE_OK : SQLITE_DENY;
      case constants.SQLITE_FUNCTION:
        return isOf(FUNCTIONS, second) ? SQLITE_DENY : SQLITE_OK;
      case constants.SQLITE_PRAGMA:
        return isOf(PRAGMAS_TO_READ, first) ? SQLITE_OK : SQLITE_DENY;
      default:
        return SQLITE_DENY;
    }
  });
}

type Authorizer = Parameters<DatabaseSync["setAuthorizer"]>[0] & object;

function confine(database: DatabaseSync, authorizer: Authorizer): void {
  // Node has it from 24.10 on. Without it a file of others must not be opened at all.
  if (typeof Reflect.get(database, "setAuthorizer") !== "function")
    throw new RefusedFile(`it can be opened with Node 24.10 or newer only; this is ${process.versions.node}`);
  database.setAuthorizer(authorizer);
}

function isOf(names: readonly string[], name: string | null): boolean {
  return name !== null && names.includes(name.toLowerCase());
}
