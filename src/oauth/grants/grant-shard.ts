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

/**
 * Stores the entries of a shard. A grant or access token whose end the ledger is yet to store is absent, as are the access tokens of such a
 * grant: its entry stays until then, but it is neither read nor refreshed.
 */
export interface Shard {
  get(key: string, nowMs: number): string | undefined;
  put(key: string, entry: NewEntry, nowMs: number): void;
  /** Stores an entry unless the key exists. False when it does. */
  add(key: string, entry: NewEntry, nowMs: number): boolean;
  /** Removes an entry that is neither a grant nor an access token; false when there was none. */
  remove(key: string, nowMs: number): boolean;
  /**
   * Enqueues the end of grants and access tokens: the ledger must store it before their entries are removed. Returns false and enqueues
   * nothing when there is none of them.
   */
  enqueueEnds(keys: readonly string[], endReason: GrantEndReason, nowMs: number): boolean;
  /** Removes the entry of a grant or access token whose end the ledger has stored, with the message that asked for it. */
  completeEnd(end: CompletedEnd, nowMs: number): void;
  /** Lists grants that have expired although some of their access tokens have not. */
  listExpiredGrants(userId: string, nowMs: number): readonly string[];
  list(prefix: string, limit: number, cursor: string | null, nowMs: number): StoredPage;
  listGrants(userId: string, nowMs: number): readonly StoredGrant[];
  /** Lists the keys of all grants, and of access tokens whose grant is gone. */
  listAccessKeys(userId: string, nowMs: number): readonly string[];
  /** Whether the grant is as the unit first read it; null when the unit did not read it. */
  isUnchanged(grantKey: string, initialGrant: string | undefined | null, nowMs: number): boolean;
  /**
   * Commits new entries and the spent refresh token if the grant is unchanged since the unit read it; otherwise returns false. Grants and
   * access tokens that a unit deletes end by `enqueueEnds`.
   */
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

interface CompletedEnd {
  /** The id of the message. */
  readonly id: number;
  readonly key: string;
  readonly endReason: GrantEndReason;
}

interface GrantCommit {
  readonly grantKey: string;
  /** The grant as the unit first read it, undefined when it did not exist; null when the unit did not read it. */
  readonly initialGrant: string | undefined | null;
  readonly puts: ReadonlyMap<string, NewEntry>;
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

  const isEnding = (key: string): boolean => {
    const entryKey = userId === undefined ? undefined : parseEntryKey(key);
    if (userId === undefined || entryKey === undefined) return false;
    return outbox.isEnding(key) || outbox.isEnding(buildGrantKey(userId, entryKey.grantId));
  };

  const getPresent = (key: string, nowMs: number): string | undefined =>
    isEnding(key) ? undefined : entries.get(key, nowMs);

  const isUnchanged: Shard["isUnchanged"] = (grantKey, initialGrant, nowMs) =>
    initialGrant === null || getPresent(grantKey, nowMs) === initialGrant;

  return {
    outbox,
    get: getPresent,
    list(prefix, limit, cursor, nowMs) {
      // A page may have fewer keys than `limit`, even none, and a cursor all the same.
      const page = entries.list(prefix, limit, cursor, nowMs);
      return { ...page, keys: page.keys.filter(({ name }) => !isEnding(name)) };
    },
    findSpent: (hash) => revokedTokens.findSpent(hash),
    put: (key, entry, nowMs) => inTransaction(() => putEntry(key, entry, nowMs)),
    add: (key, entry, nowMs) =>
      inTransaction(() => {
        if (entries.get(key, nowMs) !== undefined) return false;
        putEntry(key, entry, nowMs);
        return true;
      }),
    remove: (key, nowMs) => inTransaction(() => entries.remove(key, nowMs) !== undefined),
    enqueueEnds: (keys, endReason, nowMs) =>
      inTransaction(() => {
        const existingKeys = keys.filter((key) => entries.get(key, nowMs) !== undefined);
        for (const key of existingKeys)
          if (!outbox.expediteEnding(key, nowMs)) outbox.enqueue({ kind: "ending", key, endReason }, nowMs);
        return existingKeys.length > 0;
      }),
    completeEnd: ({ id, key, endReason }, nowMs) =>
      inTransaction(() => {
        revocation.remove(key, endReason, nowMs);
        outbox.remove(id);
      }),
    listExpiredGrants: (user, nowMs) =>
      entries
        .listExpired(nowMs)
        .map(({ key }) => parseEntryKey(key))
        .flatMap((entryKey) => (entryKey === undefined || entryKey.tokenHash !== undefined ? [] : [entryKey.grantId]))
        .filter((grantId) => entries.listWithPrefix(buildTokenPrefix(user, grantId), nowMs).length > 0),
    isUnchanged,
    listGrants: (user, nowMs) =>
      entries
        .listWithPrefix(buildGrantKey(user, ""), nowMs)
        .filter(({ key }) => !isEnding(key))
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
    listAccessKeys(user, nowMs) {
      const grantKeys = entries.listWithPrefix(buildGrantKey(user, ""), nowMs).map(({ key }) => key);
      const tokenKeys = entries.listWithPrefix(`token:${user}:`, nowMs).map(({ key }) => key);
      const isOrphan = (key: string): boolean =>
        !grantKeys.includes(buildGrantKey(user, parseEntryKey(key)?.grantId ?? ""));
      return [...grantKeys, ...tokenKeys.filter(isOrphan)];
    },
    commit: ({ grantKey, initialGrant, puts, spentToken }, nowMs) =>
      inTransaction(() => {
        if (!isUnchanged(grantKey, initialGrant, nowMs)) return false;
        for (const [key, entry] of puts) putEntry(key, entry, nowMs);
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
