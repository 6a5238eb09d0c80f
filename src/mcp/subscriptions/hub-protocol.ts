// The messages between the Worker, session objects and hub objects, and the names of the hub objects. Plain data only.
import { computeShardNumber } from "../../lib/shard.ts";
import type { HubEvent } from "./hub-events.ts";

/** The hub's reply to a request for a place. */
export type HubReply =
  | { readonly ok: true }
  /** `retryAfterSeconds`: when a retry may succeed; null when waiting does not help. */
  | { readonly ok: false; readonly message: string; readonly retryAfterSeconds: number | null };

/** A session's reply when another session needs its place. */
export type IdleReply =
  /** The session has ended, now or earlier. */
  | { readonly kind: "ended" }
  /** The session was used later than the hub knew. */
  | { readonly kind: "used"; readonly usedMs: number }
  /** The session has a stream, a running call or an unanswered question. `retryMs`: when that may have ended, from now. */
  | { readonly kind: "protected"; readonly retryMs: number };

/** The RPC methods of a 2025-era session that the hub calls. */
export interface SubscribedSession {
  /** Sends a JSON notification to the session's open stream. Does not start a server. */
  notify(message: string): Promise<void>;
  /** Ends the session because its grant was revoked. */
  revoke(): Promise<void>;
  /** Ends the session to make room, unless it is protected or was used after `notAfterMs`. */
  endIfIdle(notAfterMs: number): Promise<IdleReply>;
}

/** The namespace of the session objects, as the hub sees it. */
export type SubscribedSessions = DurableObjectNamespace<SubscribedSession & Rpc.DurableObjectBranded>;

/** The stub of one session object, as the hub sees it. */
export type SubscribedSessionStub = DurableObjectStub<SubscribedSession & Rpc.DurableObjectBranded>;

/** The RPC methods of a hub object. Each method applies to one role, a subject shard or a topic shard. */
export interface HubRpc {
  /** Subject role: registers a new session. At the limit, ends the session that has been idle longest. */
  addSession(sessionId: string, grantId: string): Promise<HubReply>;
  /** Subject role: updates the last use of a session. */
  reportUse(sessionId: string, usedMs: number): Promise<void>;
  removeSession(sessionId: string): Promise<void>;
  /** Subject role: counts the open sessions of the subject. */
  countOpenSessions(): Promise<number>;
  subscribe(sessionId: string, topic: string): Promise<HubReply>;
  unsubscribe(sessionId: string, topic: string): Promise<void>;
  /** Subject role: lists the topics of all the subject's listeners, to recheck them when roles change. */
  listTopics(): Promise<readonly string[]>;
  /** Subject role: ends all the subject's subscriptions to these topics. */
  dropTopics(topics: readonly string[]): Promise<void>;
  /** Subject role: ends all resource subscriptions that were opened under these grants. */
  dropTopicsOfGrants(grantIds: readonly string[]): Promise<void>;
  /** Subject role: ends the grant's sessions and streams. Throws if one could not be ended; an alarm retries it. */
  endSessions(): Promise<void>;
  revoke(grantId: string): Promise<void>;
  /** Subject role: delivers an event to the subject's listeners. */
  deliver(event: HubEvent): Promise<void>;
  /** Topic role: sends the topic's events to a subject shard from now on. */
  subscribeShard(topic: string, subjectShard: string): Promise<void>;
  unsubscribeShard(topic: string, subjectShard: string): Promise<void>;
  /** Topic role: delivers an event to every subscribed shard. */
  publish(event: HubEvent): Promise<void>;
}

/** The namespace of the hub objects. */
export type HubNamespace = DurableObjectNamespace<HubRpc & Rpc.DurableObjectBranded>;

/** The stub of one hub object. */
export type HubStub = DurableObjectStub<HubRpc & Rpc.DurableObjectBranded>;

/** Number of topic shards: enough that busy topics rarely delay others. */
const TOPIC_SHARD_COUNT = 64;

/** Returns the name of a subject's shard. */
export function nameSubjectShard(subjectId: string): string {
  return `subject ${subjectId}`;
}

/** Returns the name of the shard that a topic belongs to. */
export function nameTopicShard(topic: string): string {
  return `topic ${computeShardNumber(topic, TOPIC_SHARD_COUNT)}`;
}

/** The URL at which the Worker opens a listening socket to a subject shard. The first message carries grant and topics. */
export const LISTEN_URL = "https://hub/listen";

/** The first message on a listening socket. */
export interface ListenRequest {
  readonly grantId: string;
  readonly topics: readonly string[];
}

/** The close code for a refused listener that may retry later; the close reason is text for the client. */
export const REFUSED_CLOSE_CODE = 4000;
/** The close code for a refused listener when waiting does not help. */
export const REFUSED_FOR_GOOD = 4001;
/** The first message to an accepted listener. The Worker ignores events and probes that arrive before it. */
export const READY = "ready";
/** Asks the Worker to write a comment to the client's stream, which reveals whether the client has left. */
export const PROBE = "probe";
