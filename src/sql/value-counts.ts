// Estimates how many different values an expression takes, from its lexer tokens: a month of a date takes few, a column with a unique index
// as many as there are rows. The work estimate counts the groups of GROUP BY and DISTINCT by it.
import { dropAlias, isName, isOperator, isWord } from "./clauses.ts";
import type { TokenRange } from "./clauses.ts";
import { foldName } from "./identifier.ts";
import type { LexerToken } from "./lexer.ts";
import type { OutlinedQuery, QueryOutline, QueryTerm } from "./query-outline.ts";

/** How many different values the column of a table has, as log2. Both names are folded. */
export type CountValuesLog2 = (table: string, column: string) => number | "unknown" | "no such column";

/** Estimates the values of expressions of one statement. */
export interface ValueCounter {
  /** Estimates log2 of the different combinations of the keys among rows of this number; at most this number. */
  countGroupsLog2(keys: readonly TokenRange[], term: QueryTerm, rowsLog2: number): number;
}

/** log2 of the values of a key whose kind is known; undefined if nothing is known about it. */
type KnownLog2 = number | undefined;

/** A column can be defined by a column of a subquery, and so on. A user could chain hundreds. */
const MAX_STEPS = 12;
/** SQLite accepts at most 100 columns and keys, and joins at most 64 tables. */
const MAX_KEYS = 100;
const MAX_SOURCES = 64;

const BOOLEAN_LOG2 = Math.log2(3);
const YEARS_LOG2 = Math.log2(25);
const DAYS_LOG2 = YEARS_LOG2 + Math.log2(366);
const LENGTHS_LOG2 = 10;

/** log2 of the values of the parts of a date that `strftime` formats. */
const DATE_PARTS: Readonly<Record<string, number>> = {
  Y: YEARS_LOG2,
  G: YEARS_LOG2,
  g: YEARS_LOG2,
  m: Math.log2(12),
  d: Math.log2(31),
  e: Math.log2(31),
  F: DAYS_LOG2,
  j: Math.log2(366),
  W: Math.log2(54),
  U: Math.log2(54),
  V: Math.log2(54),
  w: Math.log2(7),
  u: Math.log2(7),
  H: Math.log2(24),
  k: Math.log2(24),
  I: Math.log2(12),
  l: Math.log2(12),
  p: 1,
  P: 1,
  M: Math.log2(60),
  "%": 0,
};

/** Functions whose result has at most as many values as their first argument. */
const OF_FIRST_ARGUMENT = new Set(
  "abs cast ceil coalesce floor ifnull likely lower ltrim nullif round rtrim sign trim unlikely upper".split(" "),
);
const BOOLEAN_OPERATORS = ["=", "==", "<", "<=", ">", ">=", "<>", "!="];
const BOOLEAN_WORDS = ["is", "in", "like", "glob", "between", "not", "and", "or", "isnull", "notnull", "exists"];

/** Creates a counter for the expressions of an outlined statement. */
export function createValueCounter(outline: QueryOutline, countValuesLog2: CountValuesLog2): ValueCounter {
  const reader = new ExpressionReader(outline, countValuesLog2);
  return {
    countGroupsLog2(keys, term, rowsLog2) {
      const known = keys.slice(0, MAX_KEYS).map((key) => reader.countKeyLog2(key, term));
      const knownLog2 = known.reduce<number>((sum, log2) => sum + (log2 ?? 0), 0);
      return Math.min(
        rowsLog2,
        knownLog2 + guessGroupsLog2(known.filter((log2) => log2 === undefined).length, rowsLog2),
      );
    },
  };
}

/**
 * Guesses log2 of the groups of keys about which nothing is known. Such a key may have five values or as many as there are rows. SQLite
 * guesses at most 100 groups, whatever the keys. Here, a key of a million rows counts as 250 groups, and any number of keys as 10,000 at
 * most: lists of such groups may be joined with each other (10^8 pairs), but not with the rows of a large table.
 */
