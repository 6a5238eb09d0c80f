// Reads a JSON array as a table. The array holds objects (keys become columns), arrays (positions become columns) or plain
// values (one column). Nested values stay JSON text.
import type { Cell } from "../sql/result-encoding.ts";
import { parseExactInteger, isExactDouble } from "./exact-numbers.ts";
import type { RawTable } from "./tabular-document.ts";

/** A number that no double represents exactly, as it was written. */
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

/** Returns the first `readRows` rows, a text that says what is wrong with the document, or undefined if it is valid JSON but no array. */
export function parseJsonArray(text: string, readRows: number): RawTable | string | undefined {
  try {
    const value = JSON.parse(text.replace(/^\ufeff/, ""), (_key, parsedValue, { source }) =>
      typeof parsedValue === "number" && source !== undefined && !isExactDouble(source, parsedValue)
        ? JSON.rawJSON(source)
        : parsedValue,
    );
    return Array.isArray(value) ? toRawTable(value.slice(0, readRows)) : undefined;
  } catch (error) {
    // The engine's own message would quote parts of the document.
    if (error instanceof SyntaxError) return "it is not valid JSON";
    // Deep nesting, an attack, overflows the engine's stack.
    if (error instanceof RangeError) return "it is nested too deeply";
    throw error;
  }
}

function toRawTable(items: readonly unknown[]): RawTable | string {
  if (items.length > 0 && items.every(Array.isArray)) {
    const width = Math.max(...items.map((item) => item.length));
    const titles = Array.from({ length: width }, (_value, index) => `column_${index + 1}`);
    return { titles, rows: items.map((item) => titles.map((_title, index) => toCell(item[index]))) };
  }
  if (items.length > 0 && items.every(isObject)) {
    const titles = [...new Set(items.flatMap((item) => Object.keys(item)))];
    const rows = items.map((item) => titles.map((title) => (Object.hasOwn(item, title) ? toCell(item[title]) : null)));
    return { titles, rows };
  }
  if (items.some((item) => isObject(item) || Array.isArray(item)))
    return "its items are a mix of objects, arrays and plain values";
  return { titles: ["value"], rows: items.map((item) => [toCell(item)]) };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value);
}

/** Converts a value as SQLite does: true becomes 1, and an object or array becomes its JSON text. */
function toCell(value: unknown): Cell {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return value.toWellFormed();
  if (typeof value === "number") return Object.is(value, -0) ? 0 : value;
  if (typeof value === "boolean") return value ? 1 : 0;
  return JSON.isRawJSON(value) ? (parseExactInteger(value.rawJSON) ?? value.rawJSON) : JSON.stringify(value);
}
