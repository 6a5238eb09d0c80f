// `audit verify`: follows the chains of all ledgers and names the first bad record of each.
import { countOf } from "../../src/lib/count-of.ts";
import { readNames } from "../../src/audit-reading/record-names.ts";
import type { AuditRecordStore, ChainSpan } from "../../src/audit/audit-record-store.ts";
import { OPERATOR_LEDGER } from "../../src/audit/operator-ledger.ts";
import { GENESIS } from "../../src/audit/record-chain.ts";
import type { ChainFault, ChainVerdict } from "../../src/audit/verify-chain.ts";
import { contradicts, verifyStoredChains } from "../../src/audit/verify-stored-chain.ts";
import type { LedgerHeads } from "../../src/audit/verify-stored-chain.ts";
import { usageError } from "../kit/cli-error.ts";
import type { Output } from "../kit/output.ts";
import { createProgress } from "../kit/progress.ts";
import type { OwnDatabase } from "../own-database/own-database.ts";
import { askHeads, askToSendAgain } from "./ask-heads.ts";
import type { AskedHeads } from "./ask-heads.ts";
import { describeCheckpoints, verifyCheckpoints } from "./checkpoints.ts";
import { describeMissingDays, verifyLists } from "./signed-lists.ts";
import { withRecordedRead } from "./recorded-read.ts";
import { readSpan, readUser } from "./search-options.ts";
import type { SpanOptions } from "./search-options.ts";

/** The options of the command. */
export interface VerifyOptions extends SpanOptions {
  readonly day?: string;
  readonly user?: string;
  /** The public key with which the ledgers' answers must be signed. */
  readonly key?: string;
  /** A file that `audit heads --json` printed earlier. */
  readonly against?: string;
}

/** The result of the command: what to print, and whether all records fit. */
export interface VerifyReport {
  readonly output: Output;
  readonly isSound: boolean;
}

/** Up to where the chains go, as the ledgers say, and where they begin. */
interface KnownEnds {
  readonly heads: LedgerHeads | undefined;
  readonly checkpoints: LedgerHeads;
}

const DAY_MS = 86_400_000;

/**
 * Verifies the records of a span of time, or all, and the signed daily lists. Throws the error for wrong usage for an option of another form, and `CliError` when a
 * ledger's answer is not signed.
 */
export async function verifyAuditRecords(
  database: OwnDatabase,
  options: VerifyOptions,
  nowMs: number,
): Promise<VerifyReport> {
  const span = await readVerifySpan(options, nowMs);
  const users = options.user === undefined ? undefined : await readUser(database, options.user);
  const { day, since, until, user } = options;
  return withRecordedRead(database, "verify", { day, since, until, user }, async (touch) => {
    const verify = async () => verifySpan(database, options, { ...span, users, touch });
    const checkpoints = JSON.stringify(await database.checkpoints.list());
    const first = await verify();
    // The retention may have removed records while their chains were read.
    const isStale = !first.isSound && JSON.stringify(await database.checkpoints.list()) !== checkpoints;
    const result = isStale ? await verify() : first;
    if (result.cutLedgers.length > 0) await askToSendAgain(database, result.cutLedgers);
    return { result, rows: result.problems };
  });
}

/** Which records to verify. */
interface VerifiedPart extends Awaited<ReturnType<typeof readSpan>> {
  readonly users: readonly string[] | undefined;
  /** Says that the command still works. */
  readonly touch: () => Promise<void>;
}

