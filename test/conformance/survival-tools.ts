// Tools whose side effects are counted, for the tests that kill the server in the middle of them.
import { acceptedContent, inputRequired } from "@modelcontextprotocol/server";
import type { CallToolResult, InputRequiredResult, McpServer, ServerContext } from "@modelcontextprotocol/server";
import * as z from "zod";
import { formOf } from "./input-tools.ts";

type Count = (name: string, key: string) => Promise<void>;

/** Long enough to be killed in. */
const SLOW_MS = 60_000;

export function registerSurvivalTools(server: McpServer, count: Count): void {
  const nothing = z.object({});
  server.registerTool(
    "survival_two_questions",
    { description: "Asks two questions, one after the other", inputSchema: nothing },
    async (_input, context) => twoQuestions(context, count),
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

/** The second question carries the first answer, so that the answers can be told apart when they come back. */
async function twoQuestions(
  { mcpReq, http }: ServerContext,
  count: Count,
): Promise<CallToolResult | InputRequiredResult> {
  const call = callOf(http);
  const second = acceptedContent(mcpReq.inputResponses, "second");
  if (second !== undefined) {
    await count("finished", call);
    return { content: [{ type: "text", text: `answers: ${String(second["first"])} and ${String(second["answer"])}` }] };
  }
  const first = acceptedContent(mcpReq.inputResponses, "first")?.["answer"];
  if (typeof first !== "string") {
    await count("started", call);
    return inputRequired({
      inputRequests: { first: formOf("The first question", { answer: { type: "string" } }, ["answer"]) },
    });
  }
  const properties = { first: { type: "string", default: first }, answer: { type: "string" } } as const;
  return inputRequired({ inputRequests: { second: formOf("The second question", properties, ["first", "answer"]) } });
}

function callOf(http: ServerContext["http"]): string {
  return String(http?.authInfo?.extra?.["call"]);
}
