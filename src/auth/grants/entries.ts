// The keys and values of one shard. An entry whose time is up is not there any more, also while it has not been swept.
import type { StoredKey, StoredPage } from "./protocol.ts";
import type { Tables } from "./tables.ts";

export interface Entry {
  readonly value: string;
  /** JSON. */
  readonly metadata: string | null;
  readonly expiresMs: number | null;
}

export interface StoredEntry {
  readonly key: string;
  readonly value: string;
  readonly writtenMs: number;
}

export interface Entries {
  get(key: string, nowMs: number): string | undefined;
  put(key: string, entry: Entry, nowMs: number): void;
  /** Removes an entry and gives back what it was; undefined when there was none, or its time was up. */
  remove(key: string, nowMs: number): string | undefined;
  list(prefix: string, limit: number, cursor: string | null, nowMs: number): StoredPage;
  /** All of a prefix, with their values. */
  under(prefix: string, nowMs: number): readonly StoredEntry[];
  /** Those whose time is up, some of them when there are many. */
  expired(nowMs: number): readonly StoredEntry[];
  /** What is stored of a key, also when its time is up and it was not swept yet. */
  stored(key: string): { readonly value: string; readonly expiresMs: number | null } | undefined;
  isEmpty(): boolean;
  /** Removes one whose time is up. */
  sweep(key: string, nowMs: number): void;
  nextExpiryMs(): number | undefined;
}

export const ENTRY_SCHEMA = `
  CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, value TEXT NOT NULL, metadata TEXT, expires_ms INTEGER, written_ms INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS entry_expiry ON entry (expires_ms) WHERE expires_ms IS NOT NULL;
`;

/** Sorts after every key of a prefix. */
const LAST = "\u{10FFFF}";
const SWEEP = 500;

export function createEntries({ existing, ensured }: Pick<Tables, "existing" | "ensured">): Entries {
  const ALIVE = "(expires_ms IS NULL OR expires_ms > ?)";
  const STORED = "SELECT key, value, written_ms AS writtenMs FROM entry";
  return {
    get: (key, nowMs) =>
      existing()?.exec<{ value: string }>(`SELECT value FROM entry WHERE key = ? AND ${ALIVE}`, key, nowMs).toArray()[0]
        ?.value,
    put(key, { value, metadata, expiresMs }, nowMs) {
      ensured().exec(
        "INSERT OR REPLACE INTO entry (key, value, metadata, expires_ms, written_ms) VALUES (?, ?, ?, ?, ?)",
        key,
        value,
        metadata,
        expiresMs,
        nowMs,
      );
    },
    remove: (key, nowMs) =>
      existing()
        ?.exec<{ value: string }>(`DELETE FROM entry WHERE key = ? AND ${ALIVE} RETURNING value`, key, nowMs)
        .toArray()[0]?.value,
    list(prefix, limit, cursor, nowMs) {
      const rows =
        existing()
          ?.exec<StoredKey & Record<string, SqlStorageValue>>(
            `SELECT key AS name, metadata, expires_ms AS expiresMs FROM entry WHERE key >= ? AND key < ? AND key > ? AND ${ALIVE} ORDER BY key LIMIT ?`,
            prefix,
            `${prefix}${LAST}`,
            cursor === null ? "" : keyOfCursor(cursor),
            nowMs,
            limit + 1,
          )
          .toArray() ?? [];
      const keys = rows.slice(0, limit);
      const last = keys.at(-1);
      return { keys, cursor: rows.length <= limit || last === undefined ? null : cursorOf(last.name) };
    },
    under: (prefix, nowMs) =>
      existing()
        ?.exec<StoredEntry & Record<string, SqlStorageValue>>(
          `${STORED} WHERE key >= ? AND key < ? AND ${ALIVE} ORDER BY key`,
          prefix,
          `${prefix}${LAST}`,
          nowMs,
        )
        .toArray() ?? [],
    expired: (nowMs) =>
      existing()
        ?.exec<StoredEntry & Record<string, SqlStorageValue>>(`${STORED} WHERE expires_ms <= ? LIMIT ?`, nowMs, SWEEP)
        .toArray() ?? [],
    stored: (key) =>
      existing()
        ?.exec<{ value: string; expiresMs: number | null }>(
          "SELECT value, expires_ms AS expiresMs FROM entry WHERE key = ?",
          key,
        )
        .toArray()[0],
    isEmpty: () => (existing()?.exec("SELECT 1 FROM entry LIMIT 1").toArray() ?? []).length === 0,
    sweep: (key, nowMs) => void existing()?.exec("DELETE FROM entry WHERE key = ? AND expires_ms <= ?", key, nowMs),
    nextExpiryMs: () =>
      existing()
        ?.exec<{ next: number | null }>("SELECT min(expires_ms) AS next FROM entry WHERE expires_ms IS NOT NULL")
        .toArray()[0]?.next ?? undefined,
  };
}

function cursorOf(key: string): string {
  return btoa(encodeURIComponent(key));
}

/** Throws `TypeError` when it is no cursor of a list. */
function keyOfCursor(cursor: string): string {
  try {
    return decodeURIComponent(atob(cursor));
  } catch (cause) {
    throw new TypeError("not a cursor of this list", { cause });
  }
}
