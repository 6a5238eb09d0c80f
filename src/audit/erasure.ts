// What an erasure takes out of audit records, and how its own record says so. An erasure takes values, never records: the chain still
// verifies, and the erasure's record in the same chain says which fields of which records were erased.
import * as z from "zod";
import { EVENT_OUTCOME } from "./audit-record.ts";
import type { Attempt, LedgerRecord, Outcome, ResultNumberOfSubject } from "./audit-record.ts";
import { eraseFields, readSalts } from "./record-chain.ts";

/** The fields that can be erased, by the names of the export. What is left says that a call happened, whose it was and what decided. */
export const ERASABLE_FIELDS = ["arguments", "resource", "client", "session", "roles", "denials", "keys"] as const;
export type ErasableField = (typeof ERASABLE_FIELDS)[number];

const FIELD_PATHS: Readonly<Record<ErasableField, string>> = {
  arguments: "attempt.asked",
  resource: "attempt.resource",
  client: "attempt.clientId",
  session: "attempt.session",
  roles: "outcome.roles",
  denials: "outcome.denials",
  keys: "outcome.keys",
};

/** The first and the last number of some records of a ledger. */
export type SeqRange = readonly [number, number];

/** An erasure in one ledger. */
export interface LedgerErasure {
  readonly id: string;
  readonly by: string;
  /** Why, in the operator's words; it is stored in the erasure's record. */
  readonly reason: string;
  readonly fields: readonly ErasableField[];
  /** Null: all records that the ledger has so far, and the user's unanswered questions. */
  readonly ranges: readonly SeqRange[] | null;
}

/** What the ledger did. */
export interface ErasedLedger {
  /** The last record that the erasure covers, and the erasure's own record. */
  readonly untilSeq: number;
  readonly recordedSeq: number;
  /** The last number of a result of the user and of each of their personal access tokens. */
  readonly results: readonly ResultNumberOfSubject[];
}

/** The ledger as an erasure uses it. */
export interface ErasureLedger {
  /** Erases the fields in the records that the ledger still has, and records the erasure. Can be repeated. */
  eraseRecords(erasure: LedgerErasure): Promise<ErasedLedger>;
  /** Forgets the address of the ledger's user; their next call brings it back. Can be repeated. */
  forgetAddress(): Promise<void>;
}

/** The action of an erasure's own record, which no erasure changes. */
export const ERASE_ACTION = "erase records";

/** What an erasure may have, so that its record has room for it: a record that was cut covers nothing. */
export const MAX_ERASED_RANGES = 100;
export const MAX_ERASURE_REASON = 200;

const textSchema = z.object({
  fields: z.array(z.enum(ERASABLE_FIELDS)),
  records: z.array(z.tuple([z.number(), z.number()])),
});

/** The part of a record's body that says whether it is the record of an erasure. */
const bodySchema = z.object({
  attempt: z.object({ operation: z.string().nullish(), asked: z.string().nullish() }).optional(),
});

/** Builds the record of an erasure. */
export function buildErasureRecord(
  ledger: string,
  { id, by, reason, fields }: LedgerErasure,
  records: readonly SeqRange[],
): { readonly attempt: Attempt; readonly outcome: Outcome } {
  return {
    attempt: {
      call: formatErasureCall(id),
      subjectId: ledger,
      owner: null,
      clientId: "",
      operation: ERASE_ACTION,
      asked: JSON.stringify({ by, reason, fields, records }),
    },
    outcome: EVENT_OUTCOME,
  };
}

/** Formats the call id of an erasure's record. */
export function formatErasureCall(id: string): string {
  return `erasure ${id}`;
}

/** Reads which records an erasure covers, by the request text of its record. */
export function readCoveredRanges(requestText: string): readonly SeqRange[] {
  return textSchema.parse(JSON.parse(requestText)).records;
}

/** An erased field of a record. */
interface ErasedField {
  readonly seq: number;
  readonly path: string;
}

