// The Durable Object of one 2025-era session. What a session is stands in its SQLite; the server in memory is built
// again from there whenever the object slept, was evicted or was killed.
import { DurableObject } from "cloudflare:workers";
import { isInitializeRequest, isSpecType } from "@modelcontextprotocol/server";
import type { JSONRPCMessage, JSONRPCRequest, McpServer } from "@modelcontextprotocol/server";
import type { Hub } from "../hub/hub.ts";
import { newId } from "../lib/ids.ts";
import { createEventLog } from "./event-log.ts";
import type { EventLog } from "./event-log.ts";
import { Exchange } from "./exchange.ts";
import type { ExchangeDependencies } from "./exchange.ts";
import type { ReplayGuard } from "../mcp/replay.ts";
import { WITHHELD } from "../mcp/replay.ts";
import type { Live } from "./live.ts";
import { isRequest, isResponse, parseMessages } from "./messages.ts";
import {
  FIRST_WITHOUT_BATCHES,
  FIRST_WITH_POLLING,
  liveAfter,
  parseAttachUrl,
  parseEventId,
  unpackCaller,
  withCallId,
} from "./protocol.ts";
import type { AnswerForm, SessionReply, SessionRpc } from "./protocol.ts";
import type { IdleReply } from "../hub/protocol.ts";
import type { SessionCaller } from "../mcp/protocol-caller.ts";
import { createResidency } from "./residency.ts";
import { createReplays, grantsOfMessage } from "./replays.ts";
import type { Replays } from "./replays.ts";
import type { Residency } from "./residency.ts";
import { createSessionStore } from "./store.ts";
import type { SessionStore, StoredSession } from "./store.ts";
import { STANDALONE, createStreams } from "./streams.ts";
import type { Streams } from "./streams.ts";
import { createSubscriptions } from "./subscriptions.ts";
import { createUsage } from "./usage.ts";
import type { Usage } from "./usage.ts";

export interface SessionLimits {
  readonly idleSeconds: number;
  /** How long a request may take before its answer becomes a stream. */
  readonly jsonFirstMs: number;
  /** How long the server stays in memory while all its calls wait for people. */
  readonly parkAfterMs: number;
  /** Silence on a stream after which a comment is sent: by then it shows that a client left. */
  readonly keepAliveMs: number;
  readonly maxStreams: number;
  readonly maxEvents: number;
  readonly maxLogBytes: number;
  /** A message on a stream at most, in UTF-16 units. */
  readonly maxMessageBytes: number;
}

export interface SessionOptions {
  /** A new server with everything registered. */
  readonly createServer: () => McpServer;
  /** Where the session is known, for limits, subscriptions and revocation. */
  readonly hub: Pick<Hub, "addSession" | "reportUse" | "removeSession" | "subscribe" | "unsubscribe">;
  /** Whether the caller may hear of changes to this resource. */
  readonly maySubscribe: (caller: SessionCaller, uri: string) => Promise<boolean>;
  /** Asked before an answer is delivered again. */
  readonly replays: ReplayGuard;
  readonly limits: SessionLimits;
  readonly onError: (error: unknown) => void;
}

const notMessages: SessionReply = { kind: "refused", message: "Invalid Request: the body is no JSON-RPC message." };
const gone: SessionReply = { kind: "gone" };

/** One 2025-era session: class `SESSION` of the wrangler configuration. */
export class SessionObject<E = unknown> extends DurableObject<E> implements SessionRpc {
  readonly #options: SessionOptions;
  readonly #store: SessionStore;
  readonly #log: EventLog;
  readonly #streams: Streams;
  readonly #exchange: ExchangeDependencies;
  readonly #residency: Residency;
  readonly #replays: Replays;
  readonly #usage: Usage;
  /** The stored session, once it was read. */
  #session: StoredSession | undefined;

