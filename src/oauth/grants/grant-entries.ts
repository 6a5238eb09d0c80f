// The key-value entries of one shard, in SQLite. Reads never return an expired entry, even before the alarm has purged it.
import type { StoredKey, StoredPage } from "./grant-protocol.ts";
import type { LazyTables } from "../../lib/lazy-tables.ts";

interface Entry {
  readonly value: string;
  /** JSON. */
  readonly metadata: string | null;
  readonly expiresMs: number | null;
}

interface StoredEntry {
  readonly key: string;
  readonly value: string;
  readonly writtenMs: number;
}

/** Reads and writes the entries of a shard. Callers hold the transaction of a write. */
export interface Entries {
  get(key: string, nowMs: number): string | undefined;
  put(key: string, entry: Entry, nowMs: number): void;
  /** Removes an entry and returns its value; undefined when there was none or it had expired. */
  remove(key: string, nowMs: number): string | undefined;
  list(prefix: string, limit: number, cursor: string | null, nowMs: number): StoredPage;
  /** Lists all entries of a prefix, with their values. */
  listWithPrefix(prefix: string, nowMs: number): readonly StoredEntry[];
  /** Lists expired entries, at most `EXPIRED_BATCH_SIZE`. */
  listExpired(nowMs: number): readonly StoredEntry[];
  /** Finds an entry even when it has expired and was not purged yet. */
  findStored(key: string): { readonly value: string; readonly expiresMs: number | null } | undefined;
  isEmpty(): boolean;
  /** Removes an expired entry. */
  deleteExpired(key: string, nowMs: number): void;
  nextExpiryMs(): number | undefined;
}

/** Creates the table of entries and its index. */
/** Sorts after the rest of any key, so that it ends the range of a prefix. */
const LAST_CHARACTER = "\u{10FFFF}";
const EXPIRED_BATCH_SIZE = 500;

/** Creates the entries over tables that exist after the first write. */
export function createEntries({
  getIfCreated,
  ensureCreated,
}: Pick<LazyTables, "getIfCreated" | "ensureCreated">): Entries {
  const NOT_EXPIRED = "(expires_ms IS NULL OR expires_ms > ?)";
  const SELECT_ENTRY = "SELECT key, value, written_ms AS writtenMs FROM entry";
  return {
    get: (key, nowMs) =>
      getIfCreated()
        ?.exec<{ value: string }>(`SELECT value FROM entry WHERE key = ? AND ${NOT_EXPIRED}`, key, nowMs)
        .toArray()[0]?.value,
    put(key, { value, metadata, expiresMs }, nowMs) {
      ensureCreated().exec(
        "INSERT OR REPLACE INTO entry (key, value, metadata, expires_ms, written_ms) VALUES (?, ?, ?, ?, ?)",
        key,
        value,
        metadata,
        expiresMs,
        nowMs,
      );
    },
    remove: (key, nowMs) =>
      getIfCreated()
        ?.exec<{ value: string }>(`DELETE FROM entry WHERE key = ? AND ${NOT_EXPIRED} RETURNING value`, key, nowMs)
        .toArray()[0]?.value,
    list(prefix, limit, cursor, nowMs) {
      const rows =
        getIfCreated()
          ?.exec<StoredKey & Record<string, SqlStorageValue>>(
            `SELECT key AS name, metadata, expires_ms AS expiresMs FROM entry
             WHERE key >= ? AND key < ? AND key > ? AND ${NOT_EXPIRED} ORDER BY key LIMIT ?`,
            prefix,
            `${prefix}${LAST_CHARACTER}`,
            cursor === null ? "" : decodeCursor(cursor),
            nowMs,
            limit + 1,
          )
          .toArray() ?? [];
      const keys = rows.slice(0, limit);
      const last = keys.at(-1);
      return { keys, cursor: rows.length <= limit || last === undefined ? null : encodeCursor(last.name) };
    },
    listWithPrefix: (prefix, nowMs) =>
      getIfCreated()
        ?.exec<StoredEntry & Record<string, SqlStorageValue>>(
          `${SELECT_ENTRY} WHERE key >= ? AND key < ? AND ${NOT_EXPIRED} ORDER BY key`,
          prefix,
          `${prefix}${LAST_CHARACTER}`,
          nowMs,
        )
        .toArray() ?? [],
    listExpired: (nowMs) =>
      getIfCreated()
        ?.exec<StoredEntry & Record<string, SqlStorageValue>>(
          `${SELECT_ENTRY} WHERE expires_ms <= ? LIMIT ?`,
          nowMs,
          EXPIRED_BATCH_SIZE,
        )
        .toArray() ?? [],
    findStored: (key) =>
      getIfCreated()
        ?.exec<{ value: string; expiresMs: number | null }>(
          "SELECT value, expires_ms AS expiresMs FROM entry WHERE key = ?",
          key,
        )
        .toArray()[0],
    isEmpty: () => (getIfCreated()?.exec("SELECT 1 FROM entry LIMIT 1").toArray() ?? []).length === 0,
    deleteExpired: (key, nowMs) =>
      void getIfCreated()?.exec("DELETE FROM entry WHERE key = ? AND expires_ms <= ?", key, nowMs),
    nextExpiryMs: () =>
      getIfCreated()
        ?.exec<{ next: number | null }>("SELECT min(expires_ms) AS next FROM entry WHERE expires_ms IS NOT NULL")
        .toArray()[0]?.next ?? undefined,
  };
}

function encodeCursor(key: string): string {
  return btoa(encodeURIComponent(key));
}

/** Decodes a cursor of `list`. Throws `TypeError` for any other text. */
function decodeCursor(cursor: string): string {
  try {
    return decodeURIComponent(atob(cursor));
  } catch (cause) {
    throw new TypeError("not a cursor of this list", { cause });
  }
}
