// The open streams of a session: hibernatable WebSockets to the Workers that hold the clients' SSE responses. What is
// sent here is already in the event log.
import { PROBE_MS, createDepartures } from "../lib/departures.ts";
import { PROBE_FRAME } from "../mcp/sse.ts";
import type { EventLog } from "./event-log.ts";
import { eventId } from "./protocol.ts";
import type { Attachment } from "./protocol.ts";
import { deliverable } from "./replays.ts";
import type { EventGrants } from "./replays.ts";

/** The stream of messages that belong to no request. */
export const STANDALONE = 0;

/** How long a client waits before it comes back to a stream that was closed on purpose. */
const RETRY_MS = 1000;
const NORMAL_CLOSURE = 1000;

export interface Streams {
  /**
   * Takes a socket, sends what it missed as far as that may leave, and closes it at once when the stream is over. `isPrimed`:
   * begins with an empty event, for clients that know how to poll.
   */
  attach(socket: WebSocket, attachment: Attachment, isPrimed: boolean): void;
  /** Logs a message with the grants under which it was made, and sends it to the client that listens to the stream, if one does. */
  emit(stream: number, message: string, grants: EventGrants): void;
  /** Closes the stream's sockets. The stream itself may go on: its client can come back to it. */
  close(stream: number): void;
  closeAll(): void;
  /** Streams whose client is there, as far as is known. */
  count(): number;
  /** Writes a comment on every open stream: the platform notices that a client left only when it writes to it. */
  probe(): void;
  /** Whether `take` took a place, now or once streams were let go whose clients have left. */
  waitForPlace(take: () => boolean): Promise<boolean>;
  /** A socket closed. */
  noteClosed(): void;
}

/** `isOver` says whether a stream has nothing to come any more. */
export function createStreams(state: DurableObjectState, log: EventLog, isOver: (stream: number) => boolean): Streams {
  // A socket that is being closed is still listed until the closing handshake is over, but holds nobody any more.
  const isOpen = (socket: WebSocket): boolean => socket.readyState === WebSocket.OPEN;
  const socketsOf = (stream: number): WebSocket[] => state.getWebSockets(String(stream)).filter(isOpen);
  const departures = createDepartures();
  const probe = (): void => openSockets().forEach((socket) => socket.send(PROBE_FRAME));
  const openSockets = (): WebSocket[] => state.getWebSockets().filter(isOpen);
  return {
    attach(socket, position, isPrimed) {
      state.acceptWebSocket(socket, [String(position.stream)]);
      if (isPrimed) socket.send(`retry: ${RETRY_MS}\nid: ${eventId(position)}\ndata: \n\n`);
      for (const event of log.after(position)) {
        const message = deliverable(event, position.pass);
        if (message !== undefined) socket.send(frame(position.stream, event.seq, message));
      }
      if (isOver(position.stream)) socket.close(NORMAL_CLOSURE);
    },
    emit(stream, message, grants) {
      const seq = log.append(stream, message, grants);
      // A client may hold a stream more than once; each message goes out on one of them, the one opened last.
      socketsOf(stream)
        .at(-1)
        ?.send(frame(stream, seq, message));
    },
    close: (stream) => socketsOf(stream).forEach((socket) => socket.close(NORMAL_CLOSURE)),
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

/** One SSE event (HTML Living Standard §9.2). JSON has no line breaks of its own. */
function frame(stream: number, seq: number, message: string): string {
  return `id: ${eventId({ stream, after: seq })}\ndata: ${message}\n\n`;
}
