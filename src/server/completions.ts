// Completes prompt arguments and resource template variables. Suggestions come from the gateway, so they are governed like
// every other read.
import type { McpServer } from "@modelcontextprotocol/server";
import type { CompletionRequest } from "../gateway/complete.ts";
import { getCaller } from "./kit/caller.ts";
import { resourceError } from "./kit/tool-result.ts";
import { requireWellFormed } from "./kit/well-formed-input.ts";
import type { ToolDependencies } from "./kit/define-tool.ts";

/** Maps the name of an argument or variable to the kind of value it completes. */
const COMPLETION_KINDS: Readonly<Record<string, CompletionRequest["kind"]>> = {
  dataset: "dataset",
  source: "source",
  table: "table",
  key: "document",
  id: "result",
};

/** Registers `completion/complete`. */
export function registerCompletions(server: McpServer, { gateway, reporter }: ToolDependencies): void {
  server.server.setRequestHandler("completion/complete", async ({ params }, context) => {
    const { argument } = params;
    const isRow = params.ref.type === "ref/resource" && params.ref.uri.includes("{table}/{key}");
    // Row keys are not completed, because rows are never listed.
    const kind =
      isRow && argument.name === "key"
        ? undefined
        : Object.hasOwn(COMPLETION_KINDS, argument.name)
          ? COMPLETION_KINDS[argument.name]
          : undefined;
    try {
      requireWellFormed({ argument, context: params.context });
      if (kind === undefined) return { completion: { values: [], total: 0, hasMore: false } };
      const request = { kind, source: params.context?.arguments?.["source"], prefix: argument.value };
      const { values, total } = await gateway.complete(getCaller(context), request);
      return { completion: { values: [...values], total, hasMore: values.length < total } };
    } catch (error) {
      throw resourceError(error, "completion", reporter);
    }
  });
}
