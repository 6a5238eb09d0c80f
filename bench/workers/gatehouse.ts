// Gatehouse's protocol runtime with the ten tools, with memoised schemas at module level as its documentation recommends.
import { McpServer } from "@modelcontextprotocol/server";
import { memoizePerEnv } from "../../src/lib/memoize-per-env.ts";
import { defineRuntime } from "../../src/mcp/runtime.ts";
import type { RuntimeOptions } from "../../src/mcp/runtime.ts";
import { memoizeSchema } from "../../src/server/kit/memoized-schema.ts";
import { INPUT, TOOL_COUNT } from "./tools.ts";

interface BenchEnv {
  readonly SESSION: RuntimeOptions["sessions"];
  readonly HUB: RuntimeOptions["hub"];
}

const inputSchema = memoizeSchema(INPUT);

function createServer(): McpServer {
  // As in the product, the list is the same for every user, so it may be cached publicly.
  const cacheHints = { "tools/list": { ttlMs: 300_000, cacheScope: "public" } } as const;
  const server = new McpServer({ name: "bench", version: "1" }, { cacheHints });
  for (let index = 0; index < TOOL_COUNT; index += 1) {
    server.registerTool(
      `echo_${index}`,
      { description: `Returns its text (${index})`, inputSchema },
      async ({ text }) => ({ content: [{ type: "text", text }] }),
    );
  }
  return server;
}

const runtime = defineRuntime(
  memoizePerEnv((env: BenchEnv): RuntimeOptions => ({
    createServer,
    maySubscribe: async () => true,
    replayGuard: { authorize: async () => "current" },
    sessions: env.SESSION,
    hub: env.HUB,
    limits: {
      idleSeconds: 3600,
      streamAfterMs: 150,
      hibernateAfterMs: 3000,
      maxStreams: 16,
      maxEvents: 1000,
      maxLogBytes: 1e6,
      maxMessageBytes: 5e5,
      maxSessionsPerSubject: 1e9,
      maxListensPerGrant: 100,
      maxTopicsPerListener: 100,
      maxBodyBytes: 4e6,
      keepAliveMs: 15_000,
      maxQueuedEvents: 500,
    },
    now: Date.now,
    onRefusal: () => {},
    onError: (error) => console.error(error),
  })),
);

export class SessionObject extends runtime.SessionObject {}
export class HubObject extends runtime.HubObject {}

export default {
  async fetch(request: Request, env: BenchEnv): Promise<Response> {
    return runtime.getEndpoint(env)(request, {
      subjectId: "bench",
      grantId: "bench",
      authInfo: { token: "", clientId: "bench", scopes: [] },
    });
  },
};
