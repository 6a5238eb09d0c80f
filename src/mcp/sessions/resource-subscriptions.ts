// Implements `resources/subscribe` and `resources/unsubscribe` of a 2025-era session: checks permission, then registers
// the subscription with the hub. Change notifications will be published through these subscriptions.
import { ProtocolError, ProtocolErrorCode, ResourceNotFoundError } from "@modelcontextprotocol/server";
import type { Hub } from "../subscriptions/hub.ts";
import type { SessionCaller } from "../wire/protocol-caller.ts";

/** The resource subscriptions of one session. */
export interface ResourceSubscriptions {
  /** Throws `ResourceNotFoundError` for a resource that is missing or not allowed, and `ProtocolError` at a limit. */
  subscribe(uri: string, caller: SessionCaller): Promise<void>;
  unsubscribe(uri: string, caller: SessionCaller): Promise<void>;
}

/** The dependencies of `createResourceSubscriptions`. */
interface ResourceSubscriptionsOptions {
  readonly sessionId: string;
  readonly hub: Pick<Hub, "subscribe" | "unsubscribe">;
  /** Whether the caller may subscribe to changes of this resource. */
  readonly maySubscribe: (caller: SessionCaller, uri: string) => Promise<boolean>;
}

/** Creates the subscriptions of a session. */
export function createResourceSubscriptions({
  sessionId,
  hub,
  maySubscribe,
}: ResourceSubscriptionsOptions): ResourceSubscriptions {
  return {
    async subscribe(uri, caller) {
      if (!(await maySubscribe(caller, uri))) throw new ResourceNotFoundError(uri);
      const reply = await hub.subscribe(caller.subjectId, sessionId, uri);
      if (!reply.ok) throw new ProtocolError(ProtocolErrorCode.InvalidParams, reply.message);
    },
    unsubscribe: async (uri, { subjectId }) => hub.unsubscribe(subjectId, sessionId, uri),
  };
}
