// The options that the composition root passes to every session object: limits, and access to the server factory, the hub
// and the replay guard.
import type { McpServer } from "@modelcontextprotocol/server";
import type { Hub } from "../subscriptions/hub.ts";
import type { ReplayGuard } from "../wire/replay-guard.ts";
import type { SessionCaller } from "../wire/protocol-caller.ts";

/** The limits of a session. */
export interface SessionLimits {
  /** How long an unused session exists. */
  readonly idleSeconds: number;
  /** How long a request may take before its answer becomes a stream. */
  readonly streamAfterMs: number;
  /** How long the server stays in memory while all its calls wait for users. */
  readonly hibernateAfterMs: number;
  /** Interval between comments on a stream; within it, a client that has left is noticed. */
  readonly keepAliveMs: number;
  /** Open streams of the session. */
  readonly maxStreams: number;
  /** Events in the session's log. */
  readonly maxEvents: number;
  /** Size of the session's event log, in UTF-16 units. */
  readonly maxLogBytes: number;
  /** Size of one message on a stream, in UTF-16 units. */
  readonly maxMessageBytes: number;
}

/** The dependencies of a session object. */
export interface SessionOptions {
  /** Builds a new server with everything registered. */
  readonly createServer: () => McpServer;
  /** Registers the session for limits, subscriptions and revocation. */
  readonly hub: Pick<Hub, "addSession" | "reportUse" | "removeSession" | "subscribe" | "unsubscribe">;
  /** Whether the caller may subscribe to changes of this resource. */
  readonly maySubscribe: (caller: SessionCaller, uri: string) => Promise<boolean>;
  /** Consulted before an answer is delivered again. */
  readonly replayGuard: ReplayGuard;
  readonly limits: SessionLimits;
  readonly onError: (error: unknown) => void;
}
