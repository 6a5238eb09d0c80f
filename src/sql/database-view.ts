// Examines a view of the database before it may be a dataset: what it reads and calls, and how much work it is. A guard view over it is
// computed as a whole and sorted by all it shows (policy/guard-view.ts), so no statement around it changes any of this.
import { isOperator, isWord } from "./clauses.ts";
import type { PlanLine } from "./engine/sqlite.ts";
import { ALLOWED_FUNCTIONS, ALLOWED_TABLE_FUNCTIONS } from "./functions.ts";
import { findReservedPrefix, foldName, quoteIdentifier } from "./identifier.ts";
import { tokenize } from "./lexer.ts";
import type { LexerToken } from "./lexer.ts";
import { pairParentheses } from "./parentheses.ts";
import { isLoop } from "./plan-loops.ts";
import type { StatementText } from "./plan-sources.ts";
import { outlineQueries } from "./query-outline.ts";
import type { QueryOutline } from "./query-outline.ts";
import { createRowBounds } from "./row-bounds.ts";
import { UNKNOWN_ROWS, toClassLog2 } from "./row-count-class.ts";
import { findCostliestFrame } from "./window-frames.ts";
import { estimateWork } from "./work-estimate.ts";

/** The parts of a CREATE VIEW statement. */
export interface ViewDeclaration {
  /** The list of column names in parentheses; empty without one. */
  readonly columnList: string;
  /** The query after AS. */
  readonly query: string;
}

/** Parses a CREATE VIEW statement; undefined for any other text. */
export function parseViewDeclaration(sql: string): ViewDeclaration | undefined {
  const tokens = significant(sql);
  let at = tokens.slice(0, 3).findIndex((token) => isWord(token, "view")) + 1;
  if (at === 0) return undefined;
  if (isWord(tokens[at], "if")) at += 3;
  at += isOperator(tokens[at + 1], ".") ? 3 : 1;
  const end = isOperator(tokens[at], "(") ? pairParentheses(tokens).findClosing(at) + 1 : at;
  const [as, first] = [tokens[end], tokens[end + 1]];
  if (!isWord(as, "as") || first === undefined) return undefined;
  const columnList = end === at ? "" : sql.slice(tokens[at]?.start, tokens[end - 1]?.end);
  return { columnList, query: sql.slice(first.start) };
}

/** Lists the folded names that occur in the text of a view, among them those of all tables and views that it reads. */
export function listMentionedNames(sql: string): ReadonlySet<string> {
  return new Set(significant(sql).flatMap(({ kind, value }) => (kind === "operator" ? [] : [foldName(value)])));
}

function significant(sql: string): readonly LexerToken[] {
  return tokenize(sql).filter(({ kind }) => kind !== "space" && kind !== "comment");
}

/** An action that SQLite reports to its authorizer: its code, and two texts that depend on the code. */
export type ViewAction = readonly [code: number, first: string | null, second: string | null, database: string | null];

/** What a view reads, or why it cannot be a dataset. `refusal` continues a sentence that begins with the view's name. */
export type ViewReads =
  { readonly refusal: string } | { readonly names: ReadonlySet<string>; readonly callsTableFunctions: boolean };

/** Action codes (sqlite3.h, Authorizer Action Codes). All others are refused. */
const READ = 20;
const SELECT = 21;
const FUNCTION = 31;
const RECURSIVE = 33;

/**
 * Judges what the compilation of `SELECT * FROM view` reports. A view may do what users' SQL may do: read ordinary tables and other views,
 * and call listed functions. `isObject` says whether the database has a table or view of a folded name.
 */
export function judgeView(actions: readonly ViewAction[], isObject: (name: string) => boolean): ViewReads {
  const names = new Set<string>();
  let callsTableFunctions = false;
  for (const [code, first, second, database] of actions) {
    const name = foldName(first ?? "");
    if (code === RECURSIVE) return { refusal: "is recursive, so nothing bounds the work of reading it." };
    if (code === FUNCTION) {
      const called = foldName(second ?? "");
      if (!ALLOWED_FUNCTIONS.has(called)) return { refusal: `calls ${called}(), which SQL may not call here.` };
    } else if (code === READ) {
      if (findReservedPrefix(name) !== undefined)
        return { refusal: `reads ${name}, which belongs to the database or to Gatehouse.` };
      if (isObject(name)) names.add(name);
      else if (ALLOWED_TABLE_FUNCTIONS.has(name)) {
        callsTableFunctions = true;
        // A table of this name would be read in its place.
        names.add(name);
      }
      // SQLite reports a WITH query of which no column is used without a database.
      else if (second !== "" || database !== null) return { refusal: `reads ${name}, which is no table or view.` };
    } else if (code !== SELECT) return { refusal: "does something else than read tables and views." };
  }
  return { names, callsTableFunctions };
}

/** How much work it is to compute a view, and how many rows it has; log2, in size classes, because the tables may have hidden rows. */
export interface ViewWork {
  readonly stepsLog2: number;
  readonly rowsLog2: number;
}

