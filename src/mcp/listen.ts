// `subscriptions/listen` of the 2026 era: a stream in the Worker fed by a socket to the subject's hub shard. The SDK
// acknowledges, filters and stamps; here is only where the events come from and who may hear them.
import { createMcpHandler, isSpecType } from "@modelcontextprotocol/server";
import type { McpServer, ServerEvent, ServerEventBus, SubscriptionFilter } from "@modelcontextprotocol/server";
import { parseEvent, resourceTopic } from "../hub/events.ts";
import type { Hub } from "../hub/hub.ts";
import type { SessionCaller } from "../session/protocol.ts";
import { RPC } from "./json-rpc.ts";

export interface ListenOptions {
  readonly createServer: () => McpServer;
  readonly hub: Pick<Hub, "connect">;
  /** Whether the caller may hear of changes to this resource. */
  readonly maySubscribe: (caller: SessionCaller, uri: string) => Promise<boolean>;
  readonly keepAliveMs: number;
}

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
  if (refusal !== undefined) return refused(body, refusal);
  const handler = createMcpHandler(createServer, { legacy: "reject", keepAliveMs, bus: busOf(socket) });
  // The hub ended the stream (revoked, restarted): so does the client's, which may listen again.
  socket.addEventListener("close", () => void handler.close());
  return handler.fetch(request, { authInfo: caller.authInfo, parsedBody: narrowed.body });
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

/** Tells the shard what is listened to, and waits until that holds. The shard's reason when it refuses. */
function join(socket: WebSocket, grantId: string, topics: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    socket.addEventListener("message", () => resolve(undefined), { once: true });
    socket.addEventListener(
      "close",
      ({ reason }) => resolve(reason === "" ? "The subscription could not be opened. Try again." : reason),
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
      socket.addEventListener("message", ({ data }) => listener(parseEvent(String(data))));
      return () => socket.close();
    },
  };
}

function refused(body: unknown, message: string): Response {
  const id = typeof body === "object" && body !== null && "id" in body ? body.id : null;
  return Response.json(
    { jsonrpc: "2.0", id, error: { code: RPC.server, message } },
    { status: 429, headers: { "Retry-After": "30" } },
  );
}
