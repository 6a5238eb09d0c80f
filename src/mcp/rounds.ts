// Tools that ask a person something before they finish, written once for both eras. Between two rounds the client holds a
// signed handle and nothing else; what it stands for is kept by the deployment, and each handle acts once.
import { createRequestStateCodec, inputRequired } from "@modelcontextprotocol/server";
import type {
  CallToolResult,
  ClientCapabilities,
  InputRequest,
  InputRequests,
  InputRequiredResult,
  McpServer,
  ServerContext,
} from "@modelcontextprotocol/server";
import { sha256Hex } from "../lib/crypto.ts";
import type { OpenedHandle, SpentHandle } from "../lib/handle.ts";

/** Where handles are kept: durable, and the same for every isolate. */
export interface Handles {
  /** Keeps a handle. A call that opened one before gets that one: it was entered again. Undefined when there are too many. */
  open(subjectId: string, opened: OpenedHandle): Promise<string | undefined>;
  /** Uses a handle up, at most once. */
  spend(subjectId: string, handle: string, binding: string): Promise<SpentHandle>;
  /** Keeps what became of a spent handle, and the next round's handle with it. False when there are too many; then neither. */
  settle(subjectId: string, handle: string, outcome: string, next: OpenedHandle | undefined): Promise<boolean>;
}

export interface RoundsOptions {
  /** The deployment's secret, at least 32 bytes of UTF-8. */
  readonly key: string;
  /** How long a person may take to answer. */
  readonly ttlSeconds: number;
  readonly handles: Handles;
  readonly subjectOf: (context: ServerContext) => string;
  readonly newId: () => string;
}

/** A question to a person, and what to do where nobody can be asked. */
export interface Question<State> {
  readonly kind: "question";
  /** What to ask for, by name: the first of these that the client declared it can do. */
  readonly ways: readonly InputRequests[];
  /** What the next round needs to know; JSON. It stays with the deployment. */
  readonly state: State;
  /** The answer for a client that can do none of them. */
  readonly otherwise: CallToolResult;
}

export interface RoundTool<Input, State> {
  readonly name: string;
  /** Throws when it is no state of this tool. */
  readonly parseState: (value: unknown) => State;
  /**
   * One round: answers, or asks. `state` is what the round before handed on, undefined in the first; the person's answers
   * are in `context.mcpReq.inputResponses`. The first round may run again after a restart, later ones run once.
   */
  readonly run: (
    input: Input,
    state: State | undefined,
    context: ServerContext,
  ) => Promise<CallToolResult | Question<State>>;
}

type Answer = CallToolResult | InputRequiredResult;

export interface Rounds {
  /** For the server's `requestState.verify`. Throws on anything that was not signed here, for this person and method. */
  verify(state: string, context: ServerContext): Promise<string>;
  /** The SDK's callback of a tool that is registered with this server. */
  callbackOf<Input, State>(
    server: McpServer,
    tool: RoundTool<Input, State>,
  ): (input: Input, context: ServerContext) => Promise<Answer>;
}

const TOO_MANY = "Too many questions are open for you. Answer one, or wait until one expires.";
const NOT_THIS =
  "This answer belongs to another request, or came too late. Call the tool again without requestState to ask anew.";
const UNKNOWN_OUTCOME =
  "This was answered before, and what became of it is not known. Check before you ask for it again.";

/** What a round comes to, once it is known what the client can do. */
type Step =
  | { readonly kind: "answer"; readonly result: CallToolResult }
  | { readonly kind: "ask"; readonly requests: InputRequests; readonly state: string };

