// Updates a declaration to match its database: the operator's edits stay, new tables and columns are added hidden, and vanished ones
// are removed and reported.
import type { ColumnInput, TableInput } from "./guess.ts";

type Tables = Readonly<Record<string, TableInput>>;

/** The updated declaration and what changed. */
export interface Merged {
  readonly tables: Tables;
  /** Each as `table` or `table.column`, in order. */
  readonly added: readonly string[];
  readonly vanished: readonly string[];
}

/** Merges the declaration in the file (`declared`) with the one guessed from the database (`guessed`). */
export function mergeTables(declared: Tables, guessed: Tables): Merged {
  const added: string[] = [];
  const vanished = Object.keys(declared).filter((table) => !Object.hasOwn(guessed, table));
  const tables = Object.entries(guessed).map(([name, table]): [string, TableInput] => {
    const before = Object.hasOwn(declared, name) ? declared[name] : undefined;
    if (before === undefined) {
      added.push(name);
      return [name, table];
    }
    vanished.push(...missing(before.columns, table.columns).map((column) => `${name}.${column}`));
    added.push(...missing(table.columns, before.columns).map((column) => `${name}.${column}`));
    return [name, mergeTable(before, table)];
  });
  return { tables: Object.fromEntries(tables), added, vanished };
}

/** Keeps declared columns and hides every new one, because nobody has reviewed it and the table may already be open. */
function mergeTable(declared: TableInput, guessed: TableInput): TableInput {
  const columns = Object.entries(guessed.columns).map(([name, column]): [string, ColumnInput] => [
    name,
    Object.hasOwn(declared.columns, name) ? (declared.columns[name] ?? column) : { hidden: true, ...column },
  ]);
  const { key, ...rest } = declared;
  const isKey = key !== undefined && Object.hasOwn(guessed.columns, key);
  return { ...rest, ...(isKey ? { key } : {}), columns: Object.fromEntries(columns) };
}

function missing(
  required: Readonly<Record<string, unknown>>,
  present: Readonly<Record<string, unknown>>,
): readonly string[] {
  return Object.keys(required).filter((name) => !Object.hasOwn(present, name));
}
