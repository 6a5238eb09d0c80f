// The fetch operation: one thing by id, as text: a document page by page, a dataset's description, a row.
import { AppError } from "../errors.ts";
import { isToken } from "../sources/tokens.ts";
import type { TableBounds } from "../sources/tabular.ts";
import { findTarget, notFound } from "./catalogue.ts";
import type { Catalogue } from "./catalogue.ts";
import { fetchDocument, listDocuments } from "./fetch-document.ts";
import { fetchRow, fetchTable } from "./fetch-table.ts";
import type { FetchAnswer } from "./fetched.ts";
import type { Answered } from "./recorded.ts";
import { revealToken } from "./reveal.ts";
import { fetchResult, resultNameOf, resultUri } from "./results.ts";
import { UNTRUSTED_NOTE } from "./untrusted.ts";
import type { WorkspaceAccess } from "./workspace.ts";

export interface FetchRequest {
  readonly id: string;
  /** 1 is the first. */
  readonly page: number;
  readonly pageCharacters: number;
  /** Bytes of one value of a result at most. */
  readonly maxBytes: number;
  /** Bytes of a result at most. */
  readonly keptBytes: number;
  /** Of a document that is a table, what is kept; null for nothing. */
  readonly tables: TableBounds | null;
}

/** What a URI names, as text, and what is to be known of it. */
export interface ResourceText {
  readonly text: string;
  readonly notes: readonly string[];
}

const MAX_WHOLE_CHARACTERS = 1_000_000;

/** Reads what an id names. Errors: `not_found`, also for what exists but is not granted; `invalid_input` for a page. */
export async function fetchOne(
  catalogue: Catalogue,
  workspace: WorkspaceAccess,
  request: FetchRequest,
): Promise<Answered<FetchAnswer>> {
  const result = resultNameOf(request.id);
  if (result !== undefined)
    return fetchResult(await workspace.open([result.id]), {
      ...request,
      id: result.id,
      page: result.page ?? request.page,
    });
  if (isToken(request.id)) return revealToken(catalogue, request.id);
  const target = findTarget(catalogue, request.id);
  if (target === undefined) throw notFound(catalogue, request.id);
  switch (target.kind) {
    case "table":
      return paged(fetchTable(target), request);
    case "row":
      return paged(await fetchRow(catalogue, target, request.id), request);
    case "documents":
      return paged(await listDocuments(target.open), request);
    case "document":
      // Kept with its first page, not again with each.
      return paged(
        await fetchDocument(catalogue, workspace, target, request.id, request.page === 1 ? request.tables : null),
        request,
      );
  }
}

/** The text of what a URI names: whole, but for results, whose URIs have pages. Errors: as `fetchOne`, and `limit_reached`. */
export async function fetchResource(
  catalogue: Catalogue,
  workspace: WorkspaceAccess,
  request: FetchRequest,
): Promise<Answered<ResourceText>> {
  const answered = await fetchOne(catalogue, workspace, { ...request, pageCharacters: MAX_WHOLE_CHARACTERS });
  const { text, metadata } = answered.answer;
  const { incomplete = [] } = metadata;
  const notes = [
    ...(typeof incomplete === "object" && incomplete.length > 0 ? [`Not all rows: ${incomplete.join("; ")}.`] : []),
    ...("untrusted" in metadata ? [UNTRUSTED_NOTE] : []),
  ];
  const result = resultNameOf(request.id);
  if (!("pages" in metadata)) return { ...answered, answer: { text, notes } };
  if (result === undefined) {
    throw new AppError(
      "limit_reached",
      `This is longer than ${MAX_WHOLE_CHARACTERS} characters. Read it page by page with the tool fetch.`,
    );
  }
  const { page = 1 } = result;
  const pages = Number(metadata["pages"]);
  const next = page < pages ? ` The next is ${resultUri(result.id, page + 1)}.` : "";
  return { ...answered, answer: { text, notes: [`Page ${page} of ${pages}.${next}`, ...notes] } };
}

/** Cuts the text to the page asked for and says how many pages there are. */
function paged(
  answered: Answered<FetchAnswer>,
  { page, pageCharacters }: Pick<FetchRequest, "page" | "pageCharacters">,
): Answered<FetchAnswer> {
  const { answer } = answered;
  const pages = Math.max(1, Math.ceil(answer.text.length / pageCharacters));
  if (page > pages) {
    throw new AppError(
      "invalid_input",
      `page ${page} does not exist: ${JSON.stringify(answer.id)} has ${pages} page(s).`,
    );
  }
  if (pages === 1) return answered;
  const text = answer.text.slice((page - 1) * pageCharacters, page * pageCharacters).toWellFormed();
  return { ...answered, answer: { ...answer, text, metadata: { ...answer.metadata, page, pages } }, cut: true };
}
