// The maximum size of a record: what a caller wrote, and the lists of an outcome, are cut to a bounded length with the SHA-256 of
// the whole, so that a few long calls cannot fill a ledger and a text that is suspected can still be compared.
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { byteLength } from "../lib/bytes.ts";
import { sha256Hex } from "../lib/crypto.ts";
import type { Attempt, Outcome } from "./record.ts";

/** Bytes of what was asked, as JSON. Hardly any SQL is longer; of longer SQL the record lacks the end. */
const MAX_ASKED_BYTES = 4096;
/** Bytes of a client's id, as JSON: it may be a URL of the client's choice. */
const MAX_CLIENT_BYTES = 512;
/** Bytes of an outcome, as JSON: room that is reserved when a call begins. */
export const OUTCOME_BYTES = 6144;
/** Bytes of all else in a record: ids, times, names of fields. */
const FRAME_BYTES = 1024;
/** Bytes of the longest record. */
export const MAX_RECORD_BYTES = MAX_ASKED_BYTES + MAX_CLIENT_BYTES + OUTCOME_BYTES + FRAME_BYTES;

/** The lists of an outcome. The rest of it has a bounded size. */
const LISTS = ["roles", "datasets", "rules", "denials", "masked", "untrusted"] as const;

const jsonBytes = (value: unknown): number => byteLength(JSON.stringify(value));
const hashOf = (text: string): string => bytesToHex(sha256(utf8ToBytes(text)));

/**
 * What was asked, as a record keeps it: whole, or its beginning with length and hash of the whole. For the side of the caller:
 * an address may have megabytes, which should neither cross to the ledger nor be hashed there.
 */
export async function boundAsked(asked: string): Promise<string> {
  return jsonBytes(asked) <= MAX_ASKED_BYTES ? asked : cutText(asked, MAX_ASKED_BYTES, await sha256Hex(asked));
}

/** An attempt whose texts have their maximum size. What is bounded already stays as it is. */
export function boundAttempt(attempt: Attempt): Attempt {
  const { asked, clientId } = attempt;
  return { ...attempt, asked: boundText(asked, MAX_ASKED_BYTES), clientId: boundText(clientId, MAX_CLIENT_BYTES) };
}

/** An outcome of at most `OUTCOME_BYTES`: the longest lists are cut, the others stay whole. */
export function boundOutcome(outcome: Outcome): Outcome {
  if (jsonBytes(outcome) <= OUTCOME_BYTES) return outcome;
  const sized = LISTS.map((name) => ({ name, bytes: jsonBytes(outcome[name]) })).toSorted((a, b) => a.bytes - b.bytes);
  let left = OUTCOME_BYTES - (jsonBytes(outcome) - sized.reduce((sum, { bytes }) => sum + bytes, 0));
  let bounded = outcome;
  for (const [index, { name }] of sized.entries()) {
    // What a short list does not need is left for the longer ones.
    const list = boundList(outcome[name], Math.floor(left / (sized.length - index)));
    left -= jsonBytes(list);
    bounded = { ...bounded, [name]: list };
  }
  return bounded;
}

function boundList(list: readonly string[], maxBytes: number): readonly string[] {
  if (jsonBytes(list) <= maxBytes) return list;
  const end = (kept: number): string =>
    `… ${list.length - kept} more of ${list.length}, SHA-256 of all ${hashOf(JSON.stringify(list))}`;
  let bytes = jsonBytes([end(0)]);
  let kept = 0;
  for (const entry of list) {
    bytes += jsonBytes(entry) + 1;
    if (bytes > maxBytes) break;
    kept += 1;
  }
  return [...list.slice(0, kept), end(kept)];
}

function boundText(text: string, maxBytes: number): string {
  return jsonBytes(text) <= maxBytes ? text : cutText(text, maxBytes, hashOf(text));
}

/** The longest beginning of a text that fits with `hash`, which is that of the whole. */
function cutText(text: string, maxBytes: number, hash: string): string {
  const end = ` … [cut; ${text.length} characters in all, SHA-256 ${hash}]`;
  let [fits, tooLong] = [0, maxBytes];
  while (tooLong - fits > 1) {
    const middle = Math.floor((fits + tooLong) / 2);
    if (jsonBytes(text.slice(0, middle) + end) <= maxBytes) fits = middle;
    else tooLong = middle;
  }
  // Half of a surrogate pair is no character.
  const head = text.slice(0, fits);
  return (head.isWellFormed() ? head : head.slice(0, -1)) + end;
}
