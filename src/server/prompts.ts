// The MCP prompts that users can start from. Each contains a task and the description of the data that the caller may see.
import type { GetPromptResult, McpServer, ServerContext } from "@modelcontextprotocol/server";
import * as z from "zod";
import { getCaller } from "./kit/caller.ts";
import { memoizeSchema } from "./kit/memoized-schema.ts";
import { resourceError } from "./kit/tool-result.ts";
import { requireWellFormed } from "./kit/well-formed-input.ts";
import type { ToolDependencies } from "./kit/define-tool.ts";

const MAX_QUESTION_CHARACTERS = 2000;

const questionInput = memoizeSchema(
  z.object({ question: z.string().min(1).max(MAX_QUESTION_CHARACTERS).describe("what you want to know") }),
);
const datasetInput = memoizeSchema(
  z.object({ dataset: z.string().min(1).max(300).describe("source.table, or a document source") }),
  ["dataset"],
);
const reportInput = memoizeSchema(
  z.object({ source: z.string().min(1).max(100).describe("the source to report on") }),
  ["source"],
);

const HOW_TO_ANSWER = [
  "Use describe for columns you do not know, then query; aggregate in SQL.",
  "Say which rows and columns the person cannot see where it matters (restricted, masked, cut, incomplete), and give the SQL that the",
  "figures come from.",
].join(" ");
const EXPLAIN_DATASET = [
  "Explain this dataset to a reader who does not know it: what a row is, what the columns mean, which are masked, and five questions that",
  "it can answer. Look at a few rows first.",
].join(" ");
const WEEKLY_REPORT = [
  "Write a report on the last full week in the data of this source (find the newest date first) beside the week before: the most telling",
  "figures, what changed most, and what looks unusual. One short table, then at most five sentences.",
].join(" ");

/** Registers the prompts. */
export function registerPrompts(server: McpServer, { gateway, reporter }: ToolDependencies): void {
  const createPrompt = async (
    context: ServerContext,
    input: Readonly<Record<string, string>>,
    name: string | undefined,
    buildText: (data: string) => string,
  ): Promise<GetPromptResult> => {
    try {
      requireWellFormed(input);
      const description = await gateway.describe(getCaller(context), name);
      return { messages: [{ role: "user", content: { type: "text", text: buildText(JSON.stringify(description)) } }] };
    } catch (error) {
      throw resourceError(error, name ?? "gatehouse://", reporter);
    }
  };
  server.registerPrompt(
    "answer-question",
    { title: "Answer a question", description: "Answers a question from the data", argsSchema: questionInput },
    async (input, context) =>
      createPrompt(
        context,
        input,
        undefined,
        (data) =>
          `Answer this question from the data:\n\n${input.question}\n\nWhat there is: ${data}\n\n${HOW_TO_ANSWER}`,
      ),
  );
  server.registerPrompt(
    "explain-dataset",
    {
      title: "Explain a dataset",
      description: "Explains what a table holds and what it can answer",
      argsSchema: datasetInput,
    },
    async (input, context) =>
      createPrompt(context, input, input.dataset, (data) => `${EXPLAIN_DATASET}\n\n${data}\n\n${HOW_TO_ANSWER}`),
  );
  server.registerPrompt(
    "weekly-report",
    {
      title: "Weekly report",
      description: "Reports on the last full week of a source beside the week before",
      argsSchema: reportInput,
    },
    async (input, context) =>
      createPrompt(context, input, input.source, (data) => `${WEEKLY_REPORT}\n\n${data}\n\n${HOW_TO_ANSWER}`),
  );
}
