// The server of a session as it comes and goes: built from the store when a message needs it, out of memory while every
// call waits for a person. Knows nothing of HTTP or of who may enter.
import type { McpServer } from "@modelcontextprotocol/server";
import { newId } from "../lib/ids.ts";
import { Exchange } from "./exchange.ts";
import type { ExchangeDependencies } from "./exchange.ts";
import { createLive } from "./live.ts";
import type { Live } from "./live.ts";
import type { SessionCaller } from "../mcp/protocol-caller.ts";
import type { PushedRequest, StoredSession } from "./store.ts";
import { createStoredCalls } from "./stored-calls.ts";
import type { StoredCalls } from "./stored-calls.ts";
import type { Subscriptions } from "./subscriptions.ts";

export interface Residency {
  /** The server in memory, built if need be, with every stored call either running, parked or ended. */
  wake(session: StoredSession, caller: SessionCaller): Promise<Live>;
  /** Goes on with stored calls that memory has lost, or ends them; builds a server only if one of them can go on. */
  recover(session: StoredSession, caller: SessionCaller): Promise<void>;
  /** A server for a session that does not exist yet. */
  create(): Promise<Live>;
  /** From now on this is the session's server. */
  keep(live: Live): void;
  /** The calls that are stored, for work on them. */
  stored(): StoredCalls;
  /** Ends the call that waits for the answer to a pushed request, in memory or stored. */
  endAsked(pushed: PushedRequest, message: string): void;
  /** What the session's calls do, in memory or stored. A stored call that asked nothing was cut off: it runs no more. */
  activity(): "running" | "asking" | "none";
  /** Takes the server out of memory, if it is there. */
  leave(): Promise<void>;
}

export interface ResidencyOptions {
  readonly sessionId: string;
  readonly exchange: ExchangeDependencies;
  /** A new server with everything registered. */
  readonly createServer: () => McpServer;
  readonly subscriptions: Subscriptions;
  /** How long the server stays in memory while all its calls wait for people. */
  readonly parkAfterMs: number;
  /** Keeps the object in memory until the work is done. */
  readonly waitUntil: (work: Promise<void>) => void;
  readonly onError: (error: unknown) => void;
}

export function createResidency(options: ResidencyOptions): Residency {
  const { sessionId, exchange, createServer, subscriptions, parkAfterMs, waitUntil, onError } = options;
  const { store, streams } = exchange;
  /** The server, from when its building began. */
  let coming: Promise<Live> | undefined;
  /** The server once it is there. */
  let present: Live | undefined;
  let parkTimer: ReturnType<typeof setTimeout> | undefined;

  const forget = (): void => {
    clearTimeout(parkTimer);
    coming = undefined;
    present = undefined;
  };

  const leave = async (): Promise<void> => {
    const leaving = present;
    forget();
    await leaving?.drop();
  };

  /** While all calls wait for people, the server leaves memory, so that the object can sleep. */
  const schedulePark = (): void => {
    clearTimeout(parkTimer);
    if (present?.isAskingOnly() !== true) return;
    parkTimer = setTimeout(() => {
      if (present?.isAskingOnly() === true) waitUntil(leave());
    }, parkAfterMs);
  };

  const create = async (): Promise<Live> =>
    createLive({ sessionId, store, streams, createServer, newId, onError, subscriptions, onChange: schedulePark });

  const stored = (): StoredCalls =>
    createStoredCalls(store, (stream, requests, caller) => new Exchange(requests, false, caller, exchange, stream));

  const restore = async (session: StoredSession, caller: SessionCaller): Promise<Live> => {
    const live = await create();
    await live.restore(session, caller);
    present = live;
    stored().endInterrupted();
    stored().resume(live, caller);
    return live;
  };

  const wake: Residency["wake"] = async (session, caller) => {
    coming ??= restore(session, caller);
    try {
      return await coming;
    } catch (error) {
      forget();
      throw error;
    }
  };

  return {
    wake,
    async recover(session, caller) {
      if (coming !== undefined) return;
      if (stored().canResume()) await wake(session, caller);
      else stored().endInterrupted();
    },
    create,
    keep(live) {
      coming = Promise.resolve(live);
      present = live;
    },
    stored,
    endAsked(pushed, message) {
      if (present?.isRunning(pushed.stream) === true) present.end(pushed.requestId, message);
      else stored().endAsked(pushed, message);
    },
    activity() {
      if (coming !== undefined && present === undefined) return "running";
      if (present?.isIdle() === false) return present.isAskingOnly() ? "asking" : "running";
      return stored().hasAsking() ? "asking" : "none";
    },
    leave,
  };
}