function guessGroupsLog2(unknownKeys: number, rowsLog2: number): number {
  if (unknownKeys === 0) return 0;
  // Zero times infinity is no number.
  if (rowsLog2 === Number.POSITIVE_INFINITY) return rowsLog2;
  return Math.min(rowsLog2 * 0.4 + ((unknownKeys - 1) * rowsLog2) / 16, (rowsLog2 * 2) / 3);
}

class ExpressionReader {
  readonly #outline: QueryOutline;
  readonly #countValuesLog2: CountValuesLog2;
  /** Counts by what they are of. An expression may name a column of a subquery twice, which names one of another twice, and so on. */
  readonly #counts = new Map<string, KnownLog2 | "no such column">();

  constructor(outline: QueryOutline, countValuesLog2: CountValuesLog2) {
    this.#outline = outline;
    this.#countValuesLog2 = countValuesLog2;
  }

  /** Counts the values of a term of GROUP BY or DISTINCT, which may be an ordinal or an alias of the select list. */
  countKeyLog2(key: TokenRange, term: QueryTerm): KnownLog2 {
    const { tokens } = this.#outline;
    const first = tokens[key.start];
    if (key.end - key.start === 1 && first?.kind === "number") {
      const item = term.items[Number(first.value) - 1];
      return item === undefined ? 0 : this.#countItemLog2(item, term, MAX_STEPS);
    }
    if (key.end - key.start === 1 && isName(first)) {
      const item = this.#findItem(term, [], foldName(first.value));
      if (item !== undefined) return this.#countItemLog2(item, term, MAX_STEPS);
    }
    return this.#countItemLog2(key, term, MAX_STEPS);
  }

