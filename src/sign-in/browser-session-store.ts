// The table `browser_session` in GATEHOUSE_DB. It stores only hashes of session ids. browser-session.ts decides which sessions have
// expired.
import { readIdentity } from "../lib/identity.ts";
import type { Identity } from "../lib/identity.ts";

/** A browser session in storage. */
interface StoredBrowserSession {
  readonly identity: Identity;
  readonly beganMs: number;
  readonly usedMs: number;
}

/** Stores browser sessions by the hashes of their ids. */
export interface BrowserSessionStore {
  /** Stores a new session, and deletes those last used at `staleMs` or before. */
  insert(idHash: string, session: StoredBrowserSession, staleMs: number): Promise<void>;
  /** Finds a session. Undefined also when its identity cannot be parsed; its user then signs in again. */
  find(idHash: string): Promise<StoredBrowserSession | undefined>;
  touch(idHash: string, usedMs: number): Promise<void>;
  remove(idHash: string): Promise<void>;
  removeAll(subjectId: string): Promise<void>;
}

interface BrowserSessionRow {
  readonly identity: string;
  readonly began_ms: number;
  readonly used_ms: number;
}

/** Creates the store. Reads go to the primary, because a read replica might still have a session that has ended. */
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
        .first<BrowserSessionRow>();
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
    async removeAll(subjectId) {
      await database.prepare("DELETE FROM browser_session WHERE subject_id = ?").bind(subjectId).run();
    },
  };
}
