// Parses the filters that operators and auditors type to search the audit log.
import type { AuditRecordStore } from "../audit/audit-record-store.ts";
import { OPERATOR_LEDGER } from "../audit/operator-ledger.ts";
import { parseTime } from "../audit/record-filter.ts";
import type { RecordSearch, RowName } from "../audit/record-filter.ts";
import { AppError } from "../errors.ts";
import type { MemberStore } from "../members/member-store.ts";
import { requireEmailAddress } from "../policy/member-input.ts";
import type { RecordNames } from "./record-names.ts";

/** A span of time as it was typed. */
export interface SpanFilters {
  readonly since?: string | undefined;
  readonly until?: string | undefined;
}

/** The filters as they were typed. */
export interface SearchFilters extends SpanFilters {
  readonly user?: string | undefined;
  readonly client?: string | undefined;
  readonly dataset?: string | undefined;
  readonly column?: string | undefined;
  readonly key?: string | undefined;
  readonly decision?: string | undefined;
  readonly action?: string | undefined;
}

/** Where ids of ledgers are looked up. */
export interface UserDirectory {
  readonly members: Pick<MemberStore, "listSubjects">;
  readonly auditRecords: Pick<AuditRecordStore, "findLedgers">;
}

/** What parsing needs. */
interface FilterContext {
  readonly directory: UserDirectory;
  readonly names: Pick<RecordNames, "listClientIds">;
  readonly nowMs: number;
  /** Writes the name of a filter as messages name it: `--since`, `since`. */
  readonly label: (filter: keyof SearchFilters) => string;
}

const DECISIONS = ["allowed", "denied", "none"] as const;
const DATASET = /^[^.]+\.[^.]+$/;
const COLUMN = /^[^.]+\.[^.]+\..+$/;
const ROW = /^(?<dataset>[^.]+\.[^/]+)\/(?<key>.*)$/s;

/** Parses the filters. Errors: `invalid_input` for a filter of another form, `not_found` for a user who is not known. */
export async function parseSearch(filters: SearchFilters, context: FilterContext): Promise<RecordSearch> {
  const { directory, names, nowMs, label } = context;
  const { user, client, dataset, column, key, action, decision } = filters;
  if (dataset !== undefined && !DATASET.test(dataset))
    throw invalid(`${label("dataset")} is ${dataset}. Write source.table, such as shop.customers.`);
  if (column !== undefined && !COLUMN.test(column))
    throw invalid(`${label("column")} is ${column}. Write source.table.column, such as shop.customers.email.`);
  const known = DECISIONS.find((value) => value === decision);
  if (decision !== undefined && known === undefined)
    throw invalid(`${label("decision")} is ${decision}. It takes ${DECISIONS.join(", ")}.`);
  return {
    ...parseSpan(filters, nowMs, label),
    users: user === undefined ? undefined : await findLedgersOfUser(directory, user),
    clients: client === undefined ? undefined : names.listClientIds(client),
    dataset,
    column,
    row: key === undefined ? undefined : parseRowName(key, label),
    action,
    decision: known,
  };
}

/** Parses the name of a row. Errors: `invalid_input`. */
function parseRowName(text: string, label: FilterContext["label"]): RowName {
  const { dataset, key } = ROW.exec(text)?.groups ?? {};
  if (dataset !== undefined && key !== undefined) return { dataset, key };
  const form = "Write the id of a row as fetch takes it: source.table/key, such as shop.customers/4711.";
  throw invalid(`${label("key")} is ${text}. ${form}`);
}

/** Parses a span of time. Errors: `invalid_input`. */
export function parseSpan(
  { since, until }: SpanFilters,
  nowMs: number,
  label: FilterContext["label"],
): Pick<RecordSearch, "sinceMs" | "untilMs"> {
  const parse = (filter: keyof SpanFilters, text: string | undefined): number | undefined => {
    if (text === undefined) return undefined;
    const ms = parseTime(text, nowMs);
    if (ms !== null) return ms;
    const forms =
      "Write a UTC day such as 2026-11-27, a time such as 2026-11-27T09:30:00Z, or how long ago: 90m, 24h, 7d.";
    throw invalid(`${label(filter)} is ${text}. ${forms}`);
  };
  return { sinceMs: parse("since", since), untilMs: parse("until", until) };
}

/**
 * Finds the ledgers of a user: by address, by subject id, or by the beginning of one. Errors: `invalid_input`, `not_found`.
 */
export async function findLedgersOfUser(directory: UserDirectory, text: string): Promise<readonly string[]> {
  if (!text.includes("@")) return [await findLedger(directory, text)];
  const email = requireEmailAddress(text);
  const subjects = await directory.members.listSubjects(email);
  if (subjects.length > 0) return subjects.map(({ subjectId }) => subjectId);
  throw new AppError(
    "not_found",
    `${email} has never signed in, so there is no record of this user. ` +
      "The records of a user who signed in with another address before are found by the subject id.",
  );
}

/** Finds the ledger whose id is or begins with this text. Errors: `invalid_input`, and `not_found` when there is none or more than one. */
export async function findLedger({ auditRecords }: Pick<UserDirectory, "auditRecords">, text: string): Promise<string> {
  if (text === OPERATOR_LEDGER) return text;
  if (!/^[0-9a-f]{4,64}$/.test(text))
    throw invalid(`${text} is neither an email address nor a subject id, which has 40 hexadecimal digits.`);
  const [ledger, another] = await auditRecords.findLedgers(text);
  if (ledger === undefined)
    throw new AppError("not_found", `No user with records has a subject id that begins with ${text}.`);
  if (another === undefined) return ledger;
  const message = `Several subject ids begin with ${text}, such as ${ledger} and ${another}. Write more of it.`;
  throw new AppError("not_found", message);
}

const invalid = (message: string): AppError => new AppError("invalid_input", message);
