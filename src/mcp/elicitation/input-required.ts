// Tools that ask the user for input before they finish, written once for both eras.
// Between two rounds the client holds only a signed, single-use handle. The deployment stores the state that the handle refers to.
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
import type { AnswerGrants } from "../../lib/answer-grants.ts";
import { sha256Hex } from "../../lib/crypto.ts";
import type { NewHandle, OpenedHandle, SpentHandle } from "../../lib/handle.ts";
import {
  requireAuthInfo,
  encodeStoredValue,
  getContextListener,
  parseStoredValue,
  withRecordedGrants,
} from "./stored-values.ts";
import type { StoredValue } from "./stored-values.ts";
import { getCallName } from "../wire/call-id.ts";
import type { ReplayGuard, ReplayVerdict } from "../wire/replay-guard.ts";

/** Durable storage of handles, shared by all isolates. */
export interface HandleStore {
  /** Stores a handle and returns it, or the one that the same call opened before a restart. Undefined at the subject's limit. */
  open(subjectId: string, newHandle: NewHandle): Promise<string | undefined>;
  /** Finds the handle that a call has opened. */
  find(subjectId: string, call: string): Promise<OpenedHandle | undefined>;
  /** Spends a handle; only the first attempt gets its state. */
  spend(subjectId: string, handle: string, binding: string): Promise<SpentHandle>;
  /** Stores the outcome of a spent handle together with the next round's handle. False at the limit; then stores neither. */
  recordOutcome(subjectId: string, handle: string, outcome: string, next: NewHandle | undefined): Promise<boolean>;
}

/** The dependencies of `createInputRequiredTools`. */
interface InputRequiredOptions {
  /** The deployment's signing secret, at least 32 bytes of UTF-8. */
  readonly key: string;
  /** How long a user may take to answer. */
  readonly ttlSeconds: number;
  readonly handles: HandleStore;
  /** Consulted before an outcome is delivered again, and before a round uses what an earlier round read. */
  readonly replayGuard: ReplayGuard;
  readonly getSubjectId: (context: ServerContext) => string;
  readonly newId: () => string;
}

/** A question to the user, and the result for clients that cannot ask it. */
export interface UserQuestion<State> {
  readonly kind: "question";
  /** Alternative sets of named requests. The first set whose capabilities the client declared is sent. */
  readonly requestOptions: readonly InputRequests[];
  /** State for the next round, stored as JSON by the deployment and never sent to the client. */
  readonly state: State;
  /** The result for a client that supports none of the alternatives, and for a user with too many open questions. */
  readonly fallback: CallToolResult;
}

/** A tool whose rounds may ask the user for input. */
export interface InputTool<Input, State> {
  readonly name: string;
  /** Parses a stored state. Throws when the value is not a state of this tool. */
  readonly parseState: (value: unknown) => State;
  /**
   * Runs one round, which returns a result or a question. `state` comes from the previous round and is undefined in the first;
   * `context.mcpReq.inputResponses` has only answers to the previous round's requests. The first round may run again if the process dies
   * before its question is stored; later rounds run once.
   */
  readonly run: (
    input: Input,
    state: State | undefined,
    context: ServerContext,
  ) => Promise<CallToolResult | UserQuestion<State>>;
  /**
   * Finds the outcome of a round that still runs, or whose process died before the outcome was stored. Changes nothing. Without it, the
   * answer is that the outcome is unknown.
   */
  readonly findOutcome?: (state: State, context: ServerContext) => Promise<CallToolResult>;
}

type Answer = CallToolResult | InputRequiredResult;
type Grants = readonly AnswerGrants[];

/** Connects input tools to the SDK's server. */
export interface InputRequiredTools {
  /** For the server's `requestState.verify`. Throws unless this deployment signed the state for this user and method. */
  verify(state: string, context: ServerContext): Promise<string>;
  /** Creates the SDK callback of a tool registered with this server. */
  createCallback<Input, State>(
    server: McpServer,
    tool: InputTool<Input, State>,
  ): (input: Input, context: ServerContext) => Promise<Answer>;
}

const TOO_MANY_QUESTIONS = "You have too many open questions. Answer one, or wait until one expires.";
const WRONG_REQUEST =
  "This answer belongs to another request or has expired. Call the tool again without requestState to start over.";
const UNKNOWN_OUTCOME =
  "This question was already answered, but the outcome is unknown. Check whether it took effect before you call the tool again.";
