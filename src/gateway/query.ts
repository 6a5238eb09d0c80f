// The query operation: runs one governed SELECT over a table source or over the user's stored results, stores the rows as a
// result, and builds the answer.
import { AppError } from "../errors.ts";
import type { SavedQuery } from "../policy/model.ts";
import { foldName } from "../sql/identifier.ts";
import { suggestName } from "../sql/suggest.ts";
import type { SqlValue } from "../sql/parameters.ts";
import { parseStatement } from "../sql/statement.ts";
import type { Statement } from "../sql/statement.ts";
import type { VisibleTable, TableRead, TableSource } from "../read/source.ts";
import { findWideCell } from "../read/wide-cell.ts";
import { WORKSPACE } from "../results/workspace-source.ts";
import { buildQueryAnswer } from "./query-answer.ts";
import { labelRead, labelTableColumns } from "../answers/column-labels.ts";
import type { ColumnLabels, ReadLabels } from "../answers/column-labels.ts";
import { findKeyColumns, listTableKeys, takeKeys } from "../answers/shown-keys.ts";
import type { KeyColumns } from "../answers/shown-keys.ts";
import { showRows } from "../answers/shown-rows.ts";
import type { QueryAnswer } from "./query-answer.ts";
import { addOtherSourceHint, explainMissingResult } from "./missing-names.ts";
import { createDenial } from "./visible-datasets.ts";
import type { VisibleDatasets, VisibleTables } from "./visible-datasets.ts";
import { FREE_FORM, buildProvenance, buildSavedReadBy, uniteProvenance } from "../results/lineage.ts";
import type { Provenance } from "../results/lineage.ts";
import { withTimeout } from "../audit/query-timeout.ts";
import { StillRunningError } from "../audit/audit.ts";
import type { Audited } from "../audit/audit.ts";
import { listIncompleteResults, buildAuditFields, getColumnLabels } from "../results/stored-results.ts";
import { buildResultColumn } from "../results/stored-columns.ts";
import type { WorkspaceAccess } from "../results/workspace-access.ts";

interface QueryRequest {
  readonly source: string;
  readonly sql: string;
  readonly params: readonly SqlValue[];
  /** The most rows to show. */
  readonly shownRows: number;
  /** The byte limit of all shown rows, and of each value. */
  readonly shownBytes: number;
  /** The most rows to read and store. */
  readonly storedRows: number;
  /** The byte limit of the stored rows. */
  readonly storedBytes: number;
  /** How long to wait for the database. */
  readonly querySeconds: number;
  /** The D1 bookmark of the user's last query on the source; null for none. */
  readonly bookmark: string | null;
  /** The saved query that `sql` comes from; null for SQL that the user wrote. */
  readonly saved: SavedQuery | null;
}

/** The tables that a query may use, and how to describe what it reads of them. */
interface QuerySource {
  readonly source: TableSource;
  readonly tables: readonly VisibleTable[];
  readonly labelColumns: (table: VisibleTable) => ReadonlyMap<string, ColumnLabels>;
  readonly listKeys: (table: VisibleTable) => readonly KeyColumns[];
  readonly buildProvenance: (usedTables: readonly VisibleTable[], labels: ReadLabels) => Omit<Provenance, "keys">;
}

/** Runs one governed SELECT. Errors: `not_found` for the source, `limit_reached`, and those of `TableSource.read`. */
export async function query(
  datasets: VisibleDatasets,
  workspace: WorkspaceAccess,
  request: QueryRequest,
): Promise<Audited<QueryAnswer>> {
  const statement = parseStatement(request.sql);
  const querySource =
    request.source === WORKSPACE ? await openResults(workspace, statement) : openTables(datasets, request);
  const read = await readSource(querySource, datasets, statement, request);
  const usedTables = querySource.tables.filter((table) => read.shape.reads.has(table.dataset.table));
  const labelsByTable = new Map(usedTables.map((table) => [table.dataset.table, querySource.labelColumns(table)]));
  const labels = labelRead(read, labelsByTable);
  const keysByTable = new Map(usedTables.map((table) => [table.dataset.table, querySource.listKeys(table)]));
  const keys = findKeyColumns(read, labels.columns, keysByTable);
  const provenance = { ...querySource.buildProvenance(usedTables, labels), keys };
  return prepareAnswer(workspace, request, read, labels, provenance);
}

/** Reads a statement's rows from its source, and words refusals for the user. Errors: `limit_reached` and those of `TableSource.read`. */
export async function readSource(
  { source, tables }: Pick<QuerySource, "source" | "tables">,
  datasets: VisibleDatasets,
  statement: Statement,
  request: Omit<QueryRequest, "sql" | "saved" | "shownRows">,
): Promise<TableRead> {
  const reading = source.read(tables, statement, request.params, {
    maxReadRows: request.storedRows,
    maxValueBytes: request.shownBytes,
    maxTotalBytes: request.storedBytes,
    bookmark: request.bookmark,
  });
  return withTimeout(reading, request.querySeconds).catch((error: unknown) => {
    const explained =
      request.source === WORKSPACE
        ? explainMissingResult(error, tables)
        : addOtherSourceHint(error, datasets, request.source);
    // To the user, a denied table looks like a missing one, down to where else there is one. The audit record names the denial.
    const isRequested = (dataset: string): boolean => isNamed(statement, request.source, dataset);
    const denied =
      explained instanceof AppError && !(explained instanceof StillRunningError)
        ? createDenial(explained, datasets, isRequested)
        : undefined;
    throw denied !== undefined && denied.denials.length > 0 ? denied : explained;
  });
}

