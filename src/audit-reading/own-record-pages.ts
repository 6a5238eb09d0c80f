// The records of one user and their personal access tokens, as this user may see them: what was asked in their name, and what came of it.
// Rules, denials and the kind of a refusal are left out, because they tell a hidden table from one that does not exist.
import { PAUSE_ACTIONS } from "../audit/pause-model.ts";
import type { AuditRecordStore, ListedRecord, PageRequest, RecordCursor } from "../audit/audit-record-store.ts";
import { createFilter, formatCursor, parseCursor } from "../audit/record-filter.ts";
import { AppError } from "../errors.ts";
import type { PatStore } from "../personal-access-tokens/pat-store.ts";
import { nameEntries } from "./named-entry.ts";
import type { NamedEntry } from "../audit/export-fields.ts";
import { createNames } from "./record-names.ts";
import type { ClientNames, RecordNames } from "./record-names.ts";

/** A record as its user sees it. */
export interface OwnRecord extends Pick<NamedEntry, "id" | "ended" | "client" | "clientName" | "action" | "resource"> {
  /** The name of the personal access token that called; null when another client did. */
  readonly accessToken: string | null;
  /** What the user or their client asked, as far as it is recorded; null for what others did. */
  readonly arguments: string | null;
  readonly isAnswered: boolean;
  /** The error code when the call was not answered. */
  readonly code: string | null;
  readonly rows: number | null;
  /** Whether there were more rows. */
  readonly cut: boolean | null;
}

/** Which page to read. */
export interface OwnPageRequest {
  /** The cursor that another page returned; the newest records without it. */
  readonly cursor?: string | undefined;
  /** Whether the page is before the cursor, so that its records are newer. */
  readonly isNewer?: boolean;
  readonly limit: number;
}

/** A page, newest first. */
export interface OwnRecordPage {
  readonly records: readonly OwnRecord[];
  /** The cursor of older records; null when there are none. */
  readonly older: string | null;
  /** The cursor of newer records; null when there are none. */
  readonly newer: string | null;
}

/** What a page is read from. */
interface OwnRecordSources {
  readonly auditRecords: Pick<AuditRecordStore, "list">;
  readonly pats: Pick<PatStore, "list">;
  readonly findClientNames: (clientIds: readonly string[]) => Promise<ClientNames>;
}

/** Lists a page of a user's records. Errors: `invalid_input` for a cursor of another form. */
export async function listOwnRecords(
  { auditRecords, pats, findClientNames }: OwnRecordSources,
  subjectId: string,
  { cursor: cursorText, isNewer = false, limit }: OwnPageRequest,
): Promise<OwnRecordPage> {
  const cursor = cursorText === undefined ? null : parseCursor(cursorText);
  if (cursorText !== undefined && cursor === null)
    throw new AppError("invalid_input", "This is no page of your records.");
  const filter = createFilter({ users: [subjectId] });
  // One record more than is shown says whether there is another page.
  const list = async (order: PageRequest["order"], start: RecordCursor | null): Promise<readonly ListedRecord[]> =>
    (await auditRecords.list(filter, { order, cursor: start, limit: limit + 1 })).records;
  const newer = isNewer && cursor !== null ? await list("oldest first", cursor) : [];
  const hasNewer = isNewer ? newer.length > limit : cursor !== null;
  // When no whole page is newer, the first page is shown.
  const found = isNewer && hasNewer ? newer : await list("newest first", isNewer ? null : cursor);
  const hasOlder = (isNewer && hasNewer) || found.length > limit;
  const shown = found.slice(0, limit);
  const page = isNewer && hasNewer ? shown.toReversed() : shown;
  const names = createNames(new Map(), await pats.list(subjectId));
  return {
    records: (await nameEntries(page, names, findClientNames)).map((entry) => describeOwn(entry, names)),
    older: hasOlder ? formatPlace(page.at(-1)) : null,
    newer: hasNewer ? formatPlace(page[0]) : null,
  };
}

function formatPlace(record: ListedRecord | undefined): string | null {
  return record === undefined ? null : formatCursor(record);
}

function describeOwn(
  { id, ended, client, clientName, action, resource, arguments: asked, code, outcome, rows, cut }: NamedEntry,
  names: RecordNames,
): OwnRecord {
  // A record without a client was caused by others, such as an admin who gave a role, and a pause by an operator: the text is theirs.
  const isByOthers = client === null || client === "" || PAUSE_ACTIONS.some((known) => known === action);
  return {
    id,
    ended,
    client: isByOthers ? null : client,
    clientName: isByOthers ? null : clientName,
    accessToken: isByOthers || names.findPatName(client) === null ? null : clientName,
    action,
    resource,
    arguments: isByOthers ? null : asked,
    isAnswered: outcome === "answered",
    code,
    rows,
    cut,
  };
}