/** Does not say "call the tool again", because the tool did its work and might do it twice. */
const OUTCOME_WITHHELD = [
  "This question was already answered.",
  "The outcome is not shown again, because your permissions have changed since or could not be checked.",
  "Check whether it took effect before you call the tool again.",
].join(" ");
const QUESTION_WITHHELD = [
  "Your permissions have changed since this question was asked, or could not be checked.",
  "Nothing was done. Call the tool again.",
].join(" ");

/** The outcome of a round after the client's capabilities were taken into account. */
type Step =
  | { readonly kind: "answer"; readonly result: CallToolResult }
  | {
      readonly kind: "ask";
      readonly requests: InputRequests;
      readonly state: unknown;
      readonly fallback: CallToolResult;
    };

/** Creates the adapter that runs input tools in rounds. */
export function createInputRequiredTools({
  key,
  ttlSeconds,
  handles,
  replayGuard,
  getSubjectId,
  newId,
}: InputRequiredOptions): InputRequiredTools {
  const codec = createRequestStateCodec<string>({
    key,
    ttlSeconds,
    // Where the SDK verifies the state, the tool and its arguments are unknown. The stored handle is bound to those.
    bind: (context) => JSON.stringify([context.mcpReq.method, getSubjectId(context)]),
  });
  const requireInput = async (inputRequests: InputRequests, handle: string, context: ServerContext): Promise<Answer> =>
    inputRequired({ inputRequests, requestState: await codec.mint(handle, context) });

  /** Finishes the first round, which spent no handle. */
  async function answerFirstRound(
    step: Step,
    grants: Grants,
    binding: string,
    context: ServerContext,
  ): Promise<Answer> {
    if (step.kind === "answer") return step.result;
    const state = encodeStoredValue({ value: toStoredQuestion(step), grants });
    const newHandle = { handle: newId(), call: getCallName(context), binding, state, ttlSeconds };
    const handle = await handles.open(getSubjectId(context), newHandle);
    return handle === undefined ? step.fallback : requireInput(step.requests, handle, context);
  }

  /** Finishes a later round. Stores the outcome of the handle it spent before the answer leaves. */
  async function answerLaterRound(
    step: Step,
    grants: Grants,
    spentHandle: string,
    binding: string,
    context: ServerContext,
  ): Promise<Answer> {
    const nextHandle = newId();
    const answer = step.kind === "answer" ? step.result : await requireInput(step.requests, nextHandle, context);
    const state = step.kind === "answer" ? undefined : encodeStoredValue({ value: toStoredQuestion(step), grants });
    const newHandle =
      state === undefined ? undefined : { handle: nextHandle, call: undefined, binding, state, ttlSeconds };
    const outcome = encodeStoredValue({ value: answer, grants });
    const isStored = await handles.recordOutcome(getSubjectId(context), spentHandle, outcome, newHandle);
    return isStored ? answer : createErrorResult(TOO_MANY_QUESTIONS);
  }

  /** Whether the caller's current grants still allow a stored value, which `description` names in the audit record. */
  const compareGrants = async (description: string, grants: Grants, context: ServerContext): Promise<ReplayVerdict> =>
    replayGuard.authorize(requireAuthInfo(context), { what: description, grants });

  /** Answers a repeated request with the stored outcome, which the client may never have received. */
  async function repeatOutcome(text: string, tool: string, context: ServerContext): Promise<Answer> {
    const stored = parseStoredValue<Answer>(text);
    if (stored?.grants === null) return stored.value;
    const verdict = await compareGrants(`outcome of ${tool}`, stored?.grants ?? [], context);
    if (stored === undefined || verdict !== "current") return createErrorResult(OUTCOME_WITHHELD);
    stored.grants.forEach(getContextListener(context));
    return stored.value;
  }

  /** Loads the previous round's state if the caller may still use it. An empty list of grants means it read no governed data. */
  async function loadState(
    text: string,
    tool: string,
    context: ServerContext,
  ): Promise<StoredValue<StoredQuestion> | undefined> {
    const stored = parseStoredValue<StoredQuestion>(text);
    if (stored === undefined || stored.grants === null) return undefined;
    if (stored.grants.length === 0) return stored;
    return (await compareGrants(`question of ${tool}`, stored.grants, context)) === "current" ? stored : undefined;
  }

  /** Asks the question of a call again that runs again after a restart. A user who has answered it is not asked twice. */
  async function askAgain(opened: OpenedHandle, tool: string, context: ServerContext): Promise<Answer> {
    const stored = opened.isSpent
      ? parseStoredValue<StoredQuestion>(opened.state)
      : await loadState(opened.state, tool, context);
    if (stored === undefined) return createErrorResult(QUESTION_WITHHELD);
    stored.grants?.forEach(getContextListener(context));
    return requireInput(stored.value.requests, opened.handle, context);
  }

  async function findLostOutcome<Input, State>(
    text: string,
    { name, parseState, findOutcome }: Omit<InputTool<Input, State>, "run">,
    context: ServerContext,
  ): Promise<Answer> {
    const stored = findOutcome === undefined ? undefined : await loadState(text, name, context);
    if (findOutcome === undefined || stored === undefined) return createErrorResult(UNKNOWN_OUTCOME);
    stored.grants?.forEach(getContextListener(context));
    return findOutcome(parseState(stored.value.state), context);
  }

  /** Ends a question that cannot continue. The refusal holds no data, so it is stored without grants and can be repeated. */
  async function refuseQuestion(spentHandle: string, context: ServerContext): Promise<Answer> {
    const refusal = createErrorResult(QUESTION_WITHHELD);
    await handles.recordOutcome(
      getSubjectId(context),
      spentHandle,
      encodeStoredValue({ value: refusal, grants: null }),
      undefined,
    );
    return refusal;
  }

  return {
    verify: async (state, context) => codec.verify(state, context),
    createCallback: (server, tool) => async (input, context) => {
      const { name, parseState, run } = tool;
      const binding = await sha256Hex(JSON.stringify([name, input]));
      const handle = context.mcpReq.requestState<string>();
      const recordedGrants: AnswerGrants[] = [];
      const recordingContext = withRecordedGrants(context, recordedGrants);
      const call = getCallName(context);
      const opened =
        handle === undefined && call !== undefined ? await handles.find(getSubjectId(context), call) : undefined;
      if (opened !== undefined) return askAgain(opened, name, context);
      if (handle === undefined)
        return answerFirstRound(
          resolveStep(server, await run(input, undefined, recordingContext)),
          recordedGrants,
          binding,
          context,
        );
      const spent = await handles.spend(getSubjectId(context), handle, binding);
      switch (spent.kind) {
        case "unknown":
          return createErrorResult(WRONG_REQUEST);
        case "spent":
          if (spent.outcome !== null) return repeatOutcome(spent.outcome, name, context);
          return findLostOutcome(spent.state, tool, context);
        case "fresh": {
          const stored = await loadState(spent.state, name, context);
          if (stored === undefined) return refuseQuestion(handle, context);
          // The answer may contain what earlier rounds read, so it inherits their grants.
          stored.grants?.forEach(getContextListener(recordingContext));
          const { state, requests } = stored.value;
          const answered = withAnswersTo(requests, recordingContext);
          const step = resolveStep(server, await run(input, parseState(state), answered));
          return answerLaterRound(step, recordedGrants, handle, binding, context);
        }
      }
    },
  };
}

