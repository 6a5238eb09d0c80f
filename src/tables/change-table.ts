// Reads the form of a table that a change concerns from its database, and refuses forms in which the change would do more than its preview
// shows: triggers that the policy does not name, foreign keys that change other rows, views and virtual tables.
import * as z from "zod";
import { sha256Hex } from "../lib/crypto.ts";
import type { ChangeOperation } from "../policy/change-model.ts";
import type { TableDataset } from "../policy/model.ts";
import type { Unchangeable } from "../read/change-target.ts";
import { foldName, quoteIdentifier } from "../sql/identifier.ts";
import { ROWID_NAMES } from "../sql/rowid-names.ts";

/** A column of a table as the database has it. */
export interface StoredColumn {
  readonly name: string;
  /** Whether SQLite computes it from the others, so that no statement sets it. */
  readonly isGenerated: boolean;
  /** Whether the database gives it a value in a new row that names none. */
  readonly hasDefault: boolean;
  /** Whether it must have a value. */
  readonly isRequired: boolean;
}

/** The form of a table. */
export interface ChangeableTable {
  /** The table's name as SQL. */
  readonly from: string;
  /** The name of the rowid that no column has. */
  readonly rowidName: string;
  /** The column that is the rowid; undefined if there is none. */
  readonly rowidColumn: string | undefined;
  readonly columns: readonly StoredColumn[];
  /** The schema of the table and of what refers to it, which must be the same when the change is applied. */
  readonly schemaText: string;
}

/** The part of D1 that is used. */
type Prepare = (sql: string, ...values: readonly unknown[]) => D1PreparedStatement;

/** D1 does not let anyone ask for the foreign keys of its own tables. */
const IS_OWNERS_TABLE = "m.type = 'table' AND substr(m.name, 1, 4) <> '_cf_'";

/**
 * Builds the schema of a table, its triggers and indexes, and of the tables whose foreign keys refer to it, as one text. `table` is the
 * expression of its name.
 */
export function buildSchemaTextSql(table: string): string {
  return `(SELECT json_group_array(sql) FROM (
    SELECT sql FROM sqlite_schema WHERE tbl_name = ${table} COLLATE NOCASE
    UNION ALL
    SELECT m.sql FROM sqlite_schema AS m, pragma_foreign_key_list(m.name) AS f
      WHERE ${IS_OWNERS_TABLE} AND f."table" = ${table} COLLATE NOCASE
    ORDER BY 1))`;
}

const ACTIONS = new Set(["CASCADE", "SET NULL", "SET DEFAULT"]);

const kindSchema = z.object({ type: z.string(), wr: z.number() });
const columnSchema = z.object({
  name: z.string(),
  type: z.string(),
  dflt_value: z.string().nullable(),
  notnull: z.number(),
  pk: z.number(),
  /** 2 and 3 for generated columns. */
  hidden: z.number(),
});
const triggerSchema = z.object({ name: z.string(), sql: z.string() });
const referenceSchema = z.object({ to: z.string().nullable(), on_update: z.string(), on_delete: z.string() });
const schemaTextSchema = z.object({ text: z.string() });

type ColumnRow = z.output<typeof columnSchema>;
type ReferenceRow = z.output<typeof referenceSchema>;

/** The images of a table with this many columns, its rowid and a number fit into one SELECT of D1, which returns 100 columns. */
const MAX_COLUMNS = 98;

/** What is done to rows of a table. */
export interface RowEffect {
  readonly operation: ChangeOperation;
  /** The columns that get new values. */
  readonly columns: readonly string[];
  /** The columns that the change names: the same, unless it is an undo. */
  readonly setColumns: readonly string[];
  readonly isUndo: boolean;
}

