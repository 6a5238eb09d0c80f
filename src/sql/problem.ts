// Turns what the database said about a person's statement into our own words. Names are repeated only if the person
// wrote them; nothing else of the database's text gets through.
import { AppError } from "../errors.ts";
import type { GuardedQuery } from "./guard.ts";
import { foldName } from "./identifier.ts";
import type { Statement } from "./statement.ts";

/** What went wrong. A failure of phase `run` may depend on rows, and so may tell of them; one of phase `prepare` cannot. */
export interface Problem {
  readonly phase: "prepare" | "run";
  /** The table has changed since it was compared with its declaration. */
  readonly isDrift: boolean;
  readonly error: AppError;
}

interface Form {
  readonly pattern: RegExp;
  readonly say: (name: string) => string;
}

const FORMS: readonly Form[] = [
  {
    pattern: /^no such column: (.+?)(?: - should this be a string literal.*)?$/,
    say: (name) => `There is no column ${name} here that you may read.`,
  },
  {
    pattern: /^ambiguous column name: (.+)$/,
    say: (name) => `The column ${name} is ambiguous. Put the table's name or alias before it.`,
  },
  { pattern: /^no such function: (.+)$/, say: (name) => `There is no function ${name} here.` },
  {
    pattern: /^wrong number of arguments to function (.+?)\(\)$/,
    say: (name) => `The function ${name} got the wrong number of arguments.`,
  },
  {
    pattern: /^misuse of (?:aggregate|window function|aliased aggregate|aliased window function):? (.+?)(?:\(\))?$/,
    say: (name) => `${name} cannot be used in that place.`,
  },
  { pattern: /^near "(.+)": syntax error$/, say: (name) => `There is a syntax error near ${name}.` },
  {
    pattern: /^no such table: (?:[^ ]+\.)?(.+)$/,
    say: (name) =>
      `There is no table ${name} here that you may read. Write table names without the source before them.`,
  },
  {
    pattern: /^circular reference: (.+)$/,
    say: (name) => `${name} refers to itself. Give your WITH name a name of its own.`,
  },
];

const PLAIN: readonly (readonly [RegExp, string])[] = [
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

/**
 * Reads the database's message about a guarded query. A message that none of the forms knows is told apart only by
 * coming from a statement that was accepted: it counts as `run`.
 */
export function readProblem(thrown: unknown, statement: Statement, query: GuardedQuery, nonce: string): Problem {
  const text = messageOf(thrown);
  const denied = new RegExp(`^no such table: (?:main\\.)?denied_${nonce}_([0-9]+)$`).exec(text);
  if (denied !== null) return prepared(deniedMessage(query.denied[Number(denied[1])] ?? ""), thrown);
  // Once SQLite has met one error it looks names up past the guard, and its last message then tells what exists. Whatever
  // it says about tables and indexes is therefore one text; the deny-CTEs above name those that a person may not read.
  if (GUARD_COLUMN.test(text)) return prepared("The table is not what it was declared to be.", thrown);
  if (UNTOLD.test(text))
    return prepared(
      "The SQL names something that is not here, or in a way that does not fit. Call describe for names.",
      thrown,
    );
  for (const { pattern, say } of FORMS) {
    const name = pattern.exec(text)?.[1];
    if (name !== undefined && wroteName(statement, name)) return prepared(say(name), thrown);
  }
  const run = RUN_FORMS.find(([pattern]) => pattern.test(text));
  if (run !== undefined) return ran(run[1], thrown);
  if (TIMED_OUT.test(text))
    return prepared("The query took too long. Narrow it with a WHERE on an indexed column.", thrown);
  if (UNAVAILABLE.test(rawMessageOf(thrown))) {
    const message = "The database does not answer at the moment. Try again in a minute.";
    return { phase: "prepare", isDrift: false, error: new AppError("source_unavailable", message, { cause: thrown }) };
  }
  const plain = PLAIN.find(([pattern]) => pattern.test(text));
  if (plain !== undefined) return prepared(plain[1], thrown);
  return ran("The query failed while running.", thrown);
}

function ran(message: string, cause: unknown): Problem {
  return { phase: "run", isDrift: false, error: failed(message, cause) };
}

function prepared(message: string, cause: unknown): Problem {
  return { phase: "prepare", isDrift: GUARD_COLUMN.test(messageOf(cause)), error: failed(message, cause) };
}

function failed(message: string, cause: unknown): AppError {
  return new AppError("query_failed", message, { cause });
}

function deniedMessage(name: string): string {
  return `There is no table ${name} here that you may read. Call describe for the tables of this source.`;
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
