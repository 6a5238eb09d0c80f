// The Durable Object of one 2025-era session. What a session is stands in its SQLite; the server in memory is built
// again from there whenever the object was evicted or restarted.
import { DurableObject } from "cloudflare:workers";
import { isInitializeRequest, isJSONRPCRequest, isJSONRPCResultResponse } from "@modelcontextprotocol/server";
import type { McpServer } from "@modelcontextprotocol/server";
import { parseMessages } from "./messages.ts";
import { unpackCaller } from "./protocol.ts";
import type { SessionCaller, SessionReply, SessionRpc } from "./protocol.ts";
import { createSessionStore } from "./store.ts";
import type { SessionStore, StoredSession } from "./store.ts";
import { SessionTransport } from "./transport.ts";

export interface SessionOptions {
  /** A new server with everything registered. */
  readonly createServer: () => McpServer;
  readonly idleSeconds: number;
}

/** `used_ms` and the alarm move at most this often. */
const TOUCH_INTERVAL_MS = 60_000;
/** From this revision on, JSON-RPC batches are no part of the protocol. */
const FIRST_WITHOUT_BATCHES = "2025-06-18";

const notMessages: SessionReply = { kind: "refused", message: "Invalid Request: the body is no JSON-RPC message." };

interface Live {
  readonly session: StoredSession;
  readonly transport: SessionTransport;
}

export type SessionObjectClass<E> = new (ctx: DurableObjectState, env: E) => DurableObject<E> & SessionRpc;

/** The session class of a deployment. `optionsOf` is called once per object in memory. */
export function defineSessionObject<E>(optionsOf: (env: E) => SessionOptions): SessionObjectClass<E> {
  return class SessionObject extends DurableObject<E> implements SessionRpc {
    readonly #options: SessionOptions;
    readonly #store: SessionStore;
    #live: Promise<Live | undefined> | undefined;

    constructor(ctx: DurableObjectState, env: E) {
      super(ctx, env);
      this.#options = optionsOf(env);
      this.#store = createSessionStore(ctx.storage.sql);
    }

    async open(body: string, packedCaller: string): Promise<SessionReply> {
      const caller = unpackCaller(packedCaller);
      const initialize = parseMessages(body)?.messages[0];
      if (initialize === undefined) return notMessages;
      if (this.#live !== undefined || this.#store.load() !== undefined)
        return { kind: "refused", message: "The session is open already." };
      const transport = await this.#connect();
      const response = await transport.deliver(initialize, caller.authInfo);
      if (response === undefined || !isJSONRPCResultResponse(response))
        return { kind: "answer", body: JSON.stringify(response) };
      const usedMs = Date.now();
      const protocolVersion = String(response.result["protocolVersion"]);
      const session = { subjectId: caller.subjectId, protocolVersion, initialize, usedMs };
      this.#store.create(session);
      await this.ctx.storage.setAlarm(usedMs + this.#options.idleSeconds * 1000);
      this.#live = Promise.resolve({ session, transport });
      return { kind: "opened", body: JSON.stringify(response) };
    }

    async post(body: string, packedCaller: string): Promise<SessionReply> {
      const caller = unpackCaller(packedCaller);
      const live = await this.#enter(caller);
      if (live === undefined) return { kind: "gone" };
      const parsed = parseMessages(body);
      if (parsed === undefined) return notMessages;
      const { messages, isBatch } = parsed;
      const { transport, session } = live;
      if (messages.some((message) => isInitializeRequest(message))) {
        return { kind: "refused", message: "Invalid Request: this session is initialized already." };
      }
      if (isBatch && session.protocolVersion >= FIRST_WITHOUT_BATCHES) {
        return {
          kind: "refused",
          message: `Invalid Request: batches are not part of revision ${session.protocolVersion}.`,
        };
      }
      const ids = messages.filter(isJSONRPCRequest).map((message) => message.id);
      if (new Set(ids).size < ids.length || ids.some((id) => transport.isWaiting(id))) {
        return { kind: "refused", message: "Invalid Request: a request with this id is being answered already." };
      }
      const responses = (
        await Promise.all(messages.map((message) => transport.deliver(message, caller.authInfo)))
      ).filter((response) => response !== undefined);
      if (responses.length === 0) return { kind: "accepted" };
      return { kind: "answer", body: JSON.stringify(isBatch ? responses : responses[0]) };
    }

    async end(packedCaller: string): Promise<SessionReply> {
      if (this.#store.load()?.subjectId !== unpackCaller(packedCaller).subjectId) return { kind: "gone" };
      await this.#erase();
      return { kind: "accepted" };
    }

    override async alarm(): Promise<void> {
      const session = this.#store.load();
      if (session === undefined) return;
      const endsMs = session.usedMs + this.#options.idleSeconds * 1000;
      if (endsMs <= Date.now()) return this.#erase();
      await this.ctx.storage.setAlarm(endsMs);
    }

    /** The session in memory, if it exists and is this caller's. */
    async #enter(caller: SessionCaller): Promise<Live | undefined> {
      const session = this.#store.load();
      if (session === undefined || session.subjectId !== caller.subjectId) return undefined;
      const nowMs = Date.now();
      // The alarm finds out by itself that the session was used; it needs no moving here.
      if (nowMs - session.usedMs > TOUCH_INTERVAL_MS) this.#store.touch(nowMs);
      this.#live ??= this.#restore(session, caller);
      try {
        return await this.#live;
      } catch (error) {
        this.#live = undefined;
        throw error;
      }
    }

    /** Replays the beginning to a new server; its answer was given long ago. */
    async #restore(session: StoredSession, caller: SessionCaller): Promise<Live> {
      const transport = await this.#connect();
      await transport.deliver(session.initialize, caller.authInfo);
      await transport.deliver({ jsonrpc: "2.0", method: "notifications/initialized" }, caller.authInfo);
      return { session, transport };
    }

    async #connect(): Promise<SessionTransport> {
      const transport = new SessionTransport(this.ctx.id.toString());
      await this.#options.createServer().connect(transport);
      return transport;
    }

    async #erase(): Promise<void> {
      this.#live = undefined;
      await this.ctx.storage.deleteAlarm();
      await this.ctx.storage.deleteAll();
    }
  };
}
