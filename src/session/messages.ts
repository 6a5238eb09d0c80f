// The JSON-RPC messages of one POST, parsed once, in the object, and how parsed ones are told apart.
import { parseJSONRPCMessage } from "@modelcontextprotocol/server";
import type {
  JSONRPCErrorResponse,
  JSONRPCMessage,
  JSONRPCRequest,
  JSONRPCResultResponse,
} from "@modelcontextprotocol/server";

export type JSONRPCResponse = JSONRPCResultResponse | JSONRPCErrorResponse;

export interface PostedMessages {
  readonly messages: readonly JSONRPCMessage[];
  readonly isBatch: boolean;
}

/** Of a parsed message: whether it asks for an answer. Its shape was checked, so what it has tells what it is. */
export function isRequest(message: JSONRPCMessage): message is JSONRPCRequest {
  return "method" in message && "id" in message;
}

/** Of a parsed message: whether it answers one of ours. */
export function isResponse(message: JSONRPCMessage): message is JSONRPCResponse {
  return !("method" in message);
}

/** Parses one message or a batch, whose size the endpoint bounds. Undefined when it is neither: what is wrong with it would quote the body. */
export function parseMessages(body: string): PostedMessages | undefined {
  const value: unknown = JSON.parse(body);
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0) return undefined;
  try {
    return { messages: list.map((message) => parseJSONRPCMessage(message)), isBatch: Array.isArray(value) };
  } catch {
    // The validator's message repeats parts of the body; the caller answers with the specification's name for it.
    return undefined;
  }
}
