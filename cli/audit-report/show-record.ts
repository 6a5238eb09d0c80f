// `audit show`: everything that one record says, in words.
import { countOf } from "../../src/lib/count-of.ts";
import { nameEntry } from "../../src/audit-reading/named-entry.ts";
import { readNames } from "../../src/audit-reading/record-names.ts";
import type { RecordNames } from "../../src/audit-reading/record-names.ts";
import type { StoredRecord } from "../../src/audit/audit-record-store.ts";
import type { NamedEntry } from "../../src/audit/export-fields.ts";
import { GENESIS, followChain } from "../../src/audit/record-chain.ts";
import type { ChainHead } from "../../src/audit/record-chain.ts";
import type { RecordedKeys } from "../../src/audit/record-keys.ts";
import { CliError, usageError } from "../kit/cli-error.ts";
import type { Output } from "../kit/output.ts";
import type { OwnDatabase } from "../own-database/own-database.ts";
import { describeDecision } from "./record-line.ts";
import { withRecordedRead } from "./recorded-read.ts";
import { readLedger } from "./search-options.ts";

/** Whether a record's hash fits the record before it. `unknown`: that one is not stored. */
type Link = "fits" | "broken" | "unknown";

const LINK_WORDS: Readonly<Record<Link, string>> = {
  fits: "It fits this record and the one before it.",
  broken: "IT DOES NOT FIT this record and the one before it: npm run gatehouse -- audit verify says more.",
  unknown: "The record before it is not stored, so it cannot be checked.",
};

/** Shows the records of an id: `ledger/seq`, with any beginning of the ledger's id that is unique, or the id of a call. */
export async function showAuditRecord(database: OwnDatabase, id: string): Promise<Output> {
  const records = await withRecordedRead(database, "show", { id }, async () => {
    const result = await findShownRecords(database, id);
    return { result, rows: result.length };
  });
  const names = await readNames(database);
  const shown = await Promise.all(
    records.map(async (record) => ({ entry: nameEntry(record, names), link: await checkLink(database, record) })),
  );
  return {
    lines: shown.flatMap(({ entry, link }, index) => [...(index === 0 ? [] : [""]), ...describe(entry, link, names)]),
    data: { records: shown.map(({ entry, link }) => ({ ...entry, link })) },
  };
}

/** Finds the records of an id. Throws the error for wrong usage for text of another form, and `CliError` when there are none. */
export async function findShownRecords(database: OwnDatabase, id: string): Promise<readonly StoredRecord[]> {
  const {
    prefix = "",
    seq = "",
    call,
  } = /^(?:(?<prefix>[0-9a-f]{4,64}|operator)\/(?<seq>\d{1,15})|(?<call>[0-9a-f]{32}))$/.exec(id)?.groups ?? {};
  if (call !== undefined) {
    const records = await database.auditRecords.findCall(call);
    if (records.length > 0) return records;
    throw new CliError(`There is no record of the call ${call}.`, {
      hint: "A record arrives here about ten seconds after its call.",
    });
  }
  if (prefix === "")
    throw usageError(`${id} is no id of a record. Write one that audit list prints, or the 32 digits of a call's id.`);
  const record = await database.auditRecords.find(await readLedger(database, prefix), Number(seq));
  if (record === null) throw new CliError(`There is no record ${id}.`);
  return [record];
}

async function checkLink(database: OwnDatabase, record: StoredRecord): Promise<Link> {
  const before = await findBefore(database, record);
  if (before === null) return "unknown";
  return typeof followChain(before, record) === "string" ? "broken" : "fits";
}

/** Finds what a record follows in its chain: the record before it, or the checkpoint in place of that one. */
async function findBefore(
  { auditRecords, checkpoints }: OwnDatabase,
  { ledger, seq }: StoredRecord,
): Promise<ChainHead | null> {
  if (seq === GENESIS.seq + 1) return GENESIS;
  const record = await auditRecords.find(ledger, seq - 1);
  if (record !== null) return record;
  const checkpoint = await checkpoints.find(ledger);
  return checkpoint?.seq === seq - 1 ? checkpoint : null;
}

function describe(entry: NamedEntry, link: Link, names: RecordNames): readonly string[] {
  const { user, ledger, subject, owner, client, clientName, outcome, bytes, cut } = entry;
  const patName = names.findPatName(client);
  const text = (label: string, value: string | number | null): readonly string[] => [
    `${label}: ${value === null || value === "" ? "not recorded" : value}`,
  ];
  return [
    `Record ${entry.id}`,
    ...text("  Time", `${entry.began ?? "not recorded"} to ${entry.ended ?? "not recorded"}`),
    ...text("  User", user === null ? ledger : `${user} (${ledger})`),
    ...(owner === null
      ? []
      : text("  Called by the personal access token", `${patName ?? ""} (subject id ${subject})`)),
    ...text("  Client", clientName === null || clientName === client ? client : `${clientName} (${client})`),
    ...text("  Protocol era", entry.era),
    ...text("  Session", entry.session),
    ...text("  Trace", entry.trace),
    ...text("  Call", entry.call),
    ...text("  Action", entry.action),
    ...text("  Resource", entry.resource),
    ...describeText("  Arguments", entry.arguments),
    ...text("  Decision", describeDecision(entry)),
    ...text("  Outcome", outcome),
    ...list("  Roles", entry.roles),
    ...list("  Rules that decided", entry.rules),
    ...list("  Denied", entry.denials),
    ...list("  Datasets", entry.datasets),
    ...list("  Columns that were read", entry.columns),
    ...(entry.keys === null ? [] : list("  Rows by key", describeKeys(entry.keys))),
    ...list("  Masked columns", entry.masked),
    ...list("  Text of outsiders", entry.untrusted),
    ...text(
      "  Returned",
      `${entry.rows === null ? "an unknown number of rows" : countOf(entry.rows, "row")}${bytes === null ? "" : `, ${bytes} bytes`}`,
    ),
    ...text("  Cut", cut === null ? null : cut ? "yes, there were more rows" : "no"),
    ...text("  Stored result", entry.result ?? "none"),
    ...(entry.approver === null ? [] : text("  Approved by", entry.approver)),
    ...text("  Hash", entry.hash),
    `  ${LINK_WORDS[link]}`,
  ];
}

/** Names the rows that an answer showed, as ids that fetch takes. */
function describeKeys(keys: RecordedKeys): readonly string[] {
  return Object.entries(keys).flatMap(([dataset, { values, complete }]) => [
    ...values.map((value) => `${dataset}/${value}`),
    ...(complete ? [] : [`${dataset}: possibly ${values.length === 0 ? "any row" : "other rows"}`]),
  ]);
}

function list(label: string, values: readonly string[] | null): readonly string[] {
  if (values === null) return [`${label}: not recorded`];
  return values.length === 0 ? [`${label}: none`] : [`${label}:`, ...values.map((value) => `    ${value}`)];
}

/** Keeps the lines of a text apart; each of them is indented, so that none looks like a line of this command. */
function describeText(label: string, value: string | null): readonly string[] {
  if (value === null || value === "") return [`${label}: ${value === null ? "not recorded" : "none"}`];
  return [`${label}:`, ...value.split("\n").map((line) => `    ${line}`)];
}
