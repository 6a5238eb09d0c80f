// The table source that D1 databases and workspaces share. `read`, through the governed-SQL middleware, is the only way to rows.
import type { Column, SourceDeclaration, TableDataset } from "../policy/model.ts";
import type { MaskingTokenColumn } from "../masking-tokens/masking-token-columns.ts";
import { createGuardView } from "../policy/guard-view.ts";
import { decodeRows } from "../sql/result-encoding.ts";
import type { Cell, SizeCut } from "../sql/result-encoding.ts";
import { listUsedViews } from "../sql/statement-guard.ts";
import { foldName, quoteIdentifier } from "../sql/identifier.ts";
import { nameResultColumns } from "../sql/result-names.ts";
import { assumeShape } from "../sql/result-shape.ts";
import { parseTrustedStatement } from "../sql/statement.ts";
import { createReadExecutor } from "../read/read-executor.ts";
import type { MissingTokens, ReadOrder } from "../read/read-executor.ts";
import { DatabaseError } from "../read/read-pipeline.ts";
import type { Execute, Middleware, SchemaCache } from "../read/read-pipeline.ts";
import { governRow } from "../read/source.ts";
import type { GovernedRow, VisibleTable, TableRead, TableSource } from "../read/source.ts";
import { MIN_WIDE_SHARE, findWideCell } from "../read/wide-cell.ts";
import type { WideCell } from "../read/wide-cell.ts";
import { newId } from "../lib/ids.ts";
import type { ChangeTarget } from "../read/change-target.ts";
import type { ShowDependencies } from "./change-show.ts";
import type { MaskingTokenStore } from "../masking-tokens/masking-token-store.ts";

/** The masking tokens of a source, with the columns that some rule masks with them. */
export interface MaskingTokens {
  readonly store: MaskingTokenStore;
  readonly columns: readonly MaskingTokenColumn[];
}

/** Names the cell for which rows are missing; null when narrow cells fill the maximum of all rows. */
function nameWideCell(
  { limit, row, columnIndex, bytes }: SizeCut,
  columns: readonly string[],
  rows: readonly (readonly Cell[])[],
  { maxReadRows, maxTotalBytes }: ReadOrder,
): WideCell | null {
  // The row after the last one that was asked for only shows that there are more.
  if (row > maxReadRows) return null;
  const leftOut = { column: columns[columnIndex] ?? "", row, bytes };
  if (limit === "value") return leftOut;
  const widestRead = findWideCell(columns, rows, maxTotalBytes);
  if (bytes > (widestRead?.bytes ?? maxTotalBytes * MIN_WIDE_SHARE)) return leftOut;
  return widestRead;
}

/** The most masking tokens that one query creates before it is retried. */
const MASKING_TOKENS_PER_QUERY = 5000;

/** Creates the masking tokens that the tables of a statement lack. */
function createMissingTokens({ store, columns }: MaskingTokens): MissingTokens {
  return {
    async fill({ names }) {
      const usedColumns = columns.filter(({ dataset }) => names.has(foldName(dataset.table)));
      await store.fillMissing(usedColumns, MASKING_TOKENS_PER_QUERY);
    },
  };
}

interface TableSourceParts {
  readonly declaration: SourceDeclaration;
  readonly datasets: readonly TableDataset[];
  readonly schemaCache: SchemaCache;
  readonly middleware: readonly Middleware[];
  /** Null if no rule masks a column with masking tokens. */
  readonly maskingTokens: MaskingTokens | null;
  /** Runs the composed statement after the last middleware. */
  readonly execute: Execute;
  /** Creates the changes of the source; absent when no rule allows any. */
  readonly createChanges?: ((dependencies: ShowDependencies) => ChangeTarget) | undefined;
}

