// The Durable Object behind change notifications. Its name decides its role. A subject shard stores the subscriptions of one subject's
// listeners: sessions of the 2025 era and sockets of the 2026 era. A topic shard stores only which subject shards have subscribers, so
// that publishing wakes no other object.
import { DurableObject } from "cloudflare:workers";
import { PROBE_MS, createDepartures } from "../../lib/closing-sockets.ts";
import type { Departures } from "../../lib/closing-sockets.ts";
import { newId } from "../../lib/ids.ts";
import { createAdmission } from "./session-admission.ts";
import type { Admission } from "./session-admission.ts";
import { isResourceTopic, buildNotification, getTopic } from "./hub-events.ts";
import type { HubEvent } from "./hub-events.ts";
import { PROBE, READY, REFUSED_CLOSE_CODE, REFUSED_FOR_GOOD, nameTopicShard } from "./hub-protocol.ts";
import type {
  HubNamespace,
  HubReply,
  HubRpc,
  HubStub,
  ListenRequest,
  SubscribedSessionStub,
  SubscribedSessions,
} from "./hub-protocol.ts";
import { createHubStore } from "./hub-store.ts";
import type { HubStore } from "./hub-store.ts";

/** The limits of one subject's listeners. */
export interface HubLimits {
  readonly maxSessionsPerSubject: number;
  /** The most open `subscriptions/listen` streams of one grant. */
  readonly maxListensPerGrant: number;
  readonly maxTopicsPerListener: number;
}

/** What a HubObject is created with. */
interface HubOptions {
  readonly hub: HubNamespace;
  readonly sessions: SubscribedSessions;
  readonly limits: HubLimits;
  readonly onError: (error: unknown) => void;
}

/** The attachment of a listening socket. It survives hibernation and must be small. */
interface Listener {
  readonly id: string;
  readonly grantId: string;
}

const ENDED_MESSAGE = "The connection was ended. Sign in again.";

/** How long an ended grant is remembered: longer than any request under it can still run. */
const ENDED_GRANT_RETENTION_MS = 3_600_000;
/** When the end of a grant is retried after an interruption, or after a session could not be reached. */
const RETRY_MS = 5000;

/** A subject shard or a topic shard of the hub. The wrangler configuration binds it as `HUB`. */
export class HubObject<E = unknown> extends DurableObject<E> implements HubRpc {
  readonly #options: HubOptions;
  readonly #store: HubStore;
  readonly #admission: Admission;
  readonly #departures: Departures = createDepartures();

