// The tables of a hub object. Every object has the tables of both roles, and each role uses only its own.
import { openLayout } from "../../lib/storage-layout.ts";
import { HUB_LAYOUT } from "./hub-layout.ts";

/** An open session in the hub's table. */
export interface HeldSession {
  readonly id: string;
  readonly grantId: string;
  /** The last reported use, at most some minutes before the real one; 0 when there was no report. */
  readonly usedMs: number;
}

/** Stores the sessions, grants and subscriptions of a hub object. */
export interface HubStore {
  /** Subject role: lists the ids of the open sessions of one grant, or of all. */
  listSessions(grantId?: string): readonly string[];
  isSession(id: string): boolean;
  /** Subject role: lists the open sessions; the session that has been idle longest comes first. */
  heldSessions(): readonly HeldSession[];
  countSessions(): number;
  addSession(session: HeldSession): void;
  /** Subject role: updates the last use of a session. Never adds one, so a late report does not restore an ended session. */
  reportUse(id: string, usedMs: number): void;
  removeSession(id: string): void;
  /** Subject role: lists the topics of one listener, or of all, in alphabetical order. */
  listTopics(listener?: string): readonly string[];
  listListeners(topic: string): readonly string[];
  hasSubscribers(topic: string): boolean;
  subscribe(topic: string, listener: string): void;
  unsubscribe(topic: string, listener: string): void;
  /** Removes all subscriptions to a topic. */
  clear(topic: string): void;
  /** Subject role: stores that a grant has ended, to refuse later requests under it. Forgets those that ended before `purgeBeforeMs`. */
  endGrant(grantId: string, endedMs: number, purgeBeforeMs: number): void;
  listEndedGrants(): readonly string[];
  /** Topic role: lists the subject shards that are subscribed to a topic. */
  listShards(topic: string): readonly string[];
  subscribeShard(topic: string, shard: string): void;
  unsubscribeShard(topic: string, shard: string): void;
}

/** Creates the store over the storage of a HubObject, and creates or upgrades its tables. */
export function createHubStore(storage: DurableObjectStorage): HubStore {
  openLayout(storage, HUB_LAYOUT);
  const { sql } = storage;
  const selectTexts = (query: string, ...values: string[]): readonly string[] =>
    sql
      .exec<{ text: string }>(query, ...values)
      .toArray()
      .map(({ text }) => text);
  return {
    listSessions: (grantId) =>
      grantId === undefined
        ? selectTexts("SELECT id AS text FROM session")
        : selectTexts("SELECT id AS text FROM session WHERE grant_id = ?", grantId),
    isSession: (id) => selectTexts("SELECT id AS text FROM session WHERE id = ?", id).length > 0,
    heldSessions: () =>
      sql
        .exec<{ id: string; grant_id: string; used_ms: number }>(
          "SELECT id, grant_id, used_ms FROM session ORDER BY used_ms, rowid",
        )
        .toArray()
        .map((row) => ({ id: row.id, grantId: row.grant_id, usedMs: row.used_ms })),
    countSessions: () => sql.exec<{ held: number }>("SELECT count(*) AS held FROM session").one().held,
    addSession: ({ id, grantId, usedMs }) =>
      void sql.exec("INSERT OR IGNORE INTO session (id, grant_id, used_ms) VALUES (?, ?, ?)", id, grantId, usedMs),
    reportUse: (id, usedMs) => void sql.exec("UPDATE session SET used_ms = max(used_ms, ?) WHERE id = ?", usedMs, id),
    removeSession: (id) => void sql.exec("DELETE FROM session WHERE id = ?", id),
    listTopics: (listener) =>
      listener === undefined
        ? selectTexts("SELECT DISTINCT topic AS text FROM subscription ORDER BY topic")
        : selectTexts("SELECT topic AS text FROM subscription WHERE listener = ? ORDER BY topic", listener),
    listListeners: (topic) => selectTexts("SELECT listener AS text FROM subscription WHERE topic = ?", topic),
    hasSubscribers: (topic) =>
      selectTexts("SELECT topic AS text FROM subscription WHERE topic = ? LIMIT 1", topic).length > 0,
    subscribe: (topic, listener) =>
      void sql.exec("INSERT OR IGNORE INTO subscription (topic, listener) VALUES (?, ?)", topic, listener),
    unsubscribe: (topic, listener) =>
      void sql.exec("DELETE FROM subscription WHERE topic = ? AND listener = ?", topic, listener),
    clear: (topic) => void sql.exec("DELETE FROM subscription WHERE topic = ?", topic),
    endGrant(grantId, endedMs, purgeBeforeMs) {
      sql.exec("DELETE FROM ended_grant WHERE ended_ms < ?", purgeBeforeMs);
      sql.exec("INSERT OR IGNORE INTO ended_grant (grant_id, ended_ms) VALUES (?, ?)", grantId, endedMs);
    },
    listEndedGrants: () => selectTexts("SELECT grant_id AS text FROM ended_grant"),
    listShards: (topic) => selectTexts("SELECT shard AS text FROM shard_subscription WHERE topic = ?", topic),
    subscribeShard: (topic, shard) =>
      void sql.exec("INSERT OR IGNORE INTO shard_subscription (topic, shard) VALUES (?, ?)", topic, shard),
    unsubscribeShard: (topic, shard) =>
      void sql.exec("DELETE FROM shard_subscription WHERE topic = ? AND shard = ?", topic, shard),
  };
}
