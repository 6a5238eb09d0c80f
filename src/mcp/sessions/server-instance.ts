// The in-memory server of a session, with the exchanges it is answering. It can be dropped at any time and rebuilt from the
// session store, because everything that must survive is written there first.
import { isSpecType } from "@modelcontextprotocol/server";
import type {
  JSONRPCMessage,
  JSONRPCNotification,
  JSONRPCRequest,
  McpServer,
  RequestId,
} from "@modelcontextprotocol/server";
import { withGrantsListener } from "../../lib/answer-grants.ts";
import { buildSessionOrigin, withProtocolOrigin } from "../../lib/protocol-origin.ts";
import type { ProtocolOrigin } from "../../lib/protocol-origin.ts";
import { withSignInListener } from "../../lib/sign-in-state.ts";
import { WITHHELD } from "../wire/replay-guard.ts";
import type { Exchange } from "./request-exchange.ts";
import { isRequest } from "./posted-messages.ts";
import type { JSONRPCResponse } from "./posted-messages.ts";
import { identifySignIn } from "./session-protocol.ts";
import type { SessionCaller } from "../wire/protocol-caller.ts";
import { ServerRequests } from "./server-requests.ts";
import { getMessageGrants } from "./stream-replays.ts";
import type { ServerRequest, SessionStore, StoredSession } from "./session-store.ts";
import { STANDALONE_STREAM } from "./streams.ts";
import type { Streams } from "./streams.ts";
import type { ResourceSubscriptions } from "./resource-subscriptions.ts";
import { SessionTransport } from "./session-transport.ts";

/** The dependencies of a server instance. */
interface ServerInstanceOptions {
  readonly sessionId: string;
  readonly store: SessionStore;
  readonly streams: Streams;
  /** A new server with everything registered. */
  readonly server: McpServer;
  readonly newId: () => string;
  /** Receives server errors that appear in no response. */
  readonly onError: (error: unknown) => void;
  readonly subscriptions: ResourceSubscriptions;
  /** Called after every change that may leave only calls that wait for the user. */
  readonly onChange: () => void;
}

/** The error message for a request that its client cancelled. */
export const CANCELLED_MESSAGE = "The request was cancelled.";

/** Replayed requests carry this id; their responses are discarded. */
const RESTORE_REQUEST_ID = "gatehouse-restore";

/** A server, connected to the session's transport, and the calls it is answering. */
export class ServerInstance {
  readonly #origin: ProtocolOrigin;
  readonly #server: McpServer;
  readonly #streams: Streams;
  readonly #subscriptions: ResourceSubscriptions;
  readonly #onChange: () => void;
  readonly #transport: SessionTransport;
  readonly #serverRequests: ServerRequests;
  readonly #exchanges = new Set<Exchange>();
  /** Handlers for responses to requests that belong to no exchange: initialize and restore. */
  readonly #responseHandlers = new Map<RequestId, (response: JSONRPCResponse) => void>();

