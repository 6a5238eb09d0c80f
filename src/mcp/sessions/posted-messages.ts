// Parses the JSON-RPC messages of one POST, once, in the session object, and distinguishes requests from responses.
import { parseJSONRPCMessage } from "@modelcontextprotocol/server";
import type {
  JSONRPCErrorResponse,
  JSONRPCMessage,
  JSONRPCRequest,
  JSONRPCResultResponse,
} from "@modelcontextprotocol/server";

/** A result or error response. */
export type JSONRPCResponse = JSONRPCResultResponse | JSONRPCErrorResponse;

/** The parsed messages of a body; one message unless it was a batch. */
interface PostedMessages {
  readonly messages: readonly JSONRPCMessage[];
  readonly isBatch: boolean;
}

/** Whether a parsed message is a request. Its shape was validated, so its members identify it. */
export function isRequest(message: JSONRPCMessage): message is JSONRPCRequest {
  return "method" in message && "id" in message;
}

/** Whether a parsed message is a response to a request of the server. */
export function isResponse(message: JSONRPCMessage): message is JSONRPCResponse {
  return !("method" in message);
}

/** Parses one message or a batch, whose size the endpoint limits. Undefined when the body is neither. */
export function parseMessages(body: string): PostedMessages | undefined {
  const value: unknown = JSON.parse(body);
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0) return undefined;
  try {
    return { messages: list.map((message) => parseJSONRPCMessage(message)), isBatch: Array.isArray(value) };
  } catch {
    // The validator's message may quote the body. The caller answers with the specification's name for the error instead.
    return undefined;
  }
}
