// The server of a session in memory, with the exchanges it is answering. All of it can be dropped and built again from
// the store: what must survive is written there first.
import { isSpecType } from "@modelcontextprotocol/server";
import type { JSONRPCMessage, JSONRPCRequest, McpServer, RequestId } from "@modelcontextprotocol/server";
import { withGrantsNote } from "../lib/answer-grants.ts";
import { WITHHELD } from "../mcp/replay.ts";
import type { Exchange } from "./exchange.ts";
import { isRequest } from "./messages.ts";
import type { JSONRPCResponse } from "./messages.ts";
import { packCaller, withCallId } from "./protocol.ts";
import type { SessionCaller } from "../mcp/protocol-caller.ts";
import { createPushes } from "./pushes.ts";
import { grantsOfMessage } from "./replays.ts";
import type { PushedRequest, SessionStore, StoredSession } from "./store.ts";
import { STANDALONE } from "./streams.ts";
import type { Streams } from "./streams.ts";
import type { Subscriptions } from "./subscriptions.ts";
import { SessionTransport } from "./transport.ts";
import type { Outgoing } from "./transport.ts";

export interface LiveDependencies {
  readonly sessionId: string;
  readonly store: SessionStore;
  readonly streams: Streams;
  readonly createServer: () => McpServer;
  readonly newId: () => string;
  /** Faults of the server that no answer tells of. */
  readonly onError: (error: unknown) => void;
  readonly subscriptions: Subscriptions;
  /** Called after anything that may leave only questions to people open. */
  readonly onChange: () => void;
}

export interface Live {
  /** Delivers `initialize` of a new session and resolves with its response. */
  open(initialize: JSONRPCRequest, caller: SessionCaller): Promise<JSONRPCResponse>;
  /** Replays what a stored session began with; its answers were given long ago. */
  restore(session: StoredSession, caller: SessionCaller): Promise<void>;
  /** Delivers the requests of an exchange, which gets their responses. */
  start(exchange: Exchange, requests: readonly JSONRPCRequest[]): void;
  /** Delivers a notification or a response of the client. */
  deliver(message: JSONRPCMessage, caller: SessionCaller): void;
  /**
   * Hands a person's answer to the call that waits for it. False when no call in memory does. A call goes on for the caller it
   * began with, so it ends when another sign-in answers: their groups may be others by now.
   */
  answer(pushed: PushedRequest, message: JSONRPCMessage, caller: SessionCaller): boolean;
  /** Ends a call that is being worked on: its client reads the message. */
  end(id: RequestId, message: string): void;
  isWaiting(id: RequestId): boolean;
  /** Whether no call is being answered. */
  isIdle(): boolean;
  /** Whether every call in memory waits for a person, and at least one does. */
  isAskingOnly(): boolean;
  /** Whether a stored call is being worked on in memory. */
  isRunning(stream: number): boolean;
  drop(): Promise<void>;
}

/** What the waiting end of a cancelled request reads. */
export const CANCELLED = "The request was cancelled.";

const RESTORE_ID = "gatehouse-restore";

