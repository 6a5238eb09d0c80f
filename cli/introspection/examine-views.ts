// Examines the views of a database: which of them can be a dataset, and what they read. The Worker judges a view by the same rules when it
// reads the schema (src/sql/view-copy.ts), so what is left out here would be refused there.
import { DatabaseSync } from "node:sqlite";
import { limitsSchema } from "../../src/config/limits.ts";
import { estimateView, judgeView } from "../../src/sql/database-view.ts";
import type { ViewAction } from "../../src/sql/database-view.ts";
import type { PlanLine } from "../../src/sql/engine/sqlite.ts";
import { foldName, quoteIdentifier, quoteText } from "../../src/sql/identifier.ts";
import { SCHEMA_OBJECTS_SQL, listViewDeclarations, toSchemaObject } from "../../src/sql/schema-objects.ts";
import type { SchemaObject } from "../../src/sql/schema-objects.ts";
import { messageOf } from "./load-problem.ts";

/** The part of D1 that introspection uses. */
export interface AskedDatabase {
  prepare(sql: string): { all(): Promise<{ results: unknown[] }> };
}

/** The names of the tables and views that a view reads, or why it cannot be a dataset: text that continues its name. */
export type ExaminedView = { readonly reads: readonly string[] } | { readonly reason: string };

/** Examines all views, by name. No view is read: one of a crafted file may have no end. */
export async function examineViews(database: AskedDatabase): Promise<ReadonlyMap<string, ExaminedView>> {
  const { results } = await database.prepare(SCHEMA_OBJECTS_SQL).all();
  const objects = results.map((row) => toSchemaObject(row as Readonly<Record<string, unknown>>));
  const views = objects.filter(({ type }) => type === "view");
  const examined = new Map<string, ExaminedView>();
  if (views.length === 0) return examined;
  const { scratch, faults } = createScratch(objects);
  const rowCounts = new Map<string, number>();
  try {
    for (const { name } of views)
      examined.set(name, await examineView(database, name, { objects, scratch, faults, rowCounts }));
  } finally {
    scratch.close();
  }
  return examined;
}

interface Examination {
  readonly objects: readonly SchemaObject[];
  readonly scratch: DatabaseSync;
  /** Why tables and views could not be created there, by folded name. */
  readonly faults: ReadonlyMap<string, string>;
  /** The rows of tables that were counted already, by folded name. */
  readonly rowCounts: Map<string, number>;
}

async function examineView(database: AskedDatabase, name: string, examination: Examination): Promise<ExaminedView> {
  const { objects, scratch, faults, rowCounts } = examination;
  const plan = await planView(database, name);
  if (!Array.isArray(plan)) return { reason: `is a view that does not compile: ${plan}.` };
  const fault = findColumnFault(await listColumns(database, name));
  if (fault !== undefined) return { reason: `is a view ${fault}` };
  const isObject = (read: string): boolean => objects.some((object) => foldName(object.name) === read);
  const actions = listActions(scratch, name);
  if (typeof actions === "string")
    return { reason: `is a view that reads more than ordinary tables: ${actions}${causeOf(actions, faults)}.` };
  const judged = judgeView(actions, isObject);
  if ("refusal" in judged) return { reason: `is a view that ${judged.refusal}` };
  const declarations = listViewDeclarations(objects);
  const tables = objects.filter((object) => object.type === "table" && judged.names.has(foldName(object.name)));
  for (const table of tables) await countRows(database, table.name, rowCounts);
  const getRowCount = (table: string): number | undefined => rowCounts.get(table);
  const { stepsLog2 } = estimateView({ name: foldName(name), plan, reads: judged.names, declarations, getRowCount });
  if (stepsLog2 > Math.log2(MAX_STEPS))
    return { reason: "is a view that takes too much work: each query computes it as a whole. Narrow its joins." };
  const reads = objects.filter((object) => object.name !== name && isRead(object, judged.names));
  return { reads: reads.map((object) => object.name) };
}

/** The most steps of a query, unless the operator has set another limit. */
const MAX_STEPS = limitsSchema.parse({}).maxQuerySteps;

