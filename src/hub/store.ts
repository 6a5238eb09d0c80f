// What a hub object keeps, in its SQLite. The tables of both roles stand in every object; each role writes its own.

/** An open session, as the hub knows it. */
export interface HeldSession {
  readonly id: string;
  readonly grantId: string;
  /** Not later than its last use, at most some minutes earlier; 0 where it is not known. */
  readonly usedMs: number;
}

export interface HubStore {
  /** Subject role: the open sessions, of one grant or of all. */
  sessions(grantId?: string): readonly string[];
  isSession(id: string): boolean;
  /** Subject role: the open sessions, the one that has been idle longest first. */
  heldSessions(): readonly HeldSession[];
  countSessions(): number;
  addSession(session: HeldSession): void;
  /** Subject role: never adds a session, so a report that comes late brings none back. */
  reportUse(id: string, usedMs: number): void;
  removeSession(id: string): void;
  /** Subject role: the topics that anybody listens to, or one listener. In order. */
  topics(listener?: string): readonly string[];
  listeners(topic: string): readonly string[];
  isHeard(topic: string): boolean;
  listen(topic: string, listener: string): void;
  unlisten(topic: string, listener: string): void;
  /** Nobody listens to the topic any more. */
  silence(topic: string): void;
  /** Subject role: a grant is over; what comes by it later is refused. Ones that ended before `forgetBeforeMs` are forgotten. */
  endGrant(grantId: string, endedMs: number, forgetBeforeMs: number): void;
  endedGrants(): readonly string[];
  /** Topic role: the subject shards that care for a topic. */
  shards(topic: string): readonly string[];
  care(topic: string, shard: string): void;
  forget(topic: string, shard: string): void;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS session (id TEXT PRIMARY KEY, grant_id TEXT NOT NULL, used_ms INTEGER NOT NULL DEFAULT 0);
  CREATE TABLE IF NOT EXISTS interest (topic TEXT NOT NULL, listener TEXT NOT NULL, PRIMARY KEY (topic, listener));
  CREATE INDEX IF NOT EXISTS interest_listener ON interest (listener);
  CREATE TABLE IF NOT EXISTS ended_grant (grant_id TEXT PRIMARY KEY, ended_ms INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS care (topic TEXT NOT NULL, shard TEXT NOT NULL, PRIMARY KEY (topic, shard));
`;

export function createHubStore(sql: SqlStorage): HubStore {
  sql.exec(SCHEMA);
  // Of an earlier version. Its sessions count as never used, so they are asked first when room is needed, and say when they were.
  const { columns } = sql
    .exec<{ columns: string }>("SELECT sql AS columns FROM sqlite_schema WHERE name = 'session'")
    .one();
  if (!columns.includes(" used_ms ")) sql.exec("ALTER TABLE session ADD COLUMN used_ms INTEGER NOT NULL DEFAULT 0");
  const texts = (query: string, ...values: string[]): readonly string[] =>
    sql
      .exec<{ text: string }>(query, ...values)
      .toArray()
      .map(({ text }) => text);
  return {
    sessions: (grantId) =>
      grantId === undefined
        ? texts("SELECT id AS text FROM session")
        : texts("SELECT id AS text FROM session WHERE grant_id = ?", grantId),
    isSession: (id) => texts("SELECT id AS text FROM session WHERE id = ?", id).length > 0,
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
    topics: (listener) =>
      listener === undefined
        ? texts("SELECT DISTINCT topic AS text FROM interest ORDER BY topic")
        : texts("SELECT topic AS text FROM interest WHERE listener = ? ORDER BY topic", listener),
    listeners: (topic) => texts("SELECT listener AS text FROM interest WHERE topic = ?", topic),
    isHeard: (topic) => texts("SELECT topic AS text FROM interest WHERE topic = ? LIMIT 1", topic).length > 0,
    listen: (topic, listener) =>
      void sql.exec("INSERT OR IGNORE INTO interest (topic, listener) VALUES (?, ?)", topic, listener),
    unlisten: (topic, listener) =>
      void sql.exec("DELETE FROM interest WHERE topic = ? AND listener = ?", topic, listener),
    silence: (topic) => void sql.exec("DELETE FROM interest WHERE topic = ?", topic),
    endGrant(grantId, endedMs, forgetBeforeMs) {
      sql.exec("DELETE FROM ended_grant WHERE ended_ms < ?", forgetBeforeMs);
      sql.exec("INSERT OR IGNORE INTO ended_grant (grant_id, ended_ms) VALUES (?, ?)", grantId, endedMs);
    },
    endedGrants: () => texts("SELECT grant_id AS text FROM ended_grant"),
    shards: (topic) => texts("SELECT shard AS text FROM care WHERE topic = ?", topic),
    care: (topic, shard) => void sql.exec("INSERT OR IGNORE INTO care (topic, shard) VALUES (?, ?)", topic, shard),
    forget: (topic, shard) => void sql.exec("DELETE FROM care WHERE topic = ? AND shard = ?", topic, shard),
  };
}
