// Reads JSON as a table: an array, the one array of an object, or JSON Lines. Its items are objects (keys become columns), arrays
// (positions become columns) or plain values (one column). Nested values stay JSON text.
import { parseInteger } from "../sql/parameters.ts";
import type { Cell } from "../sql/result-encoding.ts";
import { isExactDouble, toRealCell } from "./exact-numbers.ts";
import { findJsonError } from "./json-error.ts";
import { describeExcessColumns } from "./raw-table.ts";
import type { RawTable } from "./raw-table.ts";

/** A number as it was written: one that no double represents exactly, or a whole one with a point or an exponent. */
interface RawJson {
  readonly rawJSON: string;
}

declare global {
  /** ECMAScript's JSON.parse source text access, which TypeScript's library does not declare yet. */
  interface JSON {
    parse(
      text: string,
      revive: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
    ): unknown;
    rawJSON(text: string): RawJson;
    isRawJSON(value: unknown): value is RawJson;
  }
}

/** Under these keys, APIs return rows; the first that has an array is taken. */
const ROW_KEYS = ["items", "data", "rows", "results", "records", "value"];

/** Returns the first `readRows` rows, the error of the document as a text, or undefined if it is valid JSON but no table. */
export function parseJsonArray(text: string, readRows: number): RawTable | string | undefined {
  const parsed = parseJson(text);
  if ("problem" in parsed) return `it ${parsed.problem}`;
  const items = findRows(parsed.value);
  if (typeof items === "string") return items;
  return items && toRawTable(items.slice(0, readRows), (index) => `item ${index + 1}`);
}

/** Returns the first `readRows` rows of JSON Lines, or the first error with its line as a text. */
export function parseJsonLines(text: string, readRows: number): RawTable | string {
  const items: unknown[] = [];
  const lineNumbers: number[] = [];
  for (let start = 0, line = 1; start < text.length && items.length < readRows; line += 1) {
    const newline = text.indexOf("\n", start);
    const end = newline === -1 ? text.length : newline;
    const lineText = text.slice(start, end);
    start = end + 1;
    if (lineText.trim() === "") continue;
    const parsed = parseJson(lineText);
    if ("problem" in parsed) return `line ${line} ${parsed.problem.replace("line 1, ", "")}`;
    items.push(parsed.value);
    lineNumbers.push(line);
  }
  if (items.length === 0) return "it has no rows";
  return toRawTable(items, (index) => `line ${lineNumbers[index] ?? 0}`);
}

type ParsedJson = { readonly value: unknown } | { readonly problem: string };

function parseJson(text: string): ParsedJson {
  try {
    const value = JSON.parse(text, (_key, parsedValue, { source }) =>
      typeof parsedValue === "number" && source !== undefined && needsSource(source, parsedValue)
        ? JSON.rawJSON(source)
        : parsedValue,
    );
    return { value };
  } catch (error) {
    // The engine's own message would quote parts of the document.
    if (error instanceof SyntaxError) return { problem: `is not valid JSON: ${findJsonError(text)}` };
    // Deep nesting, an attack, overflows the engine's stack.
    if (error instanceof RangeError) return { problem: "is nested too deeply" };
    throw error;
  }
}

/** Whether JavaScript's number says less than its source: fewer digits, or 100 where `100.0` is a real. */
function needsSource(source: string, value: number): boolean {
  return !isExactDouble(source, value) || (Number.isInteger(value) && /[.e]/i.test(source));
}

/**
 * Finds the rows of a document: an array, one under a usual key of an object, or the only array of objects in an object. Undefined if
 * it has none, as other JSON documents do; a text if it has several.
 */
function findRows(value: unknown): readonly unknown[] | string | undefined {
  if (Array.isArray(value)) return value;
  if (!isObject(value)) return undefined;
  const usual = ROW_KEYS.map((key) => (Object.hasOwn(value, key) ? value[key] : undefined)).find(Array.isArray);
  if (usual !== undefined) return usual;
  const candidates = Object.values(value).filter(
    (item): item is unknown[] => Array.isArray(item) && item.length > 0 && item.every(isObject),
  );
  if (candidates.length <= 1) return candidates[0];
  // Its keys, which outsiders may have chosen, are not repeated.
  const usualKeys = `${ROW_KEYS.slice(0, -1).join(", ")} or ${ROW_KEYS.at(-1)}`;
  return `it has ${candidates.length} arrays of objects, and none under ${usualKeys}`;
}

