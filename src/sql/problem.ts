// Turns what the database said about a person's statement into our own words. Names are repeated only if the person
// wrote them; nothing else of the database's text gets through.
import { AppError } from "../errors.ts";
import { positionOf } from "./guard.ts";
import type { GuardView, GuardedQuery } from "./guard.ts";
import { foldName } from "./identifier.ts";
import { nearest } from "./near.ts";
import type { Statement } from "./statement.ts";

/** What went wrong. A failure of phase `run` may depend on rows, and so may tell of them; one of phase `prepare` cannot. */
export interface Problem {
  readonly phase: "prepare" | "run";
  /** The table has changed since it was compared with its declaration. */
  readonly isDrift: boolean;
  /** A JSON function got no JSON: a guard view that misses a token fails in this way, and so may the person's own SQL. */
  readonly isMalformedJson: boolean;
  readonly error: AppError;
}

/** What a message may name besides what the person wrote: what they may read. */
interface Help {
  /** Columns of the tables that the SQL uses. */
  readonly columns: readonly string[];
  /** All tables of the source. */
  readonly tables: readonly string[];
}

interface Form {
  readonly pattern: RegExp;
  /** Whether a name is not there, for this person, so that another role might have it. */
  readonly isMissing?: true;
  readonly say: (name: string, help: Help) => string;
}

/** Names that a message lists at most. */
const MAX_LISTED = 30;

const FORMS: readonly Form[] = [
  {
    pattern: /^no such column: "(.+)" - should this be a string literal/,
    say: (name, { columns }) =>
      `There is no column ${name} here that you may read. If it is text, put it in single quotes.${choice(name, columns, "Columns")}`,
  },
  {
    isMissing: true,
    pattern: /^no such column: (.+?)(?: - should this be a string literal.*)?$/,
    say: (name, { columns }) => `There is no column ${name} here that you may read.${choice(name, columns, "Columns")}`,
  },
  {
    pattern: /^ambiguous column name: (.+)$/,
    say: (name) => `The column ${name} is ambiguous. Put the table's name or alias before it.`,
  },
  { pattern: /^no such function: (.+)$/, say: (name) => `There is no function ${name} here. The dialect is SQLite's.` },
  // D1 has functions that it lets nobody call.
  {
    pattern: /^not authorized to use function: (.+)$/,
    say: (name) => `The function ${name} is not available in this database.`,
  },
  {
    pattern: /^wrong number of arguments to function (.+?)\(\)$/,
    say: (name) => `The function ${name} got the wrong number of arguments.`,
  },
  {
    pattern: /^misuse of (?:aliased )?aggregate(?: function)?:? (.+?)(?:\(\))?$/,
    say: (name) => `${name} cannot be used in that place. Filter groups with HAVING, or in a query around this one.`,
  },
  {
    pattern: /^misuse of (?:aliased )?window function:? (.+?)(?:\(\))?$/,
    say: (name) => `${name} cannot be used in that place. Filter by it in a query around this one.`,
  },
  {
    pattern: /^near "(.+)": syntax error$/,
    say: (name) =>
      `There is a syntax error near ${name}. The dialect is SQLite's; a name with a space stands in double quotes.`,
  },
  {
    isMissing: true,
    pattern: /^no such table: (?:[^ ]+\.)?(.+)$/,
    say: (name, { tables }) =>
      `Write table names without the source before them; there is no table ${name} here that you may read.${choice(name, tables, "Tables")}`,
  },
  {
    pattern: /^circular reference: (.+)$/,
    say: (name) => `${name} refers to itself. Give your WITH name a name of its own.`,
  },
];

/** The name that was perhaps meant, and the names that there are. */
function choice(name: string, names: readonly string[], title: string): string {
  const last = name.split(".").at(-1) ?? name;
  const meant = nearest(last, names);
  const listed = names.slice(0, MAX_LISTED).join(", ");
  const more = names.length > MAX_LISTED ? ` and ${names.length - MAX_LISTED} more` : "";
  return `${meant === undefined ? "" : ` Did you mean ${meant}?`}${names.length === 0 ? "" : ` ${title}: ${listed}${more}.`}`;
}

const PLAIN: readonly (readonly [RegExp, string])[] = [
  [/has \d+ values for \d+ columns/, "A WITH name lists another number of columns than its query gives."],
  [/incomplete input/, "The SQL ends too early."],
  [/syntax error/, "The SQL has a syntax error."],
  [
    /do(?:es)? not have the same number of result columns|all VALUES must have the same number/,
    "The parts of the query have different numbers of columns.",
  ],
  [
    /too many (?:columns|terms|levels|arguments|FROM clause terms|references)|too large|parser stack overflow|at most \d+ tables/,
    "The SQL is too large or too deeply nested. Split it.",
  ],
  [/returns \d+ columns|row value misused|sub-select/, "A subquery there must give one column."],
  [
    /ORDER BY|GROUP BY|HAVING|LIMIT|USING|JOIN|window|frame|DISTINCT/i,
    "A clause of the SQL cannot be used in that way.",
  ],
];

/** What SQLite says while it runs, in its exact words. */
const RUN_FORMS: readonly (readonly [RegExp, string])[] = [
  [
    /^(?:malformed JSON|bad JSON path: .*|JSON cannot hold BLOB values|JSON path error near .*)$/s,
    "A JSON function got text that is not JSON, or a path that is none.",
  ],
  [/^integer overflow$/, "A number in the query became too large."],
  [/^datatype mismatch$/, "LIMIT and OFFSET take whole numbers."],
  [/^LIKE or GLOB pattern too complex$/, "A LIKE or GLOB pattern is too long: at most 50 bytes."],
  [/^(?:string or blob too big|out of memory)$/, "A value in the query became too large."],
  [/^interrupted$/, "The query took too long. Narrow it with a WHERE on an indexed column."],
];