function prepareAnswer(
  workspace: WorkspaceAccess,
  request: QueryRequest,
  read: TableRead,
  labels: ReadLabels,
  provenance: Provenance,
): Audited<QueryAnswer> {
  const shown = showRows(read, labels.columns, request);
  const { source, sql, saved } = request;
  const question = { source, sql: saved === null ? sql : `saved query ${saved.name}` };
  const origin = { ...question, read: read.rows.length, more: read.hasMore, ...provenance };
  const columns = read.shape.columns.map((shape, index) =>
    buildResultColumn(read.columns[index] ?? "", read.rows, index, shape, labels.columns[index] ?? labels.all),
  );
  const { id: result, storedRows, keep } = workspace.prepareResult({ columns, rows: read.rows, origin });
  const storedCell =
    storedRows < read.rows.length
      ? findWideCell(read.columns, read.rows.slice(0, storedRows + 1), request.storedBytes)
      : read.wideCell;
  const { rows } = shown;
  const wideCell = shown.wideCell ?? storedCell;
  const answer = buildQueryAnswer({ read, rows, wideCell, provenance, result, storedRows });
  return {
    answer,
    ...buildAuditFields(provenance),
    keys: takeKeys(provenance.keys, read.columns, read.rows.slice(0, rows.length)),
    result,
    keep,
    rows: rows.length,
    cut: answer.cut !== undefined,
    bookmark: read.bookmark,
  };
}

/** Whether a statement over a source names this dataset of it. */
export function isNamed(statement: Statement, source: string, dataset: string): boolean {
  return dataset.startsWith(`${source}.`) && statement.names.has(foldName(dataset.slice(source.length + 1)));
}

async function openResults(workspace: WorkspaceAccess, { names }: Statement): Promise<QuerySource> {
  const { source, tables, results } = await workspace.open([...names.keys()]);
  const originById = new Map(
    results.map((result) => [result.id, { ...result.origin, incomplete: listIncompleteResults(result) }]),
  );
  return {
    source,
    tables,
    labelColumns: ({ dataset }) =>
      new Map(
        results
          .filter(({ id }) => id === dataset.table)
          .flatMap((result) => result.columns.map((column) => [column.name, getColumnLabels(result, column)])),
      ),
    listKeys: ({ dataset }) => originById.get(dataset.table)?.keys ?? [],
    buildProvenance: (usedTables, labels) =>
      uniteProvenance(
        usedTables.flatMap(({ dataset }) => originById.get(dataset.table) ?? []),
        labels,
      ),
  };
}

/** Finds the tables of a source that the user may query. Errors: `not_found`, and `invalid_input` for a source of documents. */
export function openTables(
  datasets: VisibleDatasets,
  { source: name, saved }: Pick<QueryRequest, "source" | "saved">,
): QuerySource {
  const sources = datasets.sources.filter((candidate): candidate is VisibleTables => candidate.kind === "d1");
  const visible = sources.find((candidate) => candidate.source.declaration.name === name);
  const readBy = saved === null ? FREE_FORM : buildSavedReadBy(saved);
  if (visible !== undefined)
    return {
      ...visible,
      labelColumns: labelTableColumns,
      listKeys: listTableKeys,
      buildProvenance: (usedTables, labels) => buildProvenance(usedTables, labels, readBy),
    };
  if (datasets.sources.some((candidate) => candidate.source.declaration.name === name))
    throw new AppError("invalid_input", `${name} holds documents: find them with search, and read them with fetch.`);
  throw createDenial(
    new AppError("not_found", describeMissingSource(name, sources), { isMissing: true }),
    datasets,
    (dataset) => dataset.startsWith(`${name}.`),
  );
}

/** The most sources that a message lists. */
const MAX_LISTED_SOURCES = 12;

function describeMissingSource(name: string, sources: readonly VisibleTables[]): string {
  const names = sources.map((candidate) => candidate.source.declaration.name);
  if (names.length === 0) return "There is no source that you may query.";
  const suggestion = suggestName(name, names);
  const didYouMean = suggestion === undefined ? "" : `Did you mean ${suggestion}? `;
  const listed = names.slice(0, MAX_LISTED_SOURCES);
  const more = names.length > listed.length ? ` and ${names.length - listed.length} more (call describe)` : "";
  const available = `${[...listed, WORKSPACE].join(", ")}${more}`;
  return `There is no source ${JSON.stringify(name)} that you may query. ${didYouMean}Available sources: ${available}.`;
}
