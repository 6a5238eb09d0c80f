// Puts pushed tables in the place of the old ones, in one transaction that only renames, so that users see either the old data or the new.
// What Gatehouse, wrangler, SQLite and D1 keep in the database stays.
import { foldName, quoteIdentifier, quoteText } from "../../src/sql/identifier.ts";
import { CliError } from "../kit/cli-error.ts";
import { groupByReferences } from "../introspection/foreign-keys.ts";
import { OWNER_OBJECTS_SQL } from "../../src/sql/owner-objects.ts";
import type { LocalObject } from "./local-snapshot.ts";
import { OLD_PREFIX, PUSH_PREFIX } from "./push-plan.ts";
import type { PlannedTable } from "./push-plan.ts";
import { readTarget } from "./push-record.ts";
import type { Target } from "./push-record.ts";

/** What the operator's own schema of a database has. */
export interface TargetObject {
  readonly kind: "table" | "view" | "trigger" | "virtual";
  readonly name: string;
}

/** Lists tables, views and triggers that are not Gatehouse's or the platform's. */
export async function listTargetObjects(target: Target): Promise<readonly TargetObject[]> {
  const tables = await readTarget(
    target,
    `SELECT type AS kind, name FROM pragma_table_list WHERE schema = 'main' AND type <> 'shadow' AND ${OWNER_OBJECTS_SQL} ORDER BY name`,
  );
  const triggers = await readTarget(
    target,
    `SELECT name FROM sqlite_schema WHERE type = 'trigger' AND ${OWNER_OBJECTS_SQL} ORDER BY name`,
  );
  return [
    ...tables.map(({ kind, name }) => ({ kind: kind as TargetObject["kind"], name: String(name) })),
    ...triggers.map(({ name }) => ({ kind: "trigger" as const, name: String(name) })),
  ];
}

/**
 * Throws `CliError` when a local table refers to one that only the target has: SQLite would make it refer to that table's other name, and
 * so to no table in the end.
 */
export async function requireReferences(
  target: Target,
  source: string,
  tables: readonly Pick<PlannedTable, "name" | "parents">[],
): Promise<void> {
  const own = new Set(tables.map(({ name }) => foldName(name)));
  const replaced = await listTargetObjects(target);
  const old = new Set(replaced.flatMap(({ kind, name }) => (kind === "table" ? [foldName(name)] : [])));
  for (const { name, parents } of tables) {
    const lost = parents.find((parent) => !own.has(foldName(parent)) && old.has(foldName(parent)));
    if (lost === undefined) continue;
    throw new CliError(
      `${source}.${name} refers to the table ${lost}, which the local database does not have. Nothing was changed.`,
      { hint: `Load a file that has ${lost} too, or whose ${name} does not refer to it.` },
    );
  }
}

/** The statements of the switch: the old tables take other names, and the new ones theirs; then come the views over them. */
export async function switchStatements(
  target: Target,
  tables: readonly PlannedTable[],
  views: readonly LocalObject[],
  isReplacing: boolean,
): Promise<readonly string[]> {
  const old = isReplacing ? await listTargetObjects(target) : [];
  // Views and triggers first: SQLite would rewrite them for the tables' other names.
  const drops = (["trigger", "view", "virtual"] as const).flatMap((kind) =>
    old
      .filter((object) => object.kind === kind)
      .map(({ name }) => `DROP ${kind === "virtual" ? "TABLE" : kind.toUpperCase()} ${quoteIdentifier(name)}`),
  );
  const oldTables = old.filter(({ kind }) => kind === "table");
  const names = new Set([...tables, ...views].map(({ name }) => foldName(name)));
  const indexes = isReplacing
    ? await readTarget(
        target,
        `SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL AND ${OWNER_OBJECTS_SQL}`,
      )
    : [];
  return [
    ...drops,
    // Old indexes stay until their tables are dropped, except for those whose names are needed.
    ...indexes
      .filter(({ name }) => names.has(foldName(String(name))))
      .map(({ name }) => `DROP INDEX ${quoteIdentifier(String(name))}`),
    ...oldTables.map(({ name }, index) => `ALTER TABLE ${quoteIdentifier(name)} RENAME TO ${OLD_PREFIX}${index}`),
    ...tables.map(({ name, stage }) => `ALTER TABLE ${stage} RENAME TO ${quoteIdentifier(name)}`),
    ...tables.flatMap(({ name, sequence }) => (sequence === undefined ? [] : sequenceStatements(name, sequence))),
    ...views.map(({ sql }) => sql),
  ];
}

function sequenceStatements(table: string, sequence: bigint): readonly string[] {
  const name = quoteText(table);
  return [
    `DELETE FROM sqlite_sequence WHERE name = ${name}`,
    `INSERT INTO sqlite_sequence (name, seq) VALUES (${name}, ${sequence})`,
  ];
}

/** The statements that drop the replaced tables, in transactions of their own: a large table takes time. */
export async function listDropsOfOld(target: Target): Promise<readonly (readonly string[])[]> {
  return listDrops(target, OLD_PREFIX);
}

/** The statements that drop everything that an earlier push has left. */
export async function listCleanup(target: Target): Promise<readonly string[]> {
  return (await listDrops(target, PUSH_PREFIX)).flat();
}

async function listDrops(target: Target, prefix: string): Promise<readonly (readonly string[])[]> {
  const like = `LIKE '${prefix.replaceAll("_", "\\_")}%' ESCAPE '\\'`;
  const tables = await readTarget(
    target,
    `SELECT name FROM sqlite_schema WHERE type = 'table' AND name ${like} ORDER BY name`,
  );
  const references = await readTarget(
    target,
    `SELECT s.name AS child, f."table" AS parent FROM sqlite_schema AS s, pragma_foreign_key_list(s.name) AS f WHERE s.type = 'table' AND s.name ${like}`,
  );
  const names = tables.map(({ name }) => String(name));
  const parentsOf = (table: string): readonly string[] =>
    references
      .filter(({ child }) => child === table)
      .flatMap(({ parent }) => names.filter((name) => foldName(name) === foldName(String(parent))));
  // Children before parents: then SQLite drops a table without deleting its rows one by one.
  return groupByReferences(names, parentsOf)
    .toReversed()
    .map((group) => [
      // Rows may refer to each other, or to rows of their own table.
      "PRAGMA defer_foreign_keys = on",
      ...group.map((name) => `DROP TABLE IF EXISTS ${quoteIdentifier(name)}`),
    ]);
}
