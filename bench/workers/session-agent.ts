// Cloudflare's session agent (`McpAgent`) with the ten tools, for comparison.
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { McpAgent } from "agents/mcp";
import { registerTools } from "./tools.ts";

export class SessionObject extends McpAgent {
  server = new McpServer({ name: "bench", version: "1" });

  async init(): Promise<void> {
    registerTools(this.server as never);
  }
}

export default SessionObject.serve("/mcp", { binding: "SESSION" });
