// Reads the filters that an operator typed for the audit log.
import { findLedger, findLedgersOfUser, parseSearch, parseSpan } from "../../src/audit-reading/search-filters.ts";
import type { SearchFilters, SpanFilters, UserDirectory } from "../../src/audit-reading/search-filters.ts";
import type { RecordNames } from "../../src/audit-reading/record-names.ts";
import type { RecordSearch } from "../../src/audit/record-filter.ts";
import { AppError } from "../../src/errors.ts";
import { CliError, usageError } from "../kit/cli-error.ts";

export type SpanOptions = SpanFilters;
export type SearchOptions = SearchFilters;

const label = (filter: string): string => `--${filter}`;

/** Reads the filters. Throws the error for wrong usage for a filter of another form, and `CliError` for a user who is not known. */
export async function readSearch(
  directory: UserDirectory,
  names: RecordNames,
  options: SearchOptions,
  nowMs: number,
): Promise<RecordSearch> {
  return withCliErrors(async () => parseSearch(options, { directory, names, nowMs, label }));
}

/** Reads a span of time. Throws the error for wrong usage for a time of another form. */
export async function readSpan(options: SpanOptions, nowMs: number): Promise<ReturnType<typeof parseSpan>> {
  return withCliErrors(async () => parseSpan(options, nowMs, label));
}

/** Finds the ledgers of a user: by address, by subject id, or by the beginning of one. Throws `CliError`. */
export async function readUser(directory: UserDirectory, text: string): Promise<readonly string[]> {
  return withCliErrors(async () => findLedgersOfUser(directory, text));
}

/** Finds the ledger whose id is or begins with this text. Throws `CliError` when there is none or more than one. */
export async function readLedger(directory: UserDirectory, text: string): Promise<string> {
  return withCliErrors(async () => findLedger(directory, text));
}

/** Every filter; undefined where it was not given. */
type GivenFilters = { readonly [Filter in keyof Required<SearchOptions>]: SearchOptions[Filter] };

/** The filters of a request for its record, without the command's other options. */
export function describeFilters({
  user,
  client,
  dataset,
  column,
  key,
  decision,
  action,
  since,
  until,
}: SearchOptions): GivenFilters {
  return { user, client, dataset, column, key, decision, action, since, until };
}

async function withCliErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw error.code === "invalid_input" ? usageError(error.publicMessage) : new CliError(error.publicMessage);
  }
}
