// `audit heads`, and the check of signed daily lists: those in GATEHOUSE_DB, and one that the operator kept elsewhere.
import { countOf } from "../../src/lib/count-of.ts";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import * as z from "zod";
import { digestHeads, formatList, verifySignature } from "../../src/audit/head-signature.ts";
import type { LedgerHead } from "../../src/audit/head-signature.ts";
import { LATE_MS } from "../../src/audit/audit-head-store.ts";
import type { SignedList } from "../../src/audit/audit-head-store.ts";
import { CliError } from "../kit/cli-error.ts";
import type { Output } from "../kit/output.ts";
import type { OwnDatabase } from "../own-database/own-database.ts";
import { withRecordedRead } from "./recorded-read.ts";

/** What the check of the lists found. */
interface ListsReport {
  /** How many lists GATEHOUSE_DB has. */
  readonly count: number;
  readonly problems: readonly string[];
  /** Days between the first list and the last one without a list: the server did not run, or the list was deleted. */
  readonly missingDays: readonly string[];
}

const DAY_MS = 86_400_000;

const listFile = z.object({
  day: z.string(),
  madeMs: z.number(),
  ledgers: z.number(),
  records: z.number(),
  digest: z.string(),
  signature: z.string(),
  key: z.string(),
  heads: z.array(z.object({ ledger: z.string(), seq: z.number(), hash: z.string() })),
});

/** Prints the list of a day, or the newest one. Throws `CliError` when there is none. */
export async function showList(database: OwnDatabase, day: string | undefined): Promise<Output> {
  const { auditHeads } = database;
  const list = day === undefined ? await auditHeads.findNewestList() : await auditHeads.findList(day);
  if (list === null)
    throw new CliError(
      day === undefined
        ? "There is no signed list yet. The server makes the list of a day in the first upkeep after it."
        : `There is no signed list of ${day}.`,
    );
  const heads = await withRecordedRead(database, "heads", { day }, async () => {
    const result = await auditHeads.listHeads(list.day);
    return { result, rows: result.length };
  });
  return {
    lines: [
      `List of ${list.day}, made ${new Date(list.madeMs).toISOString()}: ${countOf(list.records, "record")} of ${countOf(list.ledgers, "ledger")}.`,
      `Signed by the key ${list.key}.`,
      "Keep it outside the account with --json: a list that stays beside the records proves little.",
    ],
    data: { ...list, heads },
  };
}

/** Checks the signature of every list and that the records still have the hashes that it names. Calls `touch` after each list. */
export async function verifyLists(
  database: OwnDatabase,
  key: string | undefined,
  file: string | undefined,
  touch: () => Promise<void>,
): Promise<ListsReport> {
  const { auditHeads } = database;
  const lists = await auditHeads.listLists();
  const problems: string[] = [];
  for (const list of lists) {
    const name = `The signed list of ${list.day}`;
    problems.push(...(await checkList(name, list, await auditHeads.listHeads(list.day), key)));
    problems.push(...describeContradicted(name, await auditHeads.listContradicted(list.day)));
    await touch();
  }
  if (file !== undefined) problems.push(...(await verifyFile(database, file, key)));
  return { count: lists.length, problems, missingDays: listMissingDays(lists.map(({ day }) => day)) };
}

function listMissingDays(days: readonly string[]): readonly string[] {
  const known = new Set(days);
  const missing: string[] = [];
  const [first = NaN, last = NaN] = [days[0], days.at(-1)].map((day) => Date.parse(day ?? ""));
  for (let ms = first + DAY_MS; ms < last; ms += DAY_MS) {
    const day = new Date(ms).toISOString().slice(0, 10);
    if (!known.has(day)) missing.push(day);
  }
  return missing;
}

/** Says for which days there is no list. */
export function describeMissingDays(days: readonly string[]): readonly string[] {
  if (days.length === 0) return [];
  const [first, last] = [days[0], days.at(-1)];
  const span = days.length === 1 ? `for ${first}` : `for ${days.length} days between ${first} and ${last}`;
  return [`There is no signed list ${span}: the server did not run then, or the list was deleted.`];
}

async function checkList(
  name: string,
  list: SignedList,
  heads: readonly LedgerHead[],
  key: string | undefined,
): Promise<readonly string[]> {
  if (!/^\d{4}-\d\d-\d\d$/.test(list.day)) return [`${name} is of no day: it was forged.`];
  if (key !== undefined && list.key !== key) return [`${name} is signed by another key: ${list.key}.`];
  if (!(await verifySignature(list.key, formatList(list), list.signature)))
    return [`${name} does not have the signature of its key: it was changed or forged.`];
  const records = heads.reduce((sum, { seq }) => sum + seq, 0);
  if (heads.length !== list.ledgers || records !== list.records || (await digestHeads(heads)) !== list.digest)
    return [`${name} does not have the heads that were signed: some were changed, added or removed.`];
  return [];
}

async function verifyFile(
  { auditRecords, checkpoints }: OwnDatabase,
  file: string,
  key: string | undefined,
): Promise<readonly string[]> {
  const { heads, ...list } = readList(path.resolve(process.env["INIT_CWD"] ?? process.cwd(), file));
  const problems = await checkList(file, list, heads, key);
  if (problems.length > 0) return problems;
  const contradicted: LedgerHead[] = [];
  const removed = new Map((await checkpoints.list()).map((checkpoint) => [checkpoint.ledger, checkpoint]));
  for (const head of heads) {
    const last = removed.get(head.ledger);
    if (last !== undefined && head.seq < last.seq) {
      // The checkpoint says nothing about this record, but those after the list were too new to be removed.
      if (list.madeMs > last.untilMs + LATE_MS) contradicted.push(head);
      continue;
    }
    const stored =
      head.seq === 0 ? head : last?.seq === head.seq ? last : await auditRecords.find(head.ledger, head.seq);
    if (stored?.hash !== head.hash) contradicted.push(head);
  }
  return describeContradicted(file, contradicted);
}

function readList(file: string): z.output<typeof listFile> {
  if (!existsSync(file)) throw new CliError(`There is no file ${file}.`);
  const parsed = listFile.safeParse(parseJson(readFileSync(file, "utf8")));
  if (parsed.success) return parsed.data;
  throw new CliError(`${file} is no list that audit heads --json printed.`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The caller says what the file should be.
    return undefined;
  }
}

function describeContradicted(name: string, heads: readonly LedgerHead[]): readonly string[] {
  return heads.map(
    ({ ledger, seq }) =>
      `${name} has a record ${seq} of the ledger ${ledger} that is not stored, or stored in another form.`,
  );
}
