// Maps the server's requests to the client (elicitation, sampling) between SDK ids and wire ids. Each request is stored under its wire id
// before it is sent, so that a question survives a restart and is asked only once.
import type { JSONRPCMessage, JSONRPCNotification, JSONRPCRequest, RequestId } from "@modelcontextprotocol/server";
import type { Exchange } from "./request-exchange.ts";
import type { ServerRequest, SessionStore } from "./session-store.ts";
import type { JSONRPCResponse } from "./posted-messages.ts";

/** The dependencies of `ServerRequests`. */
interface ServerRequestsOptions {
  readonly store: SessionStore;
  readonly newId: () => string;
  /** Delivers a stored answer to the server after the current step. */
  readonly replay: (response: JSONRPCResponse) => void;
}

/** The requests of one in-memory server to the client. */
export class ServerRequests {
  readonly #store: SessionStore;
  readonly #newId: () => string;
  readonly #replay: (response: JSONRPCResponse) => void;
  readonly #sdkIds = new Map<string, RequestId>();
  readonly #wireIds = new Map<RequestId, string>();
  /** How often each call has sent the same request: a restarted call must get its answers in order. */
  readonly #occurrences = new Map<string, number>();
  /** The unanswered requests of each call. */
  readonly #openWireIds = new Map<RequestId, Set<string>>();

  constructor({ store, newId, replay }: ServerRequestsOptions) {
    this.#store = store;
    this.#newId = newId;
    this.#replay = replay;
  }

  /** Sends the SDK's request on its call's stream. If the call asked this before a restart, reuses the stored request. */
  send(request: JSONRPCRequest, relatedRequestId: RequestId, exchange: Exchange): void {
    const stream = exchange.openStream();
    const key = this.#buildKey(request, relatedRequestId);
    const storedRequest = this.#store.findServerRequest(stream, relatedRequestId, key);
    const wireId = storedRequest?.wireId ?? this.#newId();
    this.#sdkIds.set(wireId, request.id);
    this.#wireIds.set(request.id, wireId);
    if (storedRequest !== undefined && storedRequest.answer !== null)
      return this.#replay({ ...JSON.parse(storedRequest.answer), id: request.id });
    this.#openWireIds.set(relatedRequestId, (this.#openWireIds.get(relatedRequestId) ?? new Set()).add(wireId));
    if (storedRequest !== undefined) return;
    this.#store.addServerRequest({ wireId, stream, requestId: relatedRequestId }, key);
    exchange.emit(replaceProgressToken({ ...request, id: wireId }, request.id, wireId), relatedRequestId);
  }

  /** Translates a client message for the server: replaces wire ids and progress tokens with the SDK's own. */
  toServer(message: JSONRPCMessage): JSONRPCMessage {
    if ("method" in message) {
      const progressToken = message.method === "notifications/progress" ? message.params?.["progressToken"] : undefined;
      const sdkId = typeof progressToken === "string" ? this.#sdkIds.get(progressToken) : undefined;
      return sdkId === undefined ? message : { ...message, params: { ...message.params, progressToken: sdkId } };
    }
    const sdkId = typeof message.id === "string" ? this.#sdkIds.get(message.id) : undefined;
    return sdkId === undefined ? message : { ...message, id: sdkId };
  }

  /** Translates a server notification for the client: replaces SDK ids with wire ids. */
  toClient(notification: JSONRPCNotification): JSONRPCNotification {
    const id = notification.method === "notifications/cancelled" ? notification.params?.["requestId"] : undefined;
    const wireId = typeof id === "number" || typeof id === "string" ? this.#wireIds.get(id) : undefined;
    return wireId === undefined
      ? notification
      : { ...notification, params: { ...notification.params, requestId: wireId } };
  }

  /** Whether the server in memory sent this request. */
  isPending(wireId: string): boolean {
    return this.#sdkIds.has(wireId);
  }

  /** Whether a request of this call is still unanswered. */
  isAwaitingUser(id: RequestId): boolean {
    return (this.#openWireIds.get(id)?.size ?? 0) > 0;
  }

  markAnswered({ requestId, wireId }: ServerRequest): void {
    this.#openWireIds.get(requestId)?.delete(wireId);
  }

  /** Builds the key under which a restarted call finds its earlier request. */
  #buildKey(request: JSONRPCRequest, relatedRequestId: RequestId): string {
    // The SDK makes up an `elicitationId` for each request of a page.
    const { _meta, elicitationId: _id, ...params } = { _meta: undefined, elicitationId: undefined, ...request.params };
    const content = JSON.stringify([request.method, params]);
    const call = JSON.stringify([relatedRequestId, content]);
    const occurrence = (this.#occurrences.get(call) ?? 0) + 1;
    this.#occurrences.set(call, occurrence);
    return `${occurrence} ${content}`;
  }
}

/** Replaces the SDK's progress token, which equals its request id, with the wire id. */
function replaceProgressToken(request: JSONRPCRequest, sdkId: RequestId, wireId: string): JSONRPCRequest {
  const meta = request.params?._meta;
  if (meta?.progressToken !== sdkId) return request;
  return { ...request, params: { ...request.params, _meta: { ...meta, progressToken: wireId } } };
}