const UNTOLD =
  /^(?:no such table: [^.]+|no tables specified|no such index: .*|'.*' is not a function|ambiguous reference to .*)$/s;

/** A column that the guard views name is not in its table any more. */
const GUARD_COLUMN = /^no such column: main\./;

/** The database itself, not the query, is the trouble. */
const UNAVAILABLE =
  /overloaded|Network connection lost|storage operation exceeded timeout|reset because|Internal error in D1|internal error|is busy|SQLITE_BUSY|SQLITE_IOERR|SQLITE_FULL/i;
const TIMED_OUT =
  /exceeded its CPU time limit|exceeded its memory limit|query timed? ?out|statement (?:execution )?time/i;

/** What is asked, as far as a message may tell of it. */
interface Asked {
  readonly statement: Statement;
  readonly views: readonly GuardView[];
  readonly nonce: string;
}

/** What SQLite in memory says against a statement that no database has seen. */
export function invalidSql(
  { message, offset }: { readonly message: string; readonly offset: number },
  asked: Asked,
  query: GuardedQuery,
): AppError {
  const at = offset < 0 ? undefined : positionOf(asked.statement, query, offset);
  const { error } = readText(message, asked, query, new Error(message));
  return at === undefined
    ? error
    : failed(`${error.publicMessage} (At character ${at} of the SQL.)`, error.cause, error.isMissing);
}

/**
 * Reads the database's message about a guarded query. A message that none of the forms knows is told apart only by
 * coming from a statement that was accepted: it counts as `run`.
 */
export function readProblem(thrown: unknown, asked: Asked, query: GuardedQuery): Problem {
  if (UNAVAILABLE.test(rawMessageOf(thrown)) && !TIMED_OUT.test(messageOf(thrown))) {
    const message = "The database does not answer at the moment. Try again in a minute.";
    return {
      phase: "prepare",
      isDrift: false,
      isMalformedJson: false,
      error: new AppError("source_unavailable", message, { cause: thrown }),
    };
  }
  return readText(messageOf(thrown), asked, query, thrown);
}

function readText(text: string, asked: Asked, query: GuardedQuery, cause: unknown): Problem {
  const { statement, views, nonce } = asked;
  const help = {
    columns: [...new Set(query.used.flatMap((view) => view.columns))],
    tables: views.map((view) => view.name),
  };
  const denied = new RegExp(`^no such table: (?:main\\.)?denied_${nonce}_([0-9]+)$`).exec(text);
  if (denied !== null) return prepared(deniedMessage(query.denied[Number(denied[1])] ?? "", help), cause, true);
  // Once SQLite has met one error it looks names up past the guard, and its last message then tells what exists. Whatever
  // it says about tables and indexes is therefore one text; the deny-CTEs above name those that a person may not read.
  if (GUARD_COLUMN.test(text)) return drifted(cause);
  if (UNTOLD.test(text))
    return prepared(
      "The SQL names something that is not here, or in a way that does not fit. Call describe for names.",
      cause,
      true,
    );
  const [, qualified = ""] = /^no such table: [^ ]+\.(.+)$/.exec(text) ?? [];
  if (views.some(({ name }) => foldName(name) === foldName(qualified)) && wroteName(statement, qualified))
    return prepared(`Write the table's name without the source before it: ${qualified}.`, cause);
  for (const { pattern, say, isMissing = false } of FORMS) {
    const name = pattern.exec(text)?.[1];
    if (name !== undefined && wroteName(statement, name)) return prepared(say(name, help), cause, isMissing);
  }
  const run = RUN_FORMS.find(([pattern]) => pattern.test(text));
  if (run !== undefined) return ran(run[1], cause, text === "malformed JSON");
  if (TIMED_OUT.test(text))
    return prepared("The query took too long. Narrow it with a WHERE on an indexed column.", cause);
  const plain = PLAIN.find(([pattern]) => pattern.test(text));
  if (plain !== undefined) return prepared(plain[1], cause);
  return ran("The query failed while running.", cause);
}

function ran(message: string, cause: unknown, isMalformedJson = false): Problem {
  return { phase: "run", isDrift: false, isMalformedJson, error: failed(message, cause) };
}

function prepared(message: string, cause: unknown, isMissing = false): Problem {
  return { phase: "prepare", isDrift: false, isMalformedJson: false, error: failed(message, cause, isMissing) };
}

function drifted(cause: unknown): Problem {
  return {
    phase: "prepare",
    isDrift: true,
    isMalformedJson: false,
    error: failed("The table is not what it was declared to be.", cause),
  };
}

function failed(message: string, cause: unknown, isMissing = false): AppError {
  return new AppError("query_failed", message, { cause, isMissing });
}

function deniedMessage(name: string, { tables }: Help): string {
  return `There is no table ${name} here that you may read.${choice(name, tables, "Tables")}`;
}

function rawMessageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : "";
}

/** D1 wraps SQLite's text: `D1_ERROR: no such column: x at offset 12: SQLITE_ERROR`. */
function messageOf(thrown: unknown): string {
  return rawMessageOf(thrown)
    .replace(/^D1_(?:EXEC_)?ERROR: /, "")
    .replace(/: SQLITE_[A-Z_]+(?: \(extended: [A-Z_]+\))?$/, "")
    .replace(/ at offset \d+$/, "");
}

/** Whether every part of a possibly dotted name stands in the person's own text. */
function wroteName(statement: Statement, name: string): boolean {
  const text = foldName(statement.text);
  return name.split(".").every((part) => part !== "" && text.includes(foldName(part)));
}
