// A D1 database as a source. The only way to its rows is `read`: layer 2 puts guard views around the person's SQL.
import { AppError } from "../errors.ts";
import { newId } from "../lib/ids.ts";
import type { SourceDeclaration, TableDataset } from "../policy/model.ts";
import { guardViewSql, isRowRestricted } from "../policy/views.ts";
import { guardQuery } from "../sql/guard.ts";
import type { GuardedQuery } from "../sql/guard.ts";
import type { SqlValue } from "../sql/parameters.ts";
import { readProblem } from "../sql/problem.ts";
import type { Problem } from "../sql/problem.ts";
import type { Statement } from "../sql/statement.ts";
import { compareSchema } from "./shape.ts";
import { governRow } from "./source.ts";
import type { Cell, OpenTable, TableRead, TableSource } from "./source.ts";

type Outcome = { readonly read: TableRead } | { readonly problem: Problem };

/** Builds the source of one declared D1 binding. `log` gets what its operator has to mend. */
export function createD1Source(
  declaration: SourceDeclaration,
  datasets: readonly TableDataset[],
  database: D1Database,
  log: (message: string) => void,
): TableSource {
  const shape = createShapeCheck(declaration, datasets, database, log);

  async function attempt(
    open: readonly OpenTable[],
    statement: Statement,
    values: readonly SqlValue[],
    maxRows: number,
    materialized: boolean,
  ): Promise<Outcome> {
    const nonce = newId();
    const views = open.map(({ dataset, decision }) => ({
      name: dataset.table,
      select: (parameters: Parameters<typeof guardViewSql>[2]) => guardViewSql(decision, dataset, parameters),
    }));
    const query = guardQuery(statement, values, views, { nonce, maxRows, materialized });
    await shape.require(query.used);
    try {
      const [columns, rows] = await run(database, query);
      const shown = rows.slice(0, maxRows).map((row) => governRow(row.map(toCell)));
      return { read: { columns, rows: shown, more: rows.length > maxRows, used: query.used } };
    } catch (thrown) {
      return { problem: readProblem(thrown, statement, query, nonce) };
    }
  }

  return {
    kind: "d1",
    declaration,
    datasets,
    async read(open, statement, values, maxRows) {
      let outcome = await attempt(open, statement, values, maxRows, false);
      // An expression that fails on a row which the row rule hides would tell that the row exists. Computed after the
      // rule, it cannot see that row; the person gets this outcome.
      if (
        "problem" in outcome &&
        outcome.problem.phase === "run" &&
        open.some((table) => isRowRestricted(table.decision))
      ) {
        outcome = await attempt(open, statement, values, maxRows, true);
      }
      if ("problem" in outcome && outcome.problem.isDrift) {
        shape.forget();
        await shape.require(open.map((table) => table.dataset.table));
      }
      if ("problem" in outcome) throw outcome.problem.error;
      return outcome.read;
    },
  };
}

async function run(database: D1Database, query: GuardedQuery): Promise<[string[], unknown[][]]> {
  const [columns, ...rows] = await database
    .prepare(query.sql)
    .bind(...query.parameters)
    .raw({ columnNames: true });
  return [columns ?? [], rows];
}

/** D1 gives text, numbers, null, and blobs as arrays of bytes. */
function toCell(value: unknown): Cell {
  if (value === null || typeof value === "string" || typeof value === "number") return value;
  if (Array.isArray(value)) return base64(Uint8Array.from(value));
  if (value instanceof ArrayBuffer) return base64(new Uint8Array(value));
  throw new TypeError("the database returned a value of an unknown kind");
}

function base64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

interface ShapeCheck {
  /** Throws `source_unavailable` when one of the tables is not what it was declared to be. */
  require(tables: readonly string[]): Promise<void>;
  /** Compares again at the next use. */
  forget(): void;
}

/** Compares each dataset with the database at its first use in this isolate, and again for as long as it differs. */
function createShapeCheck(
  declaration: SourceDeclaration,
  datasets: readonly TableDataset[],
  database: D1Database,
  log: (message: string) => void,
): ShapeCheck {
  const sound = new Set<string>();
  const require = async (tables: readonly string[]): Promise<void> => {
    const unknown = datasets.filter((dataset) => tables.includes(dataset.table) && !sound.has(dataset.table));
    if (unknown.length === 0) return;
    const problems = await compareSchema(database, unknown).catch((cause: unknown) => {
      throw new AppError("source_unavailable", `The source ${declaration.name} does not answer. Try again later.`, {
        cause,
      });
    });
    for (const { table } of unknown) if (!problems.some((problem) => problem.table === table)) sound.add(table);
    if (problems.length === 0) return;
    for (const problem of problems) log(problem.message);
    throw new AppError(
      "source_unavailable",
      `The source ${declaration.name} does not match its declaration. Whoever runs this server finds the difference in its log.`,
    );
  };
  return { require, forget: () => sound.clear() };
}
