// `audit heads`, and the check of signed daily lists: those in GATEHOUSE_DB, and one that the operator kept elsewhere.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import * as z from "zod";
import { digestHeads, formatList, verifySignature } from "../../src/audit/head-signature.ts";
import type { LedgerHead } from "../../src/audit/head-signature.ts";
import type { SignedList } from "../../src/audit/audit-head-store.ts";
import { CliError } from "../kit/cli-error.ts";
import type { Output } from "../kit/output.ts";
import type { OwnDatabase } from "../own-database/own-database.ts";

/** What the check of the lists found. */
interface ListsReport {
  /** How many lists GATEHOUSE_DB has. */
  readonly count: number;
  readonly problems: readonly string[];
}

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
export async function showList({ auditHeads }: OwnDatabase, day: string | undefined): Promise<Output> {
  const list = day === undefined ? await auditHeads.findNewestList() : await auditHeads.findList(day);
  if (list === null)
    throw new CliError(
      day === undefined
        ? "There is no signed list yet. The server makes the list of a day in the first upkeep after it."
        : `There is no signed list of ${day}.`,
    );
  const heads = await auditHeads.listHeads(list.day);
  return {
    lines: [
      `List of ${list.day}, made ${new Date(list.madeMs).toISOString()}: ${list.records} records of ${list.ledgers} ledgers.`,
      `Signed by the key ${list.key}.`,
      "Keep it outside the account with --json: a list that stays beside the records proves little.",
    ],
    data: { ...list, heads },
  };
}

/** Checks the signature of every list and that the records still have the hashes that it names. */
export async function verifyLists(
  database: OwnDatabase,
  key: string | undefined,
  file: string | undefined,
): Promise<ListsReport> {
  const { auditHeads } = database;
  const lists = await auditHeads.listLists();
  const problems: string[] = [];
  for (const list of lists) {
    const name = `The signed list of ${list.day}`;
    problems.push(...(await checkList(name, list, await auditHeads.listHeads(list.day), key)));
    problems.push(...describeContradicted(name, await auditHeads.listContradicted(list.day)));
  }
  if (file !== undefined) problems.push(...(await verifyFile(database, file, key)));
  return { count: lists.length, problems };
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
  { auditRecords }: OwnDatabase,
  file: string,
  key: string | undefined,
): Promise<readonly string[]> {
  const { heads, ...list } = readList(path.resolve(process.env["INIT_CWD"] ?? process.cwd(), file));
  const problems = await checkList(file, list, heads, key);
  if (problems.length > 0) return problems;
  const contradicted: LedgerHead[] = [];
  for (const head of heads) {
    const stored = head.seq === 0 ? head : await auditRecords.find(head.ledger, head.seq);
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