/** The stored part of a question, under its handle: the requests to the client, and the state of the tool. */
interface StoredQuestion {
  readonly state: unknown;
  readonly requests: InputRequests;
}

function toStoredQuestion({ state, requests }: Extract<Step, { readonly kind: "ask" }>): StoredQuestion {
  return { state, requests };
}

/** Leaves out answers to other requests: a client may send any. */
function withAnswersTo(requests: InputRequests, context: ServerContext): ServerContext {
  const entries = Object.entries(context.mcpReq.inputResponses ?? {}).filter(([key]) => Object.hasOwn(requests, key));
  return { ...context, mcpReq: { ...context.mcpReq, inputResponses: Object.fromEntries(entries) } };
}

function resolveStep<State>(server: McpServer, roundResult: CallToolResult | UserQuestion<State>): Step {
  if (!isQuestion(roundResult)) return { kind: "answer", result: roundResult };
  const capabilities = getClientCapabilities(server);
  const requests = roundResult.requestOptions.find((option) =>
    Object.values(option).every((request) => isDeclared(request, capabilities)),
  );
  if (requests === undefined) return { kind: "answer", result: roundResult.fallback };
  return { kind: "ask", requests, state: roundResult.state, fallback: roundResult.fallback };
}

function isQuestion<State>(roundResult: CallToolResult | UserQuestion<State>): roundResult is UserQuestion<State> {
  return "kind" in roundResult && roundResult.kind === "question";
}

/** Capabilities of the session in the 2025 era, of the request in the 2026 era. The SDK stores both in the server. */
function getClientCapabilities(server: McpServer): ClientCapabilities {
  // Deprecated in favour of the request's envelope, which the 2025 era does not have.
  return server.server.getClientCapabilities() ?? {};
}

/** Whether the client declared support for a request. `elicitation` without a mode means forms (MCP 2025-11-25, Elicitation). */
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

function createErrorResult(message: string): CallToolResult {
  return { content: [{ type: "text", text: message }], isError: true };
}
