// A session's own SQLite: who owns it, how it began, and the calls that outlive memory. The schema is made only when a
// session opens, so that asking for a session that is not there stores nothing.
import { parseJSONRPCMessage } from "@modelcontextprotocol/server";
import type { JSONRPCMessage, RequestId } from "@modelcontextprotocol/server";
import { unpackCaller } from "./protocol.ts";
import type { SessionCaller } from "../mcp/protocol-caller.ts";

export interface StoredSession {
  readonly subjectId: string;
  readonly grantId: string;
  readonly protocolVersion: string;
  /** The `initialize` request, for restore. */
  readonly initialize: JSONRPCMessage;
  /** The last `logging/setLevel` request, for restore. */
  readonly setLevel: JSONRPCMessage | null;
  readonly usedMs: number;
  /** It was ended, and what is left of it is being taken away. */
  readonly isEnded: boolean;
}

/** A request whose answer goes out as events of a stream; it is kept until its response is. */
export interface StoredCall {
  readonly stream: number;
  readonly message: JSONRPCMessage;
  readonly caller: SessionCaller;
}

/** A request of ours to the client, sent on a call's stream. */
export interface PushedRequest {
  readonly wireId: string;
  readonly stream: number;
  /** The client's request that it belongs to. */
  readonly requestId: RequestId;
  /** The client's response as JSON; null while a person thinks. */
  readonly answer: string | null;
}

export interface SessionStore {
  load(): StoredSession | undefined;
  create(session: StoredSession): void;
  touch(nowMs: number): void;
  markEnded(): void;
  keepLevel(message: JSONRPCMessage): void;
  /** A new stream's number, from 1 on. 0 is the stream of messages that belong to no request. */
  newStream(): number;
  addCall(call: StoredCall, requestId: RequestId): void;
  /** Forgets a call and what was pushed for it. */
  removeCall(stream: number, requestId: RequestId): void;
  calls(): readonly StoredCall[];
  /** Whether a request of this id is still to be answered. */
  hasCall(requestId: RequestId): boolean;
  pushed(stream: number, requestId: RequestId): readonly PushedRequest[];
  /** The request pushed under this key, if this was asked before. `key` tells requests of one call apart. */
  findPushed(stream: number, requestId: RequestId, key: string): PushedRequest | undefined;
  /** The pushed request of this id, while it has no answer. */
  findAsking(wireId: string): PushedRequest | undefined;
  addPushed(request: Omit<PushedRequest, "answer">, key: string): void;
  /** Keeps the first answer to a pushed request. Undefined when nobody waits for it. */
  answerPushed(wireId: string, answer: string): PushedRequest | undefined;
}

const SCHEMA = `
  CREATE TABLE session (id INTEGER PRIMARY KEY CHECK (id = 1), subject_id TEXT NOT NULL, grant_id TEXT NOT NULL, protocol_version TEXT NOT NULL, initialize TEXT NOT NULL, set_level TEXT, used_ms INTEGER NOT NULL, streams INTEGER NOT NULL DEFAULT 0, is_ended INTEGER NOT NULL DEFAULT 0);
  CREATE TABLE event (seq INTEGER PRIMARY KEY AUTOINCREMENT, stream INTEGER NOT NULL, message TEXT NOT NULL, bytes INTEGER NOT NULL, grants TEXT NOT NULL DEFAULT '[]');
  CREATE INDEX event_stream ON event (stream, seq);
  CREATE TABLE call (stream INTEGER NOT NULL, request_id TEXT NOT NULL, message TEXT NOT NULL, caller TEXT NOT NULL, PRIMARY KEY (stream, request_id));
  CREATE TABLE pushed (wire_id TEXT PRIMARY KEY, stream INTEGER NOT NULL, request_id TEXT NOT NULL, key TEXT NOT NULL, answer TEXT, UNIQUE (stream, request_id, key));
`;

interface PushedRow extends Record<string, SqlStorageValue> {
  readonly wire_id: string;
  readonly stream: number;
  readonly request_id: string;
  readonly answer: string | null;
}

const PUSHED_COLUMNS = "wire_id, stream, request_id, answer";

