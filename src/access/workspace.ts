// A person's kept results as the gateway uses them: looked at anew for each call, with those that today's grants do not
// cover any more dropped before anything is read.
import { AppError } from "../errors.ts";
import { byteLength } from "../lib/bytes.ts";
import type { Policy, Subject } from "../policy/model.ts";
import type { Scratch } from "../sql/scratch.ts";
import type { GovernedRow } from "../sources/source.ts";
import { typeOf } from "../sql/exact.ts";
import type { StorageType } from "../sql/exact.ts";
import type { OnRefusal } from "../sql/defence.ts";
import { WORKSPACE, createWorkspaceSource } from "../sources/workspace.ts";
import type { WorkspaceSource } from "../sources/workspace.ts";
import { encodeRow } from "../workspace/rows.ts";
import type { KeptResult, NewResult, ResultColumn, Workspace } from "../workspace/workspace.ts";
import { isCovered, parseOrigin } from "./lineage.ts";
import type { Origin } from "./lineage.ts";

/** A result that may be used today. */
export interface UsableResult extends Omit<KeptResult, "origin"> {
  readonly origin: Origin;
}

export interface OpenWorkspace extends WorkspaceSource {
  /** Oldest first. */
  readonly results: readonly UsableResult[];
}

export interface WorkspaceAccess {
  /** What the subject may use of their results. Only those named as used can be queried. */
  open(used?: readonly string[]): Promise<OpenWorkspace>;
  /** Keeps rows under a new id, as many as there is room for. `kept` is how many those are. */
  keep(result: ResultRows): Promise<{ readonly id: string; readonly kept: number }>;
}

export interface ResultRows {
  readonly columns: readonly string[];
  readonly rows: readonly GovernedRow[];
  readonly origin: Origin;
}

export interface WorkspaceDependencies {
  readonly policy: Policy;
  readonly workspaceOf: (subjectId: string) => Workspace;
  readonly scratch: Scratch;
  /** Gives the workspaces, as one source, what their refusals by a defence are reported to. */
  readonly defenceLog?: (source: string) => OnRefusal;
  readonly limits: {
    readonly maxQuerySteps: number;
    /** Bytes of one result's rows, as JSON. */
    readonly keptBytes: number;
    /** Rows on a page of a result. */
    readonly maxRows: number;
    /** Bytes of such a page. */
    readonly maxResultBytes: number;
  };
}

/** The workspace of one subject in one call. */
export function accessWorkspace(
  { policy, workspaceOf, scratch, defenceLog, limits }: WorkspaceDependencies,
  subject: Subject,
  call: string,
): WorkspaceAccess {
  /** Tries twice: the object may have moved in between, and each of its methods can be repeated. */
  const ask = async <T>(question: (workspace: Workspace) => Promise<T>): Promise<T> =>
    question(workspaceOf(subject.subjectId))
      .catch(async () => question(workspaceOf(subject.subjectId)))
      .catch((cause: unknown) => {
        throw new AppError("source_unavailable", "Your workspace does not answer. Try again in a minute.", { cause });
      });

  return {
    async open(used = []) {
      const { results, objects } = await ask((workspace) => workspace.open(used));
      const usable = results.flatMap((result): UsableResult[] => {
        const origin = parseOrigin(result.origin);
        return origin !== undefined && isCovered(origin, policy, subject) ? [{ ...result, origin }] : [];
      });
      const ids = new Set(usable.map(({ id }) => id));
      const lost = results.filter(({ id }) => !ids.has(id)).map(({ id }) => id);
      if (lost.length > 0) await ask((workspace) => workspace.drop(lost));
      const parts = {
        workspace: workspaceOf(subject.subjectId),
        scratch,
        maxSteps: limits.maxQuerySteps,
        onRefusal: defenceLog?.(WORKSPACE),
      };
      const open = results.filter(({ id }) => ids.has(id));
      return { ...createWorkspaceSource({ ...parts, results: open, objects }), results: usable };
    },
    async keep({ columns, rows, origin }) {
      const { texts, pages } = encodeRows(rows, limits);
      const kept: NewResult = {
        call,
        columns: columns.map((name, index) => columnOf(name, rows, index)),
        rows: texts,
        pages,
        origin: JSON.stringify(origin),
      };
      return { id: await ask((workspace) => workspace.keep(kept)), kept: texts.length };
    },
  };
}

/** A column of rows to keep. */
export function columnOf(name: string, rows: readonly GovernedRow[], index: number): ResultColumn {
  const types = new Set<StorageType>(rows.map((row) => typeOf(row[index] ?? null)));
  types.delete("null");
  return { name, types: [...types] };
}

interface EncodedRows {
  readonly texts: readonly string[];
  /** The index of the first row of each page; there is always a first page. */
  readonly pages: readonly number[];
}

function encodeRows(
  rows: readonly GovernedRow[],
  { keptBytes, maxRows, maxResultBytes }: WorkspaceDependencies["limits"],
): EncodedRows {
  const texts: string[] = [];
  const pages = [0];
  let total = 0;
  let page = 0;
  for (const row of rows) {
    const text = encodeRow(row);
    const bytes = byteLength(text);
    total += bytes;
    if (total > keptBytes) break;
    const isFull = texts.length - (pages.at(-1) ?? 0) >= maxRows || page + bytes > maxResultBytes;
    if (isFull && texts.length > (pages.at(-1) ?? 0)) {
      pages.push(texts.length);
      page = 0;
    }
    page += bytes;
    texts.push(text);
  }
  return { texts, pages };
}
