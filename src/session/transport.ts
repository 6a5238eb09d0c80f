// The SDK's server on one side, single calls on the other: a message goes in, the response with its id comes out. It
// lives as long as the object does in memory and holds nothing that restore could not build again.
import {
  isJSONRPCErrorResponse,
  isJSONRPCRequest,
  isJSONRPCResultResponse,
  isSpecType,
} from "@modelcontextprotocol/server";
import type { AuthInfo, JSONRPCMessage, MessageExtraInfo, RequestId, Transport } from "@modelcontextprotocol/server";

export class SessionTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage, extra?: MessageExtraInfo) => void;
  readonly sessionId: string;
  readonly #waiting = new Map<RequestId, (response: JSONRPCMessage) => void>();

  constructor(sessionId: string) {
    this.sessionId = sessionId;
  }

  async start(): Promise<void> {}

  async send(message: JSONRPCMessage): Promise<void> {
    // Anything but a response needs a stream to go out on, and there is none yet.
    if (!isJSONRPCResultResponse(message) && !isJSONRPCErrorResponse(message)) return;
    const { id } = message;
    if (id === undefined || id === null) return;
    this.#waiting.get(id)?.(message);
    this.#waiting.delete(id);
  }

  async close(): Promise<void> {
    this.onclose?.();
  }

  /** Whether a request of this id is being answered. */
  isWaiting(id: RequestId): boolean {
    return this.#waiting.has(id);
  }

  /** Hands a message to the server. Resolves with the response to a request, with undefined at once for the rest. */
  async deliver(message: JSONRPCMessage, authInfo: AuthInfo): Promise<JSONRPCMessage | undefined> {
    if (this.onmessage === undefined) throw new TypeError("no server is connected to this transport");
    if (!isJSONRPCRequest(message)) {
      this.onmessage(message, { authInfo });
      if (isSpecType.CancelledNotification(message)) this.#settleCancelled(message.params.requestId);
      return undefined;
    }
    const response = new Promise<JSONRPCMessage>((resolve) => this.#waiting.set(message.id, resolve));
    this.onmessage(message, { authInfo });
    return response;
  }

  /** The server sends nothing for a cancelled request, but the HTTP request that carried it still waits. */
  #settleCancelled(id: RequestId | undefined): void {
    if (id === undefined) return;
    this.#waiting.get(id)?.({ jsonrpc: "2.0", id, error: { code: -32000, message: "The request was cancelled." } });
    this.#waiting.delete(id);
  }
}
