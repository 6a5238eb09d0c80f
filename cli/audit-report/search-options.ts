// Reads the filters that an operator typed for the audit log.
import { parseTime } from "../../src/audit/record-filter.ts";
import type { RecordSearch } from "../../src/audit/record-filter.ts";
import { CliError, usageError } from "../kit/cli-error.ts";
import { parseEmailArgument } from "../kit/email-argument.ts";
import type { OwnDatabase } from "../own-database/own-database.ts";
import type { Names } from "./names.ts";

/** A span of time as an operator types it. */
export interface SpanOptions {
  readonly since?: string;
  readonly until?: string;
}

/** The filters as an operator types them. */
export interface SearchOptions extends SpanOptions {
  readonly user?: string;
  readonly client?: string;
  readonly dataset?: string;
  readonly column?: string;
  readonly decision?: string;
  readonly action?: string;
}

/** Where ids of ledgers are looked up. */
type UserDirectory = Pick<OwnDatabase, "members" | "auditRecords">;

const DECISIONS = ["allowed", "denied", "none"] as const;
const DATASET = /^[^.]+\.[^.]+$/;
const COLUMN = /^[^.]+\.[^.]+\..+$/;

/**
 * Reads the filters. Throws the error for wrong usage for a filter of another form, and `CliError` for a user who is not known.
 */
export async function readSearch(
  directory: UserDirectory,
  names: Names,
  options: SearchOptions,
  nowMs: number,
): Promise<RecordSearch> {
  const { user, client, dataset, column, action, decision } = options;
  if (dataset !== undefined && !DATASET.test(dataset))
    throw usageError(`--dataset is ${dataset}. Write source.table, such as shop.customers.`);
  if (column !== undefined && !COLUMN.test(column))
    throw usageError(`--column is ${column}. Write source.table.column, such as shop.customers.email.`);
  const known = DECISIONS.find((value) => value === decision);
  if (decision !== undefined && known === undefined)
    throw usageError(`--decision is ${decision}. It takes ${DECISIONS.join(", ")}.`);
  return {
    ...readSpan(options, nowMs),
    users: user === undefined ? undefined : await readUser(directory, user),
    clients: client === undefined ? undefined : names.listClientIds(client),
    dataset,
    column,
    action,
    decision: known,
  };
}

/** Reads a span of time. Throws the error for wrong usage for a time of another form. */
export function readSpan({ since, until }: SpanOptions, nowMs: number): Pick<RecordSearch, "sinceMs" | "untilMs"> {
  return { sinceMs: readTime("--since", since, nowMs), untilMs: readTime("--until", until, nowMs) };
}

function readTime(option: string, text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseTime(text, nowMs);
  if (ms !== null) return ms;
  throw usageError(
    `${option} is ${text}. Write a UTC day such as 2026-11-27, a time such as 2026-11-27T09:30:00Z, or how long ago: 90m, 24h, 7d.`,
  );
}

/** Finds the ledgers of a user: by address, by subject id, or by the beginning of one. */
export async function readUser({ members, auditRecords }: UserDirectory, text: string): Promise<readonly string[]> {
  if (text.includes("@")) {
    const email = parseEmailArgument(text);
    const subjects = await members.listSubjects(email);
    if (subjects.length > 0) return subjects.map(({ subjectId }) => subjectId);
    throw new CliError(`${email} has never signed in, so there is no record of this user.`, {
      hint: "The records of a user who signed in with another address before are found by the subject id: --user <subject id>.",
    });
  }
  return [await findLedger({ auditRecords }, text)];
}

/** Finds the ledger whose id is or begins with this text. Throws `CliError` when there is none or more than one. */
export async function findLedger({ auditRecords }: Pick<OwnDatabase, "auditRecords">, text: string): Promise<string> {
  if (!/^[0-9a-f]{4,64}$/.test(text))
    throw usageError(`${text} is neither an email address nor a subject id, which has 40 hexadecimal digits.`);
  const [ledger, another] = await auditRecords.findLedgers(text);
  if (ledger === undefined) throw new CliError(`No user with records has a subject id that begins with ${text}.`);
  if (another !== undefined)
    throw new CliError(`Several subject ids begin with ${text}, such as ${ledger} and ${another}. Write more of it.`);
  return ledger;
}
