// The hub as the rest of the runtime and its publishers see it. Every method is one call to one object.
import { resourceTopic } from "./events.ts";
import type { ListEvent } from "./events.ts";
import { LISTEN_URL, subjectShard, topicShard } from "./protocol.ts";
import type { HubNamespace, HubReply } from "./protocol.ts";

/** For whatever changes what people see. */
export interface Publisher {
  /** A resource changed for whoever may read it. */
  resourceUpdated(uri: string): Promise<void>;
  /** A list changed for one subject. */
  listChanged(subjectId: string, event: ListEvent): Promise<void>;
}

export interface Hub extends Publisher {
  addSession(subjectId: string, grantId: string, sessionId: string): Promise<HubReply>;
  /** A session was used at this time. */
  reportUse(subjectId: string, sessionId: string, usedMs: number): Promise<void>;
  removeSession(subjectId: string, sessionId: string): Promise<void>;
  subscribe(subjectId: string, sessionId: string, uri: string): Promise<HubReply>;
  unsubscribe(subjectId: string, sessionId: string, uri: string): Promise<void>;
  /** Ends what a grant holds: its sessions and its streams. */
  revoke(subjectId: string, grantId: string): Promise<void>;
  /**
   * Ends the subject's subscriptions to resources that `mayRead` does not allow any more, and all that came by one of
   * `grantIds`: access tokens, whose roles are not known here. They may ask for them again.
   */
  recheck(subjectId: string, mayRead: (uri: string) => boolean, grantIds?: readonly string[]): Promise<void>;
  /** An accepted socket to the subject's shard, nothing sent on it yet. */
  connect(subjectId: string): Promise<WebSocket>;
}

export function createHub(namespace: HubNamespace): Hub {
  const shard = (name: string) => namespace.get(namespace.idFromName(name));
  const subject = (subjectId: string) => shard(subjectShard(subjectId));
  return {
    async resourceUpdated(uri) {
      await shard(topicShard(resourceTopic(uri))).publish({ kind: "resource_updated", uri });
    },
    listChanged: async (subjectId, event) => subject(subjectId).deliver(event),
    addSession: async (subjectId, grantId, sessionId) => subject(subjectId).addSession(sessionId, grantId),
    reportUse: async (subjectId, sessionId, usedMs) => subject(subjectId).reportUse(sessionId, usedMs),
    removeSession: async (subjectId, sessionId) => subject(subjectId).removeSession(sessionId),
    subscribe: async (subjectId, sessionId, uri) => subject(subjectId).subscribe(sessionId, resourceTopic(uri)),
    unsubscribe: async (subjectId, sessionId, uri) => subject(subjectId).unsubscribe(sessionId, resourceTopic(uri)),
    revoke: async (subjectId, grantId) => subject(subjectId).revoke(grantId),
    async recheck(subjectId, mayRead, grantIds = []) {
      if (grantIds.length > 0) await subject(subjectId).dropTopicsOf(grantIds);
      const prefix = resourceTopic("");
      const resources = (await subject(subjectId).topics()).filter((topic) => topic.startsWith(prefix));
      await subject(subjectId).dropTopics(resources.filter((topic) => !mayRead(topic.slice(prefix.length))));
    },
    async connect(subjectId) {
      const { webSocket } = await subject(subjectId).fetch(LISTEN_URL, { headers: { Upgrade: "websocket" } });
      if (!webSocket) throw new TypeError("the hub opened no socket");
      webSocket.accept();
      return webSocket;
    },
  };
}
