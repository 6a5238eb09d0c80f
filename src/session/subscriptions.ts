// What `resources/subscribe` and `resources/unsubscribe` of a session do: ask whether the caller may, and tell the hub.
import { ProtocolError, ProtocolErrorCode, ResourceNotFoundError } from "@modelcontextprotocol/server";
import type { Hub } from "../hub/hub.ts";
import type { SessionCaller } from "../mcp/protocol-caller.ts";

export interface Subscriptions {
  /** Throws what the client is to read: not found, also where the caller may not know, or the limit that is reached. */
  subscribe(uri: string, caller: SessionCaller): Promise<void>;
  unsubscribe(uri: string, caller: SessionCaller): Promise<void>;
}

export interface SubscriptionsOptions {
  readonly sessionId: string;
  readonly hub: Pick<Hub, "subscribe" | "unsubscribe">;
  /** Whether the caller may hear of changes to this resource. */
  readonly maySubscribe: (caller: SessionCaller, uri: string) => Promise<boolean>;
}

export function createSubscriptions({ sessionId, hub, maySubscribe }: SubscriptionsOptions): Subscriptions {
  return {
    async subscribe(uri, caller) {
      if (!(await maySubscribe(caller, uri))) throw new ResourceNotFoundError(uri);
      const reply = await hub.subscribe(caller.subjectId, sessionId, uri);
      if (!reply.ok) throw new ProtocolError(ProtocolErrorCode.InvalidParams, reply.message);
    },
    unsubscribe: async (uri, { subjectId }) => hub.unsubscribe(subjectId, sessionId, uri),
  };
}
