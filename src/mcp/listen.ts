// `subscriptions/listen` of the 2026 era: a stream in the Worker fed by a socket to the subject's hub shard. The SDK
// acknowledges, filters and stamps; here is only where the events come from and who may hear them.
import { createMcpHandler, isSpecType } from "@modelcontextprotocol/server";
import type { McpServer, ServerEvent, ServerEventBus, SubscriptionFilter } from "@modelcontextprotocol/server";
import { parseEvent, resourceTopic } from "../hub/events.ts";
import type { Hub } from "../hub/hub.ts";
import { PROBE, READY, REFUSED } from "../hub/protocol.ts";
import type { SessionCaller } from "./protocol-caller.ts";
import { RPC } from "./json-rpc.ts";
import { PROBE_FRAME } from "./sse.ts";

export interface ListenOptions {
  readonly createServer: () => McpServer;
  readonly hub: Pick<Hub, "connect">;
  /** Whether the caller may hear of changes to this resource. */
  readonly maySubscribe: (caller: SessionCaller, uri: string) => Promise<boolean>;
  readonly keepAliveMs: number;
}

/** The SDK sends whole events, so the comment never splits one. */
const PROBE_BYTES = new TextEncoder().encode(PROBE_FRAME);

const METHOD = "subscriptions/listen";

/** Whether a parsed body asks for this. Whether it is well formed is for the SDK to say. */
export function isListen(body: unknown): boolean {
  return typeof body === "object" && body !== null && "method" in body && body.method === METHOD;
}

/** Serves one listen request. Resources that the caller may not read are left out of what is acknowledged. */
export async function serveListen(
  request: Request,
  body: unknown,
  caller: SessionCaller,
  options: ListenOptions,
): Promise<Response> {
  const { createServer, hub, maySubscribe, keepAliveMs } = options;
  const narrowed = isSpecType.SubscriptionsListenRequest(body)
    ? await narrow(body, caller, maySubscribe)
    : { body, topics: [] };
  const socket = await hub.connect(caller.subjectId);
  const refusal = await join(socket, caller.grantId, narrowed.topics);
  if (refusal !== undefined) return refused(body, refusal, keepAliveMs);
  const handler = createMcpHandler(createServer, { legacy: "reject", keepAliveMs, bus: busOf(socket) });
  // The hub ended the stream (revoked, restarted): so does the client's, which may listen again.
  socket.addEventListener("close", () => void handler.close());
  return probed(await handler.fetch(request, { authInfo: caller.authInfo, parsedBody: narrowed.body }), socket);
}

/**
 * The stream, which also carries a comment whenever the hub asks whether the client is still there: that it left shows only when
 * something is written to it. The hub hears of it at once.
 */
function probed(response: Response, socket: WebSocket): Response {
  if (response.body === null || response.headers.get("Content-Type")?.startsWith("text/event-stream") !== true) {
    // Refused: nothing listens, so no place is held.
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

async function narrow(
  body: { readonly params: { readonly notifications: SubscriptionFilter } },
  caller: SessionCaller,
  maySubscribe: ListenOptions["maySubscribe"],
): Promise<{ readonly body: unknown; readonly topics: readonly string[] }> {
  const { notifications } = body.params;
  const asked = notifications.resourceSubscriptions ?? [];
  const allowed = await Promise.all(asked.map((uri) => maySubscribe(caller, uri)));
  const resourceSubscriptions = asked.filter((_uri, index) => allowed[index]);
  const topics = [
    ...(notifications.toolsListChanged === true ? ["tools_list_changed"] : []),
    ...(notifications.promptsListChanged === true ? ["prompts_list_changed"] : []),
    ...(notifications.resourcesListChanged === true ? ["resources_list_changed"] : []),
    ...resourceSubscriptions.map(resourceTopic),
  ];
  return {
    body: { ...body, params: { ...body.params, notifications: { ...notifications, resourceSubscriptions } } },
    topics,
  };
}

/** Why the shard takes no listener, and whether waiting may help. */
interface Refusal {
  readonly reason: string;
  readonly isForNow: boolean;
}

/** Tells the shard what is listened to, and waits until that holds. */
function join(socket: WebSocket, grantId: string, topics: readonly string[]): Promise<Refusal | undefined> {
  return new Promise((resolve) => {
    socket.addEventListener("message", ({ data }) => {
      if (data === READY) resolve(undefined);
    });
    socket.addEventListener(
      "close",
      ({ code, reason }) =>
        resolve(
          reason === ""
            ? { reason: "The subscription could not be opened. Try again.", isForNow: true }
            : { reason, isForNow: code === REFUSED },
        ),
      { once: true },
    );
    socket.send(JSON.stringify({ grantId, topics }));
  });
}

function busOf(socket: WebSocket): ServerEventBus {
  return {
    publish: () => {
      throw new TypeError("events are published through the hub, not through a listener's bus");
    },
    subscribe(listener: (event: ServerEvent) => void) {
      socket.addEventListener("message", ({ data }) => {
        if (data !== PROBE) listener(parseEvent(String(data)));
      });
      return () => socket.close();
    },
  };
}

function refused(body: unknown, { reason, isForNow }: Refusal, keepAliveMs: number): Response {
  const id = typeof body === "object" && body !== null && "id" in body ? body.id : null;
  return Response.json(
    { jsonrpc: "2.0", id, error: { code: RPC.server, message: reason } },
    // By then it shows which of the other streams' clients have left.
    { status: 429, headers: isForNow ? { "Retry-After": String(Math.ceil(keepAliveMs / 1000)) } : {} },
  );
}
