// Layer 2 of governed SQL, the mechanical half: puts guard views in front of a person's SELECT. Unqualified names then
// resolve to the views, and every other name that occurs resolves to something that cannot be read.
import { AppError } from "../errors.ts";
import { foldName, quoteIdentifier } from "./identifier.ts";
import { createParameters, typed } from "./parameters.ts";
import type { Parameters, SqlValue } from "./parameters.ts";
import type { Statement } from "./statement.ts";

/** A table as the subject may see it: `name` is the public one, `select` reads the base table through the policy. */
export interface GuardView {
  readonly name: string;
  readonly select: (parameters: Parameters) => string;
}

export interface GuardOptions {
  /** Random text that nobody can guess, new for each query: letters and digits. */
  readonly nonce: string;
  /** Rows to return at most; one more is asked for, to tell that something was cut. */
  readonly maxRows: number;
  /**
   * Compute each view before the person's expressions see it. Slower, but an expression then cannot fail on a row that
   * the row rule hides, which would tell that the row exists.
   */
  readonly materialized: boolean;
}

/** A statement ready to run. */
export interface GuardedQuery {
  readonly sql: string;
  /** One value per parameter number, the guard's first. */
  readonly parameters: readonly SqlValue[];
  /** Names of the views that occur in the SQL, as declared. */
  readonly used: readonly string[];
  /** The name behind each deny-CTE, as the person wrote it: what reading it fails on is `deniedTable(nonce, index)`. */
  readonly denied: readonly string[];
}

/** D1's limits on one statement. */
const MAX_STATEMENT_BYTES = 100_000;
const MAX_PARAMETERS = 100;

/** Table-valued functions that read only their arguments. A deny-CTE of the same name would break them, so it is left out
 * where they are called and nowhere named without a call: a table may have the same name. */
const ALLOWED_TABLE_FUNCTIONS = new Set(["json_each", "json_tree"]);

/** The table, existing nowhere, that a deny-CTE reads. */
export function deniedTable(nonce: string, index: number): string {
  return `denied_${nonce}_${index}`;
}

/**
 * Composes the statement: per view a nonce CTE that applies the policy and a public CTE that selects from it; a
 * deny-CTE for every other name that occurs, so that ungranted tables, views and tables made a second ago fail alike;
 * then the person's own text, untouched, wrapped in a limited SELECT.
 *
 * Throws `invalid_input` when the number of values is not the number of `?`, `query_refused` when the composed
 * statement would pass D1's limits.
 */
export function guardQuery(
  statement: Statement,
  values: readonly SqlValue[],
  views: readonly GuardView[],
  options: GuardOptions,
): GuardedQuery {
  if (values.length !== statement.parameterOffsets.length) {
    throw new AppError(
      "invalid_input",
      `The SQL has ${statement.parameterOffsets.length} parameter(s) but params has ${values.length} value(s). Give one value for each ?.`,
    );
  }
  if (!Number.isSafeInteger(options.maxRows)) throw new TypeError("maxRows must be a whole number");
  // Numbered placeholders first: SQLite then numbers the person's plain ? after the highest of them.
  const parameters = createParameters();
  const used = views.filter((view) => statement.names.has(foldName(view.name)));
  const usedNames = new Set(used.map((view) => foldName(view.name)));
  const denied = [...statement.names].filter(
    ([name]) => !usedNames.has(name) && !(ALLOWED_TABLE_FUNCTIONS.has(name) && statement.calledOnly.has(name)),
  );
  const ctes = [
    ...used.flatMap((view, index) => viewCtes(view, index, parameters, options)),
    ...denied.map(([name], index) => denyCte(name, index, options)),
  ];
  const sql = `WITH ${ctes.join(", ")} SELECT * FROM (\n${withTypes(statement, values)}\n) LIMIT ${options.maxRows + 1}`;
  if (new TextEncoder().encode(sql).length > MAX_STATEMENT_BYTES) {
    throw new AppError("query_refused", "The SQL uses too many different names. Split it into smaller queries.");
  }
  const free = MAX_PARAMETERS - parameters.values.length;
  if (values.length > free) {
    throw new AppError("query_refused", `The SQL has ${values.length} parameters; at most ${free} are possible here.`);
  }
  return {
    sql,
    parameters: [...parameters.values, ...values],
    used: used.map((view) => view.name),
    denied: denied.map(([, name]) => name),
  };
}

/** The person's text with the type of each whole number written to its `?`. */
function withTypes({ text, parameterOffsets }: Statement, values: readonly SqlValue[]): string {
  return parameterOffsets.reduceRight((result, offset, index) => {
    return `${result.slice(0, offset)}${typed("?", values[index] ?? null)}${result.slice(offset + 1)}`;
  }, text);
}

function viewCtes(view: GuardView, index: number, parameters: Parameters, options: GuardOptions): readonly string[] {
  const nonceName = quoteIdentifier(`guard_${options.nonce}_${index}`);
  const materialized = options.materialized ? "MATERIALIZED " : "";
  return [
    `${nonceName} AS ${materialized}(${view.select(parameters)})`,
    `${quoteIdentifier(view.name)} AS (SELECT * FROM ${nonceName})`,
  ];
}

function denyCte(name: string, index: number, options: GuardOptions): string {
  return `${quoteIdentifier(name)} AS (SELECT * FROM ${quoteIdentifier(deniedTable(options.nonce, index))})`;
}
