// Limits what SQLite may do while introspection opens an untrusted file. A dump is SQL that its author chose, and so is the schema of a
// database file: without an authorizer, ATTACH and VACUUM INTO could write files anywhere.
import { constants } from "node:sqlite";
import type { DatabaseSync } from "node:sqlite";

/** A file asked for an operation that no dump needs. The message names the operation. */
export class RefusedFile extends Error {}

/** Virtual table modules that store their data in the database. Other modules of this SQLite, such as `dbstat`, read raw pages. */
const MODULES = ["fts3", "fts4", "fts5", "rtree", "rtree_i32", "geopoly"];
/** Functions that load code, or that some builds of SQLite have for access to files. */
const FUNCTIONS = ["load_extension", "fts3_tokenizer", "readfile", "writefile", "fsdir", "edit", "zipfile"];
/** Pragmas that `loadInto` uses to read a schema and that full-text search uses on its own tables. */
const PRAGMAS_TO_READ = [
  "table_xinfo",
  "table_list",
  "index_list",
  "index_xinfo",
  "foreign_key_list",
  "encoding",
  "data_version",
];

const { SQLITE_OK, SQLITE_DENY, SQLITE_IGNORE } = constants;

/** The authorizer's answer; a refusal says which operation the file asked for. */
type Verdict = { readonly code: number; readonly refused?: string };

const ALLOWED: Verdict = { code: SQLITE_OK };
const SKIPPED: Verdict = { code: SQLITE_IGNORE };
const refuse = (operation: string): Verdict => ({ code: SQLITE_DENY, refused: operation });

/**
 * Creates a function that runs one statement of a dump. It throws `RefusedFile`, or SQLite's own error. It skips every PRAGMA, because
 * some write files or change the connection's settings.
 */
export function confineToDump(database: DatabaseSync): (sql: string) => void {
  let refused: string | undefined;
  confine(database, (action, first, second) => {
    const verdict = judgeDump(action, first, second);
    refused ??= verdict.refused;
    return verdict.code;
  });
  return (sql) => {
    try {
      database.exec(sql);
    } catch (error) {
      if (refused === undefined) throw error;
      throw new RefusedFile(`a dump may not ${refused}`, { cause: error });
    }
  };
}

function judgeDump(action: number, first: string | null, second: string | null): Verdict {
  switch (action) {
    case constants.SQLITE_ATTACH:
      // VACUUM attaches a nameless temporary database to itself; VACUUM INTO attaches the file that it writes.
      return first === "" ? ALLOWED : refuse("open another database (ATTACH, VACUUM INTO)");
    case constants.SQLITE_FUNCTION:
      return isOf(FUNCTIONS, second) ? refuse(`call ${second ?? ""}()`) : ALLOWED;
    case constants.SQLITE_CREATE_VTABLE:
      return isOf(MODULES, second) ? ALLOWED : refuse(`create a virtual table of the module ${second ?? ""}`);
    case constants.SQLITE_CREATE_TRIGGER:
    case constants.SQLITE_CREATE_TEMP_TRIGGER:
      return SKIPPED;
    case constants.SQLITE_PRAGMA:
      return isOf(["data_version", "table_list"], first) ? ALLOWED : SKIPPED;
    default:
      return ALLOWED;
  }
}

/** From now on only tables can be read. Views are refused too, because reading one runs its SQL. */
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
  // Node has setAuthorizer from 24.10 on. Without it an untrusted file must not be opened.
  if (typeof Reflect.get(database, "setAuthorizer") !== "function")
    throw new RefusedFile(`opening it safely needs Node 24.10 or newer; this is ${process.versions.node}`);
  database.setAuthorizer(authorizer);
}

function isOf(names: readonly string[], name: string | null): boolean {
  return name !== null && names.includes(name.toLowerCase());
}
