// The JSON-RPC messages of one POST, parsed once, in the object.
import { parseJSONRPCMessage } from "@modelcontextprotocol/server";
import type { JSONRPCMessage } from "@modelcontextprotocol/server";

export interface PostedMessages {
  readonly messages: readonly JSONRPCMessage[];
  readonly isBatch: boolean;
}

/** A batch larger than this is no honest client's. */
const MAX_BATCH = 50;

/** Parses one message or a batch. Undefined when it is neither: what is wrong with it would quote the body. */
export function parseMessages(body: string): PostedMessages | undefined {
  const value: unknown = JSON.parse(body);
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0 || list.length > MAX_BATCH) return undefined;
  try {
    return { messages: list.map((message) => parseJSONRPCMessage(message)), isBatch: Array.isArray(value) };
  } catch {
    // The validator's message repeats parts of the body; the caller answers with the specification's name for it.
    return undefined;
  }
}
