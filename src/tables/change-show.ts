// Shows the rows of a change under a viewer's own decision: their masks, hidden columns and row rules hold here as in a query.
import { buildVisibleSql } from "../policy/change-conditions.ts";
import { buildShownColumnSql, listVisibleColumns } from "../policy/guard-view.ts";
import type { QualifyDomain } from "../policy/guard-view.ts";
import { governRow } from "../read/source.ts";
import type { VisibleTable } from "../read/source.ts";
import type { ChangedRows, RestoredRows } from "../read/change-target.ts";
import type { QuoteColumn } from "../policy/conditions.ts";
import type { TableDataset } from "../policy/model.ts";
import type { Parameters } from "../sql/parameters.ts";
import { decodeRows, wrapForExactValues } from "../sql/result-encoding.ts";
import { quoteIdentifier } from "../sql/identifier.ts";
import { ROW_NUMBER, buildCountSql, buildCurrentSql, buildPivotSql, buildRowsSql } from "./change-images.ts";
import type { Images } from "./change-images.ts";
import type { ChangeableTable } from "./change-table.ts";
import { buildStatement } from "./change-statement.ts";
import type { RunStatements } from "./change-statement.ts";

/** What showing rows needs of the source. */
export interface ShowDependencies {
  readonly qualifyDomain: QualifyDomain;
  /** Creates the masking tokens that the table lacks, before its masked columns are read. */
  readonly fillMaskingTokens: (viewer: VisibleTable) => Promise<void>;
  /** Returns letters and digits, new for each statement. */
  readonly createNonce: () => string;
}

interface ShowRequest {
  readonly images: Images;
  readonly viewer: VisibleTable;
  readonly maxRows: number;
}

/** Maximum bytes of one value, and of all rows. */
const MAX_VALUE_BYTES = 20_000;
const MAX_TOTAL_BYTES = 1_000_000;

/** Reads the rows of the images as the viewer sees them now. */
export async function showChangedRows(
  run: RunStatements,
  table: ChangeableTable,
  { images, viewer, maxRows }: ShowRequest,
  dependencies: ShowDependencies,
): Promise<ChangedRows> {
  const { dataset, decision } = viewer;
  const shown = await prepareColumns(viewer, dependencies);
  const quoteColumn = quoteColumnOf(dataset);
  const [counted, rows] = await run([
    buildStatement((parameters) => {
      const from = buildRowsSql(table, images, parameters);
      const visible = buildVisibleSql(decision, { parameters, quoteColumn });
      return [
        `SELECT ${buildCountSql(images, parameters)} AS total,`,
        `(SELECT count(*) ${from} AND ${visible}) AS visible,`,
        `${buildCurrentSql(table, images, parameters)} AS current`,
      ].join(" ");
    }),
    buildStatement((parameters) => {
      const values = shown.build({ parameters, quoteColumn });
      const visible = buildVisibleSql(decision, { parameters, quoteColumn });
      const from = `${buildRowsSql(table, images, parameters)} AND ${visible} ORDER BY l.row LIMIT ${maxRows}`;
      return shown.wrap(`SELECT l.row, ${values.join(", ")} ${from}`);
    }),
  ]);
  const counts = counted?.results[0] ?? {};
  return {
    total: Number(counts["total"] ?? 0),
    visible: Number(counts["visible"] ?? 0),
    ...shown.decode(rows?.results ?? []),
    hasDrifted: Number(counts["current"] ?? 0) === 0,
  };
}

/**
 * Reads the rows as an applied change found or left them, as the viewer may see them. They are in no table, so their columns have no
 * collation: a row counts as visible only when the viewer's row rules hold with every one, and so does a mask.
 */
