// Turns a database's schema and sampled values into a declaration for the policy file: types, references and typical values, with
// everything hidden until the operator opens it. What names suggest is written as a guess, which no assistant gets.
import { firstInvisible } from "../../src/lib/visible-text.ts";
import type { ColumnType } from "../../src/policy/model.ts";
import type { D1SourceInput } from "../../src/policy/policy-schema.ts";
import { foldName } from "../../src/sql/identifier.ts";
import { describeEpoch } from "./epoch.ts";
import { fitsType, personalReason } from "./personal.ts";
import type { FoundColumn, FoundTable } from "./schema.ts";
import { humanised, wordsOf } from "./words.ts";

/** A table as the policy file declares it. */
export type TableInput = D1SourceInput["tables"][string];
/** A column as the policy file declares it. */
export type ColumnInput = TableInput["columns"][string];

/** Distinct values up to which a column counts as a choice. */
const MAX_CHOICES = 8;
const MAX_CHOICE_LENGTH = 40;

/** Declares tables by name. Every table is hidden, and so is every column that looks personal or secret. */
export function guessTables(tables: readonly FoundTable[]): Readonly<Record<string, TableInput>> {
  return Object.fromEntries(tables.map((table) => [table.name, guessTable(table, tables)]));
}

function guessTable(table: FoundTable, tables: readonly FoundTable[]): TableInput {
  const columns = table.columns.map((column): [string, ColumnInput] => [
    column.name,
    guessColumn(column, table, tables),
  ]);
  const [key, ...otherKeys] = table.key;
  return {
    hidden: true,
    guess: {
      description: table.viewOf === null ? humanised(table.name) : describeView(table.name, table.viewOf),
    },
    ...(table.viewOf === null ? {} : { view: true }),
    ...(key === undefined ? {} : { key: otherKeys.length === 0 ? key : [...table.key] }),
    columns: Object.fromEntries(columns),
  };
}

/** For the operator, who opens a view without seeing its SELECT. */
function describeView(name: string, tables: readonly string[]): string {
  const source = tables.length === 0 ? "" : ` over ${tables.join(", ")}`;
  return `${humanised(name)} (a view${source}: it shows what its SELECT shows, whatever rules these have)`;
}

function guessColumn(column: FoundColumn, table: FoundTable, tables: readonly FoundTable[]): ColumnInput {
  const type = guessType(column);
  const reason = reasonOf(column, table, tables, type);
  const guessedReference = column.references === null ? guessReference(column, table, tables) : null;
  const examples = reason === undefined ? listChoices(column) : [];
  return {
    // First, so that the operator can delete this line and the file stays valid JSON.
    ...(reason === undefined ? {} : { hidden: true }),
    type,
    ...(column.epoch === null ? {} : { description: describeEpoch(column.name, column.epoch) }),
    ...(column.references === null ? {} : { references: column.references }),
    guess: {
      description: describeName(column, table),
      ...(guessedReference === null ? {} : { references: guessedReference }),
      ...(reason === undefined ? {} : { personal: reason }),
    },
    ...(examples.length === 0 ? {} : { examples: [...examples] }),
  };
}

/** Says what a column looks like by itself, or by the columns that a view computes it from; undefined if it looks like neither. */
function reasonOf(
  column: FoundColumn,
  table: FoundTable,
  tables: readonly FoundTable[],
  type = guessType(column),
): string | undefined {
  const own = personalReason({ table: table.name, column: column.name, values: column.values, type });
  if (own !== undefined || table.viewOf === null) return own;
  for (const source of tables) {
    if (source === table || !table.viewOf.includes(source.name)) continue;
    for (const candidate of source.columns) {
      const isRead = column.readColumns.some(
        (read) =>
          read.column === foldName(candidate.name) &&
          (read.table === undefined || read.table === foldName(source.name)),
      );
      const reason = isRead ? reasonOf(candidate, source, tables) : undefined;
      if (reason !== undefined && fitsType(reason.replace(COMPUTED, ""), type))
        return `${reason.replace(COMPUTED, "")} (computed from ${source.name}.${candidate.name})`;
    }
  }
  return undefined;
}

const COMPUTED = / \(computed from .*\)$/;

/** Guesses a column's type from the declared type and from the stored values, which SQLite lets differ. */
function guessType({ declaredType, values, storage }: FoundColumn): ColumnType {
  const declared = declaredType.toUpperCase();
  const isText = storage.has("text");
  if (isText && matchAll(values, /^\d{4}-\d{2}-\d{2}$/)) return "date";
  if (isText && matchAll(values, /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}/)) return "datetime";
  if (declared.includes("JSON") || (isText && matchAll(values, /^\s*[[{][^]*[\]}]\s*$/))) return "json";
  if (isText) return "text";
  if (declared.includes("BOOL") || (storage.has("integer") && /^(?:IS|HAS)[A-Z_]/.test(declaredType))) return "boolean";
  if (storage.has("real")) return "real";
  if (storage.has("integer")) return "integer";
  if (storage.size === 0 && /DATETIME|TIMESTAMP/.test(declared)) return "datetime";
  if (storage.size === 0 && declared.includes("DATE")) return "date";
  if (declared.includes("INT")) return "integer";
  return /REAL|FLOA|DOUB|NUMERIC|DECIMAL/.test(declared) ? "real" : "text";
}

function matchAll(values: readonly string[], pattern: RegExp): boolean {
  return values.length > 0 && values.every((value) => pattern.test(value));
}

function describeName({ name }: FoundColumn, table: FoundTable): string {
  if (table.key.length === 1 && name === table.key[0]) return `Identifies a row of ${table.name}`;
  const words = wordsOf(name);
  if (words.length > 1 && words.at(-1) === "at") return `When it was ${words.slice(0, -1).join(" ")}`;
  return humanised(name);
}

/** Guesses that `customer_id` refers to the key of `customers`, `customer` or `tbl_customer`, if exactly one such table exists. */
function guessReference({ name }: FoundColumn, table: FoundTable, tables: readonly FoundTable[]): string | null {
  const words = wordsOf(name);
  if (words.length < 2 || words.at(-1) !== "id") return null;
  const noun = words.slice(0, -1).join("");
  const targets = tables.filter((candidate) => {
    const tableNoun = wordsOf(candidate.name)
      .filter((word) => !["tbl", "t", "tab"].includes(word))
      .join("");
    return (
      candidate !== table &&
      candidate.key.length === 1 &&
      [noun, `${noun}s`, `${noun}es`, noun.replace(/y$/, "ies")].includes(tableNoun)
    );
  });
  const [target] = targets;
  return target === undefined || targets.length > 1 ? null : `${target.name}.${target.key.join()}`;
}

/** Whether a value may be an example in the declaration. People review it, and invisible characters would disguise a value. */
function isExample(value: string): boolean {
  return value !== "" && value.length <= MAX_CHOICE_LENGTH && firstInvisible(value) === undefined;
}

/** The distinct values of a column that has few of them, each occurring three times on average; otherwise none. */
function listChoices({ values, storage }: FoundColumn): readonly string[] {
  const choices = [...new Set(values)];
  const isChoice =
    storage.size === 1 && storage.has("text") && choices.length <= MAX_CHOICES && values.length >= choices.length * 3;
  return isChoice && choices.every((choice) => isExample(choice)) ? choices.toSorted() : [];
}
