// The fetch operation: reads one document, table description, row, stored result or masking token by id, as text in pages.
import { AppError } from "../errors.ts";
import { isMaskingToken } from "../masking-tokens/masking-token-store.ts";
import type { TableLimits } from "../documents/tabular-document.ts";
import { findTarget, createNotFoundDenial } from "./visible-datasets.ts";
import type { Target, VisibleDatasets } from "./visible-datasets.ts";
import { RESULT_MIME_TYPE, ROW_MIME_TYPE, getDocumentMimeType } from "./mime-types.ts";
import { fetchDocument, listDocuments } from "./fetch-document.ts";
import { fetchRow, fetchTable } from "./fetch-table.ts";
import type { FetchAnswer } from "../answers/fetch-answer.ts";
import { takePage } from "../answers/text-pages.ts";
import type { Audited } from "../audit/audit.ts";
import { revealMaskingToken } from "./reveal-masking-token.ts";
import { fetchResult, findResult, parseResultName, resultUri } from "../results/stored-results.ts";
import type { ChangeServices } from "./change.ts";
import { UNTRUSTED_NOTE } from "../answers/untrusted-text.ts";
import type { WorkspaceAccess } from "../results/workspace-access.ts";

interface FetchRequest {
  readonly id: string;
  /** From 1. */
  readonly page: number;
  readonly pageCharacters: number;
  /** The byte limit of one value of a stored result. */
  readonly maxValueBytes: number;
  /** The byte limit of a stored result. */
  readonly storedBytes: number;
  /** How much of a tabular document to store as a result; null to store nothing. */
  readonly tableLimits: TableLimits | null;
  readonly listChanged: ChangeServices["listChanged"];
}

/** A resource as text, with notes about missing rows, further pages and untrusted text. */
export interface ResourceText {
  readonly text: string;
  readonly mimeType: string;
  readonly notes: readonly string[];
}

const MAX_RESOURCE_CHARACTERS = 1_000_000;

/**
 * Reads what an id names. Errors: `not_found` if it does not exist or is not granted, `invalid_input` for a page that does not exist.
 */
export async function fetchById(
  datasets: VisibleDatasets,
  workspace: WorkspaceAccess,
  request: FetchRequest,
): Promise<Audited<FetchAnswer>> {
  const result = parseResultName(request.id);
  if (result !== undefined) {
    const opened = await workspace.open([result.id]);
    const page = { ...request, id: result.id, page: result.page ?? request.page };
    return addChanged(await fetchResult(opened, page), findResult(opened, result.id).keptAtMs, request.listChanged);
  }
  if (isMaskingToken(request.id)) return revealMaskingToken(datasets, request.id);
  const target = findTarget(datasets, request.id);
  if (target === undefined) throw createNotFoundDenial(datasets, request.id);
  switch (target.kind) {
    case "table":
      return cutToPage(fetchTable(target), request);
    case "row":
      return cutToPage(await fetchRow(datasets, target, request.id), request);
    case "documents":
      return cutToPage(await listDocuments(target.visible), request);
    case "document":
      // The document is stored as a result with its first page only.
      return cutToPage(
        await fetchDocument(datasets, workspace, target, request.id, request.page === 1 ? request.tableLimits : null),
        request,
      );
  }
}

/** A result is stored at most this long after its rows were read. */
const MAX_KEEP_DELAY_MS = 60_000;

/** Says which datasets behind a result a change was applied to since, or shortly before, it was stored. */
async function addChanged(
  audited: Audited<FetchAnswer>,
  keptAtMs: number,
  listChanged: ChangeServices["listChanged"],
): Promise<Audited<FetchAnswer>> {
  const changed = await listChanged(audited.datasets, keptAtMs - MAX_KEEP_DELAY_MS);
  if (changed.length === 0) return audited;
  return { ...audited, answer: { ...audited.answer, metadata: { ...audited.answer.metadata, changed } } };
}

/**
 * Reads what a URI names as one text. Only results have pages, each with its own URI. Errors: those of `fetchById`, and
 * `limit_reached` if the text is too long.
 */
export async function fetchResource(
  datasets: VisibleDatasets,
  workspace: WorkspaceAccess,
  request: FetchRequest,
): Promise<Audited<ResourceText>> {
  const audited = await fetchById(datasets, workspace, { ...request, pageCharacters: MAX_RESOURCE_CHARACTERS });
  const { text, metadata } = audited.answer;
  const { incomplete = [], changed = [] } = metadata;
  const notes = [
    ...(typeof changed === "object" && changed.length > 0
      ? [`Data behind it has changed: ${changed.join("; ")}.`]
      : []),
    ...(typeof incomplete === "object" && incomplete.length > 0 ? [`Not all rows: ${incomplete.join("; ")}.`] : []),
    ...("untrusted" in metadata ? [UNTRUSTED_NOTE] : []),
  ];
  const result = parseResultName(request.id);
  const target = findTarget(datasets, request.id);
  const mimeType = target === undefined ? RESULT_MIME_TYPE : getTargetMimeType(target);
  if (!("pages" in metadata)) return { ...audited, answer: { text, mimeType, notes } };
  if (result === undefined) {
    throw new AppError(
      "limit_reached",
      `This resource is longer than ${MAX_RESOURCE_CHARACTERS} characters. Read it page by page with the tool fetch.`,
    );
  }
  const { page = 1 } = result;
  const pages = Number(metadata["pages"]);
  const next = page < pages ? ` The next page is ${resultUri(result.id, page + 1)}.` : "";
  return { ...audited, answer: { text, mimeType, notes: [`Page ${page} of ${pages}.${next}`, ...notes] } };
}

function getTargetMimeType(target: Target): string {
  switch (target.kind) {
    case "table":
    case "documents":
      return "text/plain";
    case "row":
      return ROW_MIME_TYPE;
    case "document":
      return getDocumentMimeType(target.visible.dataset, target.key);
  }
}

/** Cuts the text to the requested page and adds the number of pages. */
function cutToPage(
  audited: Audited<FetchAnswer>,
  { page, pageCharacters }: Pick<FetchRequest, "page" | "pageCharacters">,
): Audited<FetchAnswer> {
  const { answer } = audited;
  const isFenced = "untrusted" in answer.metadata;
  const taken = takePage(answer.text, page, { pageCharacters, isFenced });
  if (taken === undefined) {
    const { pages } = takePage(answer.text, 1, { pageCharacters, isFenced }) ?? { pages: 1 };
    throw new AppError(
      "invalid_input",
      `page ${page} does not exist: ${JSON.stringify(answer.id)} has ${pages} page(s).`,
    );
  }
  const { text, pages } = taken;
  if (pages === 1) return audited;
  return { ...audited, answer: { ...answer, text, metadata: { ...answer.metadata, page, pages } }, cut: true };
}
