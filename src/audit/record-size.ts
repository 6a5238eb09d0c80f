// Bounds the size of an audit record: long request texts and lists are truncated, with the SHA-256 of the whole. A few long calls cannot
// fill a ledger, and an investigator can still compare a suspected text with the hash.
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { byteLength } from "../lib/bytes.ts";
import { sha256Hex } from "../lib/crypto.ts";
import type { Attempt, Outcome } from "./audit-record.ts";
import { MAX_KEYS_BYTES, boundKeys } from "./record-keys.ts";

/** The maximum of the request text, as JSON. Hardly any SQL is longer. */
const MAX_REQUEST_TEXT_BYTES = 4096;
/** The maximum of a client id, as JSON: it may be a URL that the client chooses. */
const MAX_CLIENT_BYTES = 512;
/** The maximum of what a request names, as JSON: ids and URIs are text of the user. */
const MAX_RESOURCE_BYTES = 512;
/** The maximum of an outcome without its keys, as JSON. */
const MAX_KEYLESS_BYTES = 6144;
/** The maximum of an outcome, as JSON; the ledger reserves this room when a call begins. */
export const MAX_OUTCOME_BYTES = MAX_KEYLESS_BYTES + MAX_KEYS_BYTES;
/** The maximum of the rest of a record: ids, times, field names. */
const MAX_OTHER_BYTES = 1024;
/** The maximum of a whole record. */
export const MAX_RECORD_BYTES =
  MAX_REQUEST_TEXT_BYTES + MAX_CLIENT_BYTES + MAX_RESOURCE_BYTES + MAX_OUTCOME_BYTES + MAX_OTHER_BYTES;

/** The lists of an outcome. The rest of it has a bounded size. */
const OUTCOME_LISTS = ["roles", "datasets", "columns", "rules", "denials", "masked", "untrusted"] as const;

const countJsonBytes = (value: unknown): number => byteLength(JSON.stringify(value));
const hashText = (text: string): string => bytesToHex(sha256(utf8ToBytes(text)));

/**
 * Bounds a request text: returns it whole, or its beginning with the length and hash of the whole. Call it before the ledger: a request
 * may have megabytes, which should not be sent to the ledger's object and hashed there.
 */
export async function boundRequestText(requestText: string): Promise<string> {
  return countJsonBytes(requestText) <= MAX_REQUEST_TEXT_BYTES
    ? requestText
    : truncateText(requestText, MAX_REQUEST_TEXT_BYTES, await sha256Hex(requestText));
}

/** Bounds the texts of an attempt. A bounded text stays unchanged. */
export function boundAttempt(attempt: Attempt): Attempt {
  const { asked: requestText, clientId, resource } = attempt;
  return {
    ...attempt,
    asked: boundText(requestText, MAX_REQUEST_TEXT_BYTES),
    clientId: boundText(clientId, MAX_CLIENT_BYTES),
    ...(resource === undefined ? {} : { resource: boundText(resource, MAX_RESOURCE_BYTES) }),
  };
}

/** Bounds an outcome to `MAX_OUTCOME_BYTES`: the keys, and the longest lists, are truncated; the other lists stay whole. */
export function boundOutcome({ keys, ...outcome }: Outcome): Outcome {
  const bounded = boundLists(outcome);
  return keys === undefined ? bounded : { ...bounded, keys: boundKeys(keys) };
}

function boundLists(outcome: Outcome): Outcome {
  if (countJsonBytes(outcome) <= MAX_KEYLESS_BYTES) return outcome;
  const listSizes = OUTCOME_LISTS.flatMap((name) => {
    const list = outcome[name];
    return list === undefined ? [] : [{ name, list, bytes: countJsonBytes(list) }];
  }).toSorted((a, b) => a.bytes - b.bytes);
  let remainingBytes =
    MAX_KEYLESS_BYTES - (countJsonBytes(outcome) - listSizes.reduce((sum, { bytes }) => sum + bytes, 0));
  let bounded = outcome;
  for (const [index, { name, list: whole }] of listSizes.entries()) {
    // Lists are processed from short to long, so that longer ones can use the room that short ones do not need.
    const list = boundList(whole, Math.floor(remainingBytes / (listSizes.length - index)));
    remainingBytes -= countJsonBytes(list);
    bounded = { ...bounded, [name]: list };
  }
  return bounded;
}

function boundList(list: readonly string[], maxBytes: number): readonly string[] {
  if (countJsonBytes(list) <= maxBytes) return list;
  const formatEnd = (fittingCount: number): string =>
    `… ${list.length - fittingCount} more of ${list.length}, SHA-256 of all ${hashText(JSON.stringify(list))}`;
  let bytes = countJsonBytes([formatEnd(0)]);
  let fittingCount = 0;
  for (const entry of list) {
    bytes += countJsonBytes(entry) + 1;
    if (bytes > maxBytes) break;
    fittingCount += 1;
  }
  return [...list.slice(0, fittingCount), formatEnd(fittingCount)];
}

function boundText(text: string, maxBytes: number): string {
  return countJsonBytes(text) <= maxBytes ? text : truncateText(text, maxBytes, hashText(text));
}

/** Returns the longest beginning of the text that fits together with `hash`, the hash of the whole text. */
function truncateText(text: string, maxBytes: number, hash: string): string {
  const endText = ` … [cut; ${text.length} characters in all, SHA-256 ${hash}]`;
  let [fittingCharacters, excessiveCharacters] = [0, maxBytes];
  while (excessiveCharacters - fittingCharacters > 1) {
    const middle = Math.floor((fittingCharacters + excessiveCharacters) / 2);
    if (countJsonBytes(text.slice(0, middle) + endText) <= maxBytes) fittingCharacters = middle;
    else excessiveCharacters = middle;
  }
  // A surrogate pair must not be split.
  const head = text.slice(0, fittingCharacters);
  return (head.isWellFormed() ? head : head.slice(0, -1)) + endText;
}
