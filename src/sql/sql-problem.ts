// Turns a database's error about a user's statement into a message of Gatehouse. A message contains names only if the user wrote them or
// may read them, and no other text of the database.
import { AppError } from "../errors.ts";
import { locateInStatement, locateInText } from "./statement-guard.ts";
import type { GuardView, GuardedQuery } from "./statement-guard.ts";
import { findWithQueries } from "./defined-names.ts";
import { foldName } from "./identifier.ts";
import { ROWID_NAMES } from "./rowid-names.ts";
import { isOutage, isTimeout, readSqliteMessage } from "./d1-messages.ts";
import { describeOtherDialect, isSystemTable, suggestFunction } from "./dialect-hints.ts";
import { DESCRIBE_INSTEAD } from "./other-dialects.ts";
import { CLAUSE_MESSAGE_PATTERNS } from "./clause-problems.ts";
import { LIMIT_MESSAGE_PATTERNS } from "./limit-problems.ts";
import { explainSyntaxError } from "./syntax-errors.ts";
import { listVisibleColumns, suggestColumn } from "./visible-columns.ts";
import { writeName } from "./name-writer.ts";
import { suggestName } from "./suggest.ts";
import type { Statement } from "./statement.ts";

/** A failed statement. A failure in phase `run` may depend on rows, and so may reveal something about them; one in `prepare` cannot. */
export interface SqlProblem {
  readonly phase: "prepare" | "run";
  /** Whether the table has changed since it was compared with its declaration. */
  readonly isDrift: boolean;
  /** Whether a guard view met a value that has no masking token yet. */
  readonly isMaskingTokenMissing: boolean;
  readonly error: AppError;
}

/**
 * Guard views pass this to a JSON function as a path where a value has no masking token. SQLite repeats an invalid path in its
 * message, so the marker, and not SQLite's wording, identifies the case. A user cannot know the nonce, so no SQL of theirs fails with
 * it: a second run that depended on a hidden row would reveal the row.
 */
export function buildMissingTokenMarker(nonce: string): string {
  return `gatehouse: masking token missing ${nonce}`;
}

/** Says that there is no table of a name that the user may read; the table may be in another source. */
export class MissingTableError extends AppError {
  /** The name as the user wrote it, with the source or schema before it if there is one. */
  readonly table: string;

  constructor(table: string, publicMessage: string, cause: unknown) {
    super("query_failed", publicMessage, { cause, isMissing: true });
    this.table = table;
  }
}

/** Names that a message may contain although the user did not write them, because the user may read them. */
interface ReadableNames {
  /** Whether the message will say what to write for a form of another dialect. */
  readonly isOtherDialect: boolean;
  /** Lists the columns that a missing column may mean: those of what the SELECT around it reads. */
  readonly listColumns: (name: string) => readonly string[];
  /** Suggests the column that is probably meant; empty if there is none. */
  readonly suggestColumn: (name: string) => string;
  /** All tables of the source. */
  readonly tables: readonly string[];
  /** The names that the statement's WITH clauses define, as written. */
  readonly withQueries: readonly string[];
  /** Key columns of the tables that the SQL uses, as `table.column`. */
  readonly keys: readonly string[];
}

interface MessagePattern {
  readonly pattern: RegExp;
  /** Whether a name does not exist for this user, so that another role might make it visible. */
  readonly isMissing?: true;
  readonly formatMessage: (name: string, help: ReadableNames) => string;
}

/** Maximum names that a message lists. */
const MAX_LISTED = 30;

