// Reads the objects of a database's schema: tables, indexes and views, as `sqlite_schema` has them.
import { listMentionedNames } from "./database-view.ts";
import { foldName } from "./identifier.ts";

/** A row of `sqlite_schema`. */
export interface SchemaObject {
  readonly type: string;
  readonly name: string;
  /** The table that the object belongs to; for a table, its own name. */
  readonly table: string;
  readonly rootPage: number;
  /** Null for an object that SQLite created by itself, such as the index of a primary key. */
  readonly sql: string | null;
}

const SCHEMA_COLUMNS = "type, name, tbl_name AS tableName, rootpage AS rootPage, sql";

/** Selects all objects of a database; `toSchemaObject` parses the rows. */
export const SCHEMA_OBJECTS_SQL = `SELECT ${SCHEMA_COLUMNS} FROM sqlite_schema`;

/** Builds the same query for the tables with these names and their indexes, and the views. */
export function buildSchemaObjectsSql(tables: readonly string[]): {
  readonly sql: string;
  readonly parameters: readonly string[];
} {
  const names = tables.map((_name, index) => `?${index + 1}`).join(", ");
  return {
    sql: `${SCHEMA_OBJECTS_SQL} WHERE tbl_name COLLATE NOCASE IN (${names}) AND type IN ('table', 'index', 'view')`,
    parameters: tables,
  };
}

/** Parses a row of `SCHEMA_OBJECTS_SQL`. */
export function toSchemaObject(row: Readonly<Record<string, unknown>>): SchemaObject {
  const { type, name, tableName, rootPage, sql } = row;
  return {
    type: String(type),
    name: String(name),
    table: String(tableName),
    rootPage: Number(rootPage),
    sql: typeof sql === "string" ? sql : null,
  };
}

/** Lists the declarations of all views of the database by folded name. */
export function listViewDeclarations(objects: readonly SchemaObject[]): ReadonlyMap<string, string> {
  return new Map(
    objects.flatMap(({ type, name, sql }) => (type === "view" && sql !== null ? [[foldName(name), sql] as const] : [])),
  );
}

/** Lists these names and all that the texts of views among them mention, and so on: no view reads anything else. */
export function listReadNames(names: Iterable<string>, declarations: ReadonlyMap<string, string>): ReadonlySet<string> {
  const read = new Set(names);
  // A set is iterated over what is added meanwhile, too.
  for (const name of read) {
    const declaration = declarations.get(name);
    if (declaration !== undefined) for (const mentioned of listMentionedNames(declaration)) read.add(mentioned);
  }
  return read;
}