export function createRounds({ key, ttlSeconds, handles, subjectOf, newId }: RoundsOptions): Rounds {
  const codec = createRequestStateCodec<string>({
    key,
    ttlSeconds,
    // The tool and its arguments are not known where the SDK verifies: the handle is bound to them.
    bind: (context) => JSON.stringify([context.mcpReq.method, subjectOf(context)]),
  });
  const ask = async (inputRequests: InputRequests, handle: string, context: ServerContext): Promise<Answer> =>
    inputRequired({ inputRequests, requestState: await codec.mint(handle, context) });

  /** After the first round: nothing was spent. */
  async function begin(step: Step, binding: string, context: ServerContext): Promise<Answer> {
    if (step.kind === "answer") return step.result;
    const opened = { handle: newId(), call: callOf(context), binding, state: step.state, ttlSeconds };
    const handle = await handles.open(subjectOf(context), opened);
    return handle === undefined ? failed(TOO_MANY) : ask(step.requests, handle, context);
  }

  /** After a later one: what became of the handle it spent is kept before it leaves. */
  async function goOn(step: Step, spent: string, binding: string, context: ServerContext): Promise<Answer> {
    const next = newId();
    const answer = step.kind === "answer" ? step.result : await ask(step.requests, next, context);
    const opened =
      step.kind === "answer" ? undefined : { handle: next, call: undefined, binding, state: step.state, ttlSeconds };
    const isKept = await handles.settle(subjectOf(context), spent, JSON.stringify(answer), opened);
    return isKept ? answer : failed(TOO_MANY);
  }

  return {
    verify: async (state, context) => codec.verify(state, context),
    callbackOf:
      (server, { name, parseState, run }) =>
      async (input, context) => {
        const binding = await sha256Hex(JSON.stringify([name, input]));
        const handle = context.mcpReq.requestState<string>();
        if (handle === undefined) return begin(stepOf(server, await run(input, undefined, context)), binding, context);
        const spent = await handles.spend(subjectOf(context), handle, binding);
        switch (spent.kind) {
          case "unknown":
            return failed(NOT_THIS);
          case "spent":
            return spent.outcome === null ? failed(UNKNOWN_OUTCOME) : parseOutcome(spent.outcome);
          case "fresh": {
            const state = parseState(JSON.parse(spent.state));
            return goOn(stepOf(server, await run(input, state, context)), handle, binding, context);
          }
        }
      },
  };
}

function stepOf<State>(server: McpServer, answer: CallToolResult | Question<State>): Step {
  if (!isQuestion(answer)) return { kind: "answer", result: answer };
  const can = capabilitiesOf(server);
  const requests = answer.ways.find((way) => Object.values(way).every((request) => isDeclared(request, can)));
  if (requests === undefined) return { kind: "answer", result: answer.otherwise };
  return { kind: "ask", requests, state: JSON.stringify(answer.state) };
}

function isQuestion<State>(answer: CallToolResult | Question<State>): answer is Question<State> {
  return "kind" in answer && answer.kind === "question";
}

/** Of the session in the 2025 era, of the request in the 2026 one: the SDK keeps both in the server. */
function capabilitiesOf(server: McpServer): ClientCapabilities {
  // Deprecated for the request's envelope, which does not exist in the 2025 era.
  return server.server.getClientCapabilities() ?? {};
}

/** An `elicitation` that names no mode means forms (MCP 2025-11-25, Elicitation, Capabilities). */
function isDeclared({ method, params }: InputRequest, { elicitation, sampling, roots }: ClientCapabilities): boolean {
  switch (method) {
    case "elicitation/create":
      if (elicitation === undefined) return false;
      return params.mode === "url"
        ? elicitation.url !== undefined
        : elicitation.form !== undefined || elicitation.url === undefined;
    case "sampling/createMessage":
      return sampling !== undefined;
    case "roots/list":
      return roots !== undefined;
  }
}

/** The request's name that outlives a restart. The 2026 era has none: there a request is not entered again. */
function callOf({ mcpReq, http }: ServerContext): string | undefined {
  const call = http?.authInfo?.extra?.["call"];
  return typeof call === "string" ? JSON.stringify([call, mcpReq.id]) : undefined;
}

/** What `settle` was given, by this deployment. */
function parseOutcome(text: string): Answer {
  const answer: Answer = JSON.parse(text);
  return answer;
}

function failed(message: string): CallToolResult {
  return { content: [{ type: "text", text: message }], isError: true };
}