function toRawTable(items: readonly unknown[], nameItem: (index: number) => string): RawTable | string {
  const [first] = items;
  const mixed = items.findIndex((item) => nameKind(item) !== nameKind(first));
  if (mixed !== -1) {
    const kinds = `${nameItem(mixed)} is ${nameKind(items[mixed])}, ${nameItem(0)} ${nameKind(first)}`;
    return `its items are a mix of objects, arrays and plain values: ${kinds}`;
  }
  const table = toColumns(items);
  if (typeof table === "string") return table;
  const broken = table.rows.findIndex((row) => row.some(isBroken));
  if (broken !== -1) return `${nameItem(broken)} has half a surrogate pair, which is no character`;
  if (table.titles.some(isBroken)) return "a key has half a surrogate pair, which is no character";
  return { titles: table.titles, rows: unifyNumbers(table) };
}

/** Returns a text if there are too many columns. */
function toColumns(items: readonly unknown[]): RawTable | string {
  if (items.length > 0 && items.every(Array.isArray)) {
    const width = Math.max(...items.map((item) => item.length));
    const excess = describeExcessColumns(width);
    if (excess !== undefined) return excess;
    const titles = Array.from({ length: width }, (_value, index) => `column_${index + 1}`);
    return { titles, rows: items.map((item) => titles.map((_title, index) => toCell(item[index]))) };
  }
  if (items.length > 0 && items.every(isObject)) {
    const titles = [...new Set(items.flatMap((item) => Object.keys(item)))];
    const excess = describeExcessColumns(titles.length);
    if (excess !== undefined) return excess;
    const rows = items.map((item) => titles.map((title) => (Object.hasOwn(item, title) ? toCell(item[title]) : null)));
    return { titles, rows };
  }
  return { titles: ["value"], rows: items.map((item) => [toCell(item)]) };
}

/**
 * Makes all numbers of a column reals if one of them is: JSON has one type of number, and programs write the real 100.0 as 100. A column
 * with an integer beyond 2^53 stays as it is, so that no digit is lost.
 */
function unifyNumbers({ titles, rows }: RawTable): RawTable["rows"] {
  const isRealColumn = titles.map((_title, index) => {
    const cells = rows.map((row) => row[index] ?? null);
    return cells.some(isReal) && cells.every((cell) => cell === null || typeof cell === "number" || isReal(cell));
  });
  if (!isRealColumn.includes(true)) return rows;
  return rows.map((row) =>
    row.map((cell, index) => (isRealColumn[index] === true && typeof cell === "number" ? toRealCell(cell) : cell)),
  );
}

function isReal(cell: Cell): boolean {
  if (typeof cell === "number") return !Number.isInteger(cell);
  return typeof cell === "object" && cell?.kind === "real";
}

function isBroken(value: Cell): boolean {
  return typeof value === "string" && !value.isWellFormed();
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value);
}

function nameKind(item: unknown): string {
  if (Array.isArray(item)) return "an array";
  return isObject(item) ? "an object" : "a plain value";
}

/** Converts a value as SQLite does: true becomes 1, and an object or array becomes its JSON text. */
function toCell(value: unknown): Cell {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return value;
  if (typeof value === "number") return Object.is(value, -0) ? 0 : value;
  if (typeof value === "boolean") return value ? 1 : 0;
  return JSON.isRawJSON(value) ? toNumberCell(value.rawJSON) : JSON.stringify(value);
}

/** A number that neither an integer nor a double holds stays text, with every digit. */
function toNumberCell(source: string): Cell {
  const value = Number(source);
  return parseInteger(source) ?? (isExactDouble(source, value) ? toRealCell(value) : source);
}