const NAMED_MESSAGE_PATTERNS: readonly MessagePattern[] = [
  {
    pattern: /^no such column: "(.+)" - should this be a string literal/,
    formatMessage: (name, names) =>
      `There is no column ${name} here that you may read. If it is text, put it in single quotes.${describeColumns(name, names)}`,
  },
  {
    isMissing: true,
    pattern: /^no such column: (.+?)(?: - should this be a string literal.*)?$/,
    formatMessage: (name, names) => `There is no column ${name} here that you may read.${describeColumns(name, names)}`,
  },
  {
    isMissing: true,
    pattern: /^cannot join using column (.+) - column not present in both tables$/s,
    formatMessage: (name, names) =>
      `USING (${name}) needs a column ${name} in both tables, and there is none here that you may read. ` +
      `Write ON with a column of each.${describeColumns(name, names)}`,
  },
  {
    pattern: /^ambiguous column name: (.+)$/,
    formatMessage: (name) => `The column ${name} is ambiguous. Put the table's name or alias before it.`,
  },
  {
    pattern: /^no such function: (.+)$/,
    formatMessage: (name, { isOtherDialect }) =>
      `There is no function ${name} here.${isOtherDialect ? "" : ` The dialect is SQLite.${suggestFunction(name)}`}`,
  },
  // D1 has functions that it does not let any statement call.
  {
    pattern: /^not authorized to use function: (.+)$/,
    formatMessage: (name) => `The function ${name} is not available in this database.`,
  },
  {
    pattern: /^wrong number of arguments to function (.+?)\(\)$/,
    formatMessage: (name) => `The function ${name} got the wrong number of arguments.`,
  },
  {
    pattern: /^misuse of (?:aliased )?aggregate(?: function)?:? (.+?)(?:\(\))?$/,
    formatMessage: (name) => `${name} cannot be used in that place. Filter groups with HAVING, or in an outer query.`,
  },
  {
    pattern: /^misuse of (?:aliased )?window function:? (.+?)(?:\(\))?$/,
    formatMessage: (name) => `${name} cannot be used in that place. Filter by it in an outer query.`,
  },
  {
    pattern: /^no such collation sequence: (.+)$/,
    formatMessage: (name) => `There is no collation ${name}. There are BINARY, NOCASE and RTRIM.`,
  },
  {
    pattern: /^no such window: (.+)$/,
    formatMessage: (name) => `There is no window ${name}. Define it: WINDOW ${name} AS (ORDER BY …), after HAVING.`,
  },
  {
    pattern: /^circular reference: (.+)$/,
    formatMessage: (name) => `${name} refers to itself. Choose another name for the WITH query.`,
  },
];

/** Says what to write in place of a rowid, which guard views do not have. */
function suggestKeys(name: string, keys: readonly string[]): string {
  const isRowid = ROWID_NAMES.has(foldName(name.split(".").at(-1) ?? name));
  return isRowid && keys.length > 0 ? ` Use the key column: ${keys.slice(0, MAX_LISTED).join(", ")}.` : "";
}

/** Suggests the column that the user probably meant, and lists the columns that could be. */
function describeColumns(name: string, names: ReadableNames): string {
  return `${suggestKeys(name, names.keys)}${names.suggestColumn(name)}${listNames(names.listColumns(name), "Columns")}`;
}

/** Suggests the table or WITH query that the user probably meant, and lists the readable tables. */
function describeTables(name: string, { tables, withQueries }: ReadableNames): string {
  const suggestion = suggestName(name, [...withQueries, ...tables]);
  return `${suggestion === undefined ? "" : ` Did you mean ${writeName(suggestion)}?`}${listNames(tables, "Tables")}`;
}

function listNames(names: readonly string[], title: string): string {
  const listed = names.slice(0, MAX_LISTED).map(writeName).join(", ");
  const more = names.length > MAX_LISTED ? ` and ${names.length - MAX_LISTED} more` : "";
  return names.length === 0 ? "" : ` ${title}: ${listed}${more}.`;
}

const PREPARE_MESSAGE_PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/has \d+ values for \d+ columns/, "A WITH query returns a different number of columns than its name lists."],
  [/syntax error/, "The SQL has a syntax error."],
  [
    /do(?:es)? not have the same number of result columns|all VALUES must have the same number/,
    "The parts of the query have different numbers of columns.",
  ],
  ...LIMIT_MESSAGE_PATTERNS,
  [/returns \d+ columns|row value misused|sub-select/, "A subquery there must return one column."],
  [
    /^DISTINCT aggregates? must /,
    "A function with DISTINCT takes one argument. For a separator, or several columns, select DISTINCT in a subquery first.",
  ],
  ...CLAUSE_MESSAGE_PATTERNS,
];

/** The exact messages of SQLite while a statement runs. */
const RUN_MESSAGE_PATTERNS: readonly (readonly [RegExp, string])[] = [
  [
    /^(?:malformed JSON|bad JSON path: .*|JSON cannot hold BLOB values|JSON path error near .*)$/s,
    "A JSON function got text that is not JSON, or an invalid path.",
  ],
  [/^integer overflow$/, "A number in the query became too large."],
  [/^datatype mismatch$/, "LIMIT and OFFSET take whole numbers."],
  [/^LIKE or GLOB pattern too complex$/, "A LIKE or GLOB pattern is longer than 50 bytes."],
  [/^(?:string or blob too big|out of memory)$/, "A value in the query became too large."],
  [/^interrupted$/, "The query took too long. Narrow it with a WHERE on an indexed column."],
];

const VIEW_FAILED = "The query, or the SELECT of a view that it reads, failed while running.";

