// Runs an SQL dump in a database in memory, statement by statement. A statement that fails is counted and named; it does not stop the
// dump. Only what the authorizer refuses does.
import { DatabaseSync } from "node:sqlite";
import { foldName } from "../../src/sql/identifier.ts";
import { withoutUnknownCollations } from "./declaration.ts";
import { decodeStatement, splitStatements } from "./dump-statements.ts";
import { RefusedFile, confineToDump } from "./file-authorizer.ts";
import { messageOf } from "./load-problem.ts";
import { VIRTUAL_REASON } from "./schema.ts";
import type { LeftOut } from "./schema.ts";

/** What a dump left in the database, beside its tables. */
export interface DumpOutcome {
  /** Objects that were not created. */
  readonly skipped: readonly LeftOut[];
  /** Objects that differ from what the dump says. */
  readonly notes: readonly LeftOut[];
  /** Folded names of tables that belong to a virtual table that was not created. */
  readonly shadows: ReadonlySet<string>;
}

const NAME = /(?:"((?:[^"]|"")+)"|'((?:[^']|'')+)'|`((?:[^`]|``)+)`|\[([^\]]+)\]|([^\s"'`([.;]+))/.source;
const KIND = /TABLE|VIRTUAL\s+TABLE|VIEW|TRIGGER|(?:UNIQUE\s+)?INDEX/.source;
const CREATE = new RegExp(
  `^CREATE\\s+(?:TEMP(?:ORARY)?\\s+)?(${KIND})\\s+(?:IF\\s+NOT\\s+EXISTS\\s+)?(?:main\\s*\\.\\s*)?${NAME}`,
  "i",
);
const CHANGE = new RegExp(
  `^(?:(?:INSERT|REPLACE|UPDATE)(?:\\s+OR\\s+\\w+)?(?:\\s+INTO)?|DELETE\\s+FROM)\\s+(?:main\\s*\\.\\s*)?${NAME}`,
  "i",
);
/** How SQLite's shell and other tools write a virtual table, because its own tables follow with their rows. */
const VIRTUAL_ROW =
  /^INSERT\s+INTO\s+sqlite_(?:schema|master)\b[^']*VALUES\s*\(\s*'table'\s*,\s*'(?:[^']|'')*'\s*,\s*'(?:[^']|'')*'\s*,\s*0\s*,\s*'((?:[^']|'')*)'\s*\)\s*$/i;

/** Statements and clauses that only dumps of another database have, by its name. */
const OTHER_DATABASES: ReadonlyMap<string, readonly RegExp[]> = new Map([
  [
    "MySQL",
    [/\bAUTO_INCREMENT\b|\bENGINE\s*=|\bUNSIGNED\b/i, /^(?:UN)?LOCK\s+TABLES\b|^SET\s+(?:NAMES|FOREIGN_KEY_CHECKS)\b/i],
  ],
  [
    "SQL Server",
    [/^(?:GO|USE\s+\[|SET\s+(?:ANSI_NULLS|QUOTED_IDENTIFIER|IDENTITY_INSERT))/i, /\[dbo\]|\bIDENTITY\s*\(\d/i],
  ],
  [
    "PostgreSQL",
    [
      /^(?:COPY\s|SET\s+\w+\s*(?:=|TO\b)|SELECT\s+pg_catalog\.|\\)|::regclass\b/i,
      /^CREATE\s+(?:EXTENSION|SEQUENCE|TYPE|FUNCTION|SCHEMA|DATABASE)\b/i,
    ],
  ],
]);

/** Runs the bytes of a dump. Throws `RefusedFile`, or SQLite's first error when the dump created no table. */
export function runDump(database: DatabaseSync, bytes: Buffer): DumpOutcome {
  const run = new DumpRun(database);
  for (const statement of splitStatements(textOf(bytes))) run.take(decodeStatement(statement));
  return run.finish();
}

/** The text with one character for each byte in UTF-8. PowerShell writes the output of commands as UTF-16. */
function textOf(bytes: Buffer): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe)
    return Buffer.from(bytes.toString("utf16le").slice(1), "utf8").toString("latin1");
  const isMarked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return bytes.toString("latin1", isMarked ? 3 : 0);
}

class DumpRun {
  readonly #database: DatabaseSync;
  readonly #run: (sql: string) => void;
  readonly #skipped: LeftOut[] = [];
  readonly #notes: LeftOut[] = [];
  readonly #shadows = new Set<string>();
  /** Folded names of tables that could not be created, whose rows are skipped. */
  readonly #missing = new Set<string>();
  readonly #failures = new Map<string, { count: number; readonly first: string }>();
  #firstError: unknown;
  /** The other database that the dump seems to be from. */
  #origin: string | undefined;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#run = confineToDump(database);
  }

  take(sql: string): void {
    const [, kind = "", ...created] = CREATE.exec(sql) ?? [];
    if (kind !== "") return this.#create(sql, kind.toUpperCase().replace(/\s+/g, " "), nameOf(created));
    const target = nameOf(CHANGE.exec(sql)?.slice(1) ?? []);
    const virtual = VIRTUAL_ROW.exec(sql)?.[1]?.replaceAll("''", "'");
    if (virtual !== undefined && /^CREATE\s+VIRTUAL\s+TABLE\b/i.test(virtual)) return this.#skipVirtual(virtual);
    if (/^sqlite_(?:schema|master)$/i.test(target)) throw new RefusedFile(`the table ${target} may not be modified`);
    if (this.#missing.has(foldName(target))) return;
    // Full-text search fills its own tables.
    if (this.#shadows.has(foldName(target))) return;
    this.#attempt(target, sql);
  }

  #create(sql: string, kind: string, name: string): void {
    if (kind === "TRIGGER") return void this.#skipped.push({ name, reason: TRIGGER_REASON });
    if (kind === "TABLE" && this.#shadows.has(foldName(name))) return;
    const { sql: usable, unknown } = kind === "VIRTUAL TABLE" ? { sql, unknown: [] } : withoutUnknownCollations(sql);
    try {
      this.#run(usable);
      if (kind === "VIRTUAL TABLE") for (const shadow of listShadows(this.#database)) this.#shadows.add(shadow);
      if (unknown.length > 0) this.#notes.push({ name, reason: collationReason(unknown) });
    } catch (error) {
      if (error instanceof RefusedFile) throw error;
      this.#noteError(error, sql);
      if (kind === "VIRTUAL TABLE") return this.#skipVirtual(sql);
      this.#skipped.push({ name, reason: `could not be created: ${messageOf(error)}.` });
      if (kind === "TABLE") this.#missing.add(foldName(name));
    }
  }

  /** Names a virtual table and finds the tables that belong to it, by creating it in a database of its own. */
  #skipVirtual(sql: string): void {
    const name = nameOf(CREATE.exec(sql)?.slice(2) ?? []);
    this.#skipped.push({ name, reason: VIRTUAL_REASON });
    const scratch = new DatabaseSync(":memory:");
    try {
      confineToDump(scratch)(sql);
      for (const shadow of listShadows(scratch)) this.#shadows.add(shadow);
    } catch (error) {
      if (error instanceof RefusedFile) throw error;
      // Without its module SQLite does not know which tables belong to it; they load as ordinary tables.
    } finally {
      scratch.close();
    }
  }

  #attempt(target: string, sql: string): void {
    try {
      this.#run(sql);
    } catch (error) {
      if (error instanceof RefusedFile) throw error;
      this.#noteError(error, sql);
      const failure = this.#failures.get(target);
      if (failure === undefined) this.#failures.set(target, { count: 1, first: messageOf(error) });
      else failure.count += 1;
    }
  }

  #noteError(error: unknown, sql: string): void {
    this.#firstError ??= error;
    this.#origin ??= [...OTHER_DATABASES].find(([, signs]) => signs.some((sign) => sign.test(sql)))?.[0];
  }

  finish(): DumpOutcome {
    const isEmpty = this.#database.prepare("SELECT 1 FROM sqlite_schema").get() === undefined;
    if (isEmpty && this.#firstError !== undefined && this.#skipped.length === 0) throw this.#firstError;
    if (this.#origin !== undefined)
      this.#notes.push({
        name: "The dump",
        reason: `seems to be of ${this.#origin}. Only SQL of SQLite loads whole: convert it to an SQLite file first, and load that.`,
      });
    for (const [target, { count, first }] of this.#failures) {
      const name = target === "" ? "The dump" : target;
      this.#notes.push({
        name,
        reason: `is not complete: ${count} ${count === 1 ? "statement" : "statements"} of the dump failed, first: ${first}.`,
      });
    }
    return { skipped: this.#skipped, notes: this.#notes, shadows: this.#shadows };
  }
}

export const TRIGGER_REASON = "is a trigger, which nothing runs: assistants only read.";

/** Says which collations of a declaration SQLite does not have. */
export function collationReason(unknown: readonly string[]): string {
  return `was loaded without the collation ${unknown.join(", ")}, which the database does not have: it compares byte by byte.`;
}

/** Lists the folded names of tables that belong to virtual tables. Only SQLite's own modules know them; a name does not tell. */
export function listShadows(database: DatabaseSync): readonly string[] {
  const rows = database.prepare("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'").all();
  return rows.map((row) => foldName(String(row["name"])));
}

function nameOf(groups: readonly (string | undefined)[]): string {
  const [double, single, back, bracket, plain] = groups;
  return (
    double?.replaceAll('""', '"') ??
    single?.replaceAll("''", "'") ??
    back?.replaceAll("``", "`") ??
    bracket ??
    plain ??
    ""
  );
}
