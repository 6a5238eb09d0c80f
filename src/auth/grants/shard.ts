// One object's part of the grant store: its entries, and what follows when a grant or a token among them is over. Knows
// nothing of requests. Each method is one transaction.
import { createDuties, DUTY_SCHEMA } from "./duties.ts";
import type { Duties } from "./duties.ts";
import { createEntries, ENTRY_SCHEMA } from "./entries.ts";
import { createEndings } from "./endings.ts";
import { grantKey, isInUse, ownedOf, parseGrant, tokenPrefix } from "./grant-record.ts";
import { expiresMs } from "./kv.ts";
import type { Ending } from "./notes.ts";
import { createPastTokens, earliest, PAST_SCHEMA } from "./past.ts";
import type { Spent } from "./past.ts";
import type { Kept, StoredGrant, StoredPage } from "./protocol.ts";
import { openTables } from "./tables.ts";

/** What a unit of work changes: the new entries, and null for those that go. */
export type Writes = ReadonlyMap<string, Kept | null>;

export interface Shard {
  get(key: string, nowMs: number): string | undefined;
  put(key: string, kept: Kept, nowMs: number): void;
  add(key: string, kept: Kept, nowMs: number): boolean;
  /** A grant or token that goes is over for the reason `ending`. */
  remove(key: string, ending: Ending, nowMs: number): boolean;
  list(prefix: string, limit: number, cursor: string | null, nowMs: number): StoredPage;
  grants(userId: string, nowMs: number): readonly StoredGrant[];
  /** All of it, with `spend`, if the grant is still what the unit read. */
  commit(unit: UnitOfWork, nowMs: number): boolean;
  spent(hash: string): Spent | undefined;
  /** Whether the grant knows a code or token of this hash, spent or not. */
  knows(userId: string, grantId: string, hash: string, nowMs: number): boolean;
  /** Owes a record of the refusal, if the token was once given out and none was owed for it. */
  refuse(userId: string, grantId: string, hash: string, nowMs: number): void;
  /** What is over by now goes. */
  sweep(nowMs: number): void;
  readonly duties: Duties;
  /** When there is something to sweep or a duty to do. */
  nextDueMs(): number | undefined;
  /** Whether something was written once, and all of it is gone. */
  isUsedUp(): boolean;
  /** The storage was emptied. */
  forget(): void;
}

export interface UnitOfWork {
  readonly key: string;
  /** The grant as the unit read it; null when it did not read it. */
  readonly read: string | undefined | null;
  readonly writes: Writes;
  readonly ending: Ending;
  /** The refresh token that this uses up, by its hash. */
  readonly spend: { readonly hash: string; readonly grantId: string; readonly answer: ArrayBuffer } | undefined;
}

export interface ShardOptions {
  /** The user whose shard this is; undefined for the others. */
  readonly userId: string | undefined;
  readonly graceMs: number;
  readonly newId: () => string;
}

export function createShard(storage: DurableObjectStorage, { userId, graceMs, newId }: ShardOptions): Shard {
  const tables = openTables(storage.sql, `${ENTRY_SCHEMA}${PAST_SCHEMA}${DUTY_SCHEMA}`, "entry");
  const entries = createEntries(tables);
  const past = createPastTokens(tables, graceMs);
  const duties = createDuties(tables);
  const endings = createEndings({ entries, past, duties, newId, userId });
  const atOnce = <T>(work: () => T): T => storage.transactionSync(work);

  const put = (key: string, { value, expiry, metadata }: Kept, nowMs: number): void =>
    entries.put(key, { value, metadata, expiresMs: expiresMs(expiry, nowMs) }, nowMs);

  return {
    duties,
    get: (key, nowMs) => entries.get(key, nowMs),
    list: (prefix, limit, cursor, nowMs) => entries.list(prefix, limit, cursor, nowMs),
    spent: (hash) => past.spent(hash),
    put: (key, kept, nowMs) => atOnce(() => put(key, kept, nowMs)),
    add: (key, kept, nowMs) =>
      atOnce(() => {
        if (entries.get(key, nowMs) !== undefined) return false;
        put(key, kept, nowMs);
        return true;
      }),
    remove: (key, ending, nowMs) => atOnce(() => endings.remove(key, ending, nowMs)),
    grants: (user, nowMs) =>
      entries
        .under(grantKey(user, ""), nowMs)
        .map(({ key, value, writtenMs }) => ({ key, writtenMs, record: parseGrant(value) }))
        .filter(({ record }) => isInUse(record))
        .map(({ key, writtenMs, record: { clientId, metadata, createdAt } }) => ({
          grantId: ownedOf(key)?.grantId ?? "",
          clientId,
          metadata: JSON.stringify(metadata),
          createdMs: createdAt * 1000,
          usedMs: writtenMs,
        }))
        .toSorted((one, other) => other.createdMs - one.createdMs),
    commit: ({ key, read, writes, ending, spend }, nowMs) =>
      atOnce(() => {
        if (read !== null && entries.get(key, nowMs) !== read) return false;
        for (const [name, kept] of writes)
          if (kept === null) endings.remove(name, ending, nowMs);
          else put(name, kept, nowMs);
        if (spend !== undefined) past.spend(spend.hash, { ...spend, spentMs: nowMs });
        return true;
      }),
    knows(user, grantId, hash, nowMs) {
      if (past.spent(hash)?.grantId === grantId) return true;
      if (entries.get(`${tokenPrefix(user, grantId)}${hash}`, nowMs) !== undefined) return true;
      const grant = entries.get(grantKey(user, grantId), nowMs);
      if (grant === undefined) return false;
      const { authCodeId, refreshTokenId } = parseGrant(grant);
      return authCodeId === hash || refreshTokenId === hash;
    },
    refuse: (user, grantId, hash, nowMs) => atOnce(() => endings.refuse(user, grantId, hash, nowMs)),
    sweep: (nowMs) =>
      atOnce(() => {
        if (tables.existing() === undefined) return;
        for (const { key, value } of entries.expired(nowMs)) endings.expire(key, value, nowMs);
        past.sweep(nowMs);
      }),
    isUsedUp: () =>
      tables.existing() !== undefined && entries.isEmpty() && past.isEmpty() && duties.nextDueMs() === undefined,
    forget: () => tables.forget(),
    nextDueMs: () => earliest([entries.nextExpiryMs(), past.nextSweepMs(), duties.nextDueMs()]),
  };
}
