// Tools whose side effects are counted, for the tests that kill the server in the middle of them.
import { acceptedContent } from "@modelcontextprotocol/server";
import type { CallToolResult, McpServer, ServerContext } from "@modelcontextprotocol/server";
import * as z from "zod";
import type { Question, RoundTool, Rounds } from "../../src/mcp/rounds.ts";
import { formOf } from "./input-tools.ts";

type Count = (name: string, key: string) => Promise<void>;

/** Long enough to be killed in. */
const SLOW_MS = 60_000;

export function registerSurvivalTools(server: McpServer, rounds: Rounds, count: Count): void {
  const nothing = z.object({});
  server.registerTool(
    "survival_two_questions",
    { description: "Asks two questions, one after the other", inputSchema: nothing },
    rounds.callbackOf(server, twoQuestions(count)),
  );
  server.registerTool(
    "survival_pay",
    { description: "Pays an amount once it was confirmed", inputSchema: payment },
    rounds.callbackOf(server, pay(count)),
  );
  server.registerTool(
    "survival_group",
    { description: "Asks, then says in which group its caller is", inputSchema: nothing },
    rounds.callbackOf(server, sayGroup),
  );
  server.registerTool(
    "survival_slow",
    { description: "Reports progress once, then takes long", inputSchema: nothing },
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

/** Counts each payment it makes; what comes after that may go wrong. */
function pay(count: Count): RoundTool<Payment, null> {
  return {
    name: "survival_pay",
    parseState: (value) => z.null().parse(value),
    async run({ amount, next }, state, { mcpReq }) {
      if (state === undefined) {
        const confirm = formOf(`Pay ${amount}?`, { ok: { type: "boolean" } }, ["ok"]);
        return { kind: "question", ways: [{ confirm }], state: null, otherwise: text("nobody can be asked") };
      }
      if (acceptedContent(mcpReq.inputResponses, "confirm")?.["ok"] !== true) return text("declined");
      await count("paid", crypto.randomUUID());
      if (next === "throw") throw new Error("the bank is closed");
      if (next === "hang") await new Promise((resolve) => setTimeout(resolve, SLOW_MS));
      return text(`paid ${amount}`);
    },
  };
}

const sayGroup: RoundTool<object, null> = {
  name: "survival_group",
  parseState: (value) => z.null().parse(value),
  async run(_input, state, { http }) {
    if (state === null) return text(`in ${String(http?.authInfo?.extra?.["group"])}`);
    const confirm = formOf("Say it?", { ok: { type: "boolean" } }, ["ok"]);
    return { kind: "question", ways: [{ confirm }], state: null, otherwise: text("there is no one to ask") };
  },
};

const roundState = z.object({ first: z.string().nullable() });
type RoundState = z.output<typeof roundState>;

/** The first round is counted once per call, as it may run again; the last one each time it runs. */
function twoQuestions(count: Count): RoundTool<object, RoundState> {
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

function ask(key: string, message: string, first: string | null): Question<RoundState> {
  const form = formOf(message, { answer: { type: "string" } }, ["answer"]);
  return { kind: "question", ways: [{ [key]: form }], state: { first }, otherwise: text("nobody can be asked") };
}

function text(value: string): CallToolResult {
  return { content: [{ type: "text", text: value }] };
}

function callOf(http: ServerContext["http"]): string {
  return String(http?.authInfo?.extra?.["call"]);
}