export async function showImageRows(
  run: RunStatements,
  table: ChangeableTable,
  { images, viewer, maxRows }: ShowRequest,
  dependencies: ShowDependencies,
): Promise<RestoredRows> {
  const { decision } = viewer;
  const shown = await prepareColumns(viewer, dependencies);
  const buildVisible = (parameters: Parameters): string =>
    COLLATIONS.map(
      (collation) => `(${buildVisibleSql(decision, { parameters, quoteColumn: quoteImage(collation) })})`,
    ).join(" AND ");
  // Which mask a row gets may depend on a row rule too.
  const buildValues = (parameters: Parameters): readonly string[] => {
    const [exact = [], ...others] = COLLATIONS.map((collation) =>
      shown.build({ parameters, quoteColumn: quoteImage(collation) }),
    );
    if (decision.grants.length === 1) return exact;
    return exact.map((value, index) => {
      const isSame = others.map((values) => `(${value}) IS (${values[index] ?? "NULL"})`).join(" AND ");
      return `CASE WHEN ${isSame} THEN ${value} ELSE '${NOT_SHOWN}' END`;
    });
  };
  const [counted, rows] = await run([
    buildStatement((parameters) => {
      const total = buildCountSql(images, parameters);
      const pivot = buildPivotSql(table, images, parameters);
      return `SELECT ${total} AS total, (SELECT count(*) FROM (${pivot}) AS p WHERE ${buildVisible(parameters)}) AS visible`;
    }),
    buildStatement((parameters) => {
      const values = buildValues(parameters);
      const pivot = buildPivotSql(table, images, parameters);
      const number = `p."${ROW_NUMBER}"`;
      return shown.wrap(
        `SELECT ${number}, ${values.join(", ")} FROM (${pivot}) AS p WHERE ${buildVisible(parameters)} ORDER BY ${number} LIMIT ${maxRows}`,
      );
    }),
  ]);
  const counts = counted?.results[0] ?? {};
  return {
    total: Number(counts["total"] ?? 0),
    visible: Number(counts["visible"] ?? 0),
    ...shown.decode(rows?.results ?? []),
  };
}

/** The collations that a column of a table may have. */
const COLLATIONS = ["BINARY", "NOCASE", "RTRIM"] as const;
/** Stands for a value whose mask depends on the collation. */
const NOT_SHOWN = "[not shown]";

/** Gives the columns of images as SQL, under a collation. */
function quoteImage(collation: (typeof COLLATIONS)[number]): QuoteColumn {
  return (name) => `p.${quoteIdentifier(name)} COLLATE ${collation}`;
}

/** Gives the columns of a table as SQL. */
export function quoteColumnOf({ table }: Pick<TableDataset, "table">): QuoteColumn {
  return (name) => `main.${quoteIdentifier(table)}.${quoteIdentifier(name)}`;
}

/** Prepares the columns that a viewer sees, behind the number of each row. */
async function prepareColumns(
  viewer: VisibleTable,
  { qualifyDomain, fillMaskingTokens, createNonce }: ShowDependencies,
) {
  const { dataset, decision } = viewer;
  const columns = listVisibleColumns(decision, dataset);
  if (columns.some(({ disclosures }) => disclosures.some(({ kind }) => kind === "token")))
    await fillMaskingTokens(viewer);
  const nonce = createNonce();
  const wrapper = wrapForExactValues(columns.length + 1, {
    nonce,
    maxValueBytes: MAX_VALUE_BYTES,
    maxTotalBytes: MAX_TOTAL_BYTES,
  });
  return {
    build: (row: { readonly parameters: Parameters; readonly quoteColumn: QuoteColumn }) =>
      columns.map((column) => buildShownColumnSql(decision, column, { ...row, qualifyDomain, nonce })),
    wrap: (sql: string) => `${wrapper.before}${sql}${wrapper.after}`,
    decode(records: readonly Readonly<Record<string, unknown>>[]) {
      const { rows } = decodeRows(records, columns.length + 1, nonce);
      return {
        rows: rows.map((row) => governRow(row.slice(1))),
        numbers: rows.map(([number]) => Number(number)),
        columns: columns.map(({ name }) => name),
      };
    },
  };
}
