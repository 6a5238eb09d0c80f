// Compares what a database that a push has filled declares with what the local one does.
import { DatabaseSync } from "node:sqlite";
import { quoteIdentifier } from "../../src/sql/identifier.ts";
import { OWNER_OBJECTS_SQL } from "../../src/sql/owner-objects.ts";
import type { LocalSnapshot } from "./local-snapshot.ts";
import { PUSH_PREFIX } from "./push-plan.ts";
import { readTarget } from "./push-record.ts";
import type { Target } from "./push-record.ts";

interface Declared {
  readonly type: string;
  readonly name: string;
  readonly sql: string;
}

/** Says how the tables, indexes, views and triggers of the target differ from the local ones: `index i is missing in D1`. */
export async function compareDeclarations(
  target: Target,
  { tables, indexes, views }: Pick<LocalSnapshot, "tables" | "indexes" | "views">,
): Promise<readonly string[]> {
  const here = normalize([
    ...tables.map(({ name, sql }) => ({ type: "table", name, sql })),
    ...indexes.map(({ name, sql }) => ({ type: "index", name, sql })),
    ...views.map(({ name, sql }) => ({ type: "view", name, sql })),
  ]);
  const there = normalize(await readDeclared(target));
  return [
    ...[...here].flatMap(([object, sql]) => {
      const deployed = there.get(object);
      if (deployed === undefined) return [`${object} is missing in D1`];
      return deployed === sql ? [] : [`${object} has another declaration in D1`];
    }),
    ...[...there.keys()].filter((object) => !here.has(object)).map((object) => `${object} is only in D1`),
  ];
}

async function readDeclared(target: Target): Promise<readonly Declared[]> {
  const rows = await readTarget(
    target,
    `SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND ${OWNER_OBJECTS_SQL} ORDER BY rowid`,
  );
  const tables = new Set(rows.filter(({ type }) => type === "table").map(({ name }) => name));
  return rows
    .filter((row) => row["type"] !== "index" || tables.has(row["tbl_name"]))
    .map(({ type, name, sql }) => ({ type: String(type), name: String(name), sql: String(sql) }));
}

/** Declarations by type and name. SQLite writes names in its own way when it renames a table, so all tables are renamed here once more. */
function normalize(declared: readonly Declared[]): ReadonlyMap<string, string> {
  const scratch = new DatabaseSync(":memory:", {
    enableForeignKeyConstraints: false,
    enableDoubleQuotedStringLiterals: true,
  });
  try {
    const tables = declared.filter(({ type, sql }) => type === "table" && canCreate(scratch, sql));
    const rename = (from: string, to: string): void =>
      scratch.exec(`ALTER TABLE ${quoteIdentifier(from)} RENAME TO ${quoteIdentifier(to)}`);
    for (const [index, { name }] of tables.entries()) rename(name, `${PUSH_PREFIX}${index}`);
    for (const [index, { name }] of tables.entries()) rename(`${PUSH_PREFIX}${index}`, name);
    const renamed = new Map(
      scratch
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'table'")
        .all()
        .map((row) => [String(row["name"]), String(row["sql"])]),
    );
    return new Map(
      declared.map(({ type, name, sql }) => [`${type} ${name}`, type === "table" ? (renamed.get(name) ?? sql) : sql]),
    );
  } finally {
    scratch.close();
  }
}

/** Creates a table. Every local one can be created here, so one that cannot is another table, and stays as it is written. */
function canCreate(scratch: DatabaseSync, sql: string): boolean {
  if (!/^CREATE TABLE\b/i.test(sql)) return false;
  try {
    scratch.prepare(sql).run();
    return true;
  } catch {
    return false;
  }
}
