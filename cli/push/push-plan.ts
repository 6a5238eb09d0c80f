// Plans a push: the tables under the names that they have until all rows have arrived, and the steps in their order. The plan follows from
// the local database alone, so that a later run of an interrupted push makes the same one.
import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { foldName, quoteIdentifier } from "../../src/sql/identifier.ts";
import { groupByReferences, listForeignKeys, listPrimaryKey } from "../introspection/foreign-keys.ts";
import type { CheckedTable } from "./checksum.ts";
import type { LocalObject, LocalSnapshot, LocalTable } from "./local-snapshot.ts";

/** Tables of a push that is under way begin with this. They are Gatehouse's, so no dataset and no user's SQL can read them. */
export const PUSH_PREFIX = "_gatehouse_push_";
/** The tables that a push replaced begin with this, until it drops them. */
export const OLD_PREFIX = `${PUSH_PREFIX}old_`;

/** A table on its way. */
export interface PlannedTable extends LocalTable {
  /** Its name until all rows of all tables have arrived. */
  readonly stage: string;
  /** The declaration under that name, whose foreign keys refer to the other tables under theirs. */
  readonly stageSql: string;
  /** Unique indexes that foreign keys need from the first row on. */
  readonly keyIndexes: readonly string[];
  /** For a table in a cycle of references: a table without constraints that its rows wait in. */
  readonly waiting: string | undefined;
}

/** A step of a push. */
export type Step =
  | { readonly kind: "create" | "rows"; readonly table: PlannedTable }
  /** Moves the rows of a cycle to their tables, which only one transaction can do. */
  | { readonly kind: "close"; readonly tables: readonly PlannedTable[] }
  /** Gives all tables their names, and creates the views. */
  | { readonly kind: "switch"; readonly views: readonly LocalObject[] }
  | { readonly kind: "dropOld" }
  | { readonly kind: "index"; readonly object: LocalObject }
  | { readonly kind: "dropKeys" }
  | { readonly kind: "analyze" };

/** A planned push. */
export interface PushPlan {
  /** Identifies what is pushed: declarations, rows and values, and by which steps. */
  readonly digest: string;
  readonly tables: readonly PlannedTable[];
  readonly steps: readonly Step[];
}

/** Plans to push a snapshot. */
export function planPush(
  { database, tables, indexes, views }: LocalSnapshot,
  checked: readonly CheckedTable[],
): PushPlan {
  const groups = groupTables(tables);
  const staged = stageDeclarations(tables);
  const planned = new Map(
    tables.map((table, index): [string, PlannedTable] => {
      const isInCycle = groups.some((group) => group.isCycle && group.tables.includes(table));
      return [
        table.name,
        {
          ...table,
          stage: stageName(index),
          stageSql: staged[index] ?? "",
          keyIndexes: listKeyIndexes(database, tables, table, index),
          waiting: isInCycle ? `${PUSH_PREFIX}waiting_${index}` : undefined,
        },
      ];
    }),
  );
  const find = ({ name }: LocalTable): readonly PlannedTable[] => [planned.get(name) ?? []].flat();
  const all = tables.flatMap(find);
  const steps: Step[] = groups.flatMap(({ tables: group, isCycle }): Step[] => {
    const members = group.flatMap(find);
    return [
      ...members.flatMap((table): Step[] => [
        { kind: "create", table },
        { kind: "rows", table },
      ]),
      ...(isCycle ? [{ kind: "close" as const, tables: members }] : []),
    ];
  });
  steps.push({ kind: "switch", views }, { kind: "dropOld" });
  for (const object of indexes) steps.push({ kind: "index", object });
  if (all.some(({ keyIndexes }) => keyIndexes.length > 0)) steps.push({ kind: "dropKeys" });
  steps.push({ kind: "analyze" });
  return { digest: digestOf({ tables, indexes, views }, checked, steps), tables: all, steps };
}

function stageName(index: number): string {
  return `${PUSH_PREFIX}new_${index}`;
}

interface Group {
  readonly tables: readonly LocalTable[];
  readonly isCycle: boolean;
}

/** Groups tables by their references, parents first. */
function groupTables(tables: readonly LocalTable[]): readonly Group[] {
  const byName = new Map(tables.map((table) => [foldName(table.name), table]));
  const parentsOf = (name: string): readonly string[] =>
    (byName.get(foldName(name))?.parents ?? []).flatMap((parent) => byName.get(foldName(parent))?.name ?? []);
  const names = tables.map(({ name }) => name);
  return groupByReferences(names, parentsOf).map((group) => ({
    tables: group.flatMap((name) => byName.get(foldName(name)) ?? []),
    isCycle: group.some((name) => parentsOf(name).some((parent) => group.includes(parent))),
  }));
}

/** SQLite itself renames the tables in an empty copy of the schema: their declarations may refer to each other in many ways. */
function stageDeclarations(tables: readonly LocalTable[]): readonly string[] {
  const scratch = new DatabaseSync(":memory:", {
    enableForeignKeyConstraints: false,
    enableDoubleQuotedStringLiterals: true,
  });
  try {
    for (const { sql } of tables) scratch.exec(sql);
    for (const [index, { name }] of tables.entries())
      scratch.exec(`ALTER TABLE ${quoteIdentifier(name)} RENAME TO ${stageName(index)}`);
    const read = scratch.prepare("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?");
    return tables.map((_table, index) => String(read.get(stageName(index))?.["sql"]));
  } finally {
    scratch.close();
  }
}

/** Unique indexes of a table, apart from its primary key, that foreign keys refer to and that no constraint of the table makes. */
function listKeyIndexes(
  database: DatabaseSync,
  tables: readonly LocalTable[],
  table: LocalTable,
  index: number,
): readonly string[] {
  const primary = listPrimaryKey(database, table.name).map(foldName).toSorted().join("\n");
  const keys = tables
    .flatMap(({ name }) => listForeignKeys(database, name))
    .filter(({ parent, to }) => foldName(parent) === foldName(table.name) && to !== null)
    .map(({ to }) => to ?? []);
  const distinct = new Map(keys.map((columns) => [columns.map(foldName).toSorted().join("\n"), columns]));
  return [...distinct]
    .filter(([folded]) => folded !== primary)
    .map(
      ([, columns], position) =>
        `CREATE UNIQUE INDEX ${PUSH_PREFIX}key_${index}_${position} ON ${stageName(index)} (${columns.map(quoteIdentifier).join(", ")})`,
    );
}

function digestOf(
  { tables, indexes, views }: Pick<LocalSnapshot, "tables" | "indexes" | "views">,
  checked: readonly CheckedTable[],
  steps: readonly Step[],
): string {
  const declared = tables.map(({ name, sql, columns, rows, sequence }) => [name, sql, columns, rows, String(sequence)]);
  const sums = checked.map(({ ranges }) =>
    ranges.map(({ where, checksum }) => [where, checksum.rows, ...checksum.sums]),
  );
  // A version that takes other steps cannot go on with this push.
  const kinds = steps.map(({ kind }) => kind);
  return createHash("sha256")
    .update(JSON.stringify([declared, indexes, views, sums, kinds]))
    .digest("hex");
}