async function verifySpan(
  database: OwnDatabase,
  options: VerifyOptions,
  { sinceMs = 0, untilMs = Number.MAX_SAFE_INTEGER, users, touch }: VerifiedPart,
): Promise<VerifyReport & { readonly problems: number; readonly cutLedgers: readonly string[] }> {
  const { auditRecords } = database;
  // The ledgers are asked before their chains are read, so that what they have sent until then is there.
  const asked = await askHeads(database, users ?? (await listLedgers(database)), options.key);
  const heads = asked.unanswered > 0 && asked.heads.size === 0 ? undefined : asked.heads;
  const lists = await verifyLists(database, options.key, options.against, touch);
  const checked = await verifyCheckpoints(database, options.key);
  const spans = await auditRecords.listChains(sinceMs, untilMs, users);
  const verdicts = [
    ...addInvented(
      await verifySpans(auditRecords, spans, { heads, checkpoints: checked.checkpoints }, touch),
      await findInvented(database, spans, asked, options.key),
    ),
    ...listLostLedgers(spans, users, { heads, checkpoints: checked.checkpoints }),
  ].toSorted((a, b) => (a.ledger < b.ledger ? -1 : 1));
  const names = await readNames(database);
  const problems = verdicts.flatMap(({ ledger, fault }) =>
    fault === null ? [] : [{ ledger, user: names.findEmail(ledger), ...fault, message: describeFault(fault) }],
  );
  const records = verdicts.reduce((sum, verdict) => sum + verdict.records, 0);
  return {
    problems: problems.length,
    cutLedgers: problems.flatMap(({ kind, ledger }) => (kind === "cut_tail" ? [ledger] : [])),
    isSound: problems.length + lists.problems.length + checked.problems.length + asked.unanswered === 0,
    output: {
      lines: [
        ...problems.map(({ user, ledger, message }) => `${user === null ? ledger : `${user} (${ledger})`}: ${message}`),
        describeTotal(records, verdicts.length, problems.length),
        ...lists.problems,
        ...describeMissingDays(lists.missingDays),
        ...checked.problems,
        ...describeCheckpoints(checked),
        ...describeEnds(asked, options.key),
      ],
      data: {
        records,
        ledgers: verdicts.length,
        endsCompared: asked.unanswered === 0,
        keys: asked.keys,
        lists: lists.count,
        listProblems: lists.problems,
        listlessDays: lists.missingDays,
        checkpoints: checked.checkpoints.size,
        checkpointProblems: checked.problems,
        problems,
      },
    },
  };
}

/**
 * Finds chains that are longer than their ledger has sent, by the first record too many. Records may have arrived since the ledgers were
 * asked, so these are asked again.
 */
async function findInvented(
  database: OwnDatabase,
  spans: readonly ChainSpan[],
  { heads }: AskedHeads,
  key: string | undefined,
): Promise<ReadonlyMap<string, number>> {
  const listLonger = (known: LedgerHeads): readonly ChainSpan[] =>
    spans.filter(({ ledger, endSeq }) => endSeq > (known.get(ledger)?.seq ?? Infinity));
  const longer = listLonger(heads).map(({ ledger }) => ledger);
  if (longer.length === 0) return new Map();
  const again = await askHeads(database, longer, key);
  return new Map(listLonger(again.heads).map(({ ledger }) => [ledger, (again.heads.get(ledger)?.seq ?? 0) + 1]));
}

/** Adds the invented records to the verdicts. An earlier fault of a chain stays. */
function addInvented(
  verdicts: readonly ChainVerdict[],
  invented: ReadonlyMap<string, number>,
): readonly ChainVerdict[] {
  return verdicts.map((verdict) => {
    const seq = invented.get(verdict.ledger);
    const isEarlier = verdict.fault !== null && verdict.fault.seq < (seq ?? Infinity);
    return seq === undefined || isEarlier ? verdict : { ...verdict, fault: { kind: "invented", seq } };
  });
}

/** Lists the ledgers of all users who have signed in, and all that have records here. */
async function listLedgers({ members, auditRecords }: OwnDatabase): Promise<readonly string[]> {
  const stored = await auditRecords.listChains(0, Number.MAX_SAFE_INTEGER);
  return [
    ...new Set([OPERATOR_LEDGER, ...(await members.listAddresses()).keys(), ...stored.map(({ ledger }) => ledger)]),
  ];
}

function describeEnds({ keys, unanswered }: AskedHeads, key: string | undefined): readonly string[] {
  return [
    ...(unanswered === 0
      ? []
      : [
          `${countOf(unanswered, "ledger")} did not say where the chain ends, so records that are missing there do not show. ` +
            "The server must run, with the secret GATEHOUSE_AUDIT_KEY.",
        ]),
    ...(keys.length === 0 || key !== undefined
      ? []
      : [
          `The ends were signed with the key ${keys.join(" and ")}. Note it outside of the account, and give it as --key.`,
        ]),
  ];
}

