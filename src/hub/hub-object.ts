// The Durable Object behind change notifications, in two roles told apart by its name. A subject shard knows who of one
// subject listens to what: sessions of the 2025 era and sockets of the 2026 era. A topic shard knows only which subject
// shards care, so publishing wakes nobody who did not ask.
import { DurableObject } from "cloudflare:workers";
import { PROBE_MS, createDepartures } from "../lib/departures.ts";
import type { Departures } from "../lib/departures.ts";
import { newId } from "../lib/ids.ts";
import { createAdmission } from "./admission.ts";
import type { Admission } from "./admission.ts";
import { isResourceTopic, notificationOf, topicOf } from "./events.ts";
import type { HubEvent } from "./events.ts";
import { PROBE, READY, REFUSED, REFUSED_FOR_GOOD, topicShard } from "./protocol.ts";
import type { HubNamespace, HubReply, HubRpc, ListenRequest, SubscribedSessions } from "./protocol.ts";
import { createHubStore } from "./store.ts";
import type { HubStore } from "./store.ts";

export interface HubLimits {
  readonly maxSessionsPerSubject: number;
  /** Open `subscriptions/listen` streams of one grant. */
  readonly maxListensPerGrant: number;
  readonly maxTopicsPerListener: number;
}

export interface HubOptions {
  readonly hub: HubNamespace;
  readonly sessions: SubscribedSessions;
  readonly limits: HubLimits;
  readonly onError: (error: unknown) => void;
}

/** What a socket's attachment holds: it survives hibernation, and is small. */
interface Listener {
  readonly id: string;
  readonly grantId: string;
}

const ENDED = "The connection was ended. Sign in again.";

/** A grant that ended is remembered for longer than any request by it can still be under way. */
const REMEMBER_ENDED_MS = 3_600_000;
/** When the end of a grant is tried again, if it was cut off or a session could not be reached. */
const RETRY_MS = 5000;

/** A subject shard or a topic shard of the hub: class `HUB` of the wrangler configuration. */
export class HubObject<E = unknown> extends DurableObject<E> implements HubRpc {
  readonly #options: HubOptions;
  readonly #store: HubStore;
  readonly #admission: Admission;
  readonly #departures: Departures = createDepartures();

