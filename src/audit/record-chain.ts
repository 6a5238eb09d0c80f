// The hash chain over a subject's audit records. Each field of a record is hashed with a random salt of its own, and the record's hash
// covers these field hashes and the hash of the record before it. Changing, removing or reordering records breaks the chain. A field can be
// erased: its hash stays, so the chain still verifies, and without the salt nobody can test guesses of its value.
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import * as z from "zod";
import type { LedgerRecord } from "./audit-record.ts";

/** The place of a record in its chain. */
export interface ChainHead {
  /** 0 before the first record. */
  readonly seq: number;
  readonly hash: string;
}

/** What is before the first record of a chain. */
export const GENESIS: ChainHead = { seq: 0, hash: "0".repeat(64) };

/** Why a record does not fit its chain. `gap`: another record should come first. */
export type ChainProblem = "gap" | "unreadable" | "hash";

/** Random bytes of the salt of one field. */
const SALT_BYTES = 16;
/** Marks the salt of an erased field: the hash of the field follows. */
const ERASED_MARK = "#";

/** What follows the mark: the hash of the field. */
const ERASED_SALT = /^#[0-9a-f]{64}$/;
/** Names of fields: no two fields can have the same path. */
const fieldName = z.string().regex(/^[A-Za-z]+$/);
const groupSchema = z.record(fieldName, z.unknown());
/** Nothing else is in a record, so that no value can hide from its readers under another name. */
const bodySchema = z.strictObject({
  attempt: groupSchema.optional(),
  outcome: groupSchema.optional(),
  began: z.string().nullish(),
  ended: z.string().nullish(),
});
const saltsSchema = z.array(z.string());
const isGroup = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A field of a record's body: `outcome.rows`, `began`, … */
interface Field {
  readonly path: string;
  readonly value: unknown;
}

/**
 * Seals the body of a record: creates the salts of its fields, in the order of the fields. `body` is JSON of an object, whose values that
 * are objects are groups of fields. `createRandomBytes` must be cryptographically secure.
 */
export function createSalts(body: string, createRandomBytes: (count: number) => Uint8Array): readonly string[] {
  const { length } = listFields(body);
  const bytes = createRandomBytes(length * SALT_BYTES);
  return Array.from({ length }, (_, index) => bytesToHex(bytes.subarray(index * SALT_BYTES, (index + 1) * SALT_BYTES)));
}

/**
 * Computes the hash of a record. It is synchronous, so that no await can interleave between reading the head of the chain and writing its
 * next link. It is SHA-256 over lines: the previous hash, the sequence number, and for each field its path, a space and its hash. The
 * hash of a field is SHA-256 over its salt, its path, a line feed and its value as JSON. Throws `TypeError` when body and salts do not fit.
 */
export function hashRecord(previous: ChainHead, body: string, salts: readonly string[]): string {
  const fields = listFields(body);
  if (fields.length !== salts.length) throw new TypeError("the salts do not fit the fields of the record");
  const lines = fields.map(({ path, value }, index) => {
    const salt = salts[index] ?? "";
    // Under an erased field's hash, any value would fit.
    if (salt.startsWith(ERASED_MARK) && (value !== null || !ERASED_SALT.test(salt)))
      throw new TypeError(`the field ${path} has a value although it was erased`);
    const hash = salt.startsWith(ERASED_MARK) ? salt.slice(ERASED_MARK.length) : hashField(salt, path, value);
    return `${path} ${hash}\n`;
  });
  return hashText(`${previous.hash}\n${previous.seq + 1}\n${lines.join("")}`);
}

/** Follows a chain over its next record. Returns the new head, or why the record does not fit. */
export function followChain(head: ChainHead, record: LedgerRecord): ChainHead | ChainProblem {
  const { seq, body, salts, hash } = record;
  if (seq !== head.seq + 1) return "gap";
  try {
    // Records of an earlier version were hashed as a whole.
    const computed =
      salts === null ? hashText(`${head.hash}\n${body}`) : hashRecord(head, body, saltsSchema.parse(JSON.parse(salts)));
    return computed === hash ? { seq, hash } : "hash";
  } catch {
    // Edited text that is no longer a record.
    return "unreadable";
  }
}

/** A record after some of its fields were erased. */
interface ErasedRecord {
  readonly body: string;
  readonly salts: readonly string[];
}

/**
 * Erases fields of a record: their values become null, and only their hashes stay. Fields that are erased already stay as they are.
 */
export function eraseFields(body: string, salts: readonly string[], paths: ReadonlySet<string>): ErasedRecord {
  const fields = listFields(body);
  const parsed = parseBody(body);
  const erased = Object.fromEntries(
    Object.entries(parsed).map(([name, value]) => [
      name,
      isGroup(value)
        ? Object.fromEntries(
            Object.entries(value).map(([key, inner]) => [key, paths.has(`${name}.${key}`) ? null : inner]),
          )
        : paths.has(name)
          ? null
          : value,
    ]),
  );
  return {
    body: JSON.stringify(erased),
    salts: fields.map(({ path, value }, index) => {
      const salt = salts[index] ?? "";
      return !paths.has(path) || salt.startsWith(ERASED_MARK) ? salt : ERASED_MARK + hashField(salt, path, value);
    }),
  };
}

/** Lists the paths of a record's erased fields. */
export function listErasedPaths(record: Pick<LedgerRecord, "body" | "salts">): readonly string[] {
  const salts = readSalts(record) ?? [];
  return listFields(record.body).flatMap(({ path }, index) => (salts[index]?.startsWith(ERASED_MARK) ? [path] : []));
}

/** Reads the salts of a record; null when an earlier version hashed it as a whole. Throws when they are no list of texts. */
export function readSalts({ salts }: Pick<LedgerRecord, "salts">): readonly string[] | null {
  return salts === null ? null : saltsSchema.parse(JSON.parse(salts));
}

/** Parses a body. Text that JSON would write in another way is refused: SQL and JavaScript could read different values in it. */
function parseBody(body: string): Readonly<Record<string, unknown>> {
  const parsed: unknown = JSON.parse(body);
  if (JSON.stringify(parsed) !== body) throw new TypeError("the body is not canonical JSON");
  return bodySchema.parse(parsed);
}

function listFields(body: string): readonly Field[] {
  return Object.entries(parseBody(body)).flatMap(([name, value]): readonly Field[] =>
    isGroup(value)
      ? Object.entries(value).map(([key, inner]: [string, unknown]) => ({ path: `${name}.${key}`, value: inner }))
      : [{ path: name, value }],
  );
}

function hashField(salt: string, path: string, value: unknown): string {
  return hashText(`${salt}${path}\n${JSON.stringify(value)}`);
}

function hashText(text: string): string {
  return bytesToHex(sha256(utf8ToBytes(text)));
}
