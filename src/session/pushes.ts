// Requests of ours to the client (elicitation, sampling), as the SDK sends them and as the client knows them. Each is
// stored under an id of its own before it goes out, so that a question survives a restart and is asked once.
import type { JSONRPCMessage, JSONRPCNotification, JSONRPCRequest, RequestId } from "@modelcontextprotocol/server";
import type { Exchange } from "./exchange.ts";
import type { PushedRequest, SessionStore } from "./store.ts";
import type { JSONRPCResponse } from "./messages.ts";

export interface Pushes {
  /** Sends the SDK's request on its call's stream, or finds that this was asked before. */
  push(request: JSONRPCRequest, related: RequestId, exchange: Exchange): void;
  /** The client's message as the server in memory knows it: ids and progress tokens of pushed requests put back. */
  toServer(message: JSONRPCMessage): JSONRPCMessage;
  /** A notification of the server with the ids that the client knows. */
  toClient(notification: JSONRPCNotification): JSONRPCNotification;
  /** Whether the server in memory waits for this request's answer. */
  isLive(wireId: string): boolean;
  /** Whether this call waits for a person and for nothing else. */
  isAsking(id: RequestId): boolean;
  answered(pushed: PushedRequest): void;
}

export interface PushesDependencies {
  readonly store: SessionStore;
  readonly newId: () => string;
  /** Hands a stored answer to the server, after the current step. */
  readonly replay: (response: JSONRPCResponse) => void;
}

/** The pushes of one server in memory. */
export function createPushes({ store, newId, replay }: PushesDependencies): Pushes {
  const sdkIds = new Map<string, RequestId>();
  const wireIds = new Map<RequestId, string>();
  /** How often each call asked exactly this. */
  const asked = new Map<string, number>();
  const open = new Map<RequestId, Set<string>>();

  function keyOf(request: JSONRPCRequest, related: RequestId): string {
    const { _meta, ...params } = { _meta: undefined, ...request.params };
    const what = JSON.stringify([request.method, params]);
    const call = JSON.stringify([related, what]);
    const occurrence = (asked.get(call) ?? 0) + 1;
    asked.set(call, occurrence);
    return `${occurrence} ${what}`;
  }

  return {
    push(request, related, exchange) {
      const stream = exchange.openStream();
      const key = keyOf(request, related);
      const known = store.findPushed(stream, related, key);
      const wireId = known?.wireId ?? newId();
      sdkIds.set(wireId, request.id);
      wireIds.set(request.id, wireId);
      if (known !== undefined && known.answer !== null) return replay({ ...JSON.parse(known.answer), id: request.id });
      open.set(related, (open.get(related) ?? new Set()).add(wireId));
      if (known !== undefined) return;
      store.addPushed({ wireId, stream, requestId: related }, key);
      exchange.emit(withToken({ ...request, id: wireId }, request.id, wireId), related);
    },
    toServer(message) {
      if ("method" in message) {
        const token = message.method === "notifications/progress" ? message.params?.["progressToken"] : undefined;
        const sdkId = typeof token === "string" ? sdkIds.get(token) : undefined;
        return sdkId === undefined ? message : { ...message, params: { ...message.params, progressToken: sdkId } };
      }
      const sdkId = typeof message.id === "string" ? sdkIds.get(message.id) : undefined;
      return sdkId === undefined ? message : { ...message, id: sdkId };
    },
    toClient(notification) {
      const id = notification.method === "notifications/cancelled" ? notification.params?.["requestId"] : undefined;
      const wireId = typeof id === "number" || typeof id === "string" ? wireIds.get(id) : undefined;
      return wireId === undefined
        ? notification
        : { ...notification, params: { ...notification.params, requestId: wireId } };
    },
    isLive: (wireId) => sdkIds.has(wireId),
    isAsking: (id) => (open.get(id)?.size ?? 0) > 0,
    answered: ({ requestId, wireId }) => void open.get(requestId)?.delete(wireId),
  };
}

/** The SDK's progress token is its own id; the client gets ours in its place. */
function withToken(request: JSONRPCRequest, sdkId: RequestId, wireId: string): JSONRPCRequest {
  const meta = request.params?._meta;
  if (meta?.progressToken !== sdkId) return request;
  return { ...request, params: { ...request.params, _meta: { ...meta, progressToken: wireId } } };
}