  constructor({ sessionId, store, streams, server, newId, onError, subscriptions, onChange }: ServerInstanceOptions) {
    this.#server = server;
    this.#origin = buildSessionOrigin(sessionId);
    this.#streams = streams;
    this.#subscriptions = subscriptions;
    this.#onChange = onChange;
    this.#transport = new SessionTransport(sessionId, {
      response: (id, message) => this.#routeResponse(id, message),
      request: (message, relatedRequestId) => this.#sendRequestToClient(message, relatedRequestId),
      notification: (message, relatedRequestId) => this.#sendNotificationToClient(message, relatedRequestId),
    });
    this.#serverRequests = new ServerRequests({
      store,
      newId,
      replay: (response) => queueMicrotask(() => this.#transport.onmessage?.(response)),
    });
    // oxlint-disable-next-line prefer-add-event-listener -- the SDK's server is no EventTarget
    server.server.onerror = onError;
    if (server.server.getCapabilities().resources?.subscribe === true) this.#handleSubscriptions();
  }

  /** Connects the server to the transport. Must be called once, before every other method. */
  async connect(): Promise<void> {
    await this.#server.connect(this.#transport);
  }

  /** Delivers `initialize` of a new session and resolves with its response. */
  async open(initialize: JSONRPCRequest, caller: SessionCaller): Promise<JSONRPCResponse> {
    return this.#deliverAndWait(initialize, caller);
  }

  /** Replays the initialization of a stored session and discards the responses. */
  async restore({ initialize, setLevel }: StoredSession, caller: SessionCaller): Promise<void> {
    for (const message of [initialize, setLevel]) {
      if (message !== null && isRequest(message))
        await this.#deliverAndWait({ ...message, id: RESTORE_REQUEST_ID }, caller);
    }
    this.#transport.deliver({ jsonrpc: "2.0", method: "notifications/initialized" }, { authInfo: caller.authInfo });
  }

  /** Delivers the requests of an exchange, which receives their responses. */
  start(exchange: Exchange, requests: readonly JSONRPCRequest[]): void {
    this.#exchanges.add(exchange);
    // A handler may close its own stream to make the client poll (SEP-1699).
    const closeSSEStream = (): void => this.#streams.close(exchange.openStream());
    for (const request of requests) {
      const watched = withProtocolOrigin(
        withSignInListener(exchange.caller.authInfo, (state) => exchange.noteSignIn(state)),
        this.#origin,
      );
      const authInfo = withGrantsListener(watched, (grants) => exchange.addGrants(request.id, grants));
      this.#transport.deliver(request, { authInfo, closeSSEStream });
    }
  }

  /** Delivers a notification or a response of the client. */
  deliver(message: JSONRPCMessage, caller: SessionCaller): void {
    this.#transport.deliver(this.#serverRequests.toServer(message), { authInfo: caller.authInfo });
    // The SDK sends no response for a cancelled request, but the HTTP request that carried it still waits for one.
    if (isSpecType.CancelledNotification(message)) this.#failCall(message.params.requestId, CANCELLED_MESSAGE);
  }

  /**
   * Delivers the user's answer to the call that waits for it. False when no call in memory waits. A call runs for the caller
   * that started it, so an answer from a different sign-in ends the call: the user's groups may have changed.
   */
  deliverAnswer(serverRequest: ServerRequest, message: JSONRPCMessage, caller: SessionCaller): boolean {
    if (!this.#serverRequests.isPending(serverRequest.wireId)) return false;
    this.#serverRequests.markAnswered(serverRequest);
    const originalCaller = this.#findExchange(serverRequest.requestId)?.caller;
    if (originalCaller !== undefined && !isSameSignIn(originalCaller, caller)) {
      this.endCall(serverRequest.requestId, WITHHELD.changed);
      return true;
    }
    this.#transport.deliver(this.#serverRequests.toServer(message), { authInfo: caller.authInfo });
    return true;
  }

  /** Cancels a running call; its client gets `message` as the error. */
  endCall(id: RequestId, message: string): void {
    this.#transport.deliver({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: id } }, {});
    this.#failCall(id, message);
  }

  isPending(id: RequestId): boolean {
    return this.#findExchange(id) !== undefined;
  }

  /** Whether no call is being answered. */
  isIdle(): boolean {
    return this.#exchanges.size === 0;
  }

  /** Whether there are calls in memory and all of them wait for the user. */
  isAwaitingUserOnly(): boolean {
    if (this.isIdle()) return false;
    return [...this.#exchanges].every((exchange) =>
      exchange.pendingIds.every((id) => this.#serverRequests.isAwaitingUser(id)),
    );
  }

  /** Whether the calls of a stream are running in memory. */
  isRunning(stream: number): boolean {
    return [...this.#exchanges].some((exchange) => exchange.stream === stream);
  }

  async close(): Promise<void> {
    this.#transport.detach();
    for (const exchange of this.#exchanges) exchange.abandon();
    await this.#server.close();
  }

  /** Registers the two methods that the SDK provides no handlers for. The caller comes from the exchange that carries the request. */
  #handleSubscriptions(): void {
    const { server } = this.#server;
    server.setRequestHandler("resources/subscribe", async ({ params }, { mcpReq }) => {
      const exchange = this.#findExchange(mcpReq.id);
      if (exchange !== undefined) await this.#subscriptions.subscribe(params.uri, exchange.caller);
      return {};
    });
    server.setRequestHandler("resources/unsubscribe", async ({ params }, { mcpReq }) => {
      const exchange = this.#findExchange(mcpReq.id);
      if (exchange !== undefined) await this.#subscriptions.unsubscribe(params.uri, exchange.caller);
      return {};
    });
  }

  /** Passes the server's response to the exchange of its request, or to the handler that waits for it. */
  #routeResponse(id: RequestId, message: JSONRPCResponse): void {
    const handleResponse = this.#responseHandlers.get(id);
    if (handleResponse !== undefined) return handleResponse(message);
    const exchange = this.#findExchange(id);
    exchange?.respond(id, message);
    if (exchange?.pendingIds.length === 0) this.#exchanges.delete(exchange);
    this.#onChange();
  }

  /** Sends a request of the server to the client. Throws `TypeError` when it belongs to no call: it would have no stream. */
  #sendRequestToClient(message: JSONRPCRequest, relatedRequestId: RequestId | undefined): void {
    const exchange = relatedRequestId === undefined ? undefined : this.#findExchange(relatedRequestId);
    if (exchange === undefined || relatedRequestId === undefined)
      throw new TypeError(`${message.method} must be related to a pending request of the client`);
    this.#serverRequests.send(message, relatedRequestId, exchange);
    this.#onChange();
  }

  #sendNotificationToClient(message: JSONRPCNotification, relatedRequestId: RequestId | undefined): void {
    if (relatedRequestId === undefined)
      this.#streams.emit(STANDALONE_STREAM, JSON.stringify(message), getMessageGrants(message, []));
    else this.#findExchange(relatedRequestId)?.emit(this.#serverRequests.toClient(message), relatedRequestId);
  }

  /** Delivers a request that belongs to no exchange and resolves with its response. */
  async #deliverAndWait(request: JSONRPCRequest, caller: SessionCaller): Promise<JSONRPCResponse> {
    const { promise, resolve } = Promise.withResolvers<JSONRPCResponse>();
    this.#responseHandlers.set(request.id, resolve);
    try {
      this.#transport.deliver(request, { authInfo: caller.authInfo });
      return await promise;
    } finally {
      this.#responseHandlers.delete(request.id);
    }
  }

  #findExchange(id: RequestId): Exchange | undefined {
    return [...this.#exchanges].find((exchange) => exchange.has(id));
  }

  #failCall(id: RequestId | undefined, message: string): void {
    if (id === undefined || this.#findExchange(id) === undefined) return;
    this.#routeResponse(id, { jsonrpc: "2.0", id, error: { code: -32000, message } });
  }
}

/** Whether two callers are equal in everything that handlers see, except for the call id and the access token. */
function isSameSignIn(left: SessionCaller, right: SessionCaller): boolean {
  return identifySignIn(left) === identifySignIn(right);
}
