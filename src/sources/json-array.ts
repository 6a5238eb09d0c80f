// Reads JSON that is an array as a table: of objects, whose keys are the columns; of arrays, whose places are; or of plain
// values. What lies deeper stays JSON.
import type { Cell } from "../sql/exact.ts";
import { integerOf, isExact } from "./numbers.ts";
import type { RawTable } from "./tabular.ts";

/** A number that no double holds, as it was written. */
interface RawJson {
  readonly rawJSON: string;
}

declare global {
  /** ECMAScript, JSON.parse source text access, which TypeScript does not know yet. */
  interface JSON {
    parse(
      text: string,
      revive: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
    ): unknown;
    rawJSON(text: string): RawJson;
    isRawJSON(value: unknown): value is RawJson;
  }
}

/** The first rows. A text that says why not, where it is malformed; undefined where it is no array. */
export function readJsonArray(text: string, maxRows: number): RawTable | string | undefined {
  try {
    const value = JSON.parse(text.replace(/^\ufeff/, ""), (_key, read, { source }) =>
      typeof read === "number" && source !== undefined && !isExact(source, read) ? JSON.rawJSON(source) : read,
    );
    return Array.isArray(value) ? tableOf(value.slice(0, maxRows)) : undefined;
  } catch (error) {
    // What is wrong with it is the engine's text, with pieces of the document.
    if (error instanceof SyntaxError) return "it is no JSON";
    // The engine's stack: somebody has nested it on purpose.
    if (error instanceof RangeError) return "it is nested too deeply";
    throw error;
  }
}

function tableOf(items: readonly unknown[]): RawTable | string {
  if (items.length > 0 && items.every(Array.isArray)) {
    const width = Math.max(...items.map((item) => item.length));
    const titles = Array.from({ length: width }, (_value, index) => `column_${index + 1}`);
    return { titles, rows: items.map((item) => titles.map((_title, index) => cellOf(item[index]))) };
  }
  if (items.length > 0 && items.every(isObject)) {
    const titles = [...new Set(items.flatMap((item) => Object.keys(item)))];
    const rows = items.map((item) => titles.map((title) => (Object.hasOwn(item, title) ? cellOf(item[title]) : null)));
    return { titles, rows };
  }
  if (items.some((item) => isObject(item) || Array.isArray(item)))
    return "its items are of different kinds: objects, arrays or plain values";
  return { titles: ["value"], rows: items.map((item) => [cellOf(item)]) };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value);
}

/** As SQLite reads JSON: true is 1, and what is no plain value is its JSON. */
function cellOf(value: unknown): Cell {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return value.toWellFormed();
  if (typeof value === "number") return Object.is(value, -0) ? 0 : value;
  if (typeof value === "boolean") return value ? 1 : 0;
  return JSON.isRawJSON(value) ? (integerOf(value.rawJSON) ?? value.rawJSON) : JSON.stringify(value);
}
