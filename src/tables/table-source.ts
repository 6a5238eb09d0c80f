// The table source that D1 databases and workspaces share. `read`, through the governed-SQL middleware, is the only way to rows.
import { AppError } from "../errors.ts";
import { newId } from "../lib/ids.ts";
import type { Column, SourceDeclaration, TableDataset } from "../policy/model.ts";
import type { MaskingTokenColumn } from "../masking-tokens/masking-token-columns.ts";
import { createGuardView } from "../policy/guard-view.ts";
import { decodeRows } from "../sql/result-encoding.ts";
import type { Cell, SizeCut } from "../sql/result-encoding.ts";
import { frameQuery, listUsedViews } from "../sql/statement-guard.ts";
import { foldName, quoteIdentifier } from "../sql/identifier.ts";
import { nameResultColumns } from "../sql/result-names.ts";
import { assumeShape } from "../sql/result-shape.ts";
import { namesRowid, replaceRowids } from "../sql/rowid-names.ts";
import { parseTrustedStatement } from "../sql/statement.ts";
import type { Statement } from "../sql/statement.ts";
import { DatabaseError, SchemaDrift, compose } from "../read/read-pipeline.ts";
import type { Execute, Middleware, ReadRequest, Schema, SchemaCache } from "../read/read-pipeline.ts";
import { governRow } from "../read/source.ts";
import type { GovernedRow, VisibleTable, TableRead, TableSource } from "../read/source.ts";
import { MIN_WIDE_SHARE, findWideCell } from "../read/wide-cell.ts";
import type { WideCell } from "../read/wide-cell.ts";
import type { MaskingTokenStore } from "../masking-tokens/masking-token-store.ts";

type TableReadRequest = Omit<ReadRequest, "nonce">;

function isDrift(error: unknown): boolean {
  return error instanceof SchemaDrift || (error instanceof DatabaseError && error.problem.isDrift);
}

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
  { maxReadRows, maxTotalBytes }: TableReadRequest,
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

/** The view form to start with, before the planner knows the indexes and what the statement does. */
const SAFEST_FORM = { materialized: false, fenced: true, ordering: "sorted", orderSafe: [] } as const;

interface TableSourceParts {
  readonly declaration: SourceDeclaration;
  readonly datasets: readonly TableDataset[];
  readonly schemaCache: SchemaCache;
  readonly middleware: readonly Middleware[];
  /** Null if no rule masks a column with masking tokens. */
  readonly maskingTokens: MaskingTokens | null;
  /** Runs the composed statement after the last middleware. */
  readonly execute: Execute;
}

/** Creates a table source behind the given middleware. */
export function createTableSource(parts: TableSourceParts): TableSource {
  const { declaration, datasets, schemaCache, maskingTokens } = parts;
  const qualifyDomain = (domain: string): string => {
    if (maskingTokens === null) throw new TypeError(`the source ${declaration.name} has no masking tokens`);
    return maskingTokens.store.qualifyDomain(domain);
  };
  const execute = compose(parts.middleware, parts.execute);

  /** Opens the schema. Throws if a table that the request uses differs from its declaration. */
  function openSchema({ statement, views }: TableReadRequest): Promise<Schema> {
    return schemaCache.open(listUsedViews(statement, views).map((view) => view.name));
  }

  async function attempt(request: TableReadRequest, schema: Schema): Promise<TableRead> {
    const nonce = newId();
    const statement = resolveRowids(request, schema);
    const query = frameQuery(statement, request.values, request);
    const context = { request: { ...request, statement, nonce }, query, schema, checkStatements: [] };
    const { records, columns, bookmark, shape } = await execute(context);
    const { rows, sizeCut } = decodeRows(records, columns.length, nonce);
    const usedViews = listUsedViews(statement, request.views);
    const names = nameResultColumns(columns, statement, request.statement.text, usedViews);
    return {
      columns: names,
      rows: rows.slice(0, request.maxReadRows).map((row) => governRow(row)),
      hasMore: rows.length > request.maxReadRows || sizeCut !== null,
      isCutBySize: sizeCut !== null,
      wideCell: sizeCut === null ? null : nameWideCell(sizeCut, names, rows, request),
      statement,
      shape: shape ?? assumeShape(usedViews, columns.length),
      bookmark,
    };
  }

  /** Retries once, on the primary database, if the schema has changed since it was copied or the replica lags behind. */
  async function attemptTwice(request: TableReadRequest): Promise<TableRead> {
    const schema = await openSchema(request);
    try {
      return await attempt(request, schema);
    } catch (error) {
      if (!isDrift(error)) throw error;
      schemaCache.invalidate(schema);
    }
    try {
      return await attempt({ ...request, bookmark: "first-primary" }, await openSchema(request));
    } catch (error) {
      if (!isDrift(error)) throw error;
      const message = `The tables of ${declaration.name} are changing. Try again in a minute.`;
      throw new AppError("source_unavailable", message, { cause: error });
    }
  }

  /** Creates missing masking tokens and retries: a guard view fails on purpose on a value that has none. */
  async function attemptWithTokens(request: TableReadRequest): Promise<TableRead> {
    try {
      return await attemptTwice(request);
    } catch (error) {
      if (!(error instanceof DatabaseError && error.problem.isMaskingTokenMissing) || maskingTokens === null)
        throw error;
      const usedColumns = maskingTokens.columns.filter(({ dataset }) =>
        request.statement.names.has(foldName(dataset.table)),
      );
      const { filled, isComplete } = await maskingTokens.store.fillMissing(usedColumns, MASKING_TOKENS_PER_QUERY);
      if (filled === 0) throw error;
      return attemptTwice({ ...request, bookmark: "first-primary" }).catch((secondError: unknown) => {
        throw isComplete || !(secondError instanceof DatabaseError && secondError.problem.isMaskingTokenMissing)
          ? secondError
          : createTokensPendingError(secondError);
      });
    }
  }

  function createTokensPendingError(cause: unknown): AppError {
    const message = `The masking tokens of ${declaration.name} are still being created. Try again in a minute.`;
    return new AppError("source_unavailable", message, { cause });
  }

  const source: TableSource = {
    kind: "d1",
    declaration,
    datasets,
    async read(tables, statement, values, { maxReadRows, maxValueBytes, maxTotalBytes, bookmark }) {
      const views = tables.map(({ dataset, decision }) => createGuardView(decision, dataset, qualifyDomain));
      const limits = { maxReadRows, maxValueBytes, maxTotalBytes };
      const request = { statement, values, views, ...limits, bookmark, form: SAFEST_FORM };
      return attemptWithTokens(request).catch((error: unknown) => {
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

/** Puts the key column in place of each rowid. Only a column that the view shows can take its place. */
function resolveRowids({ statement, views }: TableReadRequest, schema: Schema): Statement {
  if (!namesRowid(statement)) return statement;
  const tables = listUsedViews(statement, views).map(({ name, columns }) => {
    const key = schema.use((copy) => copy.getTableShape(name).rowidColumn);
    return { name, columns, rowidColumn: columns.find((column) => foldName(column) === key) };
  });
  return replaceRowids(statement, tables);
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