  constructor(ctx: DurableObjectState, env: E, options: HubOptions) {
    super(ctx, env);
    this.#options = options;
    this.#store = createHubStore(ctx.storage);
    const { limits, onError } = this.#options;
    this.#admission = createAdmission({
      store: { ...this.#store, removeSession: (id) => this.#forgetSession(id) },
      maxSessions: limits.maxSessionsPerSubject,
      endIfIdle: async (id, notAfterMs) => this.#getSession(id).endIfIdle(notAfterMs),
      now: Date.now,
      onError,
    });
  }

  async addSession(sessionId: string, grantId: string): Promise<HubReply> {
    if (this.#store.listEndedGrants().includes(grantId)) return createRefusal(ENDED_MESSAGE);
    let reply: HubReply = { ok: true };
    const full = await this.#admission.enter(grantId, () => {
      // The grant may have ended while sessions were asked to end.
      if (this.#store.listEndedGrants().includes(grantId)) reply = createRefusal(ENDED_MESSAGE);
      else this.#store.addSession({ id: sessionId, grantId, usedMs: Date.now() });
    });
    if (full === undefined) return reply;
    const { maxSessionsPerSubject } = this.#options.limits;
    const message = [
      `You have ${maxSessionsPerSubject} open sessions, which is the limit, and each is in use:`,
      "it has an open stream, a running call or a question that waits for an answer. End one.",
    ];
    return createRefusal(message.join(" "), Math.max(1, Math.ceil(full.retryMs / 1000)));
  }

  async reportUse(sessionId: string, usedMs: number): Promise<void> {
    this.#store.reportUse(sessionId, usedMs);
  }

  /** Frees the place of a session at once. Its subscriptions are removed in the background, or by the next event that does not reach it. */
  #forgetSession(sessionId: string): void {
    this.ctx.waitUntil(this.removeSession(sessionId).catch(this.#options.onError));
  }

  async removeSession(sessionId: string): Promise<void> {
    this.#store.removeSession(sessionId);
    await this.#unsubscribeListener(this.#store.listTopics(sessionId), sessionId);
  }

  async countOpenSessions(): Promise<number> {
    return this.#store.countSessions();
  }

  async subscribe(sessionId: string, topic: string): Promise<HubReply> {
    return this.#subscribeListener(sessionId, [topic]);
  }

  async unsubscribe(sessionId: string, topic: string): Promise<void> {
    await this.#unsubscribeListener([topic], sessionId);
  }

  async listTopics(): Promise<readonly string[]> {
    return this.#store.listTopics();
  }

  async dropTopics(topics: readonly string[]): Promise<void> {
    for (const topic of topics) {
      this.#store.clear(topic);
      await this.#unsubscribeUnusedShard(topic);
    }
  }

  async dropTopicsOfGrants(grantIds: readonly string[]): Promise<void> {
    const sessions = grantIds.flatMap((grantId) => this.#store.listSessions(grantId));
    const sockets = this.ctx
      .getWebSockets()
      .map(readListener)
      .flatMap((listener) => (listener !== undefined && grantIds.includes(listener.grantId) ? [listener.id] : []));
    for (const listener of [...sessions, ...sockets])
      await this.#unsubscribeListener(this.#store.listTopics(listener).filter(isResourceTopic), listener);
  }

  async endSessions(): Promise<void> {
    await this.#endEach(this.#store.listSessions());
  }

  async revoke(grantId: string): Promise<void> {
    const nowMs = Date.now();
    this.#store.endGrant(grantId, nowMs, nowMs - ENDED_GRANT_RETENTION_MS);
    // If a crash or an error interrupts the end of the grant, the alarm continues it.
    await this.ctx.storage.setAlarm(nowMs + RETRY_MS);
    await this.#endSessions(grantId);
  }

  override async alarm(): Promise<void> {
    for (const grantId of this.#store.listEndedGrants()) await this.#endSessions(grantId);
  }

  /** Ends the sessions and streams of a grant. Tries all of them before it throws; the platform repeats an alarm that throws. */
  async #endSessions(grantId: string): Promise<void> {
    for (const socket of this.ctx.getWebSockets())
      if (readListener(socket)?.grantId === grantId) socket.close(1000, ENDED_MESSAGE);
    await this.#endEach(this.#store.listSessions(grantId));
  }

  async #endEach(sessionIds: readonly string[]): Promise<void> {
    const results = await Promise.allSettled(
      sessionIds.map(async (id) => {
        await this.#getSession(id).revoke();
        await this.removeSession(id);
      }),
    );
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  async deliver(event: HubEvent): Promise<void> {
    const topic = getTopic(event);
    const listeners = new Set(this.#store.listListeners(topic));
    // Sessions get notifications of changed lists without subscribing.
    if (!isResourceTopic(topic)) for (const id of this.#store.listSessions()) listeners.add(id);
    for (const socket of this.ctx.getWebSockets()) {
      const listener = readListener(socket);
      // Sending on a closing socket throws, and the other listeners would not get the event.
      if (listener === undefined || socket.readyState !== WebSocket.OPEN) continue;
      if (!listeners.delete(listener.id)) continue;
      socket.send(JSON.stringify(event));
    }
    const sessions = [...listeners].filter((listener) => this.#store.isSession(listener));
    await Promise.all(sessions.map(async (id) => this.#getSession(id).notify(buildNotification(event))));
    // The remaining listeners are sockets that ended without a close event, together with their process.
    for (const listener of listeners)
      if (!this.#store.isSession(listener)) await this.#unsubscribeListener(this.#store.listTopics(listener), listener);
  }

  async subscribeShard(topic: string, shard: string): Promise<void> {
    this.#store.subscribeShard(topic, shard);
  }

  async unsubscribeShard(topic: string, shard: string): Promise<void> {
    this.#store.unsubscribeShard(topic, shard);
  }

  async publish(event: HubEvent): Promise<void> {
    await Promise.all(this.#store.listShards(getTopic(event)).map(async (shard) => this.#getHub(shard).deliver(event)));
  }

  /** Opens a listening socket. Only the Worker of this deployment can call an object's fetch. */
  override async fetch(): Promise<Response> {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    if (typeof message !== "string") return socket.close(REFUSED_CLOSE_CODE);
    const { grantId, topics }: ListenRequest = JSON.parse(message);
    const { maxListensPerGrant } = this.#options.limits;
    const id = newId();
    const takePlace = (): boolean => {
      if (this.#listSockets(grantId).length >= maxListensPerGrant) return false;
      socket.serializeAttachment({ id, grantId } satisfies Listener);
      return true;
    };
    let hasPlace = takePlace();
    if (!hasPlace) {
      this.#listSockets(grantId).forEach((openSocket) => openSocket.send(PROBE));
      hasPlace = await this.#departures.until(takePlace, PROBE_MS);
    }
    if (!hasPlace) {
      const limit = `This connection has ${maxListensPerGrant} open subscriptions, which is the limit. Close one.`;
      return socket.close(REFUSED_CLOSE_CODE, limit);
    }
    if (this.#store.listEndedGrants().includes(grantId)) return socket.close(REFUSED_FOR_GOOD, ENDED_MESSAGE);
    const reply = await this.#subscribeListener(id, topics);
    if (reply.ok) socket.send(READY);
    else socket.close(reply.retryAfterSeconds === null ? REFUSED_FOR_GOOD : REFUSED_CLOSE_CODE, reply.message);
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
    const listener = readListener(socket);
    if (listener !== undefined) await this.#unsubscribeListener(this.#store.listTopics(listener.id), listener.id);
  }

  /** Subscribes at the topic shards first, so that every stored subscription gets its events. */
  async #subscribeListener(listener: string, topics: readonly string[]): Promise<HubReply> {
    const { maxTopicsPerListener } = this.#options.limits;
    const heldTopics = new Set([...this.#store.listTopics(listener), ...topics]);
    if (heldTopics.size > maxTopicsPerListener)
      return createRefusal(`A listener can have at most ${maxTopicsPerListener} subscriptions.`);
    const shard = this.ctx.id.name;
    if (shard === undefined) throw new TypeError("a subject shard must be addressed by its name");
    for (const topic of topics)
      if (isResourceTopic(topic) && !this.#store.hasSubscribers(topic))
        await this.#getHub(nameTopicShard(topic)).subscribeShard(topic, shard);
    for (const topic of topics) this.#store.subscribe(topic, listener);
    return { ok: true };
  }

  async #unsubscribeListener(topics: readonly string[], listener: string): Promise<void> {
    for (const topic of topics) {
      this.#store.unsubscribe(topic, listener);
      await this.#unsubscribeUnusedShard(topic);
    }
  }

  async #unsubscribeUnusedShard(topic: string): Promise<void> {
    const shard = this.ctx.id.name;
    if (shard === undefined || !isResourceTopic(topic) || this.#store.hasSubscribers(topic)) return;
    await this.#getHub(nameTopicShard(topic)).unsubscribeShard(topic, shard);
    // A listener may have subscribed during the call to the topic shard.
    if (this.#store.hasSubscribers(topic)) await this.#getHub(nameTopicShard(topic)).subscribeShard(topic, shard);
  }

  /** Lists the open sockets of a grant. `getWebSockets` also returns closing sockets, which do not count. */
  #listSockets(grantId: string): WebSocket[] {
    return this.ctx
      .getWebSockets()
      .filter((socket) => socket.readyState === WebSocket.OPEN && readListener(socket)?.grantId === grantId);
  }

  #getHub(name: string): HubStub {
    const { hub } = this.#options;
    return hub.get(hub.idFromName(name));
  }

  #getSession(id: string): SubscribedSessionStub {
    const { sessions } = this.#options;
    return sessions.get(sessions.idFromString(id));
  }
}

function createRefusal(message: string, retryAfterSeconds: number | null = null): HubReply {
  return { ok: false, message, retryAfterSeconds };
}

function readListener(socket: WebSocket): Listener | undefined {
  const attachment: Listener | null = socket.deserializeAttachment();
  return attachment ?? undefined;
}
