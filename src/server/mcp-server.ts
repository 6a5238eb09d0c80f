// Builds the MCP server, the single definition behind both eras. It does not depend on the caller, so it can be built before
// the caller is known; every handler reads the caller from its request.
import { McpServer } from "@modelcontextprotocol/server";
import type { CreateServer } from "../mcp/endpoint.ts";
import type { Organisation } from "../config/define-gatehouse.ts";
// Only this field goes into the bundle.
import { version } from "../../package.json";
import { buildInstructions } from "./instructions.ts";
import { registerCompletions } from "./completions.ts";
import { registerPrompts } from "./prompts.ts";
import { registerResources } from "./mcp-resources.ts";
import type { Tool, ToolDependencies } from "./kit/define-tool.ts";
import { changeTool } from "./tools/change-tool.ts";
import { describeTool } from "./tools/describe-tool.ts";
import { fetchTool } from "./tools/fetch-tool.ts";
import { CUSTOM_TOOLS } from "./tools/custom-tools.ts";
import { queryTool } from "./tools/query-tool.ts";
import { searchTool } from "./tools/search-tool.ts";
import { undoTool } from "./tools/undo-tool.ts";

/** All tools in the fixed order of tools/list: those that read, those that propose changes, then the organisation's custom tools. */
export const TOOLS: readonly Tool[] = [
  searchTool,
  fetchTool,
  describeTool,
  queryTool,
  changeTool,
  undoTool,
  ...CUSTOM_TOOLS,
];

/** How long a client may cache results that are the same for every signed-in user. */
const LIST_TTL_MS = 300_000;

/**
 * Returns the function that builds a server. Given a `tools/call` target, it registers only the tool that the request names,
 * because registration is most of the cost; otherwise it registers everything.
 */
export function createServerFactory(organisation: Organisation, dependencies: ToolDependencies): CreateServer {
  const { questions } = dependencies;
  const instructions = buildInstructions(organisation.name);
  const publicCache = { ttlMs: LIST_TTL_MS, cacheScope: "public" } as const;
  const privateCache = { ttlMs: 0, cacheScope: "private" } as const;
  return (target) => {
    const server = new McpServer(
      { name: "gatehouse", title: `Gatehouse · ${organisation.name}`, version },
      {
        instructions,
        capabilities: {
          tools: { listChanged: false },
          resources: { listChanged: true, subscribe: true },
          prompts: { listChanged: false },
          completions: {},
        },
        cacheHints: {
          "tools/list": publicCache,
          "resources/templates/list": publicCache,
          "prompts/list": publicCache,
          "server/discover": { ttlMs: LIST_TTL_MS, cacheScope: "private" },
          "resources/list": privateCache,
          "resources/read": privateCache,
        },
        ...(questions === undefined
          ? {}
          : { requestState: { verify: async (state, context) => questions.verify(state, context) } }),
      },
    );
    if (target?.method === "tools/call") {
      TOOLS.find(({ name }) => name === target.name)?.register(server, dependencies);
      return server;
    }
    for (const tool of TOOLS) tool.register(server, dependencies);
    registerResources(server, dependencies);
    registerPrompts(server, dependencies);
    registerCompletions(server, dependencies);
    return server;
  };
}
