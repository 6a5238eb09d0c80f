// Defines tools and is the only caller of the SDK's `registerTool`, so that no tool can skip error mapping or reach more than
// the gateway.
import type { CallToolResult, McpServer, ToolAnnotations } from "@modelcontextprotocol/server";
import type * as z from "zod";
import type { Caller } from "../../lib/identity.ts";
import type { Gateway } from "../../gateway/gateway.ts";
import { getCaller } from "./caller.ts";
import { toolError } from "./tool-result.ts";
import type { ErrorReporter } from "./tool-result.ts";
import { requireWellFormed } from "./well-formed-input.ts";
import { memoizeSchema } from "./memoized-schema.ts";
import type { NameArguments } from "./memoized-schema.ts";

/** The dependencies that every tool, prompt and resource handler gets. */
export interface ToolDependencies {
  readonly gateway: Gateway;
  readonly reporter: ErrorReporter;
}

/** A tool ready to be registered. */
export interface Tool {
  readonly name: string;
  register(server: McpServer, dependencies: ToolDependencies): void;
}

/** The definition of a tool. */
interface ToolDefinition<Input extends z.ZodObject> {
  /** A stable name: assistants and users refer to it. */
  readonly name: string;
  readonly title: string;
  /** Written for the model. Every word costs context in each conversation. */
  readonly description: string;
  /** A plain object: no unions, which some clients refuse. */
  readonly input: Input;
  /** Arguments that name something, for which "" means "not given". */
  readonly names?: NameArguments<Input>;
  /** Which arguments belong together, for the message about an unknown argument. */
  readonly usage?: string;
  /** Makes exactly one gateway call. */
  readonly run: (gateway: Gateway, caller: Caller, input: z.output<Input>) => Promise<CallToolResult>;
}

/** Defines a tool that only reads. */
export function defineReadTool<Input extends z.ZodObject>(definition: ToolDefinition<Input>): Tool {
  return defineTool(definition, { readOnlyHint: true, openWorldHint: false });
}

/** Defines a tool that may lead to a change of data. */
export function defineChangeTool<Input extends z.ZodObject>(definition: ToolDefinition<Input>): Tool {
  return defineTool(definition, { readOnlyHint: false, destructiveHint: true, openWorldHint: false });
}

function defineTool<Input extends z.ZodObject>(definition: ToolDefinition<Input>, annotations: ToolAnnotations): Tool {
  const { name, title, description, usage, run } = definition;
  const inputSchema = memoizeSchema(definition.input, definition.names, usage);
  return {
    name,
    register(server, { gateway, reporter }) {
      server.registerTool(name, { title, description, inputSchema, annotations }, async (input, context) => {
        try {
          requireWellFormed(input);
          const notices: string[] = [];
          const caller = { ...getCaller(context), onNotice: (notice: string) => void notices.push(notice) };
          return addNotices(await run(gateway, caller, input), notices);
        } catch (error) {
          return toolError(error, reporter);
        }
      });
    },
  };
}

/** Adds notices for the user behind the answer, each as a text block of its own. */
function addNotices(result: CallToolResult, notices: readonly string[]): CallToolResult {
  if (notices.length === 0) return result;
  return { ...result, content: [...result.content, ...notices.map((text) => ({ type: "text" as const, text }))] };
}
