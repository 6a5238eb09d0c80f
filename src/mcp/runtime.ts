// Composes the protocol runtime: an endpoint and two Durable Object classes around a server factory. It knows nothing of
// data, policy or tools, so that the product and the conformance Worker can mount the same runtime.
import { preloadSchemas } from "@modelcontextprotocol/server";
import { createHub } from "./subscriptions/hub.ts";
import type { Hub } from "./subscriptions/hub.ts";
import { HubObject } from "./subscriptions/hub-object.ts";
import type { HubLimits } from "./subscriptions/hub-object.ts";
import type { HubNamespace } from "./subscriptions/hub-protocol.ts";
import { memoizePerEnv } from "../lib/memoize-per-env.ts";
import { createSessionClient } from "./sessions/session-client.ts";
import type { SessionNamespace } from "./sessions/session-protocol.ts";
import type { SessionCaller } from "./wire/protocol-caller.ts";
import { SessionObject } from "./sessions/session-object.ts";
import type { SessionLimits } from "./sessions/session-options.ts";
import { createEndpoint } from "./endpoint.ts";
import type { CreateServer, McpEndpoint } from "./endpoint.ts";
import type { ReplayGuard } from "./wire/replay-guard.ts";

// The schemas of all messages are built while the isolate starts, not within its first request.
preloadSchemas();

/** The limits of a deployment's endpoint, sessions and hub. */
interface RuntimeLimits extends SessionLimits, HubLimits {
  /** Maximum size of a request body. */
  readonly maxBodyBytes: number;
  /** Interval between comments on a stream; a failed write reveals a client that has left. */
  readonly keepAliveMs: number;
  /** Events that may queue for a slow client before its stream is closed. */
  readonly maxQueuedEvents: number;
}

/** What a deployment plugs into the runtime. */
export interface RuntimeOptions {
  /** Builds a new server for each 2026 request, and for each 2025 session that is in memory. */
  readonly createServer: CreateServer;
  /** Whether the caller may subscribe to changes of this resource. */
  readonly maySubscribe: (caller: SessionCaller, uri: string) => Promise<boolean>;
  /** Consulted before a stored answer is delivered again. */
  readonly replayGuard: ReplayGuard;
  readonly sessions: SessionNamespace;
  readonly hub: HubNamespace;
  readonly limits: RuntimeLimits;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Receives a short description of each request that the protocol layer refused as the client's mistake. */
  readonly onRefusal: (message: string) => void;
  readonly onError: (error: unknown) => void;
}

/** The parts of the runtime that a Worker exports or calls. */
export interface Runtime<E> {
  readonly getEndpoint: (env: E) => McpEndpoint;
  /** Used for revocation and for rechecking subscriptions. Change notifications will publish through it. */
  readonly getHub: (env: E) => Hub;
  readonly SessionObject: new (ctx: DurableObjectState, env: E) => SessionObject<E>;
  readonly HubObject: new (ctx: DurableObjectState, env: E) => HubObject<E>;
}

/** Defines the runtime of a deployment. Endpoint and hub are created once per isolate; each object calls `createOptions`. */
export function defineRuntime<E extends object>(createOptions: (env: E) => RuntimeOptions): Runtime<E> {
  const getHub = memoizePerEnv((env: E) => createHub(createOptions(env).hub));
  return {
    getHub,
    getEndpoint: memoizePerEnv((env: E) => {
      const { sessions, limits, ...options } = createOptions(env);
      return createEndpoint({
        ...options,
        ...limits,
        sessions: createSessionClient(sessions, limits),
        hub: getHub(env),
      });
    }),
    SessionObject: class extends SessionObject<E> {
      constructor(ctx: DurableObjectState, env: E) {
        super(ctx, env, { ...createOptions(env), hub: getHub(env) });
      }
    },
    HubObject: class extends HubObject<E> {
      constructor(ctx: DurableObjectState, env: E) {
        super(ctx, env, createOptions(env));
      }
    },
  };
}