/** Reads the form of a table for one operation. */
export async function readChangeableTable(
  batch: (statements: D1PreparedStatement[]) => Promise<readonly D1Result[]>,
  prepare: Prepare,
  dataset: TableDataset,
  { operation, columns: changedColumns, setColumns, isUndo }: RowEffect,
): Promise<ChangeableTable | Unchangeable> {
  const { table } = dataset;
  const results = await batch([
    prepare("SELECT type, wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE", table),
    prepare('SELECT name, type, dflt_value, "notnull", pk, hidden FROM pragma_table_xinfo(?1)', table),
    prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE", table),
    prepare(
      `SELECT f."to", f.on_update, f.on_delete FROM sqlite_schema AS m, pragma_foreign_key_list(m.name) AS f
        WHERE ${IS_OWNERS_TABLE} AND f."table" = ?1 COLLATE NOCASE`,
      table,
    ),
    prepare(`SELECT ${buildSchemaTextSql("?1")} AS text`, table),
  ]);
  const parseRows = <Row>(index: number, row: z.ZodType<Row>): readonly Row[] =>
    z.array(row).parse(results[index]?.results);
  const [kind] = parseRows(0, kindSchema);
  const columns = parseRows(1, columnSchema);
  const triggers = parseRows(2, triggerSchema);
  const references = parseRows(3, referenceSchema);
  const [schema] = parseRows(4, schemaTextSchema);
  const taken = new Set(columns.map(({ name }) => foldName(name)));
  const rowidName = [...ROWID_NAMES].find((name) => !taken.has(name));
  if (kind?.type !== "table") return unsupported("it is no plain table");
  if (kind.wr === 1) return unsupported("it is a table WITHOUT ROWID");
  if (rowidName === undefined) return unsupported("its columns have all names of the rowid");
  if (columns.length > MAX_COLUMNS) return unsupported(`it has more than ${MAX_COLUMNS} columns`);
  const trigger = await findUnknownTrigger(triggers, dataset);
  if (trigger !== undefined) return unsupported("it has a trigger that the policy does not allow");
  if (isUndo && triggers.length > 0) return unsupported("its triggers could change the restored rows again");
  const keys = columns.filter(({ pk }) => pk > 0);
  if (hasAction(references, operation, changedColumns, keys))
    return unsupported("a foreign key would change rows of other tables with it");
  const generated = new Set(columns.filter(({ hidden }) => hidden > 1).map(({ name }) => name));
  if (
    isUndo &&
    operation === "update" &&
    !changedColumns.every((name) => generated.has(name) || setColumns.includes(name))
  )
    return unsupported("the change has led to changes of other columns");
  const computed = isUndo ? undefined : columns.find(({ name, hidden }) => hidden > 1 && changedColumns.includes(name));
  if (computed !== undefined) return { kind: "computed column", column: computed.name };
  const [key] = keys;
  return {
    from: `main.${quoteIdentifier(table)}`,
    rowidName,
    rowidColumn: keys.length === 1 && key !== undefined && /^integer$/i.test(key.type) ? key.name : undefined,
    columns: columns.map(({ name, hidden, dflt_value: defaultText, notnull }) => ({
      name,
      isGenerated: hidden > 1,
      hasDefault: defaultText !== null,
      isRequired: notnull === 1,
    })),
    schemaText: schema?.text ?? "",
  };
}

/** Whether a result is the form of a table and no refusal. */
export function isChangeable(table: ChangeableTable | Unchangeable): table is ChangeableTable {
  return !("kind" in table);
}

function unsupported(detail: string): Unchangeable {
  return { kind: "unsupported", detail };
}

async function findUnknownTrigger(
  triggers: readonly { readonly name: string; readonly sql: string }[],
  { triggers: allowed = {} }: TableDataset,
): Promise<string | undefined> {
  for (const { name, sql } of triggers) {
    const hash = Object.hasOwn(allowed, name) ? allowed[name] : undefined;
    if (hash !== (await sha256Hex(sql))) return name;
  }
  return undefined;
}

/** Whether a foreign key that refers to the table would change other rows: those that refer to a deleted row or a changed value. */
function hasAction(
  references: readonly ReferenceRow[],
  operation: ChangeOperation,
  changedColumns: readonly string[],
  keys: readonly ColumnRow[],
): boolean {
  if (operation === "delete") return references.some(({ on_delete: action }) => ACTIONS.has(action));
  if (operation === "insert") return false;
  const changed = new Set(changedColumns.map(foldName));
  return references.some(({ to, on_update: action }) => {
    // Without a name, the foreign key refers to the primary key.
    const referred = to === null ? keys.map(({ name }) => name) : [to];
    return ACTIONS.has(action) && referred.some((name) => changed.has(foldName(name)));
  });
}
