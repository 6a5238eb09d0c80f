// Relays server-sent events from a Durable Object's WebSocket to the client's HTTP response. The Worker holds the response,
// so that the object can hibernate while the stream is open. The object sends finished SSE frames; nothing is parsed here.

const encoder = new TextEncoder();
const KEEP_ALIVE = encoder.encode(": keep-alive\n\n");

/** An SSE comment (HTML Living Standard §9.2). Clients ignore it; writing it makes the platform notice that a client has left. */
export const PROBE_FRAME = ": probe\n\n";

/** Options of an SSE response. */
interface SseOptions {
  /** Interval between keep-alive comments. */
  readonly keepAliveMs: number;
  /** Events that may queue for a slow client before its stream is closed. The client can resume the stream. */
  readonly maxQueuedEvents: number;
  readonly headers: Record<string, string>;
}

/** Creates a response that streams the socket's messages. The socket closes when the client disconnects. */
export function createSseResponse(socket: WebSocket, { keepAliveMs, maxQueuedEvents, headers }: SseOptions): Response {
  let closeSocket = (): void => {};
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        let isOpen = true;
        const timer = setInterval(() => push(KEEP_ALIVE), keepAliveMs);
        closeSocket = () => {
          isOpen = false;
          clearInterval(timer);
          socket.close();
        };
        const end = (): void => {
          if (!isOpen) return;
          closeSocket();
          controller.close();
        };
        const push = (chunk: Uint8Array): void => {
          if (!isOpen) return;
          controller.enqueue(chunk);
          if ((controller.desiredSize ?? 0) <= 0) end();
        };
        socket.addEventListener("message", ({ data }) => push(encoder.encode(String(data))));
        socket.addEventListener("close", () => end());
        socket.addEventListener("error", () => end());
        socket.accept();
      },
      // The stream is already closed, and closing it again would throw.
      cancel: () => closeSocket(),
    },
    { highWaterMark: maxQueuedEvents },
  );
  return new Response(body, {
    headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-cache, no-transform", ...headers },
  });
}
