// Cloudflare's stateless handler (`createMcpHandler`) with the ten tools, for comparison.
import { McpServer } from "@modelcontextprotocol/server";
import { createMcpHandler } from "agents/mcp/server";
import { registerTools } from "./tools.ts";

const handler = createMcpHandler(() => {
  const server = new McpServer({ name: "bench", version: "1" });
  registerTools(server as never);
  return server;
});

export default {
  fetch: (request: Request, env: unknown, context: ExecutionContext) => handler(request, env as never, context),
};
