// Defines tools that only read. A tool reaches nothing but the gateway, and none of what people decide.
import type { CallToolResult } from "@modelcontextprotocol/server";
import type * as z from "zod";
import type { ToolGateway } from "../../gateway/gateway.ts";
import type { Caller } from "../../lib/identity.ts";
import { addNotices, collectNotices, createTool } from "./register-tool.ts";
import type { Tool, ToolDescription } from "./register-tool.ts";

export type { Tool, ToolDependencies } from "./register-tool.ts";

/** The definition of a tool that only reads. */
interface ReadToolDefinition<Input extends z.ZodObject> extends ToolDescription<Input> {
  /** Makes exactly one gateway call. */
  readonly run: (gateway: ToolGateway, caller: Caller, input: z.output<Input>) => Promise<CallToolResult>;
}

/** Defines a tool that only reads. */
export function defineReadTool<Input extends z.ZodObject>({ run, ...description }: ReadToolDefinition<Input>): Tool {
  const annotations = { readOnlyHint: true, openWorldHint: false };
  return createTool(description, annotations, (_server, { gateway }) => async (input, context) => {
    const { value, notices } = await collectNotices(context, async (caller) => run(gateway, caller, input));
    return addNotices(value, notices);
  });
}
