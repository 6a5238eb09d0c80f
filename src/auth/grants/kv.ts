// The face of a KV namespace, as far as the OAuth provider uses it, and the rules that KV holds its callers to.
import { byteLength } from "../../lib/bytes.ts";
import type { Expiry, Kept, StoredPage } from "./protocol.ts";

export interface GrantStore {
  /** The text, or its JSON value, or null. */
  get(key: string, type?: GetType | { readonly type?: GetType }): Promise<unknown>;
  put(key: string, value: string, options?: PutOptions): Promise<void>;
  delete(key: string): Promise<void>;
  list(options?: ListOptions): Promise<KeyPage>;
}

type GetType = "text" | "json";

export interface PutOptions {
  readonly expirationTtl?: number;
  /** Seconds since the epoch. */
  readonly expiration?: number;
  readonly metadata?: unknown;
}

export interface ListOptions {
  readonly prefix?: string;
  readonly limit?: number;
  readonly cursor?: string;
}

/** A page of keys as KV gives it. */
export type KeyPage = { readonly keys: readonly ListedKey[] } & (
  { readonly list_complete: true } | { readonly list_complete: false; readonly cursor: string }
);

export interface ListedKey {
  readonly name: string;
  /** Seconds since the epoch. */
  readonly expiration?: number;
  readonly metadata?: unknown;
}

const MIN_TTL_SECONDS = 60;
const MAX_KEY_BYTES = 512;
const MAX_METADATA_BYTES = 1024;
const MAX_LIST = 1000;

/** Whether KV takes it for the name of an entry. */
export function isKey(key: string): boolean {
  return key !== "" && key !== "." && key !== ".." && byteLength(key) <= MAX_KEY_BYTES;
}

/** Refuses names that KV refuses. Throws `TypeError`. */
export function requireKey(key: string): void {
  if (!isKey(key)) throw new TypeError(`a key has 1 to ${MAX_KEY_BYTES} bytes and is not . or ..`);
}

/** What is to be kept, checked. Throws `TypeError`. */
export function keptOf(value: string, { expirationTtl, expiration, metadata }: PutOptions = {}): Kept {
  if (typeof value !== "string") throw new TypeError("a value is text");
  if (expirationTtl !== undefined && !(expirationTtl >= MIN_TTL_SECONDS))
    throw new TypeError(`an expirationTtl is at least ${MIN_TTL_SECONDS}`);
  const json = metadata === undefined ? null : JSON.stringify(metadata);
  if (json !== null && byteLength(json) > MAX_METADATA_BYTES)
    throw new TypeError(`metadata has at most ${MAX_METADATA_BYTES} bytes`);
  return { value, expiry: expiryOf(expirationTtl, expiration), metadata: json };
}

function expiryOf(ttlSeconds: number | undefined, atSeconds: number | undefined): Expiry {
  if (ttlSeconds !== undefined) return { ttlSeconds };
  return atSeconds === undefined ? null : { atSeconds };
}

/** The moment of an expiry, on a whole second as in KV. Throws `TypeError` when it is less than a minute away. */
export function expiresMs(expiry: Expiry, nowMs: number): number | null {
  if (expiry === null) return null;
  const nowSeconds = Math.floor(nowMs / 1000);
  const atSeconds = Math.floor("ttlSeconds" in expiry ? nowSeconds + expiry.ttlSeconds : expiry.atSeconds);
  if (!(atSeconds >= nowSeconds + MIN_TTL_SECONDS))
    throw new TypeError(`an expiration is at least ${MIN_TTL_SECONDS} seconds away`);
  return atSeconds * 1000;
}

/** How many keys a page has at most. Throws `TypeError`. */
export function listLimit(limit = MAX_LIST): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIST)
    throw new TypeError(`the limit of a list is from 1 to ${MAX_LIST}`);
  return limit;
}

/** A page as it was stored, in KV's form. */
export function pageOf({ keys: stored, cursor }: StoredPage): KeyPage {
  const keys = stored.map(({ name, expiresMs: ms, metadata }) => ({
    name,
    ...(ms === null ? {} : { expiration: ms / 1000 }),
    ...(metadata === null ? {} : { metadata: JSON.parse(metadata) as unknown }),
  }));
  return cursor === null ? { keys, list_complete: true } : { keys, list_complete: false, cursor };
}

/** A stored text as it was asked for. */
export function readAs(text: string | null, type: GetType | { readonly type?: GetType } = "text"): unknown {
  const wanted = typeof type === "string" ? type : (type.type ?? "text");
  return text === null || wanted === "text" ? text : JSON.parse(text);
}
