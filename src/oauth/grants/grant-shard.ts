// One shard of the grant store: its entries, and the revocation that follows when a grant or an access token among them ends.
// Each method is one transaction. Does not handle HTTP requests.
import { createOutbox } from "./outbox.ts";
import type { Outbox } from "./outbox.ts";
import { createEntries } from "./grant-entries.ts";
import { createRevocation } from "./revocation.ts";
import { buildGrantKey, isCodeExchanged, parseEntryKey, parseGrant, buildTokenPrefix } from "./grant-record.ts";
import { computeExpiresMs } from "./kv-contract.ts";
import type { GrantEndReason } from "./audit-events.ts";
import { createRevokedTokens, findEarliest } from "./revoked-tokens.ts";
import type { SpentRefreshToken } from "./revoked-tokens.ts";
import type { NewEntry, StoredGrant, StoredPage } from "./grant-protocol.ts";
import { GRANT_LAYOUT } from "./grant-layout.ts";
import { createLazyTables } from "../../lib/lazy-tables.ts";

/** The changes of a unit of work by key: a new entry, or null for a deletion. */
export type Writes = ReadonlyMap<string, NewEntry | null>;

/** Stores the entries of a shard. */
export interface Shard {
  get(key: string, nowMs: number): string | undefined;
  put(key: string, entry: NewEntry, nowMs: number): void;
  /** Stores an entry unless the key exists. False when it does. */
  add(key: string, entry: NewEntry, nowMs: number): boolean;
  /** Removes an entry; false when there was none. A removed grant ends for the reason `endReason`. */
  remove(key: string, endReason: GrantEndReason, nowMs: number): boolean;
  list(prefix: string, limit: number, cursor: string | null, nowMs: number): StoredPage;
  listGrants(userId: string, nowMs: number): readonly StoredGrant[];
  /** Commits all writes and the spent refresh token if the grant is unchanged since the unit read it; otherwise returns false. */
  commit(commit: GrantCommit, nowMs: number): boolean;
  findSpent(hash: string): SpentRefreshToken | undefined;
  /** Whether the grant issued a code, access token or refresh token with this hash, spent or not. */
  hasCredential(userId: string, grantId: string, hash: string, nowMs: number): boolean;
  /** Enqueues an audit record of the refusal if the access token was issued and its refusal was not recorded before. */
  recordRefusal(userId: string, grantId: string, hash: string, nowMs: number): void;
  /** Removes expired entries, and the data about revoked access tokens and spent refresh tokens that is no longer needed. */
  purgeExpired(nowMs: number): void;
  readonly outbox: Outbox;
  /** The time at which an entry expires or an outbox message is due; undefined when there is neither. */
  nextDueMs(): number | undefined;
  /** Whether the tables were created and are all empty now. */
  isEmptied(): boolean;
  /** Forgets the tables, after the caller deleted the storage. */
  reset(): void;
}

interface GrantCommit {
  readonly grantKey: string;
  /** The grant as the unit first read it, undefined when it did not exist; null when the unit did not read it. */
  readonly initialGrant: string | undefined | null;
  readonly writes: Writes;
  readonly endReason: GrantEndReason;
  /** The refresh token that the commit spends. */
  readonly spentToken: { readonly hash: string; readonly grantId: string; readonly answer: ArrayBuffer } | undefined;
}

interface ShardOptions {
  /** The user whose shard this is; undefined for other shards. */
  readonly userId: string | undefined;
  readonly graceMs: number;
  readonly newId: () => string;
}

/** Creates the shard over the storage of its Durable Object. */
export function createShard(storage: DurableObjectStorage, { userId, graceMs, newId }: ShardOptions): Shard {
  const tables = createLazyTables(storage, GRANT_LAYOUT);
  const entries = createEntries(tables);
  const revokedTokens = createRevokedTokens(tables, graceMs);
  const outbox = createOutbox(tables);
  const revocation = createRevocation({ entries, revokedTokens, outbox, newId, userId });
  const inTransaction = <T>(work: () => T): T => {
    try {
      return storage.transactionSync(work);
    } catch (error) {
      tables.refresh();
      throw error;
    }
  };

  const putEntry = (key: string, { value, expiry, metadata }: NewEntry, nowMs: number): void =>
    entries.put(key, { value, metadata, expiresMs: computeExpiresMs(expiry, nowMs) }, nowMs);

  return {
    outbox,
    get: (key, nowMs) => entries.get(key, nowMs),
    list: (prefix, limit, cursor, nowMs) => entries.list(prefix, limit, cursor, nowMs),
    findSpent: (hash) => revokedTokens.findSpent(hash),
    put: (key, entry, nowMs) => inTransaction(() => putEntry(key, entry, nowMs)),
    add: (key, entry, nowMs) =>
      inTransaction(() => {
        if (entries.get(key, nowMs) !== undefined) return false;
        putEntry(key, entry, nowMs);
        return true;
      }),
    remove: (key, endReason, nowMs) => inTransaction(() => revocation.remove(key, endReason, nowMs)),
    listGrants: (user, nowMs) =>
      entries
        .listWithPrefix(buildGrantKey(user, ""), nowMs)
        .map(({ key, value, writtenMs }) => ({ key, writtenMs, record: parseGrant(value) }))
        .filter(({ record }) => isCodeExchanged(record))
        .map(({ key, writtenMs, record: { clientId, metadata, createdAt } }) => ({
          grantId: parseEntryKey(key)?.grantId ?? "",
          clientId,
          metadata: JSON.stringify(metadata),
          createdMs: createdAt * 1000,
          usedMs: writtenMs,
        }))
        .toSorted((left, right) => right.createdMs - left.createdMs),
    commit: ({ grantKey, initialGrant, writes, endReason, spentToken }, nowMs) =>
      inTransaction(() => {
        if (initialGrant !== null && entries.get(grantKey, nowMs) !== initialGrant) return false;
        for (const [key, entry] of writes)
          if (entry === null) revocation.remove(key, endReason, nowMs);
          else putEntry(key, entry, nowMs);
        if (spentToken !== undefined) revokedTokens.addSpent(spentToken.hash, { ...spentToken, spentMs: nowMs });
        return true;
      }),
    hasCredential(user, grantId, hash, nowMs) {
      if (revokedTokens.findSpent(hash)?.grantId === grantId) return true;
      if (entries.get(`${buildTokenPrefix(user, grantId)}${hash}`, nowMs) !== undefined) return true;
      const grant = entries.get(buildGrantKey(user, grantId), nowMs);
      if (grant === undefined) return false;
      const { authCodeId, refreshTokenId } = parseGrant(grant);
      return authCodeId === hash || refreshTokenId === hash;
    },
    recordRefusal: (user, grantId, hash, nowMs) =>
      inTransaction(() => revocation.recordRefusal(user, grantId, hash, nowMs)),
    purgeExpired: (nowMs) =>
      inTransaction(() => {
        if (tables.getIfCreated() === undefined) return;
        for (const { key, value } of entries.listExpired(nowMs)) revocation.expire(key, value, nowMs);
        revokedTokens.purgeExpired(nowMs);
      }),
    isEmptied: () =>
      tables.getIfCreated() !== undefined &&
      entries.isEmpty() &&
      revokedTokens.isEmpty() &&
      outbox.nextDueMs() === undefined,
    reset: () => tables.reset(),
    nextDueMs: () => findEarliest([entries.nextExpiryMs(), revokedTokens.nextPurgeMs(), outbox.nextDueMs()]),
  };
}
