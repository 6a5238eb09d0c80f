// Ten trivial tools for servers of both SDKs.
import * as z from "zod";

export const TOOL_COUNT = 10;
export const INPUT = z.object({ text: z.string().describe("Text to return"), times: z.number().int().optional() });

/** The part of the server that both SDKs share. */
interface ToolServer {
  registerTool(
    name: string,
    config: { description: string; inputSchema: typeof INPUT },
    run: (input: { text: string }) => Promise<{ content: { type: "text"; text: string }[] }>,
  ): unknown;
}

/** Registers the tools `echo_0` to `echo_9`. */
export function registerTools(server: ToolServer): void {
  for (let index = 0; index < TOOL_COUNT; index += 1) {
    server.registerTool(
      `echo_${index}`,
      { description: `Returns its text (${index})`, inputSchema: INPUT },
      async ({ text }) => ({ content: [{ type: "text", text }] }),
    );
  }
}
