// The Durable Object behind change notifications, in two roles told apart by its name. A subject shard knows who of one
// subject listens to what: sessions of the 2025 era and sockets of the 2026 era. A topic shard knows only which subject
// shards care, so publishing wakes nobody who did not ask.
import { DurableObject } from "cloudflare:workers";
import { newId } from "../lib/ids.ts";
import type { SessionNamespace } from "../session/protocol.ts";
import { isResourceTopic, notificationOf, topicOf } from "./events.ts";
import type { HubEvent } from "./events.ts";

export interface HubLimits {
  readonly maxSessionsPerSubject: number;
  /** Open `subscriptions/listen` streams of one grant. */
  readonly maxListensPerGrant: number;
  readonly maxTopicsPerListener: number;
}

export type HubReply = { readonly ok: true } | { readonly ok: false; readonly message: string };

/** The object's face; which methods fit depends on its role. */
export interface HubRpc {
  /** Subject role: a session exists from now on. */
  addSession(sessionId: string, grantId: string): Promise<HubReply>;
  removeSession(sessionId: string): Promise<void>;
  subscribe(sessionId: string, topic: string): Promise<HubReply>;
  unsubscribe(sessionId: string, topic: string): Promise<void>;
  /** Subject role: the topics that anybody of the subject listens to, to be checked when roles change. */
  topics(): Promise<readonly string[]>;
  /** Subject role: nobody of the subject hears of these any more. */
  dropTopics(topics: readonly string[]): Promise<void>;
  /** Subject role: ends the grant's sessions and streams. */
  revoke(grantId: string): Promise<void>;
  /** Subject role: hands an event to the subject's listeners. */
  deliver(event: HubEvent): Promise<void>;
  /** Topic role. */
  care(topic: string, subjectShard: string): Promise<void>;
  forget(topic: string, subjectShard: string): Promise<void>;
  publish(event: HubEvent): Promise<void>;
}

export type HubNamespace = DurableObjectNamespace<HubRpc & Rpc.DurableObjectBranded>;

export interface HubOptions {
  readonly hub: HubNamespace;
  readonly sessions: SessionNamespace;
  readonly limits: HubLimits;
}

export type HubObjectClass<E> = new (ctx: DurableObjectState, env: E) => DurableObject<E> & HubRpc;

