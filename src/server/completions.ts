// Completes the arguments of prompts and the variables of resource templates, through the gateway like every read.
import type { McpServer } from "@modelcontextprotocol/server";
import type { Wanted } from "../access/complete.ts";
import { callerOf } from "./caller.ts";
import { resourceError } from "./result.ts";
import type { ToolDependencies } from "./tool.ts";

/** What an argument or variable of this name stands for. */
const KINDS: Readonly<Record<string, Wanted["kind"]>> = {
  dataset: "dataset",
  source: "source",
  table: "table",
  key: "document",
  id: "result",
};

export function registerCompletions(server: McpServer, { gateway, reporter }: ToolDependencies): void {
  server.server.setRequestHandler("completion/complete", async ({ params }, context) => {
    const { argument } = params;
    const isRow = params.ref.type === "ref/resource" && params.ref.uri.includes("{table}/{key}");
    // Rows are not listed, so their keys are not completed.
    const kind =
      isRow && argument.name === "key"
        ? undefined
        : Object.hasOwn(KINDS, argument.name)
          ? KINDS[argument.name]
          : undefined;
    if (kind === undefined) return { completion: { values: [], total: 0, hasMore: false } };
    try {
      const wanted = { kind, source: params.context?.arguments?.["source"], prefix: argument.value };
      const { values, total } = await gateway.complete(callerOf(context), wanted);
      return { completion: { values: [...values], total, hasMore: values.length < total } };
    } catch (error) {
      throw resourceError(error, "completion", reporter);
    }
  });
}
