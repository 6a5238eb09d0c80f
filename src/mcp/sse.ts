// Server-sent events to the client, from a WebSocket to an object: the Worker holds the response, so the object can
// sleep while the stream is open. The object sends finished frames; this only passes them on.

const encoder = new TextEncoder();
const KEEP_ALIVE = encoder.encode(": keep-alive\n\n");

/** A comment (HTML Living Standard §9.2): clients ignore it, and the platform notices at it that a client left. */
export const PROBE_FRAME = ": probe\n\n";

export interface SseOptions {
  readonly keepAliveMs: number;
  /** Chunks that may wait for a slow client before it is let go; it can come back to the stream. */
  readonly maxQueued: number;
  readonly headers: Record<string, string>;
}

/** The response that carries the socket's messages. The client's going away closes the socket. */
export function sseResponse(socket: WebSocket, { keepAliveMs, maxQueued, headers }: SseOptions): Response {
  let leave = (): void => {};
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        let isOpen = true;
        const timer = setInterval(() => push(KEEP_ALIVE), keepAliveMs);
        leave = () => {
          isOpen = false;
          clearInterval(timer);
          socket.close();
        };
        const end = (): void => {
          if (!isOpen) return;
          leave();
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
      // The stream is closed already: closing it again would be an error.
      cancel: () => leave(),
    },
    { highWaterMark: maxQueued },
  );
  return new Response(body, {
    headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-cache, no-transform", ...headers },
  });
}