/** Topic shards of a deployment: enough that no one topic's traffic holds up another's for long. */
const TOPIC_SHARDS = 64;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS session (id TEXT PRIMARY KEY, grant_id TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS interest (topic TEXT NOT NULL, listener TEXT NOT NULL, PRIMARY KEY (topic, listener));
  CREATE INDEX IF NOT EXISTS interest_listener ON interest (listener);
  CREATE TABLE IF NOT EXISTS care (topic TEXT NOT NULL, shard TEXT NOT NULL, PRIMARY KEY (topic, shard));
`;

/** The name of a subject's shard. */
export function subjectShard(subjectId: string): string {
  return `subject ${subjectId}`;
}

/** The name of the shard that a topic belongs to: FNV-1a over its UTF-16 units. */
export function topicShard(topic: string): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < topic.length; index += 1) hash = Math.imul(hash ^ topic.charCodeAt(index), 0x01000193);
  return `topic ${(hash >>> 0) % TOPIC_SHARDS}`;
}

/** The URL by which the Worker opens a listening socket at a subject shard. Topics and grant travel in the first message. */
export const LISTEN_URL = "https://hub/listen";

/** The first message on a listening socket. */
export interface ListenRequest {
  readonly grantId: string;
  readonly topics: readonly string[];
}

/** What a socket's attachment holds: it survives hibernation, and is small. */
interface Listener {
  readonly id: string;
  readonly grantId: string;
}

/** Closes a socket whose listener was refused; the reason is text for the client. */
export const REFUSED = 4000;

/** The hub class of a deployment. `optionsOf` is called once per object in memory. */
export function defineHubObject<E>(optionsOf: (env: E) => HubOptions): HubObjectClass<E> {
  return class HubObject extends DurableObject<E> implements HubRpc {
    readonly #options: HubOptions;
    readonly #sql: SqlStorage;

    constructor(ctx: DurableObjectState, env: E) {
      super(ctx, env);
      this.#options = optionsOf(env);
      this.#sql = ctx.storage.sql;
      this.#sql.exec(SCHEMA);
    }

    async addSession(sessionId: string, grantId: string): Promise<HubReply> {
      const { maxSessionsPerSubject } = this.#options.limits;
      const { held } = this.#sql.exec<{ held: number }>("SELECT count(*) AS held FROM session").one();
      if (held >= maxSessionsPerSubject)
        return refused(`You have ${held} open sessions, which is the limit. Close one, or wait until one expires.`);
      this.#sql.exec("INSERT OR IGNORE INTO session (id, grant_id) VALUES (?, ?)", sessionId, grantId);
      return { ok: true };
    }

    async removeSession(sessionId: string): Promise<void> {
      this.#sql.exec("DELETE FROM session WHERE id = ?", sessionId);
      await this.#drop(this.#topicsOf(sessionId), sessionId);
    }

    async subscribe(sessionId: string, topic: string): Promise<HubReply> {
      return this.#add(sessionId, [topic]);
    }

    async unsubscribe(sessionId: string, topic: string): Promise<void> {
      await this.#drop([topic], sessionId);
    }

    async topics(): Promise<readonly string[]> {
      return this.#sql
        .exec<{ topic: string }>("SELECT DISTINCT topic FROM interest ORDER BY topic")
        .toArray()
        .map(({ topic }) => topic);
    }

    async dropTopics(topics: readonly string[]): Promise<void> {
      for (const topic of topics) {
        this.#sql.exec("DELETE FROM interest WHERE topic = ?", topic);
        await this.#forgetUnlessHeard(topic);
      }
    }

    async revoke(grantId: string): Promise<void> {
      for (const socket of this.ctx.getWebSockets())
        if (listenerOf(socket)?.grantId === grantId) socket.close(1000, "The connection was ended.");
      const sessions = this.#sql.exec<{ id: string }>("SELECT id FROM session WHERE grant_id = ?", grantId).toArray();
      for (const { id } of sessions) {
        await this.#session(id).revoke();
        await this.removeSession(id);
      }
    }

    async deliver(event: HubEvent): Promise<void> {
      const topic = topicOf(event);
      const listeners = new Set(
        this.#sql
          .exec<{ listener: string }>("SELECT listener FROM interest WHERE topic = ?", topic)
          .toArray()
          .map(({ listener }) => listener),
      );
      // Sessions hear of every list of theirs without asking.
      if (!isResourceTopic(topic))
        for (const { id } of this.#sql.exec<{ id: string }>("SELECT id FROM session").toArray()) listeners.add(id);
      for (const socket of this.ctx.getWebSockets()) {
        const listener = listenerOf(socket);
        if (listener === undefined || !listeners.delete(listener.id)) continue;
        socket.send(JSON.stringify(event));
      }
      const sessions = [...listeners].filter((listener) => this.#isSession(listener));
      await Promise.all(sessions.map(async (id) => this.#session(id).notify(notificationOf(event))));
      // What is left are sockets that went away without a word, with the process that held them.
      for (const listener of listeners)
        if (!this.#isSession(listener)) await this.#drop(this.#topicsOf(listener), listener);
    }

    async care(topic: string, shard: string): Promise<void> {
      this.#sql.exec("INSERT OR IGNORE INTO care (topic, shard) VALUES (?, ?)", topic, shard);
    }

    async forget(topic: string, shard: string): Promise<void> {
      this.#sql.exec("DELETE FROM care WHERE topic = ? AND shard = ?", topic, shard);
    }

    async publish(event: HubEvent): Promise<void> {
      const shards = this.#sql
        .exec<{ shard: string }>("SELECT shard FROM care WHERE topic = ?", topicOf(event))
        .toArray();
      await Promise.all(shards.map(async ({ shard }) => this.#peer(shard).deliver(event)));
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
      const open = this.ctx.getWebSockets().filter((other) => listenerOf(other)?.grantId === grantId).length;
      if (open >= maxListensPerGrant)
        return socket.close(REFUSED, `This connection has ${open} open subscriptions, which is the limit. Close one.`);
      const id = newId();
      socket.serializeAttachment({ id, grantId } satisfies Listener);
      const added = await this.#add(id, topics);
      if (added.ok) socket.send("ready");
      else socket.close(REFUSED, added.message);
    }

    override async webSocketClose(socket: WebSocket): Promise<void> {
      socket.close();
      const listener = listenerOf(socket);
      if (listener !== undefined) await this.#drop(this.#topicsOf(listener.id), listener.id);
    }

    /** Tells the topic shards first: an interest that is written is one that will be served. */
    async #add(listener: string, topics: readonly string[]): Promise<HubReply> {
      const { maxTopicsPerListener } = this.#options.limits;
      const held = new Set([...this.#topicsOf(listener), ...topics]);
      if (held.size > maxTopicsPerListener) return refused(`At most ${maxTopicsPerListener} subscriptions fit here.`);
      const shard = this.ctx.id.name;
      if (shard === undefined) throw new TypeError("a subject shard is reached by its name");
      for (const topic of topics)
        if (isResourceTopic(topic) && !this.#isHeard(topic)) await this.#peer(topicShard(topic)).care(topic, shard);
      for (const topic of topics)
        this.#sql.exec("INSERT OR IGNORE INTO interest (topic, listener) VALUES (?, ?)", topic, listener);
      return { ok: true };
    }

    async #drop(topics: readonly string[], listener: string): Promise<void> {
      for (const topic of topics) {
        this.#sql.exec("DELETE FROM interest WHERE topic = ? AND listener = ?", topic, listener);
        await this.#forgetUnlessHeard(topic);
      }
    }

    async #forgetUnlessHeard(topic: string): Promise<void> {
      const shard = this.ctx.id.name;
      if (shard === undefined || !isResourceTopic(topic) || this.#isHeard(topic)) return;
      await this.#peer(topicShard(topic)).forget(topic, shard);
      // Somebody may have asked for it while the topic shard was told to forget us.
      if (this.#isHeard(topic)) await this.#peer(topicShard(topic)).care(topic, shard);
    }

    #isHeard(topic: string): boolean {
      return this.#sql.exec("SELECT 1 FROM interest WHERE topic = ? LIMIT 1", topic).toArray().length > 0;
    }

    #isSession(listener: string): boolean {
      return this.#sql.exec("SELECT 1 FROM session WHERE id = ?", listener).toArray().length > 0;
    }

    #topicsOf(listener: string): readonly string[] {
      return this.#sql
        .exec<{ topic: string }>("SELECT topic FROM interest WHERE listener = ?", listener)
        .toArray()
        .map(({ topic }) => topic);
    }

    #peer(name: string): DurableObjectStub<HubRpc & Rpc.DurableObjectBranded> {
      const { hub } = this.#options;
      return hub.get(hub.idFromName(name));
    }

    #session(id: string): ReturnType<SessionNamespace["get"]> {
      const { sessions } = this.#options;
      return sessions.get(sessions.idFromString(id));
    }
  };
}

function refused(message: string): HubReply {
  return { ok: false, message };
}

function listenerOf(socket: WebSocket): Listener | undefined {
  const attachment: Listener | null = socket.deserializeAttachment();
  return attachment ?? undefined;
}
