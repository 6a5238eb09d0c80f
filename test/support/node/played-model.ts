// Stands for Anthropic's Messages API on loopback. The test plays the model, one tool call at a time, while the real client waits.
import { startStandIn } from "./stand-in.ts";
import type { StandIn } from "./stand-in.ts";

/** What the client sends back for a tool call. */
export interface ToolResult {
  readonly isError: boolean;
  /** The text that the model would read. */
  readonly text: string;
}

/** A model whose answers the test chooses. */
export interface PlayedModel {
  readonly url: string;
  /** What was wrong with requests of the client; empty if all of them were calls of the model, one after the other. */
  readonly faults: readonly string[];
  /**
   * Waits for a request of the client, answers it with a tool call, and returns the result that the next request brings. That request waits
   * until the model is played again. Throws if the client has not offered the tool, because a model would not know it then.
   */
  callTool(name: string, input: Readonly<Record<string, unknown>>): Promise<ToolResult>;
  /** Waits for a request of the client, and answers it with a text, which ends the model's turn. */
  endTurn(text: string): Promise<void>;
  close(): void;
}

interface ContentBlock {
  readonly type: string;
  readonly text?: string;
  readonly tool_use_id?: string;
  readonly is_error?: boolean;
  readonly content?: string | readonly ContentBlock[];
}

interface MessagesRequest {
  readonly model: string;
  readonly messages: readonly { readonly content: string | readonly ContentBlock[] }[];
  readonly tools?: readonly { readonly name: string }[];
}

/** A request that has no answer yet. */
interface WaitingRequest extends MessagesRequest {
  readonly answer: (response: Response) => void;
}

/** Starts the endpoint. */
export async function startPlayedModel(): Promise<PlayedModel> {
  const requests = queueOne<WaitingRequest>();
  const standIn: StandIn = await startStandIn(async (request, fault) => {
    if (new URL(request.url).pathname !== "/v1/messages") return fault("is not a call of the model");
    const { promise, resolve } = Promise.withResolvers<Response>();
    const body = (await request.json()) as MessagesRequest;
    return requests.put({ ...body, answer: resolve }) ? promise : fault("comes while another call waits for the model");
  });
  let calls = 0;
  return {
    url: standIn.url,
    faults: standIn.faults,
    async callTool(name, input) {
      const { answer, model, tools = [] } = await requests.take();
      const offered = tools.map((tool) => tool.name);
      if (!offered.includes(name)) throw new Error(`${name} is not offered; offered are ${offered.join(", ")}`);
      const id = `toolu_${(calls += 1)}`;
      answer(streamMessage(model, { type: "tool_use", id, name, input }));
      return findResult(await requests.peek(), id);
    },
    async endTurn(text) {
      const { answer, model } = await requests.take();
      answer(streamMessage(model, { type: "text", text }));
    },
    close: () => standIn.close(),
  };
}

/** A queue of at most one item. */
function queueOne<Item>() {
  let slot = Promise.withResolvers<Item>();
  let isFull = false;
  return {
    /** Returns false if an item is in the queue. */
    put(item: Item): boolean {
      if (isFull) return false;
      isFull = true;
      slot.resolve(item);
      return true;
    },
    /** Waits for an item, and leaves it in the queue. */
    peek: async (): Promise<Item> => slot.promise,
    /** Waits for an item, and takes it out of the queue. */
    async take(): Promise<Item> {
      const item = await slot.promise;
      slot = Promise.withResolvers();
      isFull = false;
      return item;
    },
  };
}

function findResult({ messages }: MessagesRequest, id: string): ToolResult {
  const blocks = messages.flatMap(({ content }) => (typeof content === "string" ? [] : content));
  const result = blocks.find((block) => block.type === "tool_result" && block.tool_use_id === id);
  if (result === undefined) throw new Error(`the request has no result of the call ${id}`);
  const { content = "", is_error: isError = false } = result;
  const text = typeof content === "string" ? content : content.map((block) => block.text ?? block.type).join("\n");
  return { isError, text };
}

type AnswerBlock =
  | { readonly type: "text"; readonly text: string }
  | {
      readonly type: "tool_use";
      readonly id: string;
      readonly name: string;
      readonly input: Readonly<Record<string, unknown>>;
    };

/** A message of one block, as the events of the Messages API. */
function streamMessage(model: string, block: AnswerBlock): Response {
  const usage = { input_tokens: 1, output_tokens: 1 };
  const [start, delta, stopReason] =
    block.type === "text"
      ? [{ ...block, text: "" }, { type: "text_delta", text: block.text }, "end_turn"]
      : [{ ...block, input: {} }, { type: "input_json_delta", partial_json: JSON.stringify(block.input) }, "tool_use"];
  const message = { id: "msg_1", type: "message", role: "assistant", model, content: [], stop_reason: null, usage };
  const events = [
    { type: "message_start", message },
    { type: "content_block_start", index: 0, content_block: start },
    { type: "content_block_delta", index: 0, delta },
    { type: "content_block_stop", index: 0 },
    { type: "message_delta", delta: { stop_reason: stopReason, stop_sequence: null }, usage },
    { type: "message_stop" },
  ];
  const text = events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join("");
  return new Response(text, { headers: { "content-type": "text/event-stream" } });
}
