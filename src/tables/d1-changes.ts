// Makes changes in a D1 database: stores the images of the rows at the proposal, and applies a change as one batch, which the database runs
// whole or not at all. It does not decide whether a change was approved.
import { AppError } from "../errors.ts";
import type { TableDataset } from "../policy/model.ts";
import type { Applied, ChangeTarget, ChangedRows, PlannedChange } from "../read/change-target.ts";
import { isOutage } from "../sql/d1-messages.ts";
import { buildApplyStatements, buildChangedRowsSql } from "./change-apply.ts";
import { classifyFailure } from "./change-failure.ts";
import { buildDifferingColumnsSql } from "./change-images.ts";
import { IMAGE_TABLE, JOURNAL_TABLE } from "./change-journal.ts";
import { previewChange, seesNewRow } from "./change-preview.ts";
import { showChangedRows, showImageRows } from "./change-show.ts";
import type { ShowDependencies } from "./change-show.ts";
import { buildStatement } from "./change-statement.ts";
import type { ChangeStatement, RunStatements } from "./change-statement.ts";
import { isChangeable, readChangeableTable } from "./change-table.ts";
import type { ChangeableTable, RowEffect } from "./change-table.ts";
import type { Unchangeable } from "../read/change-target.ts";

/** What the changes of a source need. */
interface D1ChangesOptions extends ShowDependencies {
  readonly sourceName: string;
  readonly database: D1Database;
  /** Returns milliseconds since the epoch. */
  readonly now: () => number;
}

/** What the undo of an operation does to rows. */
const OPPOSITES = { insert: "delete", update: "update", delete: "insert" } as const;

/** What reading rows does to them. */
const NOTHING: RowEffect = { operation: "insert", columns: [], setColumns: [], isUndo: false };

const NO_ROWS: ChangedRows = { total: 0, visible: 0, rows: [], numbers: [], columns: [], hasDrifted: true };

/** Creates the changes of a source. The tables of change-journal.ts must exist. */
export function createD1Changes(options: D1ChangesOptions): ChangeTarget {
  const { sourceName, database, now } = options;
  // Changes read the newest state, not that of a replica.
  const run: RunStatements = async (statements) => {
    const connection = database.withSession("first-primary");
    return connection.batch<Record<string, unknown>>(
      statements.map(({ sql, parameters }) => connection.prepare(sql).bind(...parameters.values)),
    );
  };
  const withOutage = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      if (!isOutage(cause)) throw cause;
      throw new AppError("source_unavailable", `The source ${sourceName} is not responding. Try again later.`, {
        cause,
      });
    }
  };
  const readValue = async (name: string, statement: ChangeStatement): Promise<unknown> => {
    const [result] = await run([statement]);
    return result?.results[0]?.[name];
  };
  const readTable = async (dataset: TableDataset, effect: RowEffect): Promise<ChangeableTable | Unchangeable> => {
    const connection = database.withSession("first-primary");
    return readChangeableTable(
      async (statements) => connection.batch(statements),
      (sql, ...bound) => connection.prepare(sql).bind(...bound),
      dataset,
      effect,
    );
  };
  const readTableFor = async (change: PlannedChange): Promise<ChangeableTable | Unchangeable> => {
    const { plan, undoes } = change;
    const effect = undoes === null ? describeEffect(change) : await describeUndo(run, change, undoes);
    return readTable(plan.dataset, effect);
  };
  const findOutcome = async (id: string): Promise<string | undefined> => {
    const outcome = await readValue(
      "outcome",
      buildStatement((parameters) => `SELECT outcome FROM ${JOURNAL_TABLE} WHERE change_id = ${parameters.bind(id)}`),
    );
    return typeof outcome === "string" ? outcome : undefined;
  };
  const countRows = async (id: string): Promise<number> =>
    Number(
      (await readValue(
        "rows",
        buildStatement((parameters) => buildChangedRowsSql(id, parameters)),
      )) ?? 0,
    );
  const discard = async (id: string): Promise<void> => {
    await run([
      buildStatement(
        (parameters) => `DELETE FROM ${IMAGE_TABLE} WHERE change_id = ${parameters.bind(id)} AND phase = 'preview'`,
      ),
    ]);
  };

  return {
    preview: async (change) =>
      withOutage(async () => {
        if ((await findOutcome(change.id)) !== undefined) return { kind: "used id" };
        const table = await readTableFor(change);
        if (!isChangeable(table)) return table;
        const preview = await previewChange(run, table, change);
        if (preview.kind !== "previewed") await discard(change.previewId);
        return preview;
      }),
    async apply(change): Promise<Applied> {
      const { id } = change;
      try {
        // An earlier try may have been applied although its answer was lost.
        if ((await findOutcome(id)) === "applied") return { kind: "applied", rows: await countRows(id) };
        const table = await readTableFor(change);
        if (!isChangeable(table)) return table;
        const results = await run(buildApplyStatements(table, change, now()));
        return { kind: "applied", rows: Number(results.at(-1)?.results[0]?.["rows"] ?? 0) };
      } catch (cause) {
        return classifyFailure(cause, {
          findOutcome: async () => findOutcome(id),
          countRows: async () => countRows(id),
        });
      }
    },
    settle: async (id) =>
      withOutage(async () => {
        await run([
          buildStatement(
            (parameters) =>
              `INSERT OR IGNORE INTO ${JOURNAL_TABLE} (change_id, dataset, outcome, at_ms)
                VALUES (${parameters.bind(id)}, '', 'abandoned', ${parameters.bind(now())})`,
          ),
        ]);
        return (await findOutcome(id)) === "applied" ? "applied" : "not applied";
      }),
    findUndo: async (id) =>
      withOutage(async () => {
        const found = await readValue(
          "id",
          buildStatement(
            (parameters) => `SELECT change_id AS id FROM ${JOURNAL_TABLE} WHERE undoes = ${parameters.bind(id)}`,
          ),
        );
        return typeof found === "string" ? found : null;
      }),
    show: async (images, viewer, maxRows) =>
      withOutage(async () => {
        const table = await readTable(viewer.dataset, NOTHING);
        return isChangeable(table) ? showChangedRows(run, table, { images, viewer, maxRows }, options) : NO_ROWS;
      }),
    showImages: async (id, phase, viewer, maxRows) =>
      withOutage(async () => {
        const table = await readTable(viewer.dataset, NOTHING);
        const images = { id, phase };
        return isChangeable(table) ? showImageRows(run, table, { images, viewer, maxRows }, options) : NO_ROWS;
      }),
    seesNewRow: async ({ decision }, values) => withOutage(async () => seesNewRow(run, decision, values)),
    discard: async (previewId) => withOutage(async () => discard(previewId)),
  };
}

function describeEffect({ plan: { operation }, setColumns }: PlannedChange): RowEffect {
  return { operation, columns: setColumns, setColumns, isUndo: false };
}

/** What an undo does to rows: the opposite, with every column whose value it restores. */
async function describeUndo(
  run: RunStatements,
  { plan: { operation }, setColumns }: PlannedChange,
  undoes: string,
): Promise<RowEffect> {
  const [result] = await run([buildStatement((parameters) => buildDifferingColumnsSql(undoes, parameters))]);
  const columns = (result?.results ?? []).map((row) => String(row["name"]));
  return { operation: OPPOSITES[operation], columns, setColumns, isUndo: true };
}
