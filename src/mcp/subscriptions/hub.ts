// The Worker's client of the hub objects, for the rest of the runtime and for publishers. It routes each call to the right
// shard and holds no state.
import { nameResourceTopic } from "./hub-events.ts";
import type { ListEvent } from "./hub-events.ts";
import { LISTEN_URL, nameSubjectShard, nameTopicShard } from "./hub-protocol.ts";
import type { HubNamespace, HubReply } from "./hub-protocol.ts";

/** Publishes changes to subscribed clients. */
interface Publisher {
  /** Notifies every subscriber of a resource that it changed. */
  resourceUpdated(uri: string): Promise<void>;
  /** Notifies one subject's clients that a list changed. */
  listChanged(subjectId: string, event: ListEvent): Promise<void>;
}

/** The registry of sessions and subscriptions, and the publisher of changes. */
export interface Hub extends Publisher {
  /** Registers a session, or refuses it at a limit. */
  addSession(subjectId: string, grantId: string, sessionId: string): Promise<HubReply>;
  /** Updates the last use of a session. */
  reportUse(subjectId: string, sessionId: string, usedMs: number): Promise<void>;
  removeSession(subjectId: string, sessionId: string): Promise<void>;
  /** Counts the open sessions of a subject, those of their personal access tokens included. */
  countOpenSessions(subjectId: string): Promise<number>;
  subscribe(subjectId: string, sessionId: string, uri: string): Promise<HubReply>;
  unsubscribe(subjectId: string, sessionId: string, uri: string): Promise<void>;
  /** Ends all sessions of a subject, those of their personal access tokens included. Their clients can open new ones. */
  endSessions(subjectId: string): Promise<void>;
  /** Ends the sessions and streams of a grant. */
  revoke(subjectId: string, grantId: string): Promise<void>;
  /**
   * Ends the subject's subscriptions to resources that `mayRead` no longer allows. Also ends all subscriptions opened under
   * `grantIds`, the subject's personal access tokens, whose roles are unknown here; their clients can subscribe again.
   */
  recheckSubscriptions(
    subjectId: string,
    mayRead: (uri: string) => boolean,
    grantIds?: readonly string[],
  ): Promise<void>;
  /** Opens a listening socket to the subject's shard and accepts it, but sends nothing. */
  openListenSocket(subjectId: string): Promise<WebSocket>;
}

/** Creates the client of a namespace of hub objects. */
export function createHub(namespace: HubNamespace): Hub {
  const getShard = (name: string) => namespace.get(namespace.idFromName(name));
  const getSubjectShard = (subjectId: string) => getShard(nameSubjectShard(subjectId));
  return {
    async resourceUpdated(uri) {
      await getShard(nameTopicShard(nameResourceTopic(uri))).publish({ kind: "resource_updated", uri });
    },
    listChanged: async (subjectId, event) => getSubjectShard(subjectId).deliver(event),
    addSession: async (subjectId, grantId, sessionId) => getSubjectShard(subjectId).addSession(sessionId, grantId),
    reportUse: async (subjectId, sessionId, usedMs) => getSubjectShard(subjectId).reportUse(sessionId, usedMs),
    removeSession: async (subjectId, sessionId) => getSubjectShard(subjectId).removeSession(sessionId),
    countOpenSessions: async (subjectId) => getSubjectShard(subjectId).countOpenSessions(),
    subscribe: async (subjectId, sessionId, uri) =>
      getSubjectShard(subjectId).subscribe(sessionId, nameResourceTopic(uri)),
    unsubscribe: async (subjectId, sessionId, uri) =>
      getSubjectShard(subjectId).unsubscribe(sessionId, nameResourceTopic(uri)),
    endSessions: async (subjectId) => getSubjectShard(subjectId).endSessions(),
    revoke: async (subjectId, grantId) => getSubjectShard(subjectId).revoke(grantId),
    async recheckSubscriptions(subjectId, mayRead, grantIds = []) {
      if (grantIds.length > 0) await getSubjectShard(subjectId).dropTopicsOfGrants(grantIds);
      const prefix = nameResourceTopic("");
      const topics = (await getSubjectShard(subjectId).listTopics()).filter((topic) => topic.startsWith(prefix));
      await getSubjectShard(subjectId).dropTopics(topics.filter((topic) => !mayRead(topic.slice(prefix.length))));
    },
    async openListenSocket(subjectId) {
      const { webSocket } = await getSubjectShard(subjectId).fetch(LISTEN_URL, { headers: { Upgrade: "websocket" } });
      if (!webSocket) throw new TypeError("the hub opened no socket");
      webSocket.accept();
      return webSocket;
    },
  };
}