  constructor(ctx: DurableObjectState, env: E, options: SessionOptions) {
    super(ctx, env);
    this.#options = options;
    this.#store = createSessionStore(ctx.storage.sql);
    this.#log = createEventLog(ctx.storage.sql, this.#options.limits);
    this.#streams = createStreams(
      ctx,
      this.#log,
      (stream) => stream !== STANDALONE && !this.#store.calls().some((call) => call.stream === stream),
    );
    const { createServer, hub, limits, maySubscribe, onError, replays } = this.#options;
    this.#replays = createReplays({ log: this.#log, guard: replays, maySubscribe });
    const sessionId = ctx.id.toString();
    this.#exchange = {
      store: this.#store,
      streams: this.#streams,
      transaction: (work) => ctx.storage.transactionSync(work),
      lastSeq: () => this.#log.lastSeq(),
      maxMessageBytes: limits.maxMessageBytes,
    };
    this.#residency = createResidency({
      sessionId,
      exchange: this.#exchange,
      createServer,
      subscriptions: createSubscriptions({ sessionId, hub, maySubscribe }),
      parkAfterMs: limits.parkAfterMs,
      waitUntil: (work) => ctx.waitUntil(work),
      onError,
    });
    this.#usage = createUsage({ streams: this.#streams, residency: this.#residency, limits, now: Date.now });
  }

  async open(body: string, packedCaller: string): Promise<SessionReply> {
    return this.#usage.during(async () => this.#open(body, packedCaller));
  }

  async post(body: string, packedCaller: string, form: AnswerForm): Promise<SessionReply> {
    return this.#usage.during(async () => {
      const reply = await this.#post(body, packedCaller, form);
      if (reply.kind === "stream") this.#usage.promiseStream();
      return reply;
    });
  }

  async listen(lastEventId: string | null, packedCaller: string): Promise<SessionReply> {
    return this.#usage.during(async () => this.#listen(lastEventId, packedCaller));
  }

  async #open(body: string, packedCaller: string): Promise<SessionReply> {
    const caller = unpackCaller(packedCaller);
    const initialize = parseMessages(body)?.messages[0];
    if (initialize === undefined || !isRequest(initialize)) return notMessages;
    if (!isInitializeRequest(initialize))
      return { kind: "refused", message: "Invalid Request: these are no parameters of initialize." };
    if (this.#load() !== undefined) return { kind: "refused", message: "The session is open already." };
    const live = await this.#residency.create();
    const response = await live.open(initialize, caller);
    if ("error" in response) return { kind: "answer", body: JSON.stringify(response) };
    const { subjectId, grantId } = caller;
    const protocolVersion = String(response.result["protocolVersion"]);
    const usedMs = Date.now();
    this.#store.create({ subjectId, grantId, protocolVersion, initialize, setLevel: null, usedMs, isEnded: false });
    await this.ctx.storage.setAlarm(usedMs + this.#options.limits.idleSeconds * 1000);
    // Known to the hub before anybody knows the session's id: none escapes limits and revocation.
    const known = await this.#options.hub.addSession(subjectId, grantId, this.ctx.id.toString());
    if (!known.ok) {
      await this.#clear();
      return { kind: "busy", message: known.message, retryAfterSeconds: known.retryAfterSeconds };
    }
    this.#residency.keep(live);
    return { kind: "opened", body: JSON.stringify(response) };
  }

  async #post(body: string, packedCaller: string, form: AnswerForm): Promise<SessionReply> {
    const caller = unpackCaller(packedCaller);
    const session = this.#enter(caller);
    if (session === undefined) return gone;
    const parsed = parseMessages(body);
    if (parsed === undefined) return notMessages;
    const { messages, isBatch } = parsed;
    const live = await this.#residency.wake(session, caller);
    const refusal = this.#refuse(messages, isBatch, session, live);
    if (refusal !== undefined) return { kind: "refused", message: `Invalid Request: ${refusal}` };
    const requests = messages.filter(isRequest);
    const exchange = new Exchange(requests, isBatch, withCallId(caller, newId()), this.#exchange);
    if (requests.length > 0) live.start(exchange, requests);
    for (const message of messages) if (!isRequest(message)) this.#takeOther(message, caller, live);
    for (const request of requests)
      if (request.method === "logging/setLevel" && isSpecType.SetLevelRequest(request)) this.#keepLevel(request);
    return requests.length === 0 ? { kind: "accepted" } : this.#reply(exchange, form);
  }

  async #listen(lastEventId: string | null, packedCaller: string): Promise<SessionReply> {
    const caller = unpackCaller(packedCaller);
    const session = this.#enter(caller);
    if (session === undefined) return gone;
    // What a call that goes on now says is live, not delivered again.
    const until = this.#log.lastSeq();
    await this.#residency.recover(session, caller);
    if (!(await this.#takePlace())) return this.#tooManyStreams();
    let reply: SessionReply = gone;
    try {
      reply = await this.#openStream(lastEventId, until, caller);
    } finally {
      if (reply.kind !== "stream") this.#usage.settleStream();
    }
    return reply;
  }

  /** Holds a place until the stream attaches: requests that come at once never share one. */
  #takePlace(): Promise<boolean> {
    const { maxStreams } = this.#options.limits;
    return this.#streams.waitForPlace(() => {
      if (this.#streams.count() + this.#usage.promisedStreams() >= maxStreams) return false;
      this.#usage.promiseStream();
      return true;
    });
  }

  async #openStream(lastEventId: string | null, until: number, caller: SessionCaller): Promise<SessionReply> {
    if (this.#isOver()) return gone;
    const after = this.#log.lastSeq();
    if (lastEventId === null) return { kind: "stream", stream: STANDALONE, after, pass: liveAfter(after) };
    const position = parseEventId(lastEventId);
    if (position === undefined) return { kind: "refused", message: "Last-Event-ID is no id of this server." };
    const { pass, withheldRequests, unheard } = await this.#replays.clear(position, until, caller);
    if (this.#isOver()) return gone;
    for (const seq of unheard) this.#log.forget(seq);
    this.#endWithheld(withheldRequests, pass.reason);
    return { kind: "stream", ...position, pass };
  }

  async end(packedCaller: string): Promise<SessionReply> {
    const session = this.#enter(unpackCaller(packedCaller));
    if (session === undefined) return gone;
    await this.#erase(session);
    return { kind: "accepted" };
  }

  async notify(message: string): Promise<void> {
    const parsed = parseMessages(message)?.messages[0];
    if (parsed === undefined || !("method" in parsed)) throw new TypeError("only notifications are delivered");
    if (this.#load() !== undefined) this.#streams.emit(STANDALONE, message, grantsOfMessage(parsed, []));
  }

  async revoke(): Promise<void> {
    // Unusable at once, also if the object dies before it is empty.
    if (this.#load() !== undefined) this.#store.markEnded();
    await this.#clear();
  }

  async endIfIdle(notAfterMs: number): Promise<IdleReply> {
    const session = this.#load();
    if (session === undefined) return { kind: "ended" };
    if (!session.isEnded) {
      const protection = this.#usage.protection(session.usedMs);
      if (protection !== undefined) return protection;
      const usedMs = this.#usage.lastUsedMs(session.usedMs);
      if (usedMs > notAfterMs) return { kind: "used", usedMs };
    }
    // In one step with the checks: a request that comes in from here on is told that the session is gone.
    this.#store.markEnded();
    await this.#clear();
    return { kind: "ended" };
  }

  /** Attaches a stream; only the Worker of this deployment reaches an object by fetch. */
  override async fetch(request: Request): Promise<Response> {
    const session = this.#load();
    if (request.headers.get("Upgrade") !== "websocket" || session === undefined || session.isEnded)
      return new Response(null, { status: 404 });
    const { 0: client, 1: server } = new WebSocketPair();
    this.#usage.settleStream();
    this.#streams.attach(server, parseAttachUrl(request.url), session.protocolVersion >= FIRST_WITH_POLLING);
    return new Response(null, { status: 101, webSocket: client });
  }

  override async webSocketClose(socket: WebSocket, code: number): Promise<void> {
    // Answering the closing handshake; 1005 and 1006 stand for "no code" and cannot be sent.
    socket.close(code === 1005 || code === 1006 ? 1000 : code);
    this.#departed();
  }

  override async webSocketError(): Promise<void> {
    this.#departed();
  }

  override async alarm(): Promise<void> {
    const session = this.#load();
    if (session === undefined) return;
    const nowMs = Date.now();
    // Somebody who holds a stream is there, also without asking anything.
    if (this.#streams.count() > 0) this.#touch(session, nowMs);
    const endsMs = (this.#streams.count() > 0 ? nowMs : session.usedMs) + this.#options.limits.idleSeconds * 1000;
    if (endsMs <= nowMs || session.isEnded) return this.#erase(session);
    await this.ctx.storage.setAlarm(endsMs);
  }

  /** Unusable at once; whatever a crash leaves of it, the alarm takes away. */
  async #erase({ subjectId }: StoredSession): Promise<void> {
    this.#store.markEnded();
    this.#session = undefined;
    await this.#options.hub.removeSession(subjectId, this.ctx.id.toString());
    await this.#clear();
  }

  async #clear(): Promise<void> {
    this.#session = undefined;
    this.#streams.closeAll();
    await this.#residency.leave();
    // Takes the alarm along.
    await this.ctx.storage.deleteAll();
  }

  /** The session, if it exists and is this caller's. */
  #enter({ subjectId, grantId }: SessionCaller): StoredSession | undefined {
    const session = this.#load();
    if (session === undefined || session.isEnded) return undefined;
    if (session.subjectId !== subjectId || session.grantId !== grantId) return undefined;
    this.#markUsed(session);
    return session;
  }

  /** The alarm finds out by itself that the session was used; it needs no moving here. */
  #markUsed(session: StoredSession): void {
    if (this.#usage.mark(session.usedMs)) this.#touch(session, Date.now());
  }

  /** A stream that ends is a use too: its client was there until now. */
  #departed(): void {
    const session = this.#load();
    if (session !== undefined && !session.isEnded) this.#markUsed(session);
    this.#streams.noteClosed();
  }

  #tooManyStreams(): SessionReply {
    const { maxStreams, keepAliveMs } = this.#options.limits;
    const message = `This session has ${maxStreams} open streams, which is the limit. Close one.`;
    return { kind: "busy", message, retryAfterSeconds: Math.ceil(keepAliveMs / 1000) };
  }

  /** Whether the session has ended, also where storage is not empty yet. */
  #isOver(): boolean {
    return this.#load()?.isEnded !== false;
  }

  #load(): StoredSession | undefined {
    this.#session ??= this.#store.load();
    return this.#session;
  }

  /** The hub's copy may be lost or late: it asks the session itself before it ends it. */
  #touch({ subjectId }: StoredSession, nowMs: number): void {
    this.#store.touch(nowMs);
    this.#session = undefined;
    const { hub, onError } = this.#options;
    this.ctx.waitUntil(hub.reportUse(subjectId, this.ctx.id.toString(), nowMs).catch(onError));
  }

  #keepLevel(request: JSONRPCRequest): void {
    this.#store.keepLevel(request);
    this.#session = undefined;
  }

  #refuse(
    messages: readonly JSONRPCMessage[],
    isBatch: boolean,
    session: StoredSession,
    live: Live,
  ): string | undefined {
    if (messages.some((message) => "method" in message && message.method === "initialize"))
      return "this session is initialized already.";
    if (isBatch && session.protocolVersion >= FIRST_WITHOUT_BATCHES)
      return `batches are not part of revision ${session.protocolVersion}.`;
    const ids = messages.filter(isRequest).map((message) => message.id);
    if (new Set(ids).size < ids.length || ids.some((id) => live.isWaiting(id) || this.#store.hasCall(id)))
      return "a request with this id is being answered already.";
    return undefined;
  }

  /** Waits for the answer; after a moment it becomes a stream, for a client that reads streams. */
  async #reply(exchange: Exchange, form: AnswerForm): Promise<SessionReply> {
    // A message that comes before the answer still makes it a stream, as in the 2026 era.
    if (form === "json") return exchange.reply;
    const timer = setTimeout(() => exchange.openStream(), this.#options.limits.jsonFirstMs);
    try {
      return await exchange.reply;
    } finally {
      clearTimeout(timer);
    }
  }

  /** A notification, or the answer to a pushed request. */
  #takeOther(message: JSONRPCMessage, caller: SessionCaller, live: Live): void {
    if (!isResponse(message)) {
      live.deliver(message, caller);
      if (isSpecType.CancelledNotification(message)) this.#residency.stored().cancel(message.params.requestId, live);
      return;
    }
    if (typeof message.id !== "string") return;
    const pushed = this.#store.answerPushed(message.id, JSON.stringify(message));
    if (pushed !== undefined && !live.answer(pushed, message, caller))
      this.#residency.stored().resumeAfter(pushed, live, caller);
  }

  /** The client never sees a question that is withheld, so its call would wait for ever: it ends here. */
  #endWithheld(wireIds: readonly string[], reason: "changed" | "unchecked"): void {
    for (const wireId of wireIds) {
      const pushed = this.#store.findAsking(wireId);
      if (pushed !== undefined) this.#residency.endAsked(pushed, WITHHELD[reason]);
    }
  }
}
