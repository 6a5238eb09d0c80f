// The open streams of a session: hibernatable WebSockets to the Workers that hold the clients' SSE responses. Every event
// is written to the event log before it is sent.
import { PROBE_MS, createDepartures } from "../../lib/closing-sockets.ts";
import { PROBE_FRAME } from "../wire/sse.ts";
import type { EventLog } from "./event-log.ts";
import { formatEventId } from "./session-protocol.ts";
import type { Attachment } from "./session-protocol.ts";
import { selectDeliverable } from "./stream-replays.ts";
import type { EventGrants } from "./stream-replays.ts";

/** The stream of messages that belong to no request. */
export const STANDALONE_STREAM = 0;

/** How long a client waits before it resumes a stream that the server closed on purpose. */
const RETRY_MS = 1000;
/** WebSocket close code (RFC 6455 §7.4.1). */
const NORMAL_CLOSURE = 1000;

/** The open streams of one session. */
export interface Streams {
  /**
   * Accepts a socket, replays the events that its pass allows, and closes it when the stream is complete. `isPrimed` starts
   * the stream with an empty event, for clients that can poll.
   */
  attach(socket: WebSocket, attachment: Attachment, isPrimed: boolean): void;
  /** Logs a message with the grants that produced it, and sends it if a client is listening to the stream. */
  emit(stream: number, message: string, grants: EventGrants): void;
  /** Closes the stream's sockets. The client can resume the stream. */
  close(stream: number): void;
  closeAll(): void;
  /** Counts open sockets, including those whose client has left unnoticed. */
  count(): number;
  /** Writes a comment on every open stream: only a write makes the platform notice that a client has left. */
  probe(): void;
  /** Whether `take` took a place, either at once or after a probe closed streams whose clients have left. */
  waitForPlace(take: () => boolean): Promise<boolean>;
  /** Must be called whenever a socket closes. */
  noteClosed(): void;
}

/** Creates the streams of a session. `isComplete` says whether a stream will get no more events. */
export function createStreams(
  state: DurableObjectState,
  log: EventLog,
  isComplete: (stream: number) => boolean,
): Streams {
  // The platform lists a closing socket until the closing handshake ends, although its client is gone.
  const isOpen = (socket: WebSocket): boolean => socket.readyState === WebSocket.OPEN;
  const listSockets = (stream: number): WebSocket[] => state.getWebSockets(String(stream)).filter(isOpen);
  const departures = createDepartures();
  const probe = (): void => openSockets().forEach((socket) => socket.send(PROBE_FRAME));
  const openSockets = (): WebSocket[] => state.getWebSockets().filter(isOpen);
  return {
    attach(socket, position, isPrimed) {
      state.acceptWebSocket(socket, [String(position.stream)]);
      if (isPrimed) socket.send(`retry: ${RETRY_MS}\nid: ${formatEventId(position)}\ndata: \n\n`);
      for (const event of log.listAfter(position)) {
        const message = selectDeliverable(event, position.pass);
        if (message !== undefined) socket.send(formatSseEvent(position.stream, event.seq, message));
      }
      if (isComplete(position.stream)) socket.close(NORMAL_CLOSURE);
    },
    emit(stream, message, grants) {
      const seq = log.append(stream, message, grants);
      // A client may open one stream several times, but each message goes out on one connection only, here the newest.
      listSockets(stream)
        .at(-1)
        ?.send(formatSseEvent(stream, seq, message));
    },
    close: (stream) => listSockets(stream).forEach((socket) => socket.close(NORMAL_CLOSURE)),
    closeAll: () => openSockets().forEach((socket) => socket.close(NORMAL_CLOSURE)),
    count: () => openSockets().length,
    probe,
    async waitForPlace(take) {
      if (take()) return true;
      probe();
      return departures.until(take, PROBE_MS);
    },
    noteClosed: () => departures.note(),
  };
}

/** Formats an SSE event (HTML Living Standard §9.2). JSON contains no line breaks, so one data line is enough. */
function formatSseEvent(stream: number, seq: number, message: string): string {
  return `id: ${formatEventId({ stream, afterSeq: seq })}\ndata: ${message}\n\n`;
}
