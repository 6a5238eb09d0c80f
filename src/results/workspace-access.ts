// A user's stored results as the gateway uses them. Every call checks them against today's grants and deletes those that the grants
// no longer cover, before anything is read.
import { AppError } from "../errors.ts";
import { byteLength } from "../lib/bytes.ts";
import type { WithSpan } from "../lib/spans.ts";
import type { Policy, Subject } from "../policy/model.ts";
import type { SchemaSandbox } from "../sql/schema-sandbox.ts";
import type { GovernedRow } from "../read/source.ts";
import { DeniedError, ResultNumberUsedError } from "../audit/audit.ts";
import { isOfSource } from "../audit/pause-model.ts";
import type { ResultTicket } from "../audit/audit-record.ts";
import type { OnRefusal } from "../sql/defence-refusal.ts";
import { WORKSPACE, createWorkspaceReading, createWorkspaceSource } from "./workspace-source.ts";
import type { WorkspaceReading, WorkspaceSource } from "./workspace-source.ts";
import { encodeRow } from "./result-rows.ts";
import type { StoredResult, NewResult, ResultColumn, Workspace } from "./workspace.ts";
import { formatOrigin, isCovered, listOriginKeys, parseOrigin } from "./lineage.ts";
import type { Origin } from "./lineage.ts";

/** A stored result that the user may use today. */
export interface VisibleResult extends Omit<StoredResult, "origin"> {
  readonly origin: Origin;
}

/** The results that the user may use, as a table source. */
export interface VisibleWorkspace extends WorkspaceSource {
  /** Oldest first. */
  readonly results: readonly VisibleResult[];
}

/** The workspace of one subject during one call. */
export interface WorkspaceAccess {
  /** Opens the results that the subject may use. Only those in `usedIds` can be queried. */
  open(usedIds?: readonly string[]): Promise<VisibleWorkspace>;
  /** Prepares rows to be stored, as many as the byte limit allows. Throws `TypeError` when the call has no number for a result. */
  prepareResult(result: ResultRows): PreparedResult;
}

/** A result that has its id, but is not stored. */
interface PreparedResult {
  readonly id: string;
  readonly storedRows: number;
  /** Stores the result as pending. Errors: `source_unavailable`, and `ResultNumberUsedError`. */
  readonly keep: () => Promise<void>;
}

/** The call that uses a workspace. */
interface WorkspaceCall {
  readonly id: string;
  readonly subject: Subject;
  /** The subject whose ledger records the call. */
  readonly ownerId: string;
  readonly resultTicket: ResultTicket;
  readonly pausedSources: ReadonlyMap<string, AppError>;
}

interface ResultRows {
  readonly columns: readonly ResultColumn[];
  readonly rows: readonly GovernedRow[];
  readonly origin: Origin;
}

/** What opening a workspace needs. */
export interface WorkspaceDependencies {
  readonly policy: Policy;
  readonly openWorkspace: (subjectId: string) => Workspace;
  readonly schemaSandbox: SchemaSandbox;
  /** Returns the listener for refusals by a defence; all workspaces report as one source. */
  readonly defenceLog?: (source: string) => OnRefusal;
  readonly withSpan?: WithSpan;
  readonly limits: {
    readonly maxQuerySteps: number;
    /** The byte limit of one result's rows, as JSON. */
    readonly storedBytes: number;
    /** The most rows on one page of a result. */
    readonly shownRows: number;
    /** The byte limit of one page. */
    readonly maxResultBytes: number;
  };
}

/** Creates what the workspaces of all subjects share. */
export function openWorkspaceReading({
  schemaSandbox,
  defenceLog,
  withSpan,
  limits,
}: WorkspaceDependencies): WorkspaceReading {
  return createWorkspaceReading({
    schemaSandbox,
    maxSteps: limits.maxQuerySteps,
    onRefusal: defenceLog?.(WORKSPACE),
    withSpan,
  });
}

