// What travels between the Worker and the objects of the grant store, and how those are named. Plain data.
import { shardNumber } from "../../lib/shard.ts";

/** When an entry goes away: after so long, at a second since the epoch, or never. */
export type Expiry = { readonly ttlSeconds: number } | { readonly atSeconds: number } | null;

export interface Kept {
  readonly value: string;
  readonly expiry: Expiry;
  /** JSON, given back by lists. */
  readonly metadata: string | null;
}

/** A page of keys, in the order of their UTF-8 bytes. */
export interface StoredPage {
  readonly keys: readonly StoredKey[];
  /** Where the next page begins; null when there is none. */
  readonly cursor: string | null;
}

export interface StoredKey {
  readonly name: string;
  readonly expiresMs: number | null;
  /** JSON. */
  readonly metadata: string | null;
}

/** What is asked of the token endpoint, and what it answers. */
export interface TokenRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The form, as it came. */
  readonly body: string;
}

export interface TokenReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** One sign-in of one client. */
export interface StoredGrant {
  readonly grantId: string;
  readonly clientId: string;
  /** What sign-in kept beside it, in clear; JSON. */
  readonly metadata: string;
  readonly createdMs: number;
  /** When it was last refreshed, or else made. */
  readonly usedMs: number;
}

/** The object's face. A shard of a user holds that user's grants and tokens; the others hold what belongs to nobody yet. */
export interface GrantRpc {
  get(key: string): Promise<string | null>;
  put(key: string, kept: Kept): Promise<void>;
  /** Keeps an entry unless there is one of that key. False when there is. */
  add(key: string, kept: Kept): Promise<boolean>;
  /** False when there was nothing. The key of a grant ends the grant, with its tokens and all that it holds. */
  remove(key: string): Promise<boolean>;
  list(prefix: string, limit: number, cursor: string | null): Promise<StoredPage>;
  /** Serves a request to the token endpoint that presents a code or token of this user, alone of all that concern its grant. */
  token(request: TokenRequest): Promise<TokenReply>;
  /** The user's grants for which tokens were given out, newest first. */
  grants(): Promise<readonly StoredGrant[]>;
  /** Ends a grant by its person's wish. False when there is none. */
  end(grantId: string): Promise<boolean>;
  /** An access token was refused at the resource: recorded once, if it ever was one of this user. */
  refused(grantId: string, tokenHash: string): Promise<void>;
}

export type GrantNamespace = DurableObjectNamespace<GrantRpc & Rpc.DurableObjectBranded>;

/** Shards for clients, pending sign-ins and used assertions. */
const HASH_SHARDS = 64;

/** The name of a user's shard. */
export function userShard(userId: string): string {
  return `user ${userId}`;
}

/** The user of a shard's name; undefined for the other shards. */
export function shardUser(name: string): string | undefined {
  return /^user (.+)$/.exec(name)?.[1];
}

/** The name of the shard that a key belongs to. */
export function shardOf(key: string): string {
  const userId = OWNED.exec(key)?.[1];
  return userId === undefined ? `hash ${shardNumber(key, HASH_SHARDS)}` : userShard(userId);
}

/** Keys that belong to a user: `grant:{user}:…`, `token:{user}:…`. */
const OWNED = /^(?:grant|token):([^:]+):/;

/** The shard that has every key of a prefix. Undefined when they are spread over many. */
export function shardOfPrefix(prefix: string): string | undefined {
  const userId = OWNED.exec(prefix)?.[1];
  return userId === undefined ? undefined : userShard(userId);
}