/** Checks over a chain that a record of an erasure comes after each erased field, and covers it. */
export interface ErasureCheck {
  /**
   * Adds the next record of the chain, whose hash fits, and its erased fields. Returns false when its action, or the erasure that it
   * records, cannot be read.
   */
  addRecord(record: Pick<LedgerRecord, "seq" | "body">, erasedPaths: readonly string[]): boolean;
  /** Finds the first erased field that no erasure covers; null when there is none. */
  findUncovered(): ErasedField | null;
}

/** Creates the check of one chain. */
export function createErasureCheck(): ErasureCheck {
  /** The erased records without an erasure so far, in order, by path. */
  const open = new Map<string, SeqRange[]>();
  const forbidden: ErasedField[] = [];
  const add = (path: string, seq: number): void => {
    const ranges = open.get(path) ?? [];
    const last = ranges.at(-1);
    if (last?.[1] === seq - 1) ranges[ranges.length - 1] = [last[0], seq];
    else ranges.push([seq, seq]);
    open.set(path, ranges);
  };
  return {
    addRecord({ seq, body }, erasedPaths) {
      // A value of another type is a forgery: no version wrote it.
      const { success, data } = bodySchema.safeParse(JSON.parse(body));
      if (!success) return false;
      const { attempt } = data;
      const isErasure = attempt?.operation === ERASE_ACTION;
      // No erasure covers the record of another one.
      for (const path of erasedPaths)
        if (isErasure) forbidden.push({ seq, path });
        else add(path, seq);
      if (!isErasure || erasedPaths.length > 0) return true;
      const erasure = parseErasure(attempt.asked);
      if (erasure === null) return false;
      for (const path of erasure.fields.map((field) => FIELD_PATHS[field]))
        open.set(
          path,
          (open.get(path) ?? []).flatMap((range) => subtract(range, erasure.records)),
        );
      return true;
    },
    findUncovered() {
      const first = [
        ...forbidden,
        ...[...open].flatMap(([path, [range]]) => (range === undefined ? [] : [{ seq: range[0], path }])),
      ];
      return first.toSorted((a, b) => a.seq - b.seq)[0] ?? null;
    },
  };
}

function parseErasure(text: string | null | undefined): z.output<typeof textSchema> | null {
  try {
    return textSchema.parse(JSON.parse(text ?? ""));
  } catch {
    // No version wrote such a record.
    return null;
  }
}

/** Returns what is left of a range without others. */
function subtract(range: SeqRange, others: readonly SeqRange[]): readonly SeqRange[] {
  return others.reduce<readonly SeqRange[]>(
    (left, [first, last]) =>
      left.flatMap(([from, to]): readonly SeqRange[] =>
        last < from || to < first
          ? [[from, to]]
          : [...(from < first ? [[from, first - 1] as const] : []), ...(last < to ? [[last + 1, to] as const] : [])],
      ),
    [range],
  );
}

/**
 * Erases fields of a stored record. Returns null when nothing changes: it has none of the fields, they are erased already, or the record
 * is that of an erasure. `whole`: an earlier version hashed the record as a whole, so nothing of it can be erased.
 */
export function eraseRecord<Record extends Pick<LedgerRecord, "body" | "salts">>(
  record: Record,
  fields: readonly ErasableField[],
): (Record & { readonly salts: string }) | "whole" | null {
  const { body } = record;
  const salts = readSalts(record);
  if (salts === null) return "whole";
  if (bodySchema.parse(JSON.parse(body)).attempt?.operation === ERASE_ACTION) return null;
  const erased = eraseFields(body, salts, new Set(fields.map((field) => FIELD_PATHS[field])));
  const text = JSON.stringify(erased.salts);
  return text === record.salts ? null : { ...record, body: erased.body, salts: text };
}

/** Joins numbers of records to ranges. */
export function joinRanges(seqs: Iterable<number>): readonly SeqRange[] {
  const ranges: [number, number][] = [];
  for (const seq of [...new Set(seqs)].toSorted((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last?.[1] === seq - 1) last[1] = seq;
    else ranges.push([seq, seq]);
  }
  return ranges;
}
