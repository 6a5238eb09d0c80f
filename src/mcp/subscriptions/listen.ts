// Serves `subscriptions/listen` of the 2026 era: a stream in the Worker, fed by a socket to the subject's hub shard. This file
// checks permission and supplies the events; the SDK acknowledges the request and filters and formats the events.
import { createMcpHandler, isSpecType } from "@modelcontextprotocol/server";
import type { McpServer, ServerEvent, ServerEventBus, SubscriptionFilter } from "@modelcontextprotocol/server";
import { parseEvent, nameResourceTopic } from "./hub-events.ts";
import type { Hub } from "./hub.ts";
import { PROBE, READY, REFUSED_CLOSE_CODE } from "./hub-protocol.ts";
import type { SessionCaller } from "../wire/protocol-caller.ts";
import { RPC } from "../wire/json-rpc.ts";
import { PROBE_FRAME } from "../wire/sse.ts";

/** The dependencies of `serveListen`. */
export interface ListenOptions {
  readonly createServer: () => McpServer;
  readonly hub: Pick<Hub, "openListenSocket">;
  /** Whether the caller may subscribe to changes of this resource. */
  readonly maySubscribe: (caller: SessionCaller, uri: string) => Promise<boolean>;
  readonly keepAliveMs: number;
}

/** An SSE comment. The SDK enqueues whole events, so the comment never splits one. */
const PROBE_BYTES = new TextEncoder().encode(PROBE_FRAME);

const LISTEN_METHOD = "subscriptions/listen";

/** Whether a parsed body is a `subscriptions/listen` request. The SDK validates its parameters. */
export function isListen(body: unknown): boolean {
  return typeof body === "object" && body !== null && "method" in body && body.method === LISTEN_METHOD;
}

/** Serves one listen request. Resources that the caller may not read are missing from the acknowledgement. */
export async function serveListen(
  request: Request,
  body: unknown,
  caller: SessionCaller,
  options: ListenOptions,
): Promise<Response> {
  const { createServer, hub, maySubscribe, keepAliveMs } = options;
  const filtered = isSpecType.SubscriptionsListenRequest(body)
    ? await filterSubscriptions(body, caller, maySubscribe)
    : { body, topics: [] };
  const socket = await hub.openListenSocket(caller.subjectId);
  const refusal = await openSubscription(socket, caller.grantId, filtered.topics);
  if (refusal !== undefined) return createRefusal(body, refusal, keepAliveMs);
  const handler = createMcpHandler(createServer, { legacy: "reject", keepAliveMs, bus: createEventBus(socket) });
  // When the hub closes the socket (grant revoked, object restarted), the client's stream ends too. The client may listen again.
  socket.addEventListener("close", () => void handler.close());
  return withProbes(await handler.fetch(request, { authInfo: caller.authInfo, parsedBody: filtered.body }), socket);
}

/**
 * Adds a comment to the stream whenever the hub sends a probe, because only a write reveals that a client has left. Closes the
 * socket when the client leaves, so that the hub frees its place at once.
 */
function withProbes(response: Response, socket: WebSocket): Response {
  if (response.body === null || response.headers.get("Content-Type")?.startsWith("text/event-stream") !== true) {
    // The SDK refused the request, so the place in the hub is freed.
    socket.close();
    return response;
  }
  const reader: ReadableStreamDefaultReader<Uint8Array> = response.body.getReader();
  let isOpen = true;
  const leave = (): void => {
    isOpen = false;
    socket.close();
  };
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      socket.addEventListener("message", ({ data }) => {
        if (isOpen && data === PROBE) controller.enqueue(PROBE_BYTES);
      });
    },
    async pull(controller) {
      const { done, value } = await reader.read();
      if (!done) return controller.enqueue(value);
      if (isOpen) controller.close();
      leave();
    },
    async cancel(reason) {
      leave();
      await reader.cancel(reason);
    },
  });
  return new Response(body, response);
}

async function filterSubscriptions(
  body: { readonly params: { readonly notifications: SubscriptionFilter } },
  caller: SessionCaller,
  maySubscribe: ListenOptions["maySubscribe"],
): Promise<{ readonly body: unknown; readonly topics: readonly string[] }> {
  const { notifications } = body.params;
  const requestedUris = notifications.resourceSubscriptions ?? [];
  const allowed = await Promise.all(requestedUris.map((uri) => maySubscribe(caller, uri)));
  const resourceSubscriptions = requestedUris.filter((_uri, index) => allowed[index]);
  const topics = [
    ...(notifications.toolsListChanged === true ? ["tools_list_changed"] : []),
    ...(notifications.promptsListChanged === true ? ["prompts_list_changed"] : []),
    ...(notifications.resourcesListChanged === true ? ["resources_list_changed"] : []),
    ...resourceSubscriptions.map(nameResourceTopic),
  ];
  return {
    body: { ...body, params: { ...body.params, notifications: { ...notifications, resourceSubscriptions } } },
    topics,
  };
}

/** Why the shard refused a listener, and whether a retry may succeed. */
interface Refusal {
  readonly reason: string;
  readonly isTemporary: boolean;
}

/** Sends the topics to the shard and waits for its verdict. Resolves with undefined when the subscription is open. */
function openSubscription(socket: WebSocket, grantId: string, topics: readonly string[]): Promise<Refusal | undefined> {
  return new Promise((resolve) => {
    socket.addEventListener("message", ({ data }) => {
      if (data === READY) resolve(undefined);
    });
    socket.addEventListener(
      "close",
      ({ code, reason }) =>
        resolve(
          reason === ""
            ? { reason: "The subscription could not be opened. Try again.", isTemporary: true }
            : { reason, isTemporary: code === REFUSED_CLOSE_CODE },
        ),
      { once: true },
    );
    socket.send(JSON.stringify({ grantId, topics }));
  });
}

function createEventBus(socket: WebSocket): ServerEventBus {
  return {
    publish: () => {
      throw new TypeError("events are published through the hub, not through the bus of one listener");
    },
    subscribe(listener: (event: ServerEvent) => void) {
      socket.addEventListener("message", ({ data }) => {
        if (data !== PROBE) listener(parseEvent(String(data)));
      });
      return () => socket.close();
    },
  };
}

function createRefusal(body: unknown, { reason, isTemporary }: Refusal, keepAliveMs: number): Response {
  const id = typeof body === "object" && body !== null && "id" in body ? body.id : null;
  return Response.json(
    { jsonrpc: "2.0", id, error: { code: RPC.server, message: reason } },
    // Within a keep-alive interval, streams whose clients have left are noticed and free their places.
    { status: 429, headers: isTemporary ? { "Retry-After": String(Math.ceil(keepAliveMs / 1000)) } : {} },
  );
}