/** What the estimate of a view's work is made from. */
export interface ViewEstimateInput {
  /** The folded name of the view. */
  readonly name: string;
  /** The plan of `SELECT * FROM view`. */
  readonly plan: readonly PlanLine[];
  /** The folded names of everything that the view reads. */
  readonly reads: ReadonlySet<string>;
  /** The declarations of the database's views by folded name. */
  readonly declarations: ReadonlyMap<string, string>;
  /** Returns the approximate rows of the table with this folded name; undefined if unknown. */
  readonly getRowCount: (table: string) => number | undefined;
}

/** Estimates the work of a view. Where it cannot tell what a loop of the plan reads, it takes the largest table that the view reads. */
export function estimateView({ name, plan, reads, declarations, getRowCount }: ViewEstimateInput): ViewWork {
  const views = orderViews(name, reads, declarations);
  const tables = new Set([...reads].filter((read) => !declarations.has(read) && !ALLOWED_TABLE_FUNCTIONS.has(read)));
  const countRows = (table: string): number | undefined =>
    tables.has(table) ? (getRowCount(table) ?? UNKNOWN_ROWS) : undefined;
  const text = writeAsQuery(name, views, declarations);
  const tokens = significant(text);
  const outline = outlineQueries(tokens);
  const { stepsLog2, rowsLog2 } = estimateWork(nameTables(plan, outline, tables, countRows), {
    getRowCount: countRows,
    usesSizeClass: () => false,
    listRuleColumns: () => NO_COLUMNS,
    maxElements: Math.max(MIN_ELEMENTS, text.length / 2),
    frame: findCostliestFrame({ tokens }, []),
    readText: (): StatementText => ({
      outline,
      bounds: createRowBounds(outline, [], (table) => {
        const rows = countRows(table);
        return rows === undefined ? "no such column" : Math.log2(Math.max(1, rows));
      }),
    }),
  });
  return { stepsLog2: toClassLog2(stepsLog2), rowsLog2: toClassLog2(Math.min(rowsLog2, stepsLog2)) };
}

const NO_COLUMNS: ReadonlySet<string> = new Set();
/** Elements that a JSON array in a row is assumed to have. */
const MIN_ELEMENTS = 100;

/** Lists the views that a view reads, itself last and each after those that it reads. */
function orderViews(
  name: string,
  reads: ReadonlySet<string>,
  declarations: ReadonlyMap<string, string>,
): readonly string[] {
  const ordered = new Set<string>();
  const visited = new Set<string>();
  const visit = (view: string): void => {
    if (visited.has(view)) return;
    visited.add(view);
    const mentioned = listMentionedNames(declarations.get(view) ?? "");
    for (const other of mentioned) if (reads.has(other) && declarations.has(other)) visit(other);
    ordered.add(view);
  };
  visit(name);
  return [...ordered];
}

/** Writes a view as a WITH query for each view that it reads, whose rows the outline of the text then bounds. */
function writeAsQuery(name: string, views: readonly string[], declarations: ReadonlyMap<string, string>): string {
  const queries = views.flatMap((view) => {
    const declaration = parseViewDeclaration(declarations.get(view) ?? "");
    return declaration === undefined
      ? []
      : [`${quoteIdentifier(view)} ${declaration.columnList} AS (\n${declaration.query}\n)`];
  });
  return `WITH ${queries.join(", ")} SELECT * FROM ${quoteIdentifier(name)}`;
}

/**
 * Writes the tables' own names into the loops of a plan, as a plan of guard views has them. A loop has the alias by which some view calls
 * its table, and several views may give one alias to different tables: then the largest counts.
 */
function nameTables(
  plan: readonly PlanLine[],
  { queries }: QueryOutline,
  tables: ReadonlySet<string>,
  countRows: (table: string) => number | undefined,
): readonly PlanLine[] {
  const sources = queries.flatMap(({ terms }) => terms.flatMap((term) => term.sources));
  const knownNames = new Set(sources.map(({ exposedName }) => exposedName));
  const subqueries = new Set(
    plan.flatMap(({ detail }) => foldName(/^(?:MATERIALIZE|CO-ROUTINE) (.+)$/.exec(detail)?.[1] ?? "") || []),
  );
  const findTable = (alias: string): string | undefined => {
    const named = sources.filter(({ exposedName, name }) => exposedName === alias && tables.has(name));
    const isUnknown = named.length === 0 && !knownNames.has(alias) && !subqueries.has(alias);
    const candidates = isUnknown ? [...tables] : named.map(({ name }) => name);
    return candidates.toSorted((a, b) => (countRows(b) ?? 0) - (countRows(a) ?? 0))[0];
  };
  return plan.map((line) => {
    const [, kind = "", alias = "", rest = ""] = LOOP.exec(line.detail) ?? [];
    const isTableLoop = isLoop(line) && alias !== "" && !line.detail.includes(" VIRTUAL TABLE ");
    const table = isTableLoop ? findTable(foldName(alias)) : undefined;
    return table === undefined ? line : { ...line, detail: `${kind} main.${table}${rest}` };
  });
}

/** The kind of a loop, the alias of what it reads, and the rest of its line. Constants and subqueries without a name have no alias. */
const LOOP =
  /^(SCAN|SEARCH) (?!main\.|\(|(?:\d+[ -])?CONSTANT ROW|ROW VALUES)(.+?)((?: EXISTS)?(?: USING .*| LEFT-JOIN)?)$/;
