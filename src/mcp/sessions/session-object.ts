// The Durable Object of one 2025-era session. Its SQLite database holds the state of the session; the MCP server in memory is rebuilt
// from it after the object hibernated, was evicted or was killed.
import { DurableObject } from "cloudflare:workers";
import { isInitializeRequest, isSpecType } from "@modelcontextprotocol/server";
import type { JSONRPCMessage, JSONRPCRequest } from "@modelcontextprotocol/server";
import type { SessionOptions } from "./session-options.ts";
import { newId } from "../../lib/ids.ts";
import { createEventLog } from "./event-log.ts";
import type { EventLog } from "./event-log.ts";
import { Exchange } from "./request-exchange.ts";
import type { ExchangeDependencies } from "./request-exchange.ts";
import { WITHHELD } from "../wire/replay-guard.ts";
import type { WithheldReason } from "../wire/replay-guard.ts";
import type { ServerInstance } from "./server-instance.ts";
import { isRequest, isResponse, parseMessages } from "./posted-messages.ts";
import {
  FIRST_WITHOUT_BATCHES,
  FIRST_WITH_POLLING,
  createLivePass,
  parseAttachUrl,
  parseEventId,
  parseCaller,
  withCallId,
} from "./session-protocol.ts";
import type { ResponseFormat, SessionReply, SessionRpc } from "./session-protocol.ts";
import type { IdleReply } from "../subscriptions/hub-protocol.ts";
import type { SessionCaller } from "../wire/protocol-caller.ts";
import { ServerLifecycle } from "./server-lifecycle.ts";
import { createReplayAuthorizer, getMessageGrants } from "./stream-replays.ts";
import type { ReplayAuthorizer } from "./stream-replays.ts";
import { createSessionStore } from "./session-store.ts";
import type { SessionStore, StoredSession } from "./session-store.ts";
import { STANDALONE_STREAM, createStreams } from "./streams.ts";
import type { Streams } from "./streams.ts";
import { createResourceSubscriptions } from "./resource-subscriptions.ts";
import { SessionUsage } from "./session-usage.ts";

const INVALID_MESSAGES_REPLY: SessionReply = {
  kind: "refused",
  message: "Invalid Request: the body is not a JSON-RPC message.",
};
const GONE_REPLY: SessionReply = { kind: "gone" };

/** One 2025-era session. The wrangler configuration binds it as `SESSION`. */
export class SessionObject<E = unknown> extends DurableObject<E> implements SessionRpc {
  readonly #options: SessionOptions;
  readonly #store: SessionStore;
  readonly #log: EventLog;
  readonly #streams: Streams;
  readonly #exchangeDependencies: ExchangeDependencies;
  readonly #lifecycle: ServerLifecycle;
  readonly #replayAuthorizer: ReplayAuthorizer;
  readonly #usage: SessionUsage;
  /** The stored session; undefined until it is read. */
  #session: StoredSession | undefined;

