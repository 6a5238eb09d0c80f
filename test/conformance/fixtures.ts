// Assembles the MCP server that the official conformance suite expects.
import { McpServer } from "@modelcontextprotocol/server";
import type { ServerContext } from "@modelcontextprotocol/server";
import type { Hub } from "../../src/mcp/subscriptions/hub.ts";
import { newId } from "../../src/lib/ids.ts";
import { createInputRequiredTools } from "../../src/mcp/elicitation/input-required.ts";
import type { HandleStore } from "../../src/mcp/elicitation/input-required.ts";
import type { ReplayGuard } from "../../src/mcp/wire/replay-guard.ts";
import { registerContentTools } from "./content-tools.ts";
import { governRounds, governTools } from "./governed.ts";
import { registerInputTools } from "./input-tools.ts";
import { registerPrompts } from "./prompts.ts";
import { registerResources } from "./resources.ts";
import { registerSurvivalTools } from "./survival-tools.ts";

/** The default subject of requests to the conformance Worker. */
export const SUBJECT = "conformance";

const INFO = { name: "gatehouse-conformance", version: "1.0.0" };
const KEY = "a key for tests, of at least 32 bytes";
const CACHE = { ttlMs: 60_000, cacheScope: "public" } as const;

/** The dependencies of the fixtures. */
interface FixtureDependencies {
  readonly hub: () => Hub;
  readonly handles: HandleStore;
  readonly replays: ReplayGuard;
  /** Returns the digest of a subject's current grants. */
  readonly grantsOf: (subjectId: string) => Promise<string>;
  /** Counts a side effect under a key. */
  readonly count: (name: string, key: string) => Promise<void>;
}

/** Creates the server factory of the fixtures. */
export function createFixtures({ hub, handles, replays, grantsOf, count }: FixtureDependencies): () => McpServer {
  const subjectOf = ({ http }: ServerContext): string => String(http?.authInfo?.extra?.["subject"]);
  const rounds = governRounds(
    createInputRequiredTools({
      key: KEY,
      ttlSeconds: 600,
      handles,
      replayGuard: replays,
      getSubjectId: subjectOf,
      newId,
    }),
    async (context) => grantsOf(subjectOf(context)),
  );
  return () => {
    const server = new McpServer(INFO, {
      capabilities: {
        tools: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
        prompts: { listChanged: true },
        logging: {},
        completions: {},
      },
      cacheHints: {
        "tools/list": CACHE,
        "prompts/list": CACHE,
        "resources/list": CACHE,
        "resources/templates/list": CACHE,
        "resources/read": CACHE,
        "server/discover": CACHE,
      },
      requestState: { verify: async (state, context) => rounds.verify(state, context) },
    });
    governTools(server, async (context) => grantsOf(subjectOf(context)));
    registerContentTools(server, hub);
    registerInputTools(server, rounds);
    registerSurvivalTools(server, rounds, count);
    registerResources(server);
    registerPrompts(server);
    return server;
  };
}
