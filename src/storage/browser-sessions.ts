// The table of browser sessions in GATEHOUSE_DB. It knows hashes of their ids only, and no limits: what has expired is
// decided by auth/browser-session.ts.
import { readIdentity } from "../lib/identity.ts";
import type { Identity } from "../lib/identity.ts";

export interface StoredBrowserSession {
  readonly identity: Identity;
  readonly beganMs: number;
  readonly usedMs: number;
}

export interface BrowserSessionStore {
  /** Keeps a new session, and drops those last used at `staleMs` or before. */
  insert(idHash: string, session: StoredBrowserSession, staleMs: number): Promise<void>;
  /** Undefined also when its identity cannot be read: who it was of signs in again. */
  find(idHash: string): Promise<StoredBrowserSession | undefined>;
  touch(idHash: string, usedMs: number): Promise<void>;
  remove(idHash: string): Promise<void>;
  removeAllOf(subjectId: string): Promise<void>;
}

interface Row {
  readonly identity: string;
  readonly began_ms: number;
  readonly used_ms: number;
}

/** Reads and writes go to the primary: a copy could still know a session that has ended. */
export function createBrowserSessionStore(database: D1Database): BrowserSessionStore {
  return {
    async insert(idHash, { identity, beganMs, usedMs }, staleMs) {
      await database.batch([
        database.prepare("DELETE FROM browser_session WHERE used_ms <= ?").bind(staleMs),
        database
          .prepare(
            "INSERT INTO browser_session (id_hash, subject_id, identity, began_ms, used_ms) VALUES (?, ?, ?, ?, ?)",
          )
          .bind(idHash, identity.subjectId, JSON.stringify(identity), beganMs, usedMs),
      ]);
    },
    async find(idHash) {
      const row = await database
        .prepare("SELECT identity, began_ms, used_ms FROM browser_session WHERE id_hash = ?")
        .bind(idHash)
        .first<Row>();
      if (row === null) return undefined;
      const identity = readIdentity(JSON.parse(row.identity));
      return identity === undefined ? undefined : { identity, beganMs: row.began_ms, usedMs: row.used_ms };
    },
    async touch(idHash, usedMs) {
      await database.prepare("UPDATE browser_session SET used_ms = ? WHERE id_hash = ?").bind(usedMs, idHash).run();
    },
    async remove(idHash) {
      await database.prepare("DELETE FROM browser_session WHERE id_hash = ?").bind(idHash).run();
    },
    async removeAllOf(subjectId) {
      await database.prepare("DELETE FROM browser_session WHERE subject_id = ?").bind(subjectId).run();
    },
  };
}
