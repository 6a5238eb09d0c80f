// Tables as a source, wherever they lie. The only way to their rows is `read`, through the layers of governed SQL.
import { AppError } from "../errors.ts";
import { newId } from "../lib/ids.ts";
import type { SourceDeclaration, TableDataset } from "../policy/model.ts";
import { guardViewOf, isRowRestricted } from "../policy/views.ts";
import { readExact } from "../sql/exact.ts";
import { frameQuery } from "../sql/guard.ts";
import { columnNames } from "../sql/identifier.ts";
import { DatabaseProblem, Drift, stack } from "./reading.ts";
import type { Execute, Layer, ReadRequest, Schema } from "./reading.ts";
import { governRow } from "./source.ts";
import type { TableRead, TableSource } from "./source.ts";

function isDrift(error: unknown): boolean {
  return error instanceof Drift || (error instanceof DatabaseProblem && error.problem.isDrift);
}

export interface TableSourceParts {
  readonly declaration: SourceDeclaration;
  readonly datasets: readonly TableDataset[];
  readonly schema: Pick<Schema, "forget">;
  readonly layers: readonly Layer[];
  /** What stands behind the last layer. */
  readonly execute: Execute;
}

/** Builds a source of tables behind these layers. */
export function createTableSource(parts: TableSourceParts): TableSource {
  const { declaration, datasets, schema } = parts;
  const execute = stack(parts.layers, parts.execute);

  async function attempt(request: Omit<ReadRequest, "nonce">): Promise<TableRead> {
    const nonce = newId();
    const query = frameQuery(request.statement, request.values, request);
    const { records, columns, used, bookmark } = await execute({
      request: { ...request, nonce },
      query,
      companions: [],
    });
    const { rows, isCutByValue } = readExact(records, columns.length, nonce);
    return {
      columns: columnNames(columns),
      rows: rows.slice(0, request.maxRows).map((row) => governRow(row)),
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
    async read(open, statement, values, { maxRows, maxValueBytes, maxTotalBytes, bookmark }) {
      const views = open.map(({ dataset, decision }) => guardViewOf(decision, dataset));
      const limits = { maxRows, maxValueBytes, maxTotalBytes };
      const request = { statement, values, views, ...limits, bookmark, mustOrder: true };
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
