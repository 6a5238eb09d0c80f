// Updates a declaration to match its database: the operator's edits stay, new tables and columns are added hidden, and vanished ones
// are removed and reported.
import { foldName } from "../../src/sql/identifier.ts";
import type { ColumnInput, TableInput } from "./guess.ts";

type Tables = Readonly<Record<string, TableInput>>;

/** The updated declaration and what changed. */
export interface Merged {
  readonly tables: Tables;
  /** Each as `table` or `table.column`, in order. */
  readonly added: readonly string[];
  readonly vanished: readonly string[];
  /** Columns, as `table.column`, whose foreign key leads to nothing that is declared. */
  readonly unresolved: readonly string[];
}

/** Merges the declaration in the file (`declared`) with the one guessed from the database (`guessed`). */
export function mergeTables(declared: Tables, guessed: Tables): Merged {
  const added: string[] = [];
  const vanished = Object.keys(declared).filter((table) => !Object.hasOwn(guessed, table));
  const tables = Object.entries(guessed).map(([name, table]): [string, TableInput] => {
    const sameName = Object.hasOwn(declared, name) ? declared[name] : undefined;
    // What a table showed and what a view of its name shows are two things, and nobody has reviewed the second.
    const isReplaced = sameName !== undefined && (sameName.view ?? false) !== (table.view ?? false);
    if (isReplaced) vanished.push(name);
    const before = isReplaced ? undefined : sameName;
    if (before === undefined) {
      added.push(name);
      return [name, table];
    }
    vanished.push(...missing(before.columns, table.columns).map((column) => `${name}.${column}`));
    added.push(...missing(table.columns, before.columns).map((column) => `${name}.${column}`));
    return [name, mergeTable(before, table)];
  });
  return { ...resolveReferences(tables), added, vanished };
}

/** Spells references as the tables and columns are declared, which SQLite does not require, and drops those that lead to none of them. */
function resolveReferences(entries: readonly (readonly [string, TableInput])[]): Pick<Merged, "tables" | "unresolved"> {
  const declaredNames = new Map(
    entries.flatMap(([table, { columns }]) =>
      Object.keys(columns).map((column) => [foldName(`${table}.${column}`), `${table}.${column}`] as const),
    ),
  );
  const unresolved: string[] = [];
  const resolve = (name: string, column: ColumnInput): ColumnInput => {
    const { references, ...rest } = column;
    if (references === undefined) return column;
    const declared = declaredNames.get(foldName(references));
    if (declared === undefined) unresolved.push(name);
    return declared === undefined ? rest : { ...column, references: declared };
  };
  const tables = entries.map(([table, declaration]): [string, TableInput] => {
    const columns = Object.entries(declaration.columns).map(([name, column]): [string, ColumnInput] => [
      name,
      resolve(`${table}.${name}`, column),
    ]);
    return [table, { ...declaration, columns: Object.fromEntries(columns) }];
  });
  return { tables: Object.fromEntries(tables), unresolved };
}

/** Keeps declared columns and hides every new one, because nobody has reviewed it and the table may already be open. */
function mergeTable(declared: TableInput, guessed: TableInput): TableInput {
  const columns = Object.entries(guessed.columns).map(([name, column]): [string, ColumnInput] => [
    name,
    Object.hasOwn(declared.columns, name) ? (declared.columns[name] ?? column) : { hidden: true, ...column },
  ]);
  // What stays keeps its place, so that a run without a change writes the same text.
  const merged = { ...declared, columns: Object.fromEntries(columns) };
  const keyColumns = merged.key === undefined ? [] : [merged.key].flat();
  if (keyColumns.every((column) => Object.hasOwn(guessed.columns, column))) return merged;
  const { key: _vanished, recordKeys: _withoutKey, ...rest } = merged;
  return rest;
}

function missing(
  required: Readonly<Record<string, unknown>>,
  present: Readonly<Record<string, unknown>>,
): readonly string[] {
  return Object.keys(required).filter((name) => !Object.hasOwn(present, name));
}
