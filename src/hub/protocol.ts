// What travels between the Worker, sessions and hub objects, and how the objects are named. Plain data.
import { shardNumber } from "../lib/shard.ts";
import type { HubEvent } from "./events.ts";

export type HubReply =
  | { readonly ok: true }
  /** `retryAfterSeconds`: when it may be otherwise without the client's doing; null when waiting does not help. */
  | { readonly ok: false; readonly message: string; readonly retryAfterSeconds: number | null };

/** What a session answers when another one needs its place. */
export type IdleReply =
  /** It is over; also when it was before. */
  | { readonly kind: "ended" }
  /** It was used later than the asker knew. */
  | { readonly kind: "used"; readonly usedMs: number }
  /** It has a stream, a running call or an unanswered request of the server. `retryMs`: when that may be over, from now. */
  | { readonly kind: "protected"; readonly retryMs: number };

/** A 2025-era session as the hub reaches it. */
export interface SubscribedSession {
  /** Delivers a notification, as JSON, to whoever listens. Builds no server. */
  notify(message: string): Promise<void>;
  /** Ends the session because its grant ended. */
  revoke(): Promise<void>;
  /** Ends the session to make room, unless it is protected or was used after `notAfterMs`. */
  endIfIdle(notAfterMs: number): Promise<IdleReply>;
}

export type SubscribedSessions = DurableObjectNamespace<SubscribedSession & Rpc.DurableObjectBranded>;

/** The object's face; which methods fit depends on its role. */
export interface HubRpc {
  /** Subject role: a session exists from now on. At the limit, the one that has been idle longest ends for it. */
  addSession(sessionId: string, grantId: string): Promise<HubReply>;
  /** Subject role: a session was used. */
  reportUse(sessionId: string, usedMs: number): Promise<void>;
  removeSession(sessionId: string): Promise<void>;
  subscribe(sessionId: string, topic: string): Promise<HubReply>;
  unsubscribe(sessionId: string, topic: string): Promise<void>;
  /** Subject role: the topics that anybody of the subject listens to, to be checked when roles change. */
  topics(): Promise<readonly string[]>;
  /** Subject role: nobody of the subject hears of these any more. */
  dropTopics(topics: readonly string[]): Promise<void>;
  /** Subject role: what came by these grants hears of no resource any more. */
  dropTopicsOf(grantIds: readonly string[]): Promise<void>;
  /** Subject role: ends the grant's sessions and streams, for good. Throws when one is not ended yet; it will be. */
  revoke(grantId: string): Promise<void>;
  /** Subject role: hands an event to the subject's listeners. */
  deliver(event: HubEvent): Promise<void>;
  /** Topic role. */
  care(topic: string, subjectShard: string): Promise<void>;
  forget(topic: string, subjectShard: string): Promise<void>;
  publish(event: HubEvent): Promise<void>;
}

export type HubNamespace = DurableObjectNamespace<HubRpc & Rpc.DurableObjectBranded>;

/** Topic shards of a deployment: enough that no one topic's traffic holds up another's for long. */
const TOPIC_SHARDS = 64;

/** The name of a subject's shard. */
export function subjectShard(subjectId: string): string {
  return `subject ${subjectId}`;
}

/** The name of the shard that a topic belongs to. */
export function topicShard(topic: string): string {
  return `topic ${shardNumber(topic, TOPIC_SHARDS)}`;
}

/** The URL by which the Worker opens a listening socket at a subject shard. Topics and grant travel in the first message. */
export const LISTEN_URL = "https://hub/listen";

/** The first message on a listening socket. */
export interface ListenRequest {
  readonly grantId: string;
  readonly topics: readonly string[];
}

/** Closes a socket whose listener was refused; the reason is text for the client. */
export const REFUSED = 4000;
/** The same where waiting does not help. */
export const REFUSED_FOR_GOOD = 4001;
/** The first message to a listener that was taken. Events and probes that come before it are not for the listener yet. */
export const READY = "ready";
/** A message that stands for no event: whoever holds the client's stream writes to it, so that it shows whether the client left. */
export const PROBE = "probe";
