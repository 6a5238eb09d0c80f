// A D1 database as a source. The only way to its rows is `read`, through the layers of governed SQL.
import { AppError } from "../errors.ts";
import { newId } from "../lib/ids.ts";
import type { SourceDeclaration, TableDataset } from "../policy/model.ts";
import { guardViewOf, isRowRestricted } from "../policy/views.ts";
import { readExact } from "../sql/exact.ts";
import { frameQuery, sqlOf } from "../sql/guard.ts";
import type { SqlValue } from "../sql/parameters.ts";
import { readProblem } from "../sql/problem.ts";
import type { Problem } from "../sql/problem.ts";
import type { Schema } from "./d1-schema.ts";
import { Drift, stack } from "./reading.ts";
import type { Execute, Layer, ReadRequest } from "./reading.ts";
import { governRow } from "./source.ts";
import type { TableRead, TableSource } from "./source.ts";

/** A problem that came from the database, on its way through the layers. */
class DatabaseProblem extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.error.message, { cause: problem.error });
    this.problem = problem;
  }
}

function isDrift(error: unknown): boolean {
  return error instanceof Drift || (error instanceof DatabaseProblem && error.problem.isDrift);
}

/** Builds the source of one declared D1 binding behind these layers. */
export function createD1Source(
  declaration: SourceDeclaration,
  datasets: readonly TableDataset[],
  database: D1Database,
  schema: Schema,
  layers: readonly Layer[],
): TableSource {
  const execute = stack(layers, executeOn(database));

  async function attempt(request: Omit<ReadRequest, "nonce">): Promise<TableRead> {
    const nonce = newId();
    const query = frameQuery(request.statement, request.values, request);
    const { records, columns, used, bookmark } = await execute({
      request: { ...request, nonce },
      query,
      companions: [],
    });
    const { rows, encodings, isCutByValue } = readExact(records, columns.length, nonce);
    return {
      columns,
      rows: rows.slice(0, request.maxRows).map((row) => governRow(row)),
      encodings,
      more: rows.length > request.maxRows || isCutByValue,
      isCutByValue,
      used: used.map((view) => view.name),
      bookmark,
    };
  }

  /** The schema may change between its copy and the run, or a copy of the database lag behind: then once more, at its source. */
  async function attemptTwice(request: Omit<ReadRequest, "nonce">): Promise<TableRead> {
    try {
      return await attempt(request);
    } catch (error) {
      if (!isDrift(error)) throw error;
      schema.forget();
    }
    try {
      return await attempt({ ...request, bookmark: "first-primary" });
    } catch (error) {
      if (!isDrift(error)) throw error;
      const message = `The tables of ${declaration.name} are being changed at the moment. Try again in a minute.`;
      throw new AppError("source_unavailable", message, { cause: error });
    }
  }

  return {
    kind: "d1",
    declaration,
    datasets,
    async read(open, statement, values, { maxRows, maxBytes, bookmark }) {
      const views = open.map(({ dataset, decision }) => guardViewOf(decision, dataset));
      const request = { statement, values, views, maxRows, maxValueBytes: maxBytes, bookmark, mustOrder: true };
      try {
        return await attemptTwice({ ...request, mustMaterialize: false });
      } catch (error) {
        if (!(error instanceof DatabaseProblem)) throw error;
        // An expression that fails on a row which the row rule hides would tell that the row exists. Computed after the
        // rule, it cannot see that row; the person gets this outcome.
        const tells = error.problem.phase === "run" && open.some(({ decision }) => isRowRestricted(decision));
        if (!tells) throw error.problem.error;
      }
      return attemptTwice({ ...request, mustMaterialize: true }).catch((error: unknown) => {
        throw error instanceof DatabaseProblem ? error.problem.error : error;
      });
    },
  };
}

/**
 * Runs a statement behind its companions, all in one transaction, on any copy of the database that is as new as the
 * person's last read.
 */
function executeOn(database: D1Database): Execute {
  return async ({ request, query, companions }) => {
    const session = database.withSession(request.bookmark ?? "first-unconstrained");
    const prepare = (sql: string, parameters: readonly SqlValue[]): D1PreparedStatement =>
      session.prepare(sql).bind(...parameters);
    const statements = [
      ...companions.map(({ sql, parameters }) => prepare(sql, parameters)),
      prepare(sqlOf(query), query.parameters),
    ];
    const results = await session.batch<Record<string, unknown>>(statements).catch((thrown: unknown) => {
      throw new DatabaseProblem(readProblem(thrown, request, query));
    });
    const records = results.map((result) => result.results);
    return {
      records: records.at(-1) ?? [],
      companions: records.slice(0, -1),
      columns: [],
      used: query.used,
      bookmark: session.getBookmark(),
    };
  };
}
