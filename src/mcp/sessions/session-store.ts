// The tables of one session: its owner, its `initialize` request, and the calls that must survive the server in memory. They are created
// when the session opens, so that a request for an unknown session stores nothing.
import { parseJSONRPCMessage } from "@modelcontextprotocol/server";
import type { JSONRPCMessage, RequestId } from "@modelcontextprotocol/server";
import { createLazyTables } from "../../lib/lazy-tables.ts";
import { SESSION_LAYOUT } from "./session-layout.ts";
import { parseCaller } from "./session-protocol.ts";
import type { SessionCaller } from "../wire/protocol-caller.ts";

/** A session in storage. */
export interface StoredSession {
  readonly subjectId: string;
  readonly grantId: string;
  readonly protocolVersion: string;
  /** The `initialize` request, which restores the server. */
  readonly initialize: JSONRPCMessage;
  /** The last `logging/setLevel` request, which restores the server's log level; null when there was none. */
  readonly setLevel: JSONRPCMessage | null;
  readonly usedMs: number;
  /** The session has ended, and its storage will be deleted. */
  readonly isEnded: boolean;
}

/** A request whose response goes out as events of a stream. It is stored until its response is stored. */
interface StoredCall {
  readonly stream: number;
  readonly message: JSONRPCMessage;
  readonly caller: SessionCaller;
}

/** A request of the server to the client, sent on the stream of a call. */
export interface ServerRequest {
  readonly wireId: string;
  readonly stream: number;
  /** The client's request during which it was sent. */
  readonly requestId: RequestId;
  /** The client's response as JSON; null while there is none. */
  readonly answer: string | null;
}

/** Stores one session. */
export interface SessionStore {
  load(): StoredSession | undefined;
  create(session: StoredSession): void;
  touch(nowMs: number): void;
  markEnded(): void;
  /** Forgets the session, because the caller deletes the storage. */
  reset(): void;
  setLoggingLevel(message: JSONRPCMessage): void;
  /** Creates a stream and returns its number, from 1 on. 0 is the stream of messages that belong to no request. */
  createStream(): number;
  addCall(call: StoredCall, requestId: RequestId): void;
  /** Removes a call and its server requests. */
  removeCall(stream: number, requestId: RequestId): void;
  listCalls(): readonly StoredCall[];
  /** Whether a call with this request id is stored. */
  hasCall(requestId: RequestId): boolean;
  listServerRequests(stream: number, requestId: RequestId): readonly ServerRequest[];
  /** Finds the server request of a call by its key. `key` distinguishes the server requests of one call. */
  findServerRequest(stream: number, requestId: RequestId, key: string): ServerRequest | undefined;
  /** Finds the server request with this id while it has no answer. */
  findUnansweredRequest(wireId: string): ServerRequest | undefined;
  addServerRequest(request: Omit<ServerRequest, "answer">, key: string): void;
  /** Stores the first answer to a server request. Undefined when there is no such request or it has an answer. */
  answerServerRequest(wireId: string, answer: string): ServerRequest | undefined;
}

interface ServerRequestRow extends Record<string, SqlStorageValue> {
  readonly wire_id: string;
  readonly stream: number;
  readonly request_id: string;
  readonly answer: string | null;
}

const SERVER_REQUEST_COLUMNS = "wire_id, stream, request_id, answer";

/** Creates the store over the storage of a SessionObject. */
export function createSessionStore(storage: DurableObjectStorage): SessionStore {
  const { sql } = storage;
  const tables = createLazyTables(storage, SESSION_LAYOUT);
  /** How many calls are stored. Usually none, and every request needs it, so it is cached; undefined until counted. */
  let storedCallCount: number | undefined;
  const selectServerRequests = (where: string, ...values: SqlStorageValue[]): ServerRequest[] =>
    sql
      .exec<ServerRequestRow>(`SELECT ${SERVER_REQUEST_COLUMNS} FROM server_request WHERE ${where}`, ...values)
      .toArray()
      .map(toServerRequest);
  return {
    load() {
      if (tables.getIfCreated() === undefined) return undefined;
      return sql.exec<SessionRow>("SELECT * FROM session").toArray().map(toSession)[0];
    },
    create({ subjectId, grantId, protocolVersion, initialize, usedMs }) {
      tables.ensureCreated();
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
    reset: () => tables.reset(),
    markEnded: () => void sql.exec("UPDATE session SET is_ended = 1"),
    setLoggingLevel: (message) => void sql.exec("UPDATE session SET set_level = ?", JSON.stringify(message)),
    createStream: () =>
      sql.exec<{ streams: number }>("UPDATE session SET streams = streams + 1 RETURNING streams").one().streams,
    addCall({ stream, message, caller }, requestId) {
      const values = [stream, JSON.stringify(requestId), JSON.stringify(message), JSON.stringify(caller)];
      sql.exec("INSERT INTO call (stream, request_id, message, caller) VALUES (?, ?, ?, ?)", ...values);
      storedCallCount = undefined;
    },
    removeCall(stream, requestId) {
      storedCallCount = undefined;
      sql.exec("DELETE FROM call WHERE stream = ? AND request_id = ?", stream, JSON.stringify(requestId));
      sql.exec("DELETE FROM server_request WHERE stream = ? AND request_id = ?", stream, JSON.stringify(requestId));
    },
    listCalls: () =>
      sql
        .exec<{ stream: number; message: string; caller: string }>(
          "SELECT stream, message, caller FROM call ORDER BY stream",
        )
        .toArray()
        .map(({ stream, message, caller }) => ({ stream, message: toMessage(message), caller: parseCaller(caller) })),
    hasCall(requestId) {
      storedCallCount ??= sql.exec<{ held: number }>("SELECT count(*) AS held FROM call").one().held;
      if (storedCallCount === 0) return false;
      return sql.exec("SELECT 1 FROM call WHERE request_id = ?", JSON.stringify(requestId)).toArray().length > 0;
    },
    listServerRequests: (stream, requestId) =>
      selectServerRequests("stream = ? AND request_id = ?", stream, JSON.stringify(requestId)),
    findServerRequest: (stream, requestId, key) =>
      selectServerRequests("stream = ? AND request_id = ? AND key = ?", stream, JSON.stringify(requestId), key)[0],
    findUnansweredRequest: (wireId) => selectServerRequests("wire_id = ? AND answer IS NULL", wireId)[0],
    addServerRequest({ wireId, stream, requestId }, key) {
      sql.exec(
        "INSERT INTO server_request (wire_id, stream, request_id, key) VALUES (?, ?, ?, ?)",
        wireId,
        stream,
        JSON.stringify(requestId),
        key,
      );
    },
    answerServerRequest(wireId, answer) {
      const sqlText = `UPDATE server_request SET answer = ? WHERE wire_id = ? AND answer IS NULL
        RETURNING ${SERVER_REQUEST_COLUMNS}`;
      return sql.exec<ServerRequestRow>(sqlText, answer, wireId).toArray().map(toServerRequest)[0];
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

function toServerRequest(row: ServerRequestRow): ServerRequest {
  const requestId: RequestId = JSON.parse(row.request_id);
  return { wireId: row.wire_id, stream: row.stream, requestId, answer: row.answer };
}

function toMessage(text: string): JSONRPCMessage {
  return parseJSONRPCMessage(JSON.parse(text));
}