  constructor(ctx: DurableObjectState, env: E, options: SessionOptions) {
    super(ctx, env);
    this.#options = options;
    this.#store = createSessionStore(ctx.storage);
    this.#log = createEventLog(ctx.storage.sql, this.#options.limits);
    this.#streams = createStreams(
      ctx,
      this.#log,
      (stream) => stream !== STANDALONE_STREAM && !this.#store.listCalls().some((call) => call.stream === stream),
    );
    const { createServer, hub, limits, maySubscribe, onError, replayGuard } = this.#options;
    this.#replayAuthorizer = createReplayAuthorizer({ log: this.#log, guard: replayGuard, maySubscribe });
    const sessionId = ctx.id.toString();
    this.#exchangeDependencies = {
      store: this.#store,
      streams: this.#streams,
      transaction: (work) => ctx.storage.transactionSync(work),
      lastSeq: () => this.#log.lastSeq(),
      maxMessageBytes: limits.maxMessageBytes,
    };
    this.#lifecycle = new ServerLifecycle({
      sessionId,
      exchange: this.#exchangeDependencies,
      createServer,
      subscriptions: createResourceSubscriptions({ sessionId, hub, maySubscribe }),
      hibernateAfterMs: limits.hibernateAfterMs,
      waitUntil: (work) => ctx.waitUntil(work),
      onError,
    });
    this.#usage = new SessionUsage({ streams: this.#streams, lifecycle: this.#lifecycle, limits, now: Date.now });
  }

  async open(body: string, serializedCaller: string): Promise<SessionReply> {
    return this.#usage.during(async () => this.#open(body, serializedCaller));
  }

  async post(body: string, serializedCaller: string, format: ResponseFormat): Promise<SessionReply> {
    return this.#usage.during(async () => {
      const reply = await this.#post(body, serializedCaller, format);
      if (reply.kind === "stream") this.#usage.promiseStream();
      return reply;
    });
  }

  async openStream(lastEventId: string | null, serializedCaller: string): Promise<SessionReply> {
    return this.#usage.during(async () => this.#listen(lastEventId, serializedCaller));
  }

  async #open(body: string, serializedCaller: string): Promise<SessionReply> {
    const caller = parseCaller(serializedCaller);
    const initialize = parseMessages(body)?.messages[0];
    if (initialize === undefined || !isRequest(initialize)) return INVALID_MESSAGES_REPLY;
    if (!isInitializeRequest(initialize))
      return { kind: "refused", message: "Invalid Request: the parameters of initialize are invalid." };
    if (this.#load() !== undefined) return { kind: "refused", message: "The session is already open." };
    const instance = await this.#lifecycle.createInstance();
    const response = await instance.open(initialize, caller);
    if ("error" in response) return { kind: "answer", body: JSON.stringify(response), hasBegun: false };
    const { subjectId, grantId } = caller;
    const protocolVersion = String(response.result["protocolVersion"]);
    const usedMs = Date.now();
    this.#store.create({ subjectId, grantId, protocolVersion, initialize, setLevel: null, usedMs, isEnded: false });
    await this.ctx.storage.setAlarm(usedMs + this.#options.limits.idleSeconds * 1000);
    // The hub learns of the session before the client learns its id, so no session escapes limits and revocation.
    const registered = await this.#options.hub.addSession(subjectId, grantId, this.ctx.id.toString());
    if (!registered.ok) {
      await this.#deleteAll();
      return { kind: "busy", message: registered.message, retryAfterSeconds: registered.retryAfterSeconds };
    }
    this.#lifecycle.adopt(instance);
    return { kind: "opened", body: JSON.stringify(response) };
  }

  async #post(body: string, serializedCaller: string, format: ResponseFormat): Promise<SessionReply> {
    const caller = parseCaller(serializedCaller);
    const session = this.#findCallersSession(caller);
    if (session === undefined) return GONE_REPLY;
    const parsed = parseMessages(body);
    if (parsed === undefined) return INVALID_MESSAGES_REPLY;
    const { messages, isBatch } = parsed;
    const instance = await this.#lifecycle.ensureRunning(session, caller);
    const refusal = this.#findProblem(messages, isBatch, session, instance);
    if (refusal !== undefined) return { kind: "refused", message: `Invalid Request: ${refusal}` };
    const requests = messages.filter(isRequest);
    const exchange = new Exchange(requests, isBatch, withCallId(caller, newId()), this.#exchangeDependencies);
    if (requests.length > 0) instance.start(exchange, requests);
    for (const message of messages) if (!isRequest(message)) this.#handleOther(message, caller, instance);
    for (const request of requests)
      if (request.method === "logging/setLevel" && isSpecType.SetLevelRequest(request))
        this.#storeLoggingLevel(request);
    return requests.length === 0 ? { kind: "accepted" } : this.#reply(exchange, format);
  }

  async #listen(lastEventId: string | null, serializedCaller: string): Promise<SessionReply> {
    const caller = parseCaller(serializedCaller);
    const session = this.#findCallersSession(caller);
    if (session === undefined) return GONE_REPLY;
    // Messages of a call that resumes from here on are live, not replays.
    const untilSeq = this.#log.lastSeq();
    await this.#lifecycle.recoverCalls(session, caller);
    if (!(await this.#takePlace())) return this.#tooManyStreams();
    let reply: SessionReply = GONE_REPLY;
    try {
      reply = await this.#openStream(lastEventId, untilSeq, caller);
    } finally {
      if (reply.kind !== "stream") this.#usage.settleStream();
    }
    return reply;
  }

  /** Reserves a place until the stream attaches, so that concurrent requests never share one. */
  #takePlace(): Promise<boolean> {
    const { maxStreams } = this.#options.limits;
    return this.#streams.waitForPlace(() => {
      if (this.#streams.count() + this.#usage.promisedStreams() >= maxStreams) return false;
      this.#usage.promiseStream();
      return true;
    });
  }

  async #openStream(lastEventId: string | null, untilSeq: number, caller: SessionCaller): Promise<SessionReply> {
    if (this.#isOver()) return GONE_REPLY;
    const afterSeq = this.#log.lastSeq();
    if (lastEventId === null)
      return { kind: "stream", stream: STANDALONE_STREAM, afterSeq, pass: createLivePass(afterSeq) };
    const position = parseEventId(lastEventId);
    if (position === undefined) return { kind: "refused", message: "Last-Event-ID is not an event id of this server." };
    const { pass, withheldRequests, unauthorizedSeqs } = await this.#replayAuthorizer.authorize(
      position,
      untilSeq,
      caller,
    );
    if (this.#isOver()) return GONE_REPLY;
    for (const seq of unauthorizedSeqs) this.#log.remove(seq);
    this.#endWithheld(withheldRequests, pass.reason);
    return { kind: "stream", ...position, pass };
  }

  async end(serializedCaller: string): Promise<SessionReply> {
    const session = this.#findCallersSession(parseCaller(serializedCaller));
    if (session === undefined) return GONE_REPLY;
    await this.#endSession(session);
    return { kind: "accepted" };
  }

  async notify(message: string): Promise<void> {
    const parsed = parseMessages(message)?.messages[0];
    if (parsed === undefined || !("method" in parsed)) throw new TypeError("only notifications can be delivered");
    if (this.#load() !== undefined) this.#streams.emit(STANDALONE_STREAM, message, getMessageGrants(parsed, []));
  }

  async revoke(): Promise<void> {
    // The session is unusable from here on, even if the object dies before its storage is deleted.
    if (this.#load() !== undefined) this.#store.markEnded();
    await this.#deleteAll();
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
    // No await between the checks and this line: every later request gets 404, so no session ends during a request.
    this.#store.markEnded();
    await this.#deleteAll();
    return { kind: "ended" };
  }

  /** Attaches a stream. Only the Worker of this deployment can call an object's fetch. */
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
    // Completes the closing handshake. 1005 and 1006 mean "no code" and cannot be sent.
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
    // An open stream counts as use, even without requests.
    if (this.#streams.count() > 0) this.#touch(session, nowMs);
    const endsMs = (this.#streams.count() > 0 ? nowMs : session.usedMs) + this.#options.limits.idleSeconds * 1000;
    if (endsMs <= nowMs || session.isEnded) return this.#endSession(session);
    await this.ctx.storage.setAlarm(endsMs);
  }

  /** Marks the session as ended first, so that it is unusable at once. If a crash leaves data, the alarm deletes it. */
  async #endSession({ subjectId }: StoredSession): Promise<void> {
    this.#store.markEnded();
    this.#session = undefined;
    await this.#options.hub.removeSession(subjectId, this.ctx.id.toString());
    await this.#deleteAll();
  }

  async #deleteAll(): Promise<void> {
    this.#session = undefined;
    this.#streams.closeAll();
    await this.#lifecycle.hibernate();
    this.#store.reset();
    // This also deletes the alarm.
    await this.ctx.storage.deleteAll();
  }

  /** Finds the session if it is open and belongs to this caller. */
  #findCallersSession({ subjectId, grantId }: SessionCaller): StoredSession | undefined {
    const session = this.#load();
    if (session === undefined || session.isEnded) return undefined;
    if (session.subjectId !== subjectId || session.grantId !== grantId) return undefined;
    this.#markUsed(session);
    return session;
  }

  /** Marks a use. Does not move the alarm, which reads the time of use when it fires. */
  #markUsed(session: StoredSession): void {
    if (this.#usage.mark(session.usedMs)) this.#touch(session, Date.now());
  }

  /** The end of a stream counts as use, because its client was connected until now. */
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

  /** Whether the session has ended, even if its storage is not deleted yet. */
  #isOver(): boolean {
    return this.#load()?.isEnded !== false;
  }

  #load(): StoredSession | undefined {
    this.#session ??= this.#store.load();
    return this.#session;
  }

  /** Stores the time of use, and reports it to the hub. The report may be lost: the hub asks a session before it ends it. */
  #touch({ subjectId }: StoredSession, nowMs: number): void {
    this.#store.touch(nowMs);
    this.#session = undefined;
    const { hub, onError } = this.#options;
    this.ctx.waitUntil(hub.reportUse(subjectId, this.ctx.id.toString(), nowMs).catch(onError));
  }

  #storeLoggingLevel(request: JSONRPCRequest): void {
    this.#store.setLoggingLevel(request);
    this.#session = undefined;
  }

  #findProblem(
    messages: readonly JSONRPCMessage[],
    isBatch: boolean,
    session: StoredSession,
    instance: ServerInstance,
  ): string | undefined {
    if (messages.some((message) => "method" in message && message.method === "initialize"))
      return "this session is already initialized.";
    if (isBatch && session.protocolVersion >= FIRST_WITHOUT_BATCHES)
      return `batches are not part of revision ${session.protocolVersion}.`;
    const ids = messages.filter(isRequest).map((message) => message.id);
    if (new Set(ids).size < ids.length || ids.some((id) => instance.isPending(id) || this.#store.hasCall(id)))
      return "a request with this id is still being answered.";
    return undefined;
  }

  /** Waits for the response. If it takes longer than `streamAfterMs`, it becomes a stream for a client that reads streams. */
  async #reply(exchange: Exchange, format: ResponseFormat): Promise<SessionReply> {
    // A message before the response still makes it a stream, as in the 2026 era.
    if (format === "json") return exchange.reply;
    const timer = setTimeout(() => exchange.openStream(), this.#options.limits.streamAfterMs);
    try {
      return await exchange.reply;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Handles a notification, or a response to a server request. */
  #handleOther(message: JSONRPCMessage, caller: SessionCaller, instance: ServerInstance): void {
    if (!isResponse(message)) {
      instance.deliver(message, caller);
      if (isSpecType.CancelledNotification(message))
        this.#lifecycle.openStoredCalls().cancel(message.params.requestId, instance);
      return;
    }
    if (typeof message.id !== "string") return;
    const serverRequest = this.#store.answerServerRequest(message.id, JSON.stringify(message));
    if (serverRequest !== undefined && !instance.deliverAnswer(serverRequest, message, caller))
      this.#lifecycle.openStoredCalls().resumeAfter(serverRequest, instance, caller);
  }

  /** Ends calls whose question to the client was withheld: the client never sees the question, so the call would wait forever. */
  #endWithheld(wireIds: readonly string[], reason: WithheldReason): void {
    for (const wireId of wireIds) {
      const serverRequest = this.#store.findUnansweredRequest(wireId);
      if (serverRequest !== undefined) this.#lifecycle.endWaitingCall(serverRequest, WITHHELD[reason]);
    }
  }
}