/** Creates the workspace access of one subject for one call. Errors: `source_unavailable`. */
export function openWorkspaceAccess(
  { policy, openWorkspace, limits }: WorkspaceDependencies,
  reading: WorkspaceReading,
  { id: call, subject, ownerId, resultTicket, pausedSources }: WorkspaceCall,
): WorkspaceAccess {
  /** Tries twice: a Durable Object may move between calls, and each of its methods is idempotent. */
  const askWithRetry = async <T>(question: (workspace: Workspace) => Promise<T>): Promise<T> =>
    question(openWorkspace(subject.subjectId))
      .catch(async () => question(openWorkspace(subject.subjectId)))
      .catch((cause: unknown) => {
        throw new AppError("source_unavailable", "Your workspace is not responding. Try again in a minute.", { cause });
      });

  return {
    async open(usedIds = []) {
      const { results, objects } = await askWithRetry((workspace) =>
        workspace.open(usedIds, resultTicket.committedCalls),
      );
      const visibleResults = results.flatMap((result): VisibleResult[] => {
        const origin = parseOrigin(result.origin);
        if (origin === undefined || !isCovered(origin, policy, subject)) return [];
        return [{ ...result, origin: { ...origin, keys: listOriginKeys(origin, policy) } }];
      });
      const ids = new Set(visibleResults.map(({ id }) => id));
      const uncoveredIds = results.filter(({ id }) => !ids.has(id)).map(({ id }) => id);
      if (uncoveredIds.length > 0) await askWithRetry((workspace) => workspace.drop(uncoveredIds));
      // A paused result stays stored, and is not shown.
      const pauseById = new Map(visibleResults.map(({ id, origin }) => [id, findPause(origin, pausedSources)]));
      const usedPause = usedIds.map((id) => pauseById.get(id)).find((pause) => pause !== undefined);
      if (usedPause !== undefined) throw new DeniedError(usedPause[1], [`${usedPause[0]}: paused`], []);
      const shownResults = visibleResults.filter(({ id }) => pauseById.get(id) === undefined);
      const shownIds = new Set(shownResults.map(({ id }) => id));
      const parts = { workspace: openWorkspace(subject.subjectId), reading };
      const openResults = results.filter(({ id }) => shownIds.has(id));
      return { ...createWorkspaceSource({ ...parts, results: openResults, objects }), results: shownResults };
    },
    prepareResult({ columns, rows, origin }) {
      const { number, committedCalls } = resultTicket;
      if (number === null) throw new TypeError("a call that stores a result must begin with mayStoreResult");
      const { texts, pages } = encodeRows(rows, limits);
      const newResult: NewResult = { call, number, ownerId, columns, rows: texts, pages, origin: formatOrigin(origin) };
      return {
        id: `r${number}`,
        storedRows: texts.length,
        async keep() {
          const kept = await askWithRetry((workspace) => workspace.keep(newResult, committedCalls));
          if (!kept.ok) throw new ResultNumberUsedError(kept.lastNumber);
        },
      };
    },
  };
}

/** Finds a paused source from which rows of a result came, directly or through other results. */
function findPause({ lineage }: Origin, pausedSources: WorkspaceCall["pausedSources"]): [string, AppError] | undefined {
  return [...pausedSources].find(([source]) =>
    lineage.some(({ reads }) => reads.some(({ dataset }) => isOfSource(dataset, source))),
  );
}

interface EncodedRows {
  readonly texts: readonly string[];
  /** The index of the first row of each page; there is always at least one page. */
  readonly pages: readonly number[];
}

function encodeRows(
  rows: readonly GovernedRow[],
  { storedBytes, shownRows: maxPageRows, maxResultBytes: maxPageBytes }: WorkspaceDependencies["limits"],
): EncodedRows {
  const texts: string[] = [];
  const pages = [0];
  let totalBytes = 0;
  let pageBytes = 0;
  for (const row of rows) {
    const text = encodeRow(row);
    const bytes = byteLength(text);
    totalBytes += bytes;
    if (totalBytes > storedBytes) break;
    const isFull = texts.length - (pages.at(-1) ?? 0) >= maxPageRows || pageBytes + bytes > maxPageBytes;
    if (isFull && texts.length > (pages.at(-1) ?? 0)) {
      pages.push(texts.length);
      pageBytes = 0;
    }
    pageBytes += bytes;
    texts.push(text);
  }
  return { texts, pages };
}