export async function createLive({
  sessionId,
  store,
  streams,
  createServer,
  newId,
  onError,
  subscriptions,
  onChange,
}: LiveDependencies): Promise<Live> {
  const exchanges = new Set<Exchange>();
  /** Responses to what is delivered without an exchange: initialize and restore. */
  const own = new Map<RequestId, (response: JSONRPCResponse) => void>();
  const exchangeOf = (id: RequestId): Exchange | undefined => [...exchanges].find((exchange) => exchange.has(id));

  const outgoing: Outgoing = {
    response(id, message) {
      const waiting = own.get(id);
      if (waiting !== undefined) return waiting(message);
      const exchange = exchangeOf(id);
      exchange?.respond(id, message);
      if (exchange?.waiting.length === 0) exchanges.delete(exchange);
      onChange();
    },
    request(message, related) {
      const exchange = related === undefined ? undefined : exchangeOf(related);
      if (exchange === undefined || related === undefined)
        throw new TypeError(`${message.method} belongs to no request of the client`);
      pushes.push(message, related, exchange);
      onChange();
    },
    notification(message, related) {
      if (related === undefined) streams.emit(STANDALONE, JSON.stringify(message), grantsOfMessage(message, []));
      else exchangeOf(related)?.emit(pushes.toClient(message), related);
    },
  };
  const transport = new SessionTransport(sessionId, outgoing);
  const pushes = createPushes({
    store,
    newId,
    replay: (response) => queueMicrotask(() => transport.onmessage?.(response)),
  });
  const server = createServer();
  // oxlint-disable-next-line prefer-add-event-listener -- the SDK's server is no EventTarget
  server.server.onerror = onError;
  if (server.server.getCapabilities().resources?.subscribe === true) {
    // The SDK has no handlers of its own for these two; the caller is the one of the exchange that carries the request.
    server.server.setRequestHandler("resources/subscribe", async ({ params }, { mcpReq }) => {
      const exchange = exchangeOf(mcpReq.id);
      if (exchange !== undefined) await subscriptions.subscribe(params.uri, exchange.caller);
      return {};
    });
    server.server.setRequestHandler("resources/unsubscribe", async ({ params }, { mcpReq }) => {
      const exchange = exchangeOf(mcpReq.id);
      if (exchange !== undefined) await subscriptions.unsubscribe(params.uri, exchange.caller);
      return {};
    });
  }
  await server.connect(transport);

  const ask = (request: JSONRPCRequest, caller: SessionCaller): Promise<JSONRPCResponse> =>
    new Promise<JSONRPCResponse>((resolve) => {
      own.set(request.id, resolve);
      transport.deliver(request, { authInfo: caller.authInfo });
    }).finally(() => own.delete(request.id));

  return {
    open: ask,
    async restore({ initialize, setLevel }, caller) {
      for (const message of [initialize, setLevel]) {
        if (message !== null && isRequest(message)) await ask({ ...message, id: RESTORE_ID }, caller);
      }
      transport.deliver({ jsonrpc: "2.0", method: "notifications/initialized" }, { authInfo: caller.authInfo });
    },
    start(exchange, requests) {
      exchanges.add(exchange);
      // A handler may close the stream it is answered on; its client comes back to it (SEP-1699).
      const closeSSEStream = (): void => streams.close(exchange.openStream());
      for (const request of requests) {
        const authInfo = withGrantsNote(exchange.caller.authInfo, (grants) => exchange.note(request.id, grants));
        transport.deliver(request, { authInfo, closeSSEStream });
      }
    },
    deliver(message, caller) {
      transport.deliver(pushes.toServer(message), { authInfo: caller.authInfo });
      // The server sends nothing for a cancelled request, but whoever carried it still waits.
      if (isSpecType.CancelledNotification(message)) settle(message.params.requestId, CANCELLED);
    },
    answer(pushed, message, caller) {
      if (!pushes.isLive(pushed.wireId)) return false;
      pushes.answered(pushed);
      const asker = exchangeOf(pushed.requestId)?.caller;
      if (asker !== undefined && !isSameSignIn(asker, caller)) {
        end(pushed.requestId, WITHHELD.changed);
        return true;
      }
      transport.deliver(pushes.toServer(message), { authInfo: caller.authInfo });
      return true;
    },
    end,
    isWaiting: (id) => exchangeOf(id) !== undefined,
    isIdle: () => exchanges.size === 0,
    isAskingOnly: () =>
      exchanges.size > 0 && [...exchanges].every((exchange) => exchange.waiting.every((id) => pushes.isAsking(id))),
    isRunning: (stream) => [...exchanges].some((exchange) => exchange.stream === stream),
    async drop() {
      transport.detach();
      for (const exchange of exchanges) exchange.abandon();
      await server.close();
    },
  };

  function end(id: RequestId, message: string): void {
    transport.deliver({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: id } }, {});
    settle(id, message);
  }

  function settle(id: RequestId | undefined, message: string): void {
    if (id === undefined || exchangeOf(id) === undefined) return;
    outgoing.response(id, { jsonrpc: "2.0", id, error: { code: -32000, message } });
  }
}

/** Whether two callers are one in all that handlers learn of them, but for the call. */
function isSameSignIn(one: SessionCaller, other: SessionCaller): boolean {
  return packCaller(withCallId(one, "")) === packCaller(withCallId(other, ""));
}
