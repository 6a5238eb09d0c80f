// The query operation: a person's SELECT over one source of tables or over their kept results, governed, kept and answered.
import { AppError } from "../errors.ts";
import type { SavedQuery } from "../policy/model.ts";
import { foldName } from "../sql/identifier.ts";
import { nearest } from "../sql/near.ts";
import type { SqlValue } from "../sql/parameters.ts";
import { parseStatement } from "../sql/statement.ts";
import type { Statement } from "../sql/statement.ts";
import type { OpenTable, TableRead, TableSource } from "../sources/source.ts";
import { WORKSPACE } from "../sources/workspace.ts";
import { answerQuery } from "./answer.ts";
import { showRows } from "./shown-rows.ts";
import type { QueryAnswer } from "./answer.ts";
import { deny } from "./catalogue.ts";
import type { Catalogue, OpenTables } from "./catalogue.ts";
import { FREE_FORM, provenanceOf, readBySaved, uniteProvenance } from "./lineage.ts";
import type { Provenance } from "./lineage.ts";
import { inTime } from "./in-time.ts";
import { StillRunning } from "./recorded.ts";
import type { Answered } from "./recorded.ts";
import { incompleteIn, recordOf } from "./results.ts";
import type { WorkspaceAccess } from "./workspace.ts";

export interface QueryRequest {
  readonly source: string;
  readonly sql: string;
  readonly params: readonly SqlValue[];
  /** Rows to show at most. */
  readonly maxRows: number;
  /** Bytes of the shown rows, and of one value, at most. */
  readonly maxBytes: number;
  /** Rows to read and keep at most. */
  readonly keptRows: number;
  /** Bytes of those. */
  readonly keptBytes: number;
  /** How long the person waits for the database. */
  readonly querySeconds: number;
  /** What the person's last query on the source saw. */
  readonly bookmark: string | null;
  /** The saved query whose SQL it is; null for SQL that the user wrote. */
  readonly saved: SavedQuery | null;
}

/** What a query runs over, and what is to be said of what it reads. */
interface Opened {
  readonly source: TableSource;
  readonly tables: readonly OpenTable[];
  readonly provenanceOf: (used: readonly OpenTable[], statement: Statement) => Provenance;
}

/** Runs one governed SELECT. Errors: `not_found` for the source, `limit_reached`, and those of `TableSource.read`. */
export async function query(
  catalogue: Catalogue,
  workspace: WorkspaceAccess,
  request: QueryRequest,
): Promise<Answered<QueryAnswer>> {
  const statement = parseStatement(request.sql);
  const opened =
    request.source === WORKSPACE ? await openResults(workspace, statement) : openTables(catalogue, request);
  const reading = opened.source.read(opened.tables, statement, request.params, {
    maxRows: request.keptRows,
    maxValueBytes: request.maxBytes,
    maxTotalBytes: request.keptBytes,
    bookmark: request.bookmark,
  });
  const read = await inTime(reading, request.querySeconds).catch((error: unknown) => {
    // A name of a denied table reads as one that is not there; the record knows better.
    const isMeant = (dataset: string): boolean => isNamed(statement, request.source, dataset);
    const denied =
      error instanceof AppError && !(error instanceof StillRunning) ? deny(error, catalogue, isMeant) : undefined;
    if (denied !== undefined && denied.denials.length > 0) throw denied;
    throw request.source === WORKSPACE ? ownFault(error) : error;
  });
  const used = opened.tables.filter((table) => read.used.includes(table.dataset.table));
  const provenance = opened.provenanceOf(used, statement);
  return keepAndAnswer(workspace, request, read, provenance);
}

/** Of one's own results, no role has more. */
function ownFault(error: unknown): unknown {
  if (!(error instanceof AppError) || !error.isMissing) return error;
  return new AppError(error.code, error.publicMessage, { cause: error.cause });
}

async function keepAndAnswer(
  workspace: WorkspaceAccess,
  request: QueryRequest,
  read: TableRead,
  provenance: Provenance,
): Promise<Answered<QueryAnswer>> {
  const rows = showRows(read, provenance, request);
  const { source, sql, saved } = request;
  const asked = { source, sql: saved === null ? sql : `saved query ${saved.name}` };
  const origin = { ...asked, read: read.rows.length, more: read.more, ...provenance };
  const { id: result, kept } = await workspace.keep({ columns: read.columns, rows: read.rows, origin });
  const answer = answerQuery({ read, rows, provenance, result, kept });
  return {
    answer,
    ...recordOf(provenance),
    result,
    rows: rows.length,
    cut: answer.cut !== undefined,
    bookmark: read.bookmark,
  };
}

function isNamed(statement: Statement, source: string, dataset: string): boolean {
  return dataset.startsWith(`${source}.`) && statement.names.has(foldName(dataset.slice(source.length + 1)));
}

async function openResults(workspace: WorkspaceAccess, { names }: Statement): Promise<Opened> {
  const { source, tables, results } = await workspace.open([...names.keys()]);
  const originOf = new Map(
    results.map((result) => [result.id, { ...result.origin, incomplete: incompleteIn(result) }]),
  );
  return {
    source,
    tables,
    provenanceOf: (used) => uniteProvenance(used.flatMap(({ dataset }) => originOf.get(dataset.table) ?? [])),
  };
}

function openTables(catalogue: Catalogue, { source: name, saved }: QueryRequest): Opened {
  const sources = catalogue.open.filter((open): open is OpenTables => open.kind === "d1");
  const found = sources.find((open) => open.source.declaration.name === name);
  const by = saved === null ? FREE_FORM : readBySaved(saved);
  if (found !== undefined) return { ...found, provenanceOf: (used, statement) => provenanceOf(used, statement, by) };
  if (catalogue.open.some((open) => open.source.declaration.name === name))
    throw new AppError("invalid_input", `${name} holds documents: find them with search, and read them with fetch.`);
  throw deny(new AppError("not_found", noSource(name, sources), { isMissing: true }), catalogue, (dataset) =>
    dataset.startsWith(`${name}.`),
  );
}

function noSource(name: string, sources: readonly OpenTables[]): string {
  const names = sources.map((open) => open.source.declaration.name);
  if (names.length === 0) return "There is no source that you may query.";
  const meant = nearest(name, names);
  const choice = `${meant === undefined ? "" : `Did you mean ${meant}? `}There are: ${[...names, WORKSPACE].join(", ")}.`;
  return `There is no source ${JSON.stringify(name)} that you may query. ${choice}`;
}
