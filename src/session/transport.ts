// The SDK's transport in a session's object: hands messages to the server and routes what the server sends. It decides
// nothing and keeps nothing.
import type {
  JSONRPCMessage,
  JSONRPCNotification,
  JSONRPCRequest,
  MessageExtraInfo,
  RequestId,
  Transport,
  TransportSendOptions,
} from "@modelcontextprotocol/server";
import { isRequest, isResponse } from "./messages.ts";
import type { JSONRPCResponse } from "./messages.ts";

/** What becomes of a message that the server sends. `related` is the client's request that it belongs to. */
export interface Outgoing {
  response(id: RequestId, message: JSONRPCResponse): void;
  request(message: JSONRPCRequest, related: RequestId | undefined): void;
  notification(message: JSONRPCNotification, related: RequestId | undefined): void;
}

export class SessionTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage, extra?: MessageExtraInfo) => void;
  readonly sessionId: string;
  #outgoing: Outgoing | undefined;

  constructor(sessionId: string, outgoing: Outgoing) {
    this.sessionId = sessionId;
    this.#outgoing = outgoing;
  }

  async start(): Promise<void> {}

  async send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    const related = options?.relatedRequestId;
    if (isRequest(message)) this.#outgoing?.request(message, related);
    else if (!isResponse(message)) this.#outgoing?.notification(message, related);
    else if (message.id !== undefined) this.#outgoing?.response(message.id, message);
  }

  async close(): Promise<void> {
    this.detach();
    this.onclose?.();
  }

  /** From now on nothing that the server sends goes anywhere. */
  detach(): void {
    this.#outgoing = undefined;
  }

  /** Hands a message to the server. What it answers comes back through `Outgoing`. */
  deliver(message: JSONRPCMessage, extra: MessageExtraInfo): void {
    if (this.onmessage === undefined) throw new TypeError("no server is connected to this transport");
    this.onmessage(message, extra);
  }
}
