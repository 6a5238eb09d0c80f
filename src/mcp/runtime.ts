// The protocol runtime as one piece: an endpoint and two object classes around a server factory. It knows nothing of
// data, policy or tools; the product and the conformance Worker mount the same.
import { createHub } from "../hub/hub.ts";
import type { Hub } from "../hub/hub.ts";
import { HubObject } from "../hub/hub-object.ts";
import type { HubLimits } from "../hub/hub-object.ts";
import type { HubNamespace } from "../hub/protocol.ts";
import { oncePerEnv } from "../lib/once.ts";
import { createSessionClient } from "../session/client.ts";
import type { SessionNamespace } from "../session/protocol.ts";
import type { SessionCaller } from "./protocol-caller.ts";
import { SessionObject } from "../session/session-object.ts";
import type { SessionLimits } from "../session/session-object.ts";
import { createEndpoint } from "./endpoint.ts";
import type { CreateServer, McpEndpoint } from "./endpoint.ts";
import type { ReplayGuard } from "./replay.ts";

export interface RuntimeLimits extends SessionLimits, HubLimits {
  /** Bytes of a request body. */
  readonly maxBodyBytes: number;
  /** Silence on a stream after which a comment is sent, to notice clients that left. */
  readonly keepAliveMs: number;
  /** Events that may wait for a slow client before its stream is closed. */
  readonly maxQueued: number;
}

export interface RuntimeOptions {
  /** A new server, called for each 2026 request with what it asks, and for each 2025 session in memory. */
  readonly createServer: CreateServer;
  /** Whether the caller may hear of changes to this resource. */
  readonly maySubscribe: (caller: SessionCaller, uri: string) => Promise<boolean>;
  /** Asked before a stored answer is delivered again. */
  readonly replays: ReplayGuard;
  readonly sessions: SessionNamespace;
  readonly hub: HubNamespace;
  readonly limits: RuntimeLimits;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** A request that the protocol layer refused: its sender's mistake, in a few words. */
  readonly onRefusal: (message: string) => void;
  readonly onError: (error: unknown) => void;
}

export interface Runtime<E> {
  readonly endpointOf: (env: E) => McpEndpoint;
  /** For publishers of changes, and for revocation. */
  readonly hubOf: (env: E) => Hub;
  readonly SessionObject: new (ctx: DurableObjectState, env: E) => SessionObject<E>;
  readonly HubObject: new (ctx: DurableObjectState, env: E) => HubObject<E>;
}

/** Defines the runtime of a deployment; `optionsOf` is called once per isolate. */
export function defineRuntime<E extends object>(optionsOf: (env: E) => RuntimeOptions): Runtime<E> {
  const hubOf = oncePerEnv((env: E) => createHub(optionsOf(env).hub));
  return {
    hubOf,
    endpointOf: oncePerEnv((env: E) => {
      const { sessions, limits, ...options } = optionsOf(env);
      return createEndpoint({
        ...options,
        ...limits,
        sessions: createSessionClient(sessions, limits),
        hub: hubOf(env),
      });
    }),
    SessionObject: class extends SessionObject<E> {
      constructor(ctx: DurableObjectState, env: E) {
        super(ctx, env, { ...optionsOf(env), hub: hubOf(env) });
      }
    },
    HubObject: class extends HubObject<E> {
      constructor(ctx: DurableObjectState, env: E) {
        super(ctx, env, optionsOf(env));
      }
    },
  };
}
