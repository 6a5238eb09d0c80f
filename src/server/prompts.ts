// Prompts that people start from: what to do, with what this person may see of the data already in it.
import type { GetPromptResult, McpServer, ServerContext } from "@modelcontextprotocol/server";
import * as z from "zod";
import { callerOf } from "./caller.ts";
import { memoised } from "./memoised.ts";
import { resourceError } from "./result.ts";
import type { ToolDependencies } from "./tool.ts";

const MAX_TEXT = 2000;

const questionInput = memoised(
  z.object({ question: z.string().min(1).max(MAX_TEXT).describe("what you want to know") }),
);
const datasetInput = memoised(
  z.object({ dataset: z.string().min(1).max(300).describe("source.table, or a document source") }),
  ["dataset"],
);
const reportInput = memoised(z.object({ source: z.string().min(1).max(100).describe("the source to report on") }), [
  "source",
]);

const HOW =
  "Use describe for columns you do not know, then query; aggregate in SQL. Say which rows and columns the person cannot see where it matters (restricted, masked, cut, incomplete), and give the SQL that the figures come from.";

export function registerPrompts(server: McpServer, { gateway, reporter }: ToolDependencies): void {
  const told = async (
    context: ServerContext,
    name: string | undefined,
    text: (data: string) => string,
  ): Promise<GetPromptResult> => {
    try {
      const description = await gateway.describe(callerOf(context), name);
      return { messages: [{ role: "user", content: { type: "text", text: text(JSON.stringify(description)) } }] };
    } catch (error) {
      throw resourceError(error, name ?? "gatehouse://", reporter);
    }
  };
  server.registerPrompt(
    "answer-question",
    { title: "Answer a question", description: "Answers a question from the data", argsSchema: questionInput },
    async ({ question }, context) =>
      told(
        context,
        undefined,
        (data) => `Answer this question from the data:\n\n${question}\n\nWhat there is: ${data}\n\n${HOW}`,
      ),
  );
  server.registerPrompt(
    "explain-dataset",
    {
      title: "Explain a dataset",
      description: "Explains what a table holds and what it can answer",
      argsSchema: datasetInput,
    },
    async ({ dataset }, context) =>
      told(
        context,
        dataset,
        (data) =>
          `Explain this dataset to somebody who does not know it: what a row is, what the columns mean, which are masked, and five questions that it can answer. Look at a few rows first.\n\n${data}\n\n${HOW}`,
      ),
  );
  server.registerPrompt(
    "weekly-report",
    {
      title: "Weekly report",
      description: "Reports on the last full week of a source beside the week before",
      argsSchema: reportInput,
    },
    async ({ source }, context) =>
      told(
        context,
        source,
        (data) =>
          `Write a report on the last full week in the data of this source (find the newest date first) beside the week before: the most telling figures, what changed most, and what looks unusual. One short table, then at most five sentences.\n\n${data}\n\n${HOW}`,
      ),
  );
}
