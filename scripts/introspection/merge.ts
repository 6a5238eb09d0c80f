// Brings a declaration up to date with its database: what a person wrote stays, what is new comes in hidden, what vanished
// goes out and is told.
import type { ColumnInput, TableInput } from "./guess.ts";

type Tables = Readonly<Record<string, TableInput>>;

export interface Merged {
  readonly tables: Tables;
  /** `table` or `table.column`, in their order. */
  readonly added: readonly string[];
  readonly vanished: readonly string[];
}

/** `known` is what the file has, `found` what the database has. */
export function mergeTables(known: Tables, found: Tables): Merged {
  const added: string[] = [];
  const vanished = Object.keys(known).filter((table) => !Object.hasOwn(found, table));
  const tables = Object.entries(found).map(([name, table]): [string, TableInput] => {
    const before = Object.hasOwn(known, name) ? known[name] : undefined;
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

/** A column that came into a table which is open already is new to everybody: hidden. */
function mergeTable(known: TableInput, found: TableInput): TableInput {
  const columns = Object.entries(found.columns).map(([name, column]): [string, ColumnInput] => [
    name,
    Object.hasOwn(known.columns, name) ? (known.columns[name] ?? column) : { hidden: true, ...column },
  ]);
  const { key, ...rest } = known;
  const isKey = key !== undefined && Object.hasOwn(found.columns, key);
  return { ...rest, ...(isKey ? { key } : {}), columns: Object.fromEntries(columns) };
}

function missing(
  wanted: Readonly<Record<string, unknown>>,
  there: Readonly<Record<string, unknown>>,
): readonly string[] {
  return Object.keys(wanted).filter((name) => !Object.hasOwn(there, name));
}
