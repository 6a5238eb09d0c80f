// Tables as a source, wherever they lie. The only way to their rows is `read`, through the layers of governed SQL.
import { AppError } from "../errors.ts";
import { newId } from "../lib/ids.ts";
import type { Column, SourceDeclaration, TableDataset } from "../policy/model.ts";
import type { TokenColumn } from "../policy/tokens.ts";
import { guardViewOf } from "../policy/views.ts";
import { readExact } from "../sql/exact.ts";
import type { Cell } from "../sql/exact.ts";
import { frameQuery, usedViews } from "../sql/guard.ts";
import { columnNames, foldName, quoteIdentifier } from "../sql/identifier.ts";
import { readStatement } from "../sql/statement.ts";
import { DatabaseProblem, Drift, stack } from "./reading.ts";
import type { Execute, Layer, ReadRequest, Schema, SchemaKeeper } from "./reading.ts";
import { governRow } from "./source.ts";
import type { GovernedRow, OpenTable, TableRead, TableSource } from "./source.ts";
import type { TokenStore } from "./tokens.ts";

type Request = Omit<ReadRequest, "nonce">;

function isDrift(error: unknown): boolean {
  return error instanceof Drift || (error instanceof DatabaseProblem && error.problem.isDrift);
}

/** The tokens of a source, with the columns that have some. */
export interface TableTokens {
  readonly store: TokenStore;
  readonly columns: readonly TokenColumn[];
}

/** Tokens that a query makes before it runs once more. */
const TOKENS_PER_QUERY = 5000;

/** Before anything is known of indexes, and of what the statement does. */
const SAFE = { materialized: false, fenced: true, ordering: "sorted", untelling: [] } as const;

export interface TableSourceParts {
  readonly declaration: SourceDeclaration;
  readonly datasets: readonly TableDataset[];
  readonly schemas: SchemaKeeper;
  readonly layers: readonly Layer[];
  /** Null when no column comes as tokens for anybody. */
  readonly tokens: TableTokens | null;
  /** What stands behind the last layer. */
  readonly execute: Execute;
}

/** Builds a source of tables behind these layers. */
export function createTableSource(parts: TableSourceParts): TableSource {
  const { declaration, datasets, schemas, tokens } = parts;
  const tokenDomain = (domain: string): string => {
    if (tokens === null) throw new TypeError(`the source ${declaration.name} has no tokens`);
    return tokens.store.domainOf(domain);
  };
  const execute = stack(parts.layers, parts.execute);

  /** The tables that a request is about must be what they were declared to be. */
  function openSchema({ statement, views }: Request): Promise<Schema> {
    return schemas.open(usedViews(statement, views).map((view) => view.name));
  }

  async function attempt(request: Request, schema: Schema): Promise<TableRead> {
    const nonce = newId();
    const query = frameQuery(request.statement, request.values, request);
    const reading = { request: { ...request, nonce }, query, schema, companions: [] };
    const { records, columns, used, bookmark } = await execute(reading);
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
  async function attemptTwice(request: Request): Promise<TableRead> {
    const schema = await openSchema(request);
    try {
      return await attempt(request, schema);
    } catch (error) {
      if (!isDrift(error)) throw error;
      schemas.forget(schema);
    }
    try {
      return await attempt({ ...request, bookmark: "first-primary" }, await openSchema(request));
    } catch (error) {
      if (!isDrift(error)) throw error;
      const message = `The tables of ${declaration.name} are being changed at the moment. Try again in a minute.`;
      throw new AppError("source_unavailable", message, { cause: error });
    }
  }

  /** A view fails on a value that has no token yet: they are made, and the query runs once more. */
  async function attemptWithTokens(request: Request): Promise<TableRead> {
    try {
      return await attemptTwice(request);
    } catch (error) {
      if (!(error instanceof DatabaseProblem && error.problem.isMalformedJson) || tokens === null) throw error;
      const named = tokens.columns.filter(({ dataset }) => request.statement.names.has(foldName(dataset.table)));
      const { filled, isComplete } = await tokens.store.fill(named, TOKENS_PER_QUERY);
      if (filled === 0) throw error;
      return attemptTwice({ ...request, bookmark: "first-primary" }).catch((again: unknown) => {
        throw isComplete || !(again instanceof DatabaseProblem && again.problem.isMalformedJson)
          ? again
          : unready(again);
      });
    }
  }

  function unready(cause: unknown): AppError {
    const message = `The tokens of ${declaration.name} are still being made. Try again in a minute.`;
    return new AppError("source_unavailable", message, { cause });
  }

  const source: TableSource = {
    kind: "d1",
    declaration,
    datasets,
    async read(open, statement, values, { maxRows, maxValueBytes, maxTotalBytes, bookmark }) {
      const views = open.map(({ dataset, decision }) => guardViewOf(decision, dataset, tokenDomain));
      const limits = { maxRows, maxValueBytes, maxTotalBytes };
      const request = { statement, values, views, ...limits, bookmark, form: SAFE };
      return attemptWithTokens(request).catch((error: unknown) => {
        throw error instanceof DatabaseProblem ? error.problem.error : error;
      });
    },
    reveal: async (table, column, domain, token) => {
      const value = await tokens?.store.valueOf(domain, token);
      if (tokens === null || value === undefined) return undefined;
      const row = await readValue(source, table, column, value);
      const found = row === undefined ? undefined : tokenValueOf(row[0] ?? null);
      // The table of tokens lies beside the data, where others may write: what it says of a token must be true.
      return found !== undefined && tokens.store.tokenOf(domain, found) === token ? row : undefined;
    },
  };
  return source;
}

/** Bytes of a value that has a token. */
const MAX_TOKEN_VALUE_BYTES = 1000;

/**
 * The value as a row of its column, if the decision lets see a row that carries exactly this value now. A column may call others
 * equal, by NOCASE or RTRIM, by its affinity or as doubles: the first comparison finds all of those, by an index where there is
 * one, and the second keeps those that have this token.
 */
async function readValue(
  source: TableSource,
  table: OpenTable,
  column: Column,
  value: string,
): Promise<GovernedRow | undefined> {
  const name = quoteIdentifier(column.name);
  const from = quoteIdentifier(table.dataset.table);
  const statement = readStatement(
    `SELECT ${name} FROM ${from} WHERE ${name} IN (?, CAST(? AS INTEGER)) ` +
      `AND typeof(${name}) IN ('integer', 'text') AND CAST(${name} AS TEXT) = ? COLLATE BINARY LIMIT 1`,
  );
  const { rows } = await source.read([table], statement, [value, value, value], {
    maxRows: 1,
    maxValueBytes: MAX_TOKEN_VALUE_BYTES,
    maxTotalBytes: MAX_TOKEN_VALUE_BYTES,
    bookmark: "first-primary",
  });
  return rows[0];
}

/** The text that a cell's token is made of; undefined for what has none. */
function tokenValueOf(cell: Cell): string | undefined {
  if (typeof cell === "string") return cell;
  if (typeof cell === "number") return Number.isInteger(cell) ? String(cell) : undefined;
  return cell?.kind === "integer" ? cell.digits : undefined;
}
