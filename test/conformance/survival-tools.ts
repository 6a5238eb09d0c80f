// Fixture tools whose side effects are counted, for tests that kill the server during a call.
import { acceptedContent } from "@modelcontextprotocol/server";
import type { CallToolResult, McpServer, ServerContext } from "@modelcontextprotocol/server";
import * as z from "zod";
import type { UserQuestion, InputTool, InputRequiredTools } from "../../src/mcp/elicitation/input-required.ts";
import { formOf } from "./input-tools.ts";

type Count = (name: string, key: string) => Promise<void>;

/** Long enough for a test to kill the server meanwhile. */
const SLOW_MS = 60_000;
/** The result for clients without elicitation forms. */
const FALLBACK = "the client cannot ask the user";

/** Registers the tools of the survival tests. */
export function registerSurvivalTools(server: McpServer, rounds: InputRequiredTools, count: Count): void {
  const nothing = z.object({});
  server.registerTool(
    "survival_two_questions",
    { description: "Asks two questions, one after the other", inputSchema: nothing },
    rounds.createCallback(server, twoQuestions(count)),
  );
  server.registerTool(
    "survival_pay",
    { description: "Pays an amount after the user confirmed it", inputSchema: payment },
    rounds.createCallback(server, pay(count)),
  );
  server.registerTool(
    "survival_group",
    { description: "Asks for confirmation, then names the caller's group", inputSchema: nothing },
    rounds.createCallback(server, sayGroup),
  );
  server.registerTool(
    "survival_slow",
    { description: "Reports progress once, then runs for a minute", inputSchema: nothing },
    async (_input, { mcpReq, http }): Promise<CallToolResult> => {
      await count("slow", callOf(http));
      await mcpReq.notify({
        method: "notifications/progress",
        params: { progressToken: mcpReq._meta?.progressToken ?? "none", progress: 1 },
      });
      await new Promise((resolve) => setTimeout(resolve, SLOW_MS));
      return { content: [{ type: "text", text: "slow but done" }] };
    },
  );
}

const payment = z.object({ amount: z.number(), next: z.enum(["answer", "throw", "hang"]).default("answer") });
type Payment = z.output<typeof payment>;

/** Counts each payment, then answers, throws or hangs as its arguments say. */
function pay(count: Count): InputTool<Payment, null> {
  return {
    name: "survival_pay",
    parseState: (value) => z.null().parse(value),
    async run({ amount, next }, state, { mcpReq }) {
      if (state === undefined) {
        const confirm = formOf(`Pay ${amount}?`, { ok: { type: "boolean" } }, ["ok"]);
        return { kind: "question", requestOptions: [{ confirm }], state: null, fallback: text(FALLBACK) };
      }
      if (acceptedContent(mcpReq.inputResponses, "confirm")?.["ok"] !== true) return text("declined");
      await count("paid", crypto.randomUUID());
      if (next === "throw") throw new Error("the bank is closed");
      if (next === "hang") await new Promise((resolve) => setTimeout(resolve, SLOW_MS));
      return text(`paid ${amount}`);
    },
  };
}

const sayGroup: InputTool<object, null> = {
  name: "survival_group",
  parseState: (value) => z.null().parse(value),
  async run(_input, state, { http }) {
    if (state === null) return text(`in ${String(http?.authInfo?.extra?.["group"])}`);
    const confirm = formOf("Name the group?", { ok: { type: "boolean" } }, ["ok"]);
    return { kind: "question", requestOptions: [{ confirm }], state: null, fallback: text(FALLBACK) };
  },
};

const roundState = z.object({ first: z.string().nullable() });
type RoundState = z.output<typeof roundState>;

/** Counts the first round once per call, because it may run again, and the last round each time it runs. */
function twoQuestions(count: Count): InputTool<object, RoundState> {
  return {
    name: "survival_two_questions",
    parseState: (value) => roundState.parse(value),
    async run(_input, state, { mcpReq, http }) {
      if (state === undefined) {
        await count("started", callOf(http));
        return ask("first", "The first question", null);
      }
      const answer = acceptedContent(mcpReq.inputResponses, state.first === null ? "first" : "second")?.["answer"];
      if (typeof answer !== "string") return text("declined");
      if (state.first === null) return ask("second", "The second question", answer);
      await count("finished", crypto.randomUUID());
      return text(`answers: ${state.first} and ${answer}`);
    },
  };
}

function ask(key: string, message: string, first: string | null): UserQuestion<RoundState> {
  const form = formOf(message, { answer: { type: "string" } }, ["answer"]);
  return {
    kind: "question",
    requestOptions: [{ [key]: form }],
    state: { first },
    fallback: text(FALLBACK),
  };
}

function text(value: string): CallToolResult {
  return { content: [{ type: "text", text: value }] };
}

function callOf(http: ServerContext["http"]): string {
  return String(http?.authInfo?.extra?.["call"]);
}