const SCHEMA_MESSAGE =
  /^(?:no such table: [^.]+|no tables specified|no such index: .*|'.*' is not a function|ambiguous reference to .*)$/s;

/** A column that a guard view reads no longer exists in its table. */
const MISSING_VIEW_COLUMN = /^no such column: main\./;

/** A table that a view of the database reads no longer exists, or lacks a column. */
const BROKEN_VIEW = /^no such (?:table: (?=main\.(?!denied_))|column: (?!main\.))(.+)$/;

/** The parts of a request that messages depend on. */
interface ProblemContext {
  readonly statement: Statement;
  readonly views: readonly GuardView[];
  readonly nonce: string;
}

/** Creates the error for a statement that the in-memory SQLite rejected before any database saw it. */
export function createInvalidSqlError(
  { message, offset }: { readonly message: string; readonly offset: number },
  context: ProblemContext,
  query: GuardedQuery,
): AppError {
  const position = offset < 0 ? undefined : locateInStatement(context.statement, query, offset);
  const place = offset < 0 ? undefined : locateInText(query, offset);
  const { error } = classifyMessage({ text: message, offset: place }, context, query, new Error(message));
  return position === undefined
    ? error
    : restateError(error, `${error.publicMessage} (At character ${position} of the SQL.)`, error.isMissing);
}

/**
 * Classifies the database's error about a guarded query. An unknown message counts as `run`, because it comes from a statement that
 * SQLite had accepted.
 */
export function classifyDatabaseError(thrown: unknown, context: ProblemContext, query: GuardedQuery): SqlProblem {
  if (isOutage(thrown)) {
    const message = "The database does not answer at the moment. Try again in a minute.";
    return {
      phase: "prepare",
      isDrift: false,
      isMaskingTokenMissing: false,
      error: new AppError("source_unavailable", message, { cause: thrown }),
    };
  }
  return classifyMessage({ text: readSqliteMessage(thrown), offset: undefined }, context, query, thrown);
}

/** A message of SQLite, and the UTF-16 offset in the statement's text of what it is about; undefined if that is unknown. */
interface SqliteMessage {
  readonly text: string;
  readonly offset: number | undefined;
}

function classifyMessage(
  message: SqliteMessage,
  context: ProblemContext,
  query: GuardedQuery,
  cause: unknown,
): SqlProblem {
  const hints = describeOtherDialect(context.statement.tokens);
  const problem = classifyText(message, context, query, cause, hints !== "");
  if (hints === "" || problem.phase === "run" || problem.isDrift) return problem;
  // A name of another dialect that SQLite took for a column is not missing for this user alone.
  const { error } = problem;
  const publicMessage = `${error.publicMessage} ${hints}`;
  return { ...problem, error: restateError(error, publicMessage, error instanceof MissingTableError) };
}

