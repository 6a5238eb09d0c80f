// What a tool is here, and the only caller of the SDK's registerTool: no tool can skip the mapping of its errors, and
// none gets more than the gateway.
import type { CallToolResult, McpServer } from "@modelcontextprotocol/server";
import type * as z from "zod";
import type { Caller } from "../lib/identity.ts";
import type { Gateway } from "../access/gateway.ts";
import { callerOf } from "./caller.ts";
import { toolError } from "./result.ts";
import type { ErrorReporter } from "./result.ts";
import { memoised } from "./memoised.ts";
import type { NameArguments } from "./memoised.ts";

export interface ToolDependencies {
  readonly gateway: Gateway;
  readonly reporter: ErrorReporter;
}

/** A tool ready to be registered. */
export interface Tool {
  readonly name: string;
  register(server: McpServer, dependencies: ToolDependencies): void;
}

export interface ToolDefinition<Input extends z.ZodObject> {
  /** Stable: assistants and people refer to it. */
  readonly name: string;
  readonly title: string;
  /** For the model; every word costs tokens in each conversation. */
  readonly description: string;
  /** A plain object: no unions, which some clients refuse. */
  readonly input: Input;
  /** Those of its arguments that name something: "" for one of them means "not given". */
  readonly names?: NameArguments<Input>;
  /** Makes exactly one gateway call. */
  readonly run: (gateway: Gateway, caller: Caller, input: z.output<Input>) => Promise<CallToolResult>;
}

/** Defines a tool that only reads. */
export function defineReadTool<Input extends z.ZodObject>(definition: ToolDefinition<Input>): Tool {
  const { name, title, description, run } = definition;
  const inputSchema = memoised(definition.input, definition.names);
  return {
    name,
    register(server, { gateway, reporter }) {
      const annotations = { readOnlyHint: true, openWorldHint: false };
      server.registerTool(name, { title, description, inputSchema, annotations }, async (input, context) => {
        try {
          return await run(gateway, callerOf(context), input);
        } catch (error) {
          return toolError(error, reporter);
        }
      });
    },
  };
}