  constructor(ctx: DurableObjectState, env: E, options: HubOptions) {
    super(ctx, env);
    this.#options = options;
    this.#store = createHubStore(ctx.storage.sql);
    const { limits, onError } = this.#options;
    this.#admission = createAdmission({
      store: { ...this.#store, removeSession: (id) => this.#forgetSession(id) },
      maxSessions: limits.maxSessionsPerSubject,
      endIfIdle: async (id, notAfterMs) => this.#session(id).endIfIdle(notAfterMs),
      now: Date.now,
      onError,
    });
  }

  async addSession(sessionId: string, grantId: string): Promise<HubReply> {
    if (this.#store.endedGrants().includes(grantId)) return refused(ENDED);
    let reply: HubReply = { ok: true };
    const full = await this.#admission.enter(grantId, () => {
      // The grant may have ended while sessions were asked.
      if (this.#store.endedGrants().includes(grantId)) reply = refused(ENDED);
      else this.#store.addSession({ id: sessionId, grantId, usedMs: Date.now() });
    });
    if (full === undefined) return reply;
    const { maxSessionsPerSubject } = this.#options.limits;
    const message = `You have ${maxSessionsPerSubject} open sessions, which is the limit, and each is in use: it has an open stream, a running call or a question that waits for an answer. End one.`;
    return refused(message, Math.max(1, Math.ceil(full.retryMs / 1000)));
  }

  async reportUse(sessionId: string, usedMs: number): Promise<void> {
    this.#store.reportUse(sessionId, usedMs);
  }

  /** Its place is free at once. What it listened to is forgotten beside that, or with the next event that finds nobody there. */
  #forgetSession(sessionId: string): void {
    this.ctx.waitUntil(this.removeSession(sessionId).catch(this.#options.onError));
  }

  async removeSession(sessionId: string): Promise<void> {
    this.#store.removeSession(sessionId);
    await this.#drop(this.#store.topics(sessionId), sessionId);
  }

  async subscribe(sessionId: string, topic: string): Promise<HubReply> {
    return this.#add(sessionId, [topic]);
  }

  async unsubscribe(sessionId: string, topic: string): Promise<void> {
    await this.#drop([topic], sessionId);
  }

  async topics(): Promise<readonly string[]> {
    return this.#store.topics();
  }

  async dropTopics(topics: readonly string[]): Promise<void> {
    for (const topic of topics) {
      this.#store.silence(topic);
      await this.#forgetUnlessHeard(topic);
    }
  }

  async dropTopicsOf(grantIds: readonly string[]): Promise<void> {
    const sessions = grantIds.flatMap((grantId) => this.#store.sessions(grantId));
    const sockets = this.ctx
      .getWebSockets()
      .map(listenerOf)
      .flatMap((listener) => (listener !== undefined && grantIds.includes(listener.grantId) ? [listener.id] : []));
    for (const listener of [...sessions, ...sockets])
      await this.#drop(this.#store.topics(listener).filter(isResourceTopic), listener);
  }

  async revoke(grantId: string): Promise<void> {
    const nowMs = Date.now();
    this.#store.endGrant(grantId, nowMs, nowMs - REMEMBER_ENDED_MS);
    // Whatever a crash or a fault leaves of it, the alarm takes up again.
    await this.ctx.storage.setAlarm(nowMs + RETRY_MS);
    await this.#endSessions(grantId);
  }

  override async alarm(): Promise<void> {
    for (const grantId of this.#store.endedGrants()) await this.#endSessions(grantId);
  }

  /** Throws after all were tried, when one could not be ended; the platform repeats an alarm that throws. */
  async #endSessions(grantId: string): Promise<void> {
    for (const socket of this.ctx.getWebSockets())
      if (listenerOf(socket)?.grantId === grantId) socket.close(1000, ENDED);
    const ended = await Promise.allSettled(
      this.#store.sessions(grantId).map(async (id) => {
        await this.#session(id).revoke();
        await this.removeSession(id);
      }),
    );
    const failed = ended.find((one) => one.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  async deliver(event: HubEvent): Promise<void> {
    const topic = topicOf(event);
    const listeners = new Set(this.#store.listeners(topic));
    // Sessions hear of every list of theirs without asking.
    if (!isResourceTopic(topic)) for (const id of this.#store.sessions()) listeners.add(id);
    for (const socket of this.ctx.getWebSockets()) {
      const listener = listenerOf(socket);
      // Sending on a socket that is being closed throws, and would keep the event from the others.
      if (listener === undefined || socket.readyState !== WebSocket.OPEN) continue;
      if (!listeners.delete(listener.id)) continue;
      socket.send(JSON.stringify(event));
    }
    const sessions = [...listeners].filter((listener) => this.#store.isSession(listener));
    await Promise.all(sessions.map(async (id) => this.#session(id).notify(notificationOf(event))));
    // What is left are sockets that went away without a word, with the process that held them.
    for (const listener of listeners)
      if (!this.#store.isSession(listener)) await this.#drop(this.#store.topics(listener), listener);
  }

  async care(topic: string, shard: string): Promise<void> {
    this.#store.care(topic, shard);
  }

  async forget(topic: string, shard: string): Promise<void> {
    this.#store.forget(topic, shard);
  }

  async publish(event: HubEvent): Promise<void> {
    await Promise.all(this.#store.shards(topicOf(event)).map(async (shard) => this.#peer(shard).deliver(event)));
  }

  /** Opens a listening socket; only the Worker of this deployment reaches an object by fetch. */
  override async fetch(): Promise<Response> {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    if (typeof message !== "string") return socket.close(REFUSED);
    const { grantId, topics }: ListenRequest = JSON.parse(message);
    const { maxListensPerGrant } = this.#options.limits;
    const id = newId();
    const takePlace = (): boolean => {
      if (this.#listeners(grantId).length >= maxListensPerGrant) return false;
      socket.serializeAttachment({ id, grantId } satisfies Listener);
      return true;
    };
    let hasPlace = takePlace();
    if (!hasPlace) {
      this.#listeners(grantId).forEach((other) => other.send(PROBE));
      hasPlace = await this.#departures.until(takePlace, PROBE_MS);
    }
    if (!hasPlace) {
      const limit = `This connection has ${maxListensPerGrant} open subscriptions, which is the limit. Close one.`;
      return socket.close(REFUSED, limit);
    }
    if (this.#store.endedGrants().includes(grantId)) return socket.close(REFUSED_FOR_GOOD, ENDED);
    const added = await this.#add(id, topics);
    if (added.ok) socket.send(READY);
    else socket.close(added.retryAfterSeconds === null ? REFUSED_FOR_GOOD : REFUSED, added.message);
  }

  override async webSocketClose(socket: WebSocket): Promise<void> {
    socket.close();
    await this.#departed(socket);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    await this.#departed(socket);
  }

  async #departed(socket: WebSocket): Promise<void> {
    this.#departures.note();
    const listener = listenerOf(socket);
    if (listener !== undefined) await this.#drop(this.#store.topics(listener.id), listener.id);
  }

  /** Tells the topic shards first: an interest that is written is one that will be served. */
  async #add(listener: string, topics: readonly string[]): Promise<HubReply> {
    const { maxTopicsPerListener } = this.#options.limits;
    const held = new Set([...this.#store.topics(listener), ...topics]);
    if (held.size > maxTopicsPerListener) return refused(`At most ${maxTopicsPerListener} subscriptions fit here.`);
    const shard = this.ctx.id.name;
    if (shard === undefined) throw new TypeError("a subject shard is reached by its name");
    for (const topic of topics)
      if (isResourceTopic(topic) && !this.#store.isHeard(topic)) await this.#peer(topicShard(topic)).care(topic, shard);
    for (const topic of topics) this.#store.listen(topic, listener);
    return { ok: true };
  }

  async #drop(topics: readonly string[], listener: string): Promise<void> {
    for (const topic of topics) {
      this.#store.unlisten(topic, listener);
      await this.#forgetUnlessHeard(topic);
    }
  }

  async #forgetUnlessHeard(topic: string): Promise<void> {
    const shard = this.ctx.id.name;
    if (shard === undefined || !isResourceTopic(topic) || this.#store.isHeard(topic)) return;
    await this.#peer(topicShard(topic)).forget(topic, shard);
    // Somebody may have asked for it while the topic shard was told to forget us.
    if (this.#store.isHeard(topic)) await this.#peer(topicShard(topic)).care(topic, shard);
  }

  /** The open sockets of a connection. One that is being closed is still listed, but holds nobody any more. */
  #listeners(grantId: string): WebSocket[] {
    return this.ctx
      .getWebSockets()
      .filter((socket) => socket.readyState === WebSocket.OPEN && listenerOf(socket)?.grantId === grantId);
  }

  #peer(name: string): DurableObjectStub<HubRpc & Rpc.DurableObjectBranded> {
    const { hub } = this.#options;
    return hub.get(hub.idFromName(name));
  }

  #session(id: string): ReturnType<SubscribedSessions["get"]> {
    const { sessions } = this.#options;
    return sessions.get(sessions.idFromString(id));
  }
}

function refused(message: string, retryAfterSeconds: number | null = null): HubReply {
  return { ok: false, message, retryAfterSeconds };
}

function listenerOf(socket: WebSocket): Listener | undefined {
  const attachment: Listener | null = socket.deserializeAttachment();
  return attachment ?? undefined;
}