async function readVerifySpan({ day, ...span }: VerifyOptions, nowMs: number): ReturnType<typeof readSpan> {
  if (day === undefined) return readSpan(span, nowMs);
  if (span.since !== undefined || span.until !== undefined)
    throw usageError("Choose one: --day, or --since and --until.");
  const { sinceMs } = /^\d{4}-\d\d-\d\d$/.test(day) ? await readSpan({ since: day }, nowMs) : {};
  if (sinceMs === undefined) throw usageError(`--day is ${day}. Write a UTC day such as 2026-11-27.`);
  return { sinceMs, untilMs: sinceMs + DAY_MS };
}

async function verifySpans(
  store: AuditRecordStore,
  spans: readonly ChainSpan[],
  known: KnownEnds,
  touch: () => Promise<void>,
): Promise<readonly ChainVerdict[]> {
  const total = spans.reduce((sum, { startSeq, endSeq }) => sum + endSeq - startSeq, 0);
  const progress = createProgress({ verb: "Verifying", unit: "records", total });
  try {
    return await verifyStoredChains(store, spans, {
      ...known,
      onPage: async (count) => {
        progress.add("records", count);
        await touch();
      },
    });
  } finally {
    progress.finish();
  }
}

/** Finds ledgers that have records, none of which is stored. */
function listLostLedgers(
  spans: readonly ChainSpan[],
  users: readonly string[] | undefined,
  { heads = new Map(), checkpoints }: KnownEnds,
): readonly ChainVerdict[] {
  const stored = new Set(spans.map(({ ledger }) => ledger));
  return [...heads].flatMap(([ledger, head]): readonly ChainVerdict[] => {
    const removed = checkpoints.get(ledger) ?? GENESIS;
    if (stored.has(ledger) || (users !== undefined && !users.includes(ledger))) return [];
    if (contradicts(removed, head)) return [{ ledger, records: 0, fault: { kind: "other_head", seq: removed.seq } }];
    return head.seq === removed.seq
      ? []
      : [{ ledger, records: 0, fault: { kind: "cut_tail", seq: removed.seq + 1, toSeq: head.seq } }];
  });
}

function describeTotal(records: number, ledgers: number, problems: number): string {
  const checked = `${countOf(records, "record")} of ${countOf(ledgers, "ledger")}`;
  return problems === 0
    ? `All records fit: ${checked} ${records === 1 ? "was" : "were"} verified.`
    : `${problems} of ${countOf(ledgers, "ledger")} ${problems === 1 ? "has" : "have"} a bad record; ${checked} fit. Records after a bad one were not looked at.`;
}

/** Says what is wrong with a record. */
function describeFault(fault: ChainFault): string {
  const { seq } = fault;
  switch (fault.kind) {
    case "cut_head":
      return `The chain begins with record ${fault.toSeq + 1}: ${describeRange(seq, fault.toSeq)} missing, and no checkpoint says so.`;
    case "missing":
      return `${describeRange(seq, fault.toSeq, true)} missing.`;
    case "cut_tail":
      return `The ledger has more: ${describeRange(seq, fault.toSeq)} missing at the end. It is asked to send again what it still has.`;
    case "moved":
      return `Record ${seq} was written as record ${fault.writtenSeq}: it was moved, or a record was inserted or taken out before it.`;
    case "changed":
      return `Record ${seq} does not fit its hash: it was changed or inserted.`;
    case "unreadable":
      return `Record ${seq} cannot be read: its text was changed.`;
    case "invented":
      return `Record ${seq} is not from the ledger, which has sent none of this number.`;
    case "erased":
      return `Record ${seq} has an erased value (${fault.path}), and no erasure in its chain says so.`;
    case "removed":
      return `Record ${seq} is here although a checkpoint says that it was removed.`;
    case "other_user":
      return `Record ${seq} is not one of this user: it names ${fault.user ?? "no user"}.`;
    case "wrong_time":
      return `Record ${seq} is stored under another time (${new Date(fault.storedMs).toISOString()}) than its own (${new Date(fault.endedMs).toISOString()}).`;
    case "hidden":
      return `Record ${seq} is hidden from searches for: ${fault.terms.join(", ")}.`;
    case "other_head":
      return `Record ${seq} is another one in the ledger itself: the chain was computed anew.`;
  }
}

function describeRange(seq: number, toSeq: number, isFirstWord = false): string {
  const [one, many] = isFirstWord ? ["Record", "Records"] : ["record", "records"];
  return seq === toSeq ? `${one} ${seq} is` : `${many} ${seq} to ${toSeq} are`;
}