function isRead({ type, name }: SchemaObject, names: ReadonlySet<string>): boolean {
  return (type === "table" || type === "view") && names.has(foldName(name));
}

/** Plans a view without reading it. Returns the database's message when it does not compile. */
export async function planView(database: AskedDatabase, name: string): Promise<PlanLine[] | string> {
  try {
    const sql = `EXPLAIN QUERY PLAN SELECT * FROM ${quoteIdentifier(name)}`;
    const { results } = await database.prepare(sql).all();
    return results.map((row) => {
      const { id, parent, notused, detail } = row as Readonly<Record<string, unknown>>;
      return { id: Number(id), parent: Number(parent), cost: Number(notused), detail: String(detail) };
    });
  } catch (error) {
    return messageOf(error);
  }
}

async function listColumns(database: AskedDatabase, name: string): Promise<readonly string[]> {
  const { results } = await database.prepare(`SELECT name FROM pragma_table_xinfo(${quoteText(name)})`).all();
  return results.map((row) => String((row as Readonly<Record<string, unknown>>)["name"]));
}

/** Finds why columns have no usable names. SQLite calls the second column `a` of a view `a:1`, and which is which depends on its text. */
function findColumnFault(columns: readonly string[]): string | undefined {
  if (columns.includes("")) return "with a column that has no name. Give it one with AS.";
  const folded = columns.map(foldName);
  const repeated = folded.find((name) => folded.includes(/^(.*):\d+$/s.exec(name)?.[1] ?? "\0"));
  if (repeated === undefined && new Set(folded).size === folded.length) return undefined;
  const name = columns.find((column) => foldName(column) === repeated?.replace(/:\d+$/, "")) ?? "";
  return `with several columns of the name ${name}. Give each its own with AS.`;
}

/**
 * Creates an empty copy of the schema in memory, where text may be in double quotes as in D1. Virtual tables are left out: no view over
 * one can be a dataset.
 */
function createScratch(objects: readonly SchemaObject[]): Pick<Examination, "scratch" | "faults"> {
  const scratch = new DatabaseSync(":memory:", { enableDoubleQuotedStringLiterals: true });
  const faults = new Map<string, string>();
  for (const { name, sql } of [
    ...objects.filter(({ type }) => type === "table"),
    ...objects.filter(({ type }) => type === "view"),
  ]) {
    if (sql === null || !/^CREATE\s+(?:TABLE|VIEW)\b/i.test(sql)) continue;
    try {
      scratch.prepare(sql).run();
    } catch (error) {
      // A view over this object then does not compile.
      faults.set(foldName(name), messageOf(error));
    }
  }
  return { scratch, faults };
}

/** Why the object that a message misses could not be created, if that is known. */
function causeOf(message: string, faults: ReadonlyMap<string, string>): string {
  const missing = /^no such table: (?:main\.)?(.+)$/s.exec(message)?.[1] ?? "";
  const fault = faults.get(foldName(missing));
  return fault === undefined ? "" : ` (${missing}: ${fault})`;
}

/** Lists what compiling a view reports to SQLite's authorizer; SQLite's message when it does not compile. */
function listActions(scratch: DatabaseSync, name: string): readonly ViewAction[] | string {
  const actions: ViewAction[] = [];
  scratch.setAuthorizer((...[code, first, second, database]) => {
    actions.push([code, first, second, database]);
    return 0;
  });
  try {
    scratch.prepare(`SELECT * FROM main.${quoteIdentifier(name)}`);
    return actions;
  } catch (error) {
    return messageOf(error);
  } finally {
    scratch.setAuthorizer(null);
  }
}

async function countRows(database: AskedDatabase, table: string, rowCounts: Map<string, number>): Promise<void> {
  if (rowCounts.has(foldName(table))) return;
  const { results } = await database.prepare(`SELECT count(*) AS rows FROM ${quoteIdentifier(table)}`).all();
  rowCounts.set(foldName(table), Number((results[0] as Readonly<Record<string, unknown>> | undefined)?.["rows"]));
}
