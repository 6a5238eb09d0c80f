// Gatehouse's runtime with the ten tools, as its documentation says to use it: schemas at module level, memoised.
import { McpServer } from "@modelcontextprotocol/server";
import { oncePerEnv } from "../../src/lib/once.ts";
import { defineRuntime } from "../../src/mcp/runtime.ts";
import type { RuntimeOptions } from "../../src/mcp/runtime.ts";
import { memoised } from "../../src/server/memoised.ts";
import { INPUT, TOOL_COUNT } from "./tools.ts";

interface BenchEnv {
  readonly SESSION: RuntimeOptions["sessions"];
  readonly HUB: RuntimeOptions["hub"];
}

const inputSchema = memoised(INPUT);

function createServer(): McpServer {
  // As the product does: the list is the same for everybody, and says so.
  const cacheHints = { "tools/list": { ttlMs: 300_000, cacheScope: "public" } } as const;
  const server = new McpServer({ name: "bench", version: "1" }, { cacheHints });
  for (let index = 0; index < TOOL_COUNT; index += 1) {
    server.registerTool(
      `echo_${index}`,
      { description: `Gives its text back (${index})`, inputSchema },
      async ({ text }) => ({ content: [{ type: "text", text }] }),
    );
  }
  return server;
}

const runtime = defineRuntime(
  oncePerEnv((env: BenchEnv): RuntimeOptions => ({
    createServer,
    maySubscribe: async () => true,
    replays: { authorize: async () => "current" },
    sessions: env.SESSION,
    hub: env.HUB,
    limits: {
      idleSeconds: 3600,
      jsonFirstMs: 150,
      parkAfterMs: 3000,
      maxStreams: 16,
      maxEvents: 1000,
      maxLogBytes: 1e6,
      maxMessageBytes: 5e5,
      maxSessionsPerSubject: 1e9,
      maxListensPerGrant: 100,
      maxTopicsPerListener: 100,
      maxBodyBytes: 4e6,
      keepAliveMs: 15_000,
      maxQueued: 500,
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
    return runtime.endpointOf(env)(request, {
      subjectId: "bench",
      grantId: "bench",
      authInfo: { token: "", clientId: "bench", scopes: [] },
    });
  },
};