function classifyText(
  { text, offset }: SqliteMessage,
  { statement, views, nonce }: ProblemContext,
  query: GuardedQuery,
  cause: unknown,
  isOtherDialect: boolean,
): SqlProblem {
  const readableNames = {
    isOtherDialect,
    listColumns: (name: string) =>
      listVisibleColumns(statement, { name, offset }, query.usedViews) ?? [
        ...new Set(query.usedViews.flatMap((view) => view.columns)),
      ],
    suggestColumn: (name: string) => suggestColumn(statement, { name, offset }, query.usedViews),
    tables: views.map((view) => view.name),
    withQueries: [...findWithQueries(statement.tokens)].map((name) => statement.names.get(name) ?? name),
    keys: query.usedViews.flatMap(({ name, key }) =>
      key === undefined ? [] : [`${writeName(name)}.${writeName(key)}`],
    ),
  };
  const deniedMatch = new RegExp(`^no such table: (?:main\\.)?denied_${nonce}_([0-9]+)$`).exec(text);
  if (deniedMatch !== null)
    return createMissingTableProblem(query.deniedNames[Number(deniedMatch[1])] ?? "", readableNames, cause);
  // After a first error, SQLite looks names up past the guard, and its last message then reveals what exists. All its messages about
  // tables and indexes therefore become one text; the deny-CTEs above handle the tables that the user may not read.
  if (MISSING_VIEW_COLUMN.test(text)) return createDriftProblem(cause);
  const viewMisses = query.usedViews.some(({ isDatabaseView }) => isDatabaseView) ? BROKEN_VIEW.exec(text)?.[1] : "";
  if (viewMisses && !isWrittenInStatement(statement, viewMisses)) return createDriftProblem(cause);
  if (SCHEMA_MESSAGE.test(text))
    return createPrepareProblem(
      "The SQL uses a name that does not exist here, or uses it in the wrong place. Call describe for names.",
      cause,
      true,
    );
  const [, qualifiedTable = ""] = /^no such table: ([^ ]+\..+)$/.exec(text) ?? [];
  if (qualifiedTable !== "" && isWrittenInStatement(statement, qualifiedTable))
    return createMissingTableProblem(qualifiedTable, readableNames, cause);
  const near = /^near "(.+)": syntax error$/s.exec(text)?.[1];
  if (near !== undefined && isWrittenInStatement(statement, near))
    return createPrepareProblem(
      `There is a syntax error near ${near}.${isOtherDialect ? "" : explainSyntaxError(near, offset, statement.tokens)}`,
      cause,
    );
  // The parenthesis is that of the frame around the user's text.
  if (near === ")" || text === "incomplete input")
    return createPrepareProblem("There is a syntax error at the end of the SQL: something is missing there.", cause);
  for (const { pattern, formatMessage, isMissing = false } of NAMED_MESSAGE_PATTERNS) {
    const name = pattern.exec(text)?.[1];
    if (name !== undefined && isWrittenInStatement(statement, name))
      return createPrepareProblem(formatMessage(name, readableNames), cause, isMissing);
  }
  const runPattern = RUN_MESSAGE_PATTERNS.find(([pattern]) => pattern.test(text));
  if (runPattern !== undefined) {
    // What the failing expression does is the view's own affair, and it may fail on a row that the user does not see.
    const message = query.usedViews.some(({ isDatabaseView }) => isDatabaseView) ? VIEW_FAILED : runPattern[1];
    return createRunProblem(message, cause, text.includes(buildMissingTokenMarker(nonce)));
  }
  if (isTimeout(text))
    return createPrepareProblem("The query took too long. Narrow it with a WHERE on an indexed column.", cause);
  const preparePattern = PREPARE_MESSAGE_PATTERNS.find(([pattern]) => pattern.test(text));
  if (preparePattern !== undefined) return createPrepareProblem(preparePattern[1], cause);
  return createRunProblem("The query failed while running.", cause);
}

function createRunProblem(message: string, cause: unknown, isMaskingTokenMissing = false): SqlProblem {
  return { phase: "run", isDrift: false, isMaskingTokenMissing, error: createQueryFailedError(message, cause) };
}

function createPrepareProblem(message: string, cause: unknown, isMissing = false): SqlProblem {
  return {
    phase: "prepare",
    isDrift: false,
    isMaskingTokenMissing: false,
    error: createQueryFailedError(message, cause, isMissing),
  };
}

function createDriftProblem(cause: unknown): SqlProblem {
  return {
    phase: "prepare",
    isDrift: true,
    isMaskingTokenMissing: false,
    error: createQueryFailedError("The table differs from its declaration.", cause),
  };
}

function createQueryFailedError(message: string, cause: unknown, isMissing = false): AppError {
  return new AppError("query_failed", message, { cause, isMissing });
}

/** Explains a missing table by its name as written, which may have a source or schema before it. */
function formatMissingTable(name: string, names: ReadableNames): string {
  if (name.split(".").some(isSystemTable)) return `There are no system tables here. ${DESCRIBE_INSTEAD}`;
  const table = name.split(".").at(-1) ?? name;
  if (table === name) return `There is no table ${name} here that you may read.${describeTables(name, names)}`;
  const readable = names.tables.find((candidate) => foldName(candidate) === foldName(table));
  if (readable !== undefined) return `Write the table's name without the source before it: ${writeName(readable)}.`;
  return [
    `Write table names without the source before them; there is no table ${table} here that you may read.`,
    describeTables(table, names),
  ].join("");
}

function createMissingTableProblem(name: string, names: ReadableNames, cause: unknown): SqlProblem {
  const isSystem = name.split(".").some(isSystemTable);
  const message = formatMissingTable(name, names);
  return {
    phase: "prepare",
    isDrift: false,
    isMaskingTokenMissing: false,
    error: isSystem ? createQueryFailedError(message, cause) : new MissingTableError(name, message, cause),
  };
}

function restateError(error: AppError, publicMessage: string, isMissing: boolean): AppError {
  return error instanceof MissingTableError
    ? new MissingTableError(error.table, publicMessage, error.cause)
    : createQueryFailedError(publicMessage, error.cause, isMissing);
}

/** Whether every part of a name, which may have dots, occurs in the user's text. */
function isWrittenInStatement(statement: Statement, name: string): boolean {
  const text = foldName(statement.text);
  return name.split(".").every((part) => part !== "" && text.includes(foldName(part)));
}
