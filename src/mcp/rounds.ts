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
import type { AnswerGrants } from "../lib/answer-grants.ts";
import { sha256Hex } from "../lib/crypto.ts";
import type { OpenedHandle, SpentHandle } from "../lib/handle.ts";
import { authInfoOf, encodeKept, noteOf, parseKept, watch } from "./kept.ts";
import type { Kept } from "./kept.ts";
import type { ReplayGuard, ReplayVerdict } from "./replay.ts";

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
  /** Asked before an outcome is delivered again, and before a round goes on with what an earlier one read. */
  readonly replays: ReplayGuard;
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
type Grants = readonly AnswerGrants[];

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
/** Not "call again": the tool did its work, and might do it twice. */
const OUTCOME_WITHHELD =
  "This was answered before. Your permissions have changed since, or could not be compared, so what became of it is not shown again. Check before you ask for it again.";
const QUESTION_WITHHELD =
  "Your permissions have changed since this question was asked, or could not be compared. Nothing was done; call the tool again.";

/** What a round comes to, once it is known what the client can do. */
type Step =
  | { readonly kind: "answer"; readonly result: CallToolResult }
  | { readonly kind: "ask"; readonly requests: InputRequests; readonly state: unknown };

export function createRounds({ key, ttlSeconds, handles, replays, subjectOf, newId }: RoundsOptions): Rounds {
  const codec = createRequestStateCodec<string>({
    key,
    ttlSeconds,
    // The tool and its arguments are not known where the SDK verifies: the handle is bound to them.
    bind: (context) => JSON.stringify([context.mcpReq.method, subjectOf(context)]),
  });
  const ask = async (inputRequests: InputRequests, handle: string, context: ServerContext): Promise<Answer> =>
    inputRequired({ inputRequests, requestState: await codec.mint(handle, context) });

  /** After the first round: nothing was spent. */
  async function begin(step: Step, grants: Grants, binding: string, context: ServerContext): Promise<Answer> {
    if (step.kind === "answer") return step.result;
    const state = encodeKept({ value: step.state, grants });
    const opened = { handle: newId(), call: callOf(context), binding, state, ttlSeconds };
    const handle = await handles.open(subjectOf(context), opened);
    return handle === undefined ? failed(TOO_MANY) : ask(step.requests, handle, context);
  }

  /** After a later one: what became of the handle it spent is kept before it leaves. */
  async function goOn(
    step: Step,
    grants: Grants,
    spent: string,
    binding: string,
    context: ServerContext,
  ): Promise<Answer> {
    const next = newId();
    const answer = step.kind === "answer" ? step.result : await ask(step.requests, next, context);
    const state = step.kind === "answer" ? undefined : encodeKept({ value: step.state, grants });
    const opened = state === undefined ? undefined : { handle: next, call: undefined, binding, state, ttlSeconds };
    const outcome = encodeKept({ value: answer, grants });
    const isKept = await handles.settle(subjectOf(context), spent, outcome, opened);
    return isKept ? answer : failed(TOO_MANY);
  }

  /** Whether what was kept may be used now. */
  const compare = async (what: string, grants: Grants, context: ServerContext): Promise<ReplayVerdict> =>
    replays.authorize(authInfoOf(context), { what, grants });

  /** An outcome that was delivered before, or was meant to be. */
  async function repeat(text: string, tool: string, context: ServerContext): Promise<Answer> {
    const kept = parseKept<Answer>(text);
    if (kept?.grants === null) return kept.value;
    const verdict = await compare(`outcome of ${tool}`, kept?.grants ?? [], context);
    if (kept === undefined || verdict !== "current") return failed(OUTCOME_WITHHELD);
    kept.grants.forEach(noteOf(context));
    return kept.value;
  }

  /** What the round before handed on, if it may still be used. Without any grants it was made of nothing that is governed. */
  async function takeState(text: string, tool: string, context: ServerContext): Promise<Kept<unknown> | undefined> {
    const kept = parseKept<unknown>(text);
    if (kept === undefined || kept.grants === null) return undefined;
    if (kept.grants.length === 0) return kept;
    return (await compare(`question of ${tool}`, kept.grants, context)) === "current" ? kept : undefined;
  }

  /** Ends a question that cannot go on. The refusal holds no data, so it can be repeated. */
  async function refuse(spent: string, context: ServerContext): Promise<Answer> {
    const refusal = failed(QUESTION_WITHHELD);
    await handles.settle(subjectOf(context), spent, encodeKept({ value: refusal, grants: null }), undefined);
    return refusal;
  }

  return {
    verify: async (state, context) => codec.verify(state, context),
    callbackOf:
      (server, { name, parseState, run }) =>
      async (input, context) => {
        const binding = await sha256Hex(JSON.stringify([name, input]));
        const handle = context.mcpReq.requestState<string>();
        const noted: AnswerGrants[] = [];
        const watched = watch(context, noted);
        if (handle === undefined)
          return begin(stepOf(server, await run(input, undefined, watched)), noted, binding, context);
        const spent = await handles.spend(subjectOf(context), handle, binding);
        switch (spent.kind) {
          case "unknown":
            return failed(NOT_THIS);
          case "spent":
            return spent.outcome === null ? failed(UNKNOWN_OUTCOME) : repeat(spent.outcome, name, context);
          case "fresh": {
            const kept = await takeState(spent.state, name, context);
            if (kept === undefined) return refuse(handle, context);
            // What the answer is made of, besides what this round reads.
            kept.grants?.forEach(noteOf(watched));
            const step = stepOf(server, await run(input, parseState(kept.value), watched));
            return goOn(step, noted, handle, binding, context);
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
  return { kind: "ask", requests, state: answer.state };
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

function failed(message: string): CallToolResult {
  return { content: [{ type: "text", text: message }], isError: true };
}
