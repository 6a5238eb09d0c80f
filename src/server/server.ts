// Builds the MCP server: the one definition behind both eras. Nothing in it depends on who asks, so it can be built
// before that is known; every handler takes its caller from the request.
import { McpServer } from "@modelcontextprotocol/server";
import type { Organisation } from "../config.ts";
import packageJson from "../../package.json" with { type: "json" };
import { instructionsFor } from "./instructions.ts";
import { registerCompletions } from "./completions.ts";
import { registerPrompts } from "./prompts.ts";
import { registerResources } from "./resources.ts";
import type { Tool, ToolDependencies } from "./tool.ts";
import { describeTool } from "./tools/describe.ts";
import { fetchTool } from "./tools/fetch.ts";
import { OWN_TOOLS } from "./tools/own.ts";
import { queryTool } from "./tools/query.ts";
import { searchTool } from "./tools/search.ts";

/** In the order of tools/list, which stays: reading first, then those of the organisation. */
export const TOOLS: readonly Tool[] = [searchTool, fetchTool, describeTool, queryTool, ...OWN_TOOLS];

/** How long a client may keep what is the same for everybody who is signed in. */
const LIST_TTL_MS = 300_000;

/** What one request of the 2026 era asks: its method, and the tool that it names. */
export interface Asked {
  readonly method: string;
  readonly name: string | null;
}

/**
 * Returns the function that builds a server: with everything registered, or with what a single request needs, which is most
 * of what building costs.
 */
export function createServerFactory(
  organisation: Organisation,
  dependencies: ToolDependencies,
): (asked?: Asked) => McpServer {
  const instructions = instructionsFor(organisation.name);
  const shared = { ttlMs: LIST_TTL_MS, cacheScope: "public" } as const;
  const personal = { ttlMs: 0, cacheScope: "private" } as const;
  return (asked) => {
    const server = new McpServer(
      { name: "gatehouse", title: `Gatehouse · ${organisation.name}`, version: packageJson.version },
      {
        instructions,
        capabilities: {
          tools: { listChanged: false },
          resources: { listChanged: true },
          prompts: { listChanged: false },
          completions: {},
        },
        cacheHints: {
          "tools/list": shared,
          "resources/templates/list": shared,
          "prompts/list": shared,
          "server/discover": { ttlMs: LIST_TTL_MS, cacheScope: "private" },
          "resources/list": personal,
          "resources/read": personal,
        },
      },
    );
    if (asked?.method === "tools/call") {
      TOOLS.find(({ name }) => name === asked.name)?.register(server, dependencies);
      return server;
    }
    for (const tool of TOOLS) tool.register(server, dependencies);
    registerResources(server, dependencies);
    registerPrompts(server, dependencies);
    registerCompletions(server, dependencies);
    return server;
  };
}
