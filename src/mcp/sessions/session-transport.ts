// The SDK transport inside a session object: delivers messages to the server and routes what the server sends. It makes no
// decisions and stores nothing.
import type {
  JSONRPCMessage,
  JSONRPCNotification,
  JSONRPCRequest,
  MessageExtraInfo,
  RequestId,
  Transport,
  TransportSendOptions,
} from "@modelcontextprotocol/server";
import { isRequest, isResponse } from "./posted-messages.ts";
import type { JSONRPCResponse } from "./posted-messages.ts";

/** Handlers for the messages of the server. `relatedRequestId` names the client's request that a message belongs to. */
export interface OutgoingMessages {
  response(id: RequestId, message: JSONRPCResponse): void;
  request(message: JSONRPCRequest, relatedRequestId: RequestId | undefined): void;
  notification(message: JSONRPCNotification, relatedRequestId: RequestId | undefined): void;
}

/** Connects one SDK server to the handlers of its outgoing messages. */
export class SessionTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage, extra?: MessageExtraInfo) => void;
  readonly sessionId: string;
  #outgoing: OutgoingMessages | undefined;

  constructor(sessionId: string, outgoing: OutgoingMessages) {
    this.sessionId = sessionId;
    this.#outgoing = outgoing;
  }

  async start(): Promise<void> {}

  async send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    const relatedRequestId = options?.relatedRequestId;
    if (isRequest(message)) this.#outgoing?.request(message, relatedRequestId);
    else if (!isResponse(message)) this.#outgoing?.notification(message, relatedRequestId);
    else if (message.id !== undefined) this.#outgoing?.response(message.id, message);
  }

  async close(): Promise<void> {
    this.detach();
    this.onclose?.();
  }

  /** Discards everything that the server sends from now on. */
  detach(): void {
    this.#outgoing = undefined;
  }

  /** Delivers a message to the server. Its response arrives through `OutgoingMessages`. */
  deliver(message: JSONRPCMessage, extra: MessageExtraInfo): void {
    if (this.onmessage === undefined) throw new TypeError("no server is connected to this transport");
    this.onmessage(message, extra);
  }
}
