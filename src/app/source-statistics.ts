// Keeps the statistics of the D1 sources up to date, as part of the upkeep: plans and the work limit rest on them.
import type { Policy, SourceDeclaration } from "../policy/model.ts";
import { MASKING_TOKEN_TABLE } from "../policy/masks.ts";
import { analyzeTables, hasUnanalyzedTable } from "../tables/analyze-tables.ts";
import { createStatisticsStore } from "../tables/statistics-store.ts";
import type { StatisticsStore } from "../tables/statistics-store.ts";
import { requireD1 } from "./open-sources.ts";

/** What keeping statistics needs. */
export interface StatisticsOptions {
  /** GATEHOUSE_DB. */
  readonly database: D1Database;
  /** Returns milliseconds since the epoch. */
  readonly now: () => number;
  /** Maximum rows that `ANALYZE` may read per database and day; 0 turns it off. */
  readonly analyzedRowsPerDay: number;
}

/**
 * Runs ANALYZE where tables have changed a lot, at most once a day per source; soon after the first load of a table. Throws when a source
 * failed, after it has tried the others. No query depends on the result.
 */
export async function maintainStatistics(policy: Policy, bindings: object, options: StatisticsOptions): Promise<void> {
  if (options.analyzedRowsPerDay === 0) return;
  const store = createStatisticsStore(options.database);
  const declarations = policy.sources.filter(({ kind }) => kind === "d1");
  await store.deleteOtherSources(declarations.map(({ name }) => name));
  const failures: unknown[] = [];
  for (const declaration of declarations) {
    try {
      await maintainSource(policy, declaration, bindings, store, options);
    } catch (cause) {
      failures.push(new Error(`sources.${declaration.name}: the statistics could not be updated`, { cause }));
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join("; "));
}

async function maintainSource(
  policy: Policy,
  declaration: SourceDeclaration,
  bindings: object,
  store: StatisticsStore,
  { now, analyzedRowsPerDay }: StatisticsOptions,
): Promise<void> {
  const database = requireD1(declaration, bindings);
  const datasets = policy.datasets.filter(({ source, kind }) => source === declaration.name && kind === "table");
  const tables = [
    ...datasets.flatMap((dataset) => (dataset.kind === "table" ? [dataset.table] : [])),
    MASKING_TOKEN_TABLE,
  ];
  const state = await store.claim(declaration.name, now(), await hasUnanalyzedTable(database, tables));
  if (state === undefined) return;
  await analyzeTables({ database, tables, state, maxAnalyzedRows: analyzedRowsPerDay, now });
}