  #countItemLog2(item: TokenRange, term: QueryTerm, steps: number): KnownLog2 {
    const count = this.#countOnce(`item ${item.start}`, () =>
      this.#countLog2(dropAlias(this.#outline.tokens, item), term, steps),
    );
    return count === "no such column" ? undefined : count;
  }

  /** A count that depends on itself, as in a recursive query, is unknown. */
  #countOnce(key: string, count: () => KnownLog2 | "no such column"): KnownLog2 | "no such column" {
    if (this.#counts.has(key)) return this.#counts.get(key);
    this.#counts.set(key, undefined);
    const result = count();
    this.#counts.set(key, result);
    return result;
  }

  /** Finds the item of the select list that is called by this folded name. */
  #findItem({ items }: QueryTerm, columns: readonly string[], name: string): TokenRange | undefined {
    if (columns.length > 0) return items[columns.indexOf(name)];
    return items.slice(0, MAX_KEYS).find((item) => {
      const last = this.#outline.tokens[item.end - 1];
      return isName(last) && last.kind !== "string" && foldName(last.value) === name;
    });
  }

  #countLog2(range: TokenRange, term: QueryTerm, steps: number): KnownLog2 {
    if (steps === 0) return undefined;
    const { tokens, parentheses } = this.#outline;
    const { start, end } = range;
    const first = tokens[start];
    if (first === undefined || end <= start) return undefined;
    if (isOperator(first, "(") && parentheses.findClosing(start) === end - 1)
      return isWord(tokens[start + 1], "select", "with", "values")
        ? undefined
        : this.#countLog2({ start: start + 1, end: end - 1 }, term, steps - 1);
    if (end - start === 1) return this.#countOperandLog2(first, term, "", steps);
    if (isOperator(tokens[end - 1], "*")) return Number.POSITIVE_INFINITY;
    if (end - start === 3 && isName(first) && isOperator(tokens[start + 1], ".") && isName(tokens[start + 2]))
      return this.#countColumnLog2(term, foldName(first.value), foldName(tokens[start + 2]?.value ?? ""), steps);
    if (isOperator(tokens[start + 1], "(") && parentheses.findClosing(start + 1) === end - 1)
      return this.#countCallLog2(foldName(first.value), { start: start + 2, end: end - 1 }, term, steps);
    if (isWord(first, "case") && isWord(tokens[end - 1], "end")) return this.#countCaseLog2(range);
    return this.#countOperationLog2(range, term, steps);
  }

  #countOperandLog2(token: LexerToken, term: QueryTerm, qualifier: string, steps: number): KnownLog2 {
    // `*` stands for all columns, which differ from row to row.
    if (token.kind === "operator") return Number.POSITIVE_INFINITY;
    if (token.kind !== "word" && token.kind !== "quoted") return 0;
    return isWord(token, "null", "true", "false")
      ? 0
      : this.#countColumnLog2(term, qualifier, foldName(token.value), steps);
  }

  #countColumnLog2(term: QueryTerm, qualifier: string, column: string, steps: number): KnownLog2 {
    const sources = term.sources.filter(({ exposedName }) => qualifier === "" || exposedName === qualifier);
    for (const { name, query } of sources.slice(0, MAX_SOURCES)) {
      const count =
        query === undefined
          ? this.#countStoredLog2(name, column)
          : this.#countOnce(`column ${query.range.start} ${column}`, () => this.#countOutputLog2(query, column, steps));
      if (count !== "no such column") return count;
    }
    return undefined;
  }

  #countStoredLog2(table: string, column: string): KnownLog2 | "no such column" {
    const count = this.#countValuesLog2(table, column);
    return count === "unknown" ? undefined : count;
  }

  /** Counts the values of a column that a subquery returns. */
  #countOutputLog2(query: OutlinedQuery, column: string, steps: number): KnownLog2 | "no such column" {
    const term = query.terms[0];
    if (term === undefined) return undefined;
    const item = this.#findItem(term, query.columns, column);
    if (item === undefined)
      return term.items.some(({ end }) => isOperator(this.#outline.tokens[end - 1], "*"))
        ? this.#countColumnLog2(term, "", column, steps - 1)
        : "no such column";
    const place = term.items.indexOf(item);
    const counts = query.terms.map((each) => {
      const own = each.items[place];
      return own === undefined ? undefined : this.#countItemLog2(own, each, steps - 1);
    });
    return counts.includes(undefined)
      ? undefined
      : Math.max(...counts.map((count) => count ?? 0)) + Math.log2(counts.length);
  }

  #countCallLog2(name: string, range: TokenRange, term: QueryTerm, steps: number): KnownLog2 {
    const { tokens } = this.#outline;
    const parts = this.#split(range, [","]);
    const [argument = range, second, third] = parts;
    if (name === "strftime") return countFormatLog2(tokens[argument.start]);
    if (name === "date") return DAYS_LOG2;
    if (name === "length" || name === "instr") return LENGTHS_LOG2;
    if (name === "substr" || name === "substring")
      return this.#countSubstringLog2(argument, third ?? second, third !== undefined, term, steps);
    if (name === "iif" || name === "if") return this.#countResultsLog2(parts.slice(1));
    if (name === "exists") return BOOLEAN_LOG2;
    if (name === "mod") return countDivisorLog2(tokens, second);
    if (name === "typeof" || name === "json_type") return 3;
    if (name === "ntile") return countDivisorLog2(tokens, argument);
    if (!OF_FIRST_ARGUMENT.has(name)) return undefined;
    const cast = this.#split(argument, ["as"])[0] ?? argument;
    return this.#countLog2(cast, term, steps - 1);
  }

  /** `substr(x, 1, 7)` of a date is its month. The first characters of any other text take about as many values. */
  #countSubstringLog2(
    text: TokenRange,
    length: TokenRange | undefined,
    hasLength: boolean,
    term: QueryTerm,
    steps: number,
  ): KnownLog2 {
    const whole = this.#countLog2(text, term, steps - 1);
    const characters =
      hasLength && length !== undefined ? Number(this.#outline.tokens[length.start]?.value) : Number.NaN;
    const part = SUBSTRINGS_LOG2.find(([longest]) => characters <= longest)?.[1];
    if (part === undefined) return whole;
    return whole === undefined ? part : Math.min(whole, part);
  }

  /** `CASE … END` takes as many values as it has results, if these are constants. */
  #countCaseLog2({ start, end }: TokenRange): KnownLog2 {
    const results = this.#split({ start: start + 1, end: end - 1 }, ["then", "when", "else"]);
    const { tokens } = this.#outline;
    return this.#countResultsLog2(results.filter((result) => isWord(tokens[result.start - 1], "then", "else")));
  }

  #countResultsLog2(results: readonly TokenRange[]): KnownLog2 {
    const { tokens } = this.#outline;
    const areConstant = results.every(
      ({ start, end }) =>
        end - start === 1 &&
        (!isName(tokens[start]) || tokens[start]?.kind === "string" || isWord(tokens[start], "null")),
    );
    return areConstant ? Math.log2(results.length + 1) : undefined;
  }

  /** A comparison takes few values, and a sum or a text as many as the values of its operands combine to. */
  #countOperationLog2(range: TokenRange, term: QueryTerm, steps: number): KnownLog2 {
    const { tokens } = this.#outline;
    const outer = this.#listOuter(range).map((index) => tokens[index]);
    if (isWord(tokens[range.end - 2], "collate"))
      return this.#countLog2({ start: range.start, end: range.end - 2 }, term, steps - 1);
    if (outer.some((token) => isOperator(token, ...BOOLEAN_OPERATORS) || isWord(token, ...BOOLEAN_WORDS)))
      return BOOLEAN_LOG2;
    if (outer.some((token) => isOperator(token, "->", "->>"))) return undefined;
    if (outer.some((token) => isOperator(token, "%")))
      return countDivisorLog2(tokens, this.#split(range, ["%"]).at(-1));
    const operands = this.#split(range, ["+", "-", "*", "/", "||", "|", "&", "<<", ">>"]).filter(
      ({ start, end }) => start < end,
    );
    if (operands.length === 1 && operands[0]?.start === range.start) return undefined;
    return operands.reduce<KnownLog2>((sum, operand) => {
      const count = this.#countLog2(operand, term, steps - 1);
      return sum === undefined || count === undefined ? undefined : sum + count;
    }, 0);
  }

  /** Splits a range at these operators or words outside parentheses. */
  #split(range: TokenRange, separators: readonly string[]): readonly TokenRange[] {
    const { tokens } = this.#outline;
    const parts: TokenRange[] = [];
    let start = range.start;
    for (const index of this.#listOuter(range)) {
      if (!isOperator(tokens[index], ...separators) && !isWord(tokens[index], ...separators)) continue;
      parts.push({ start, end: index });
      start = index + 1;
    }
    return [...parts, { start, end: range.end }];
  }

  #listOuter({ start, end }: TokenRange): readonly number[] {
    const { tokens, parentheses } = this.#outline;
    const indexes: number[] = [];
    for (let index = start; index < end; index += 1) {
      indexes.push(index);
      if (isOperator(tokens[index], "(")) index = parentheses.findClosing(index);
    }
    return indexes;
  }
}

/** log2 of the values of a part of a text with at most so many characters. */
const SUBSTRINGS_LOG2: readonly (readonly [longest: number, log2: number])[] = [
  [1, 6],
  [2, 8],
  [4, 8],
  [7, 9],
  [10, 13],
];

function countFormatLog2(format: LexerToken | undefined): KnownLog2 {
  if (format?.kind !== "string") return undefined;
  const parts = [...format.value.matchAll(/%(.)/g)].map(([, part = ""]) => DATE_PARTS[part]);
  return parts.reduce<KnownLog2>((sum, part) => (sum === undefined || part === undefined ? undefined : sum + part), 0);
}

/** `x % 10` takes at most as many values as the divisor. */
function countDivisorLog2(tokens: readonly LexerToken[], divisor: TokenRange | undefined): KnownLog2 {
  const token = divisor === undefined ? undefined : tokens[divisor.start];
  return token?.kind === "number" && Number(token.value) > 0 ? Math.log2(2 * Number(token.value)) : undefined;
}
