// The part of the KV interface that the OAuth provider uses, and the rules that KV enforces on its callers. Does not store.
import { byteLength } from "../../lib/bytes.ts";
import type { Expiry, NewEntry, StoredPage } from "./grant-protocol.ts";

/** A store with the interface of a KV namespace. */
export interface GrantStore {
  /** Returns the text, or with type `json` its parsed value; null when the key does not exist. */
  get(key: string, type?: GetOptions): Promise<unknown>;
  put(key: string, value: string, options?: PutOptions): Promise<void>;
  delete(key: string): Promise<void>;
  list(options?: ListOptions): Promise<KeyPage>;
}

type GetType = "text" | "json";

/** The second argument of `get`: the type of the value, `text` when absent. */
export type GetOptions = GetType | { readonly type?: GetType };

/** The options of `put`. */
export interface PutOptions {
  readonly expirationTtl?: number;
  /** Seconds since the epoch. */
  readonly expiration?: number;
  readonly metadata?: unknown;
}

/** The options of `list`. */
export interface ListOptions {
  readonly prefix?: string;
  readonly limit?: number;
  readonly cursor?: string;
}

/** A page of keys in KV's format. */
export type KeyPage = { readonly keys: readonly ListedKey[] } & (
  { readonly list_complete: true } | { readonly list_complete: false; readonly cursor: string }
);

interface ListedKey {
  readonly name: string;
  /** Seconds since the epoch. */
  readonly expiration?: number;
  readonly metadata?: unknown;
}

const MIN_TTL_SECONDS = 60;
const MAX_KEY_BYTES = 512;
const MAX_METADATA_BYTES = 1024;
const MAX_LISTED_KEYS = 1000;

/** Whether KV accepts the key. */
export function isValidKey(key: string): boolean {
  return key !== "" && key !== "." && key !== ".." && byteLength(key) <= MAX_KEY_BYTES;
}

/** Throws `TypeError` for a key that KV does not accept. */
export function requireValidKey(key: string): void {
  if (!isValidKey(key)) throw new TypeError(`a key must have 1 to ${MAX_KEY_BYTES} bytes and must not be . or ..`);
}

/** Parses the arguments of `put` into an entry. Throws `TypeError` for those that KV refuses. */
export function parseEntry(value: string, { expirationTtl, expiration, metadata }: PutOptions = {}): NewEntry {
  if (typeof value !== "string") throw new TypeError("a value must be text");
  if (expirationTtl !== undefined && !(expirationTtl >= MIN_TTL_SECONDS))
    throw new TypeError(`an expirationTtl must be at least ${MIN_TTL_SECONDS}`);
  const metadataJson = metadata === undefined ? null : JSON.stringify(metadata);
  if (metadataJson !== null && byteLength(metadataJson) > MAX_METADATA_BYTES)
    throw new TypeError(`metadata must have at most ${MAX_METADATA_BYTES} bytes`);
  return { value, expiry: buildExpiry(expirationTtl, expiration), metadata: metadataJson };
}

function buildExpiry(ttlSeconds: number | undefined, atSeconds: number | undefined): Expiry {
  if (ttlSeconds !== undefined) return { ttlSeconds };
  return atSeconds === undefined ? null : { atSeconds };
}

/** Computes when an entry expires, on a whole second as in KV. Throws `TypeError` when that is less than a minute away. */
export function computeExpiresMs(expiry: Expiry, nowMs: number): number | null {
  if (expiry === null) return null;
  const nowSeconds = Math.floor(nowMs / 1000);
  const atSeconds = Math.floor("ttlSeconds" in expiry ? nowSeconds + expiry.ttlSeconds : expiry.atSeconds);
  if (!(atSeconds >= nowSeconds + MIN_TTL_SECONDS))
    throw new TypeError(`an expiration must be at least ${MIN_TTL_SECONDS} seconds away`);
  return atSeconds * 1000;
}

/** Parses the page size of a list, from 1 to 1,000. Throws `TypeError`. */
export function parseListLimit(limit = MAX_LISTED_KEYS): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LISTED_KEYS)
    throw new TypeError(`the limit of a list must be from 1 to ${MAX_LISTED_KEYS}`);
  return limit;
}

/** Converts a stored page to KV's format. */
export function toKeyPage({ keys: storedKeys, cursor }: StoredPage): KeyPage {
  const keys = storedKeys.map(({ name, expiresMs, metadata }) => ({
    name,
    ...(expiresMs === null ? {} : { expiration: expiresMs / 1000 }),
    ...(metadata === null ? {} : { metadata: JSON.parse(metadata) as unknown }),
  }));
  return cursor === null ? { keys, list_complete: true } : { keys, list_complete: false, cursor };
}

/** Converts a stored text to the requested type. Throws `SyntaxError` when it is not the JSON that was requested. */
export function decodeValue(text: string | null, type: GetOptions = "text"): unknown {
  const valueType = typeof type === "string" ? type : (type.type ?? "text");
  return text === null || valueType === "text" ? text : JSON.parse(text);
}
