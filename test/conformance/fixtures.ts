// The server that the official suite expects to find, assembled from its parts.
import { McpServer } from "@modelcontextprotocol/server";
import type { ServerContext } from "@modelcontextprotocol/server";
import type { Hub } from "../../src/hub/hub.ts";
import { newId } from "../../src/lib/ids.ts";
import { createRounds } from "../../src/mcp/rounds.ts";
import type { Handles } from "../../src/mcp/rounds.ts";
import type { ReplayGuard } from "../../src/mcp/replay.ts";
import { registerContentTools } from "./content-tools.ts";
import { governRounds, governTools } from "./governed.ts";
import { registerInputTools } from "./input-tools.ts";
import { registerPrompts } from "./prompts.ts";
import { registerResources } from "./resources.ts";
import { registerSurvivalTools } from "./survival-tools.ts";

/** Everybody who calls the conformance Worker. */
export const SUBJECT = "conformance";

const INFO = { name: "gatehouse-conformance", version: "1.0.0" };
const KEY = "a key for tests, of at least 32 bytes";
const CACHE = { ttlMs: 60_000, cacheScope: "public" } as const;

export interface FixtureDependencies {
  readonly hub: () => Hub;
  readonly handles: Handles;
  readonly replays: ReplayGuard;
  /** The digest of what a subject may see at the moment. */
  readonly grantsOf: (subjectId: string) => Promise<string>;
  /** Counts a side effect under a key. */
  readonly count: (name: string, key: string) => Promise<void>;
}

export function createFixtures({ hub, handles, replays, grantsOf, count }: FixtureDependencies): () => McpServer {
  const subjectOf = ({ http }: ServerContext): string => String(http?.authInfo?.extra?.["subject"]);
  const rounds = governRounds(
    createRounds({ key: KEY, ttlSeconds: 600, handles, replays, subjectOf, newId }),
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
