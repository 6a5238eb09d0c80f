// Ten trivial tools, for servers of either SDK.
import * as z from "zod";

export const TOOL_COUNT = 10;
export const INPUT = z.object({ text: z.string().describe("Text to give back"), times: z.number().int().optional() });

/** What both SDKs' servers take. */
export interface ToolServer {
  registerTool(
    name: string,
    config: { description: string; inputSchema: typeof INPUT },
    run: (input: { text: string }) => Promise<{ content: { type: "text"; text: string }[] }>,
  ): unknown;
}

export function registerTools(server: ToolServer): void {
  for (let index = 0; index < TOOL_COUNT; index += 1) {
    server.registerTool(
      `echo_${index}`,
      { description: `Gives its text back (${index})`, inputSchema: INPUT },
      async ({ text }) => ({ content: [{ type: "text", text }] }),
    );
  }
}