export function createSessionStore(sql: SqlStorage): SessionStore {
  /** How many calls are stored, mostly none: every request asks. Undefined until counted. */
  let heldCalls: number | undefined;
  const pushedWhere = (where: string, ...values: SqlStorageValue[]): PushedRequest[] =>
    sql
      .exec<PushedRow>(`SELECT ${PUSHED_COLUMNS} FROM pushed WHERE ${where}`, ...values)
      .toArray()
      .map(toPushed);
  return {
    load() {
      const [event] = sql.exec<{ sql: string }>("SELECT sql FROM sqlite_schema WHERE name = 'event'").toArray();
      if (event === undefined) return undefined;
      // Of a session that is older than the column: the grants of its events are not known, so none is delivered again.
      if (!event.sql.includes(" grants ")) sql.exec("ALTER TABLE event ADD COLUMN grants TEXT NOT NULL DEFAULT '[]'");
      return sql.exec<SessionRow>("SELECT * FROM session").toArray().map(toSession)[0];
    },
    create({ subjectId, grantId, protocolVersion, initialize, usedMs }) {
      sql.exec(SCHEMA);
      sql.exec(
        "INSERT INTO session (id, subject_id, grant_id, protocol_version, initialize, used_ms) VALUES (1, ?, ?, ?, ?, ?)",
        subjectId,
        grantId,
        protocolVersion,
        JSON.stringify(initialize),
        usedMs,
      );
    },
    touch: (nowMs) => void sql.exec("UPDATE session SET used_ms = ?", nowMs),
    markEnded: () => void sql.exec("UPDATE session SET is_ended = 1"),
    keepLevel: (message) => void sql.exec("UPDATE session SET set_level = ?", JSON.stringify(message)),
    newStream: () =>
      sql.exec<{ streams: number }>("UPDATE session SET streams = streams + 1 RETURNING streams").one().streams,
    addCall({ stream, message, caller }, requestId) {
      const values = [stream, JSON.stringify(requestId), JSON.stringify(message), JSON.stringify(caller)];
      sql.exec("INSERT INTO call (stream, request_id, message, caller) VALUES (?, ?, ?, ?)", ...values);
      heldCalls = undefined;
    },
    removeCall(stream, requestId) {
      heldCalls = undefined;
      sql.exec("DELETE FROM call WHERE stream = ? AND request_id = ?", stream, JSON.stringify(requestId));
      sql.exec("DELETE FROM pushed WHERE stream = ? AND request_id = ?", stream, JSON.stringify(requestId));
    },
    calls: () =>
      sql
        .exec<{ stream: number; message: string; caller: string }>(
          "SELECT stream, message, caller FROM call ORDER BY stream",
        )
        .toArray()
        .map(({ stream, message, caller }) => ({ stream, message: toMessage(message), caller: unpackCaller(caller) })),
    hasCall(requestId) {
      heldCalls ??= sql.exec<{ held: number }>("SELECT count(*) AS held FROM call").one().held;
      if (heldCalls === 0) return false;
      return sql.exec("SELECT 1 FROM call WHERE request_id = ?", JSON.stringify(requestId)).toArray().length > 0;
    },
    pushed: (stream, requestId) => pushedWhere("stream = ? AND request_id = ?", stream, JSON.stringify(requestId)),
    findPushed: (stream, requestId, key) =>
      pushedWhere("stream = ? AND request_id = ? AND key = ?", stream, JSON.stringify(requestId), key)[0],
    findAsking: (wireId) => pushedWhere("wire_id = ? AND answer IS NULL", wireId)[0],
    addPushed({ wireId, stream, requestId }, key) {
      sql.exec(
        "INSERT INTO pushed (wire_id, stream, request_id, key) VALUES (?, ?, ?, ?)",
        wireId,
        stream,
        JSON.stringify(requestId),
        key,
      );
    },
    answerPushed(wireId, answer) {
      const sqlText = `UPDATE pushed SET answer = ? WHERE wire_id = ? AND answer IS NULL RETURNING ${PUSHED_COLUMNS}`;
      return sql.exec<PushedRow>(sqlText, answer, wireId).toArray().map(toPushed)[0];
    },
  };
}

interface SessionRow extends Record<string, SqlStorageValue> {
  readonly subject_id: string;
  readonly grant_id: string;
  readonly protocol_version: string;
  readonly initialize: string;
  readonly set_level: string | null;
  readonly used_ms: number;
  readonly is_ended: number;
}

function toSession(row: SessionRow): StoredSession {
  return {
    subjectId: row.subject_id,
    grantId: row.grant_id,
    protocolVersion: row.protocol_version,
    initialize: toMessage(row.initialize),
    setLevel: row.set_level === null ? null : toMessage(row.set_level),
    usedMs: row.used_ms,
    isEnded: row.is_ended === 1,
  };
}

function toPushed(row: PushedRow): PushedRequest {
  const requestId: RequestId = JSON.parse(row.request_id);
  return { wireId: row.wire_id, stream: row.stream, requestId, answer: row.answer };
}

function toMessage(text: string): JSONRPCMessage {
  return parseJSONRPCMessage(JSON.parse(text));
}
