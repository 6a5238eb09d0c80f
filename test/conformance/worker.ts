// The conformance Worker: exactly the product's runtime around the suite's fixtures.
import { oncePerEnv } from "../../src/lib/once.ts";
import { refuseHost, refuseOrigin } from "../../src/mcp/border.ts";
import { defineRuntime } from "../../src/mcp/runtime.ts";
import type { Runtime, RuntimeOptions } from "../../src/mcp/runtime.ts";
import { SUBJECT, createFixtures } from "./fixtures.ts";

export interface ConformanceEnv {
  /** The port follows the socket; only the name is checked. */
  readonly HOST: string;
  readonly SESSION: RuntimeOptions["sessions"];
  readonly HUB: RuntimeOptions["hub"];
}

const LIMITS = {
  idleSeconds: 3600,
  jsonFirstMs: 150,
  parkAfterMs: 3000,
  maxStreams: 16,
  maxEvents: 1000,
  maxLogBytes: 1_000_000,
  maxMessageBytes: 500_000,
  maxSessionsPerSubject: 10_000,
  maxListensPerGrant: 100,
  maxTopicsPerListener: 100,
  maxBodyBytes: 4 * 1024 * 1024,
  keepAliveMs: 15_000,
  maxQueued: 500,
};

const runtime: Runtime<ConformanceEnv> = defineRuntime(
  oncePerEnv((env: ConformanceEnv): RuntimeOptions => ({
    createServer: createFixtures(() => runtime.hubOf(env)),
    maySubscribe: async () => true,
    sessions: env.SESSION,
    hub: env.HUB,
    limits: LIMITS,
    onRefusal: () => {},
    onError: (error) => console.error(error),
  })),
);

export class SessionObject extends runtime.SessionObject {}
export class HubObject extends runtime.HubObject {}

export default {
  async fetch(request: Request, env: ConformanceEnv): Promise<Response> {
    const { origin, port, pathname } = new URL(request.url);
    const refusal =
      refuseHost(request, `${env.HOST}${port === "" ? "" : `:${port}`}`) ?? refuseOrigin(request, [origin]);
    if (refusal !== undefined) return refusal;
    if (pathname !== "/mcp") return new Response(null, { status: 404 });
    const authInfo = { token: "", clientId: "conformance", scopes: [] };
    return runtime.endpointOf(env)(request, { subjectId: SUBJECT, grantId: "conformance", authInfo });
  },
};