/** Creates a table source behind the given middleware. */
export function createTableSource(parts: TableSourceParts): TableSource {
  const { declaration, datasets, schemaCache, maskingTokens } = parts;
  const qualifyDomain = (domain: string): string => {
    if (maskingTokens === null) throw new TypeError(`the source ${declaration.name} has no masking tokens`);
    return maskingTokens.store.qualifyDomain(domain);
  };
  const execute = createReadExecutor({
    sourceName: declaration.name,
    schemaCache,
    middleware: parts.middleware,
    execute: parts.execute,
    missingTokens: maskingTokens === null ? null : createMissingTokens(maskingTokens),
  });

  async function readTables(order: ReadOrder): Promise<TableRead> {
    const { execution, statement, nonce } = await execute(order);
    const { records, columns, bookmark, shape } = execution;
    const { rows, sizeCut } = decodeRows(records, columns.length, nonce);
    const usedViews = listUsedViews(statement, order.views);
    const names = nameResultColumns(columns, statement, order.statement.text, usedViews);
    return {
      columns: names,
      rows: rows.slice(0, order.maxReadRows).map((row) => governRow(row)),
      hasMore: rows.length > order.maxReadRows || sizeCut !== null,
      isCutBySize: sizeCut !== null,
      wideCell: sizeCut === null ? null : nameWideCell(sizeCut, names, rows, order),
      statement,
      shape: shape ?? assumeShape(usedViews, columns.length),
      bookmark,
    };
  }

  const changes = parts.createChanges?.({
    qualifyDomain,
    createNonce: newId,
    async fillMaskingTokens({ dataset }) {
      const columns = maskingTokens?.columns.filter((column) => column.dataset.id === dataset.id) ?? [];
      await maskingTokens?.store.fillMissing(columns, MASKING_TOKENS_PER_QUERY);
    },
  });
  const source: TableSource = {
    kind: "d1",
    declaration,
    datasets,
    ...(changes === undefined ? {} : { changes }),
    async read(tables, statement, values, { maxReadRows, maxValueBytes, maxTotalBytes, bookmark }) {
      const views = tables.map(({ dataset, decision }) => createGuardView(decision, dataset, qualifyDomain));
      const limits = { maxReadRows, maxValueBytes, maxTotalBytes };
      return readTables({ statement, values, views, ...limits, bookmark }).catch((error: unknown) => {
        throw error instanceof DatabaseError ? error.problem.error : error;
      });
    },
    reveal: async (table, column, domain, maskingToken) => {
      const value = await maskingTokens?.store.findValue(domain, maskingToken);
      if (maskingTokens === null || value === undefined) return undefined;
      const row = await readValue(source, table, column, value);
      const tokenizedText = row === undefined ? undefined : toTokenizedText(row[0] ?? null);
      // Others may write to the masking-token table, because it is in the data's own database. So the masking token is derived again.
      return tokenizedText !== undefined &&
        maskingTokens.store.deriveMaskingToken(domain, tokenizedText) === maskingToken
        ? row
        : undefined;
    },
  };
  return source;
}

/** The byte limit of a value that can have a masking token. */
const MAX_TOKENIZED_BYTES = 1000;

/**
 * Reads the value as a row of its column, if the decision shows a row that contains exactly this value now. A column may compare
 * different values as equal (NOCASE, RTRIM, type affinity, doubles). The first comparison finds all of them, through an index if
 * there is one; the second keeps only the exact value.
 */
async function readValue(
  source: TableSource,
  table: VisibleTable,
  column: Column,
  value: string,
): Promise<GovernedRow | undefined> {
  const name = quoteIdentifier(column.name);
  const from = quoteIdentifier(table.dataset.table);
  const statement = parseTrustedStatement(
    `SELECT ${name} FROM ${from} WHERE ${name} IN (?, CAST(? AS INTEGER)) ` +
      `AND typeof(${name}) IN ('integer', 'text') AND CAST(${name} AS TEXT) = ? COLLATE BINARY LIMIT 1`,
  );
  const { rows } = await source.read([table], statement, [value, value, value], {
    maxReadRows: 1,
    maxValueBytes: MAX_TOKENIZED_BYTES,
    maxTotalBytes: MAX_TOKENIZED_BYTES,
    bookmark: "first-primary",
  });
  return rows[0];
}

/** Returns the text that a cell's masking token is derived from; undefined for a cell that cannot have one. */
function toTokenizedText(cell: Cell): string | undefined {
  if (typeof cell === "string") return cell;
  if (typeof cell === "number") return Number.isInteger(cell) ? String(cell) : undefined;
  return cell?.kind === "integer" ? cell.digits : undefined;
}
