// The RPC protocol between the Worker and the Durable Objects of the grant store: plain data, and the names of the shards.
import { computeShardNumber } from "../../lib/shard.ts";

/** When an entry expires: after some seconds, at a second since the epoch, or never (null). */
export type Expiry = { readonly ttlSeconds: number } | { readonly atSeconds: number } | null;

/** Describes an entry to store. */
export interface NewEntry {
  readonly value: string;
  readonly expiry: Expiry;
  /** JSON, which lists return. */
  readonly metadata: string | null;
}

/** A page of keys, ordered by their UTF-8 bytes. */
export interface StoredPage {
  readonly keys: readonly StoredKey[];
  /** The cursor of the next page; null when this is the last one. */
  readonly cursor: string | null;
}

/** Describes a listed key. */
export interface StoredKey {
  readonly name: string;
  readonly expiresMs: number | null;
  /** JSON. */
  readonly metadata: string | null;
}

/** A request to the token endpoint as plain data. */
export interface TokenRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The form, not decoded. */
  readonly body: string;
}

/** The response of the token endpoint as plain data. */
export interface TokenReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Describes a grant: one sign-in of a user with one client. */
export interface StoredGrant {
  readonly grantId: string;
  readonly clientId: string;
  /** The unencrypted metadata that sign-in stored with the grant, as JSON. */
  readonly metadata: string;
  readonly createdMs: number;
  /** When the grant was last refreshed, or created if it never was. */
  readonly usedMs: number;
}

/**
 * The RPC interface of `GrantObject`. A user's shard stores that user's grants and access tokens; the other shards store
 * clients, pending sign-ins and used assertions.
 */
export interface GrantRpc {
  get(key: string): Promise<string | null>;
  put(key: string, entry: NewEntry): Promise<void>;
  /** Stores an entry unless the key exists. False when it does. */
  add(key: string, entry: NewEntry): Promise<boolean>;
  /** Removes an entry; false when there was none. Removing a grant also ends its access tokens, sessions and streams. */
  remove(key: string): Promise<boolean>;
  list(prefix: string, limit: number, cursor: string | null): Promise<StoredPage>;
  /** Serves a token request that presents a code, refresh token or access token of this user, one at a time for each grant. */
  serveToken(request: TokenRequest): Promise<TokenReply>;
  /** Lists the user's grants whose code was exchanged, newest first. */
  listGrants(): Promise<readonly StoredGrant[]>;
  /** Ends a grant at the user's request. False when there is none. */
  endGrant(grantId: string): Promise<boolean>;
  /**
   * Ends all grants and access tokens of the user because the member was removed, also a grant whose code was not exchanged. Throws when
   * the ledger could not be reached; they are absent all the same, and the object goes on trying.
   */
  endAllGrants(): Promise<void>;
  /** Records once that /mcp refused an access token, if the token was ever issued to this user. */
  recordRefusal(grantId: string, tokenHash: string): Promise<void>;
}

/** The binding of the grant store's Durable Objects. */
export type GrantNamespace = DurableObjectNamespace<GrantRpc & Rpc.DurableObjectBranded>;

/** Number of shards for clients, pending sign-ins and used assertions. */
const HASH_SHARD_COUNT = 64;

/** Returns the name of a user's shard. */
export function nameUserShard(userId: string): string {
  return `user ${userId}`;
}

/** Parses the user id from the name of a shard; undefined for the other shards. */
export function parseShardUser(name: string): string | undefined {
  return /^user (.+)$/.exec(name)?.[1];
}

/** Returns the name of the shard that stores a key. */
export function nameShard(key: string): string {
  const userId = USER_KEY.exec(key)?.[1];
  return userId === undefined ? `hash ${computeShardNumber(key, HASH_SHARD_COUNT)}` : nameUserShard(userId);
}

/** Keys that belong to a user: `grant:{user}:…`, `token:{user}:…`. */
const USER_KEY = /^(?:grant|token):([^:]+):/;

/** Returns the name of the shard that stores every key of a prefix; undefined when several shards may. */
export function nameShardOfPrefix(prefix: string): string | undefined {
  const userId = USER_KEY.exec(prefix)?.[1];
  return userId === undefined ? undefined : nameUserShard(userId);
}
