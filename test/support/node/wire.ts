// Speaks MCP over plain HTTP, for tests that must see every event on the wire.

/** A server-sent event. */
interface SseEvent {
  readonly id: string | undefined;
  readonly retry: string | undefined;
  /** The parsed data; undefined for an empty event. */
  readonly message: Record<string, unknown> | undefined;
}

/** A stream of server-sent events. */
export interface EventStream {
  readonly status: number;
  /** Reads the next event; undefined when the stream has ended, also by an error. */
  next(): Promise<SseEvent | undefined>;
  close(): Promise<void>;
}

const HEADERS = { "content-type": "application/json", accept: "application/json, text/event-stream" };

/** A session of the 2025 era. */
export interface WireSession {
  readonly id: string;
  request(body: object): Promise<Response>;
  /** POSTs a message and reads the answer as events. */
  stream(body: object): Promise<EventStream>;
  /** GETs a stream of new events, or of those after an event. */
  listen(lastEventId?: string): Promise<EventStream>;
  /** The same session, used by a caller with another query. */
  as(who: string): WireSession;
}

/** Reads the next event that has a message. */
export async function nextMessage(stream: EventStream): Promise<SseEvent["message"]> {
  for (;;) {
    const event = await stream.next();
    if (event === undefined || event.message !== undefined) return event?.message;
  }
}

/** How the client opens its session. */
interface WireOptions {
  readonly protocolVersion?: string;
  readonly capabilities?: object;
  /** Headers in addition to the protocol's. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Opens a session of the 2025 era, by default with elicitation. `who` is a query such as `?subject=ann`. */
export async function openWireSession(
  origin: string,
  who = "",
  { protocolVersion = "2025-11-25", capabilities = { elicitation: {} }, headers: extraHeaders = {} }: WireOptions = {},
): Promise<WireSession> {
  const url = `${origin}/mcp${who}`;
  const params = { protocolVersion, capabilities, clientInfo: { name: "wire", version: "1" } };
  const opened = await fetch(url, {
    method: "POST",
    headers: { ...HEADERS, ...extraHeaders },
    body: JSON.stringify({ jsonrpc: "2.0", id: "init", method: "initialize", params }),
  });
  const id = opened.headers.get("mcp-session-id");
  if (id === null) throw new Error(`no session: ${opened.status} ${await opened.text()}`);
  const headers = { ...HEADERS, ...extraHeaders, "mcp-session-id": id, "mcp-protocol-version": protocolVersion };
  const session = sessionAt(`${origin}/mcp`, who, id, headers);
  await session.request({ jsonrpc: "2.0", method: "notifications/initialized" });
  return session;
}

function sessionAt(endpoint: string, who: string, id: string, headers: Readonly<Record<string, string>>): WireSession {
  const url = `${endpoint}${who}`;
  const request = async (body: object): Promise<Response> =>
    fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  return {
    id,
    request,
    stream: async (body) => readEvents(await request(body)),
    listen: async (lastEventId) =>
      readEvents(
        await fetch(url, {
          headers: { ...headers, ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }) },
        }),
      ),
    as: (otherQuery) => sessionAt(endpoint, otherQuery, id, headers),
  };
}

/** Opens a `subscriptions/listen` stream of the 2026 era. */
export async function openListen(origin: string, notifications: object, who = ""): Promise<EventStream> {
  return readEvents(await request2026(origin, "subscriptions/listen", { notifications }, who));
}

/** Sends one request of the 2026 era. */
export async function request2026(
  origin: string,
  method: string,
  params: Record<string, unknown>,
  who = "",
  capabilities: object = {},
): Promise<Response> {
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": { name: "wire", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": capabilities,
  };
  const name = params["name"];
  const headers = {
    ...HEADERS,
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": method,
    ...(typeof name === "string" ? { "mcp-name": name } : {}),
  };
  const body = JSON.stringify({ jsonrpc: "2.0", id: method, method, params: { ...params, _meta } });
  return fetch(`${origin}/mcp${who}`, { method: "POST", headers, body });
}

/** A tool call that asks for progress. */
export function call(id: number | string, name: string): object {
  return { jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: {}, _meta: { progressToken: "p" } } };
}

function readEvents(response: Response): EventStream {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  return {
    status: response.status,
    async next() {
      for (;;) {
        const end = buffer.indexOf("\n\n");
        if (end >= 0) {
          const block = buffer.slice(0, end);
          buffer = buffer.slice(end + 2);
          if (!block.startsWith(":")) return parseBlock(block);
          continue;
        }
        // A killed server ends the stream with an error instead of an end.
        const chunk = await reader?.read().catch(() => undefined);
        if (chunk === undefined || chunk.done) return undefined;
        buffer += chunk.value;
      }
    },
    close: async () => {
      await reader?.cancel().catch(() => undefined);
    },
  };
}

function parseBlock(block: string): SseEvent {
  const field = (name: string): string | undefined => new RegExp(`^${name}: ?(.*)$`, "m").exec(block)?.[1];
  const data = field("data");
  return {
    id: field("id"),
    retry: field("retry"),
    message: data === undefined || data === "" ? undefined : JSON.parse(data),
  };
}
