// Copies views of a database as tables with their columns. The authorizer then judges a statement over views as one over tables: what a
// view itself reads is judged here, once, and no statement can read it in another way.
import { findComparisons } from "./column-comparisons.ts";
import type { Comparison } from "./column-comparisons.ts";
import { estimateView, judgeView } from "./database-view.ts";
import type { ViewAction, ViewWork } from "./database-view.ts";
import { EngineExhausted } from "./engine/meter.ts";
import { ALLOW } from "./engine/sqlite.ts";
import type { Engine } from "./engine/sqlite.ts";
import { foldName, quoteIdentifier, quoteText } from "./identifier.ts";
import type { SchemaSnapshot } from "./schema-copy.ts";

/** What is known of a view that was copied. */
export interface CopiedView extends ViewWork {
  /** The folded names of the tables, views and table-valued functions that it reads, and its own. */
  readonly reads: ReadonlySet<string>;
  readonly callsTableFunctions: boolean;
  /** How SQLite compares its columns. */
  readonly comparisons: readonly Comparison[];
}

interface UncopiedView {
  readonly table: string;
  readonly name: string;
  readonly reason: string;
}

interface CopiedViews {
  /** By folded name. */
  readonly views: ReadonlyMap<string, CopiedView>;
  readonly uncopiedViews: readonly UncopiedView[];
}

/** A view that was examined, with the columns of the table that takes its place. */
interface ExaminedView extends CopiedView {
  readonly columns: readonly string[];
}

/**
 * Copies the views among the wanted names, into an engine that has the tables which they read. `declarations` has all views of the
 * database by folded name.
 */
export function copyViews(
  engine: Engine,
  snapshot: SchemaSnapshot,
  wanted: ReadonlySet<string>,
  declarations: ReadonlyMap<string, string>,
): CopiedViews {
  const wantedViews = snapshot.objects.filter(({ type, name }) => type === "view" && wanted.has(foldName(name)));
  if (wantedViews.length === 0) return { views: new Map(), uncopiedViews: [] };
  const created = createAll(engine, declarations);
  const examined = wantedViews.map(({ name }) => [name, examineView(engine, name, snapshot, declarations)] as const);
  for (const name of created) engine.execute(`DROP VIEW main.${quoteIdentifier(name)}`);
  if (snapshot.statistics.length === 0) engine.execute("ANALYZE");
  const views = new Map<string, CopiedView>();
  const uncopiedViews: UncopiedView[] = [];
  for (const [name, view] of examined) {
    if (typeof view === "string") {
      uncopiedViews.push({ table: name, name, reason: view });
      continue;
    }
    createTable(engine, name, view);
    views.set(foldName(name), view);
  }
  engine.execute("ANALYZE sqlite_schema");
  return { views, uncopiedViews };
}

/** Creates the views, and returns the names of those that could be created. Whether they compile shows when they are read. */
function createAll(engine: Engine, declarations: ReadonlyMap<string, string>): readonly string[] {
  return [...declarations].flatMap(([name, sql]) => {
    try {
      engine.execute(sql);
      return [name];
    } catch (error) {
      if (error instanceof EngineExhausted || error instanceof WebAssembly.RuntimeError) throw error;
      return [];
    }
  });
}

/** Examines a view; returns the reason if it cannot be a dataset. */
function examineView(
  engine: Engine,
  name: string,
  { objects, rowCounts }: SchemaSnapshot,
  declarations: ReadonlyMap<string, string>,
): ExaminedView | string {
  const sql = `SELECT * FROM main.${quoteIdentifier(name)}`;
  // The plan's compilation accepts functions that SQLite lacks, and the authorizer does not hear of them.
  const checked = compileUnlessExhausted(() => engine.compile(sql, () => ALLOW));
  if (checked?.ok === false) return `is a view that does not compile: ${checked.message}.`;
  const actions: ViewAction[] = [];
  const compileView = (): ReturnType<Engine["compileWithPlan"]> =>
    engine.compileWithPlan(sql, (code, first, second, database) => {
      actions.push([code, first, second, database]);
      return ALLOW;
    });
  const compilation = compileUnlessExhausted(compileView);
  if (compilation === undefined) return "is a view that takes too long to plan.";
  const { compiled, plan } = compilation;
  if (!compiled.ok) return `is a view that does not compile: ${compiled.message}.`;
  const objectNames = new Set(objects.map((object) => foldName(object.name)));
  const judged = judgeView(actions, (read) => objectNames.has(read));
  if ("refusal" in judged) return `is a view that ${judged.refusal}`;
  const { names: reads, callsTableFunctions } = judged;
  const getRowCount = (table: string): number | undefined => rowCounts.get(table);
  const work = estimateView({ name: foldName(name), plan, reads, declarations, getRowCount });
  const comparisons = findComparisons(engine, sql, compiled.columns.length);
  return {
    reads: new Set([...reads, foldName(name)]),
    callsTableFunctions,
    columns: compiled.columns,
    comparisons,
    ...work,
  };
}

/** A view that only just exceeds the allowance of one statement is refused, and the rest of the schema stays usable. */
function compileUnlessExhausted<T>(compile: () => T): T | undefined {
  try {
    return compile();
  } catch (error) {
    if (error instanceof EngineExhausted && error.reason === "work") return undefined;
    throw error;
  }
}

/** Creates the table in place of a view, with the number of its rows for SQLite's plans. */
function createTable(engine: Engine, name: string, { columns, comparisons, rowsLog2 }: ExaminedView): void {
  const lines = columns.map((column, index) => {
    const { affinity = "NONE", collation = "BINARY" } = comparisons[index] ?? {};
    return `${quoteIdentifier(column)} ${affinity === "NONE" ? "" : affinity} COLLATE ${collation}`;
  });
  engine.execute(`CREATE TABLE main.${quoteIdentifier(name)} (${lines.join(", ")})`);
  engine.execute(`INSERT INTO sqlite_stat1 VALUES (${quoteText(name)}, NULL, '${Math.round(2 ** rowsLog2)}')`);
}
