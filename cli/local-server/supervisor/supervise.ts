// Runs the local server and restarts it when it does not answer. workerd has one thread: a query that runs for minutes blocks every
// user of every database, and nothing inside the server can stop it. health.ts decides when to restart.
import { setTimeout as delay } from "node:timers/promises";
import type { LocalServer } from "../local.ts";
import { isDebuggerAttached } from "./debugger.ts";
import { watchHealth } from "./health.ts";
import type { HealthCheck, HealthWatch } from "./health.ts";
import { startReplaceable } from "./replaceable-server.ts";
import type { ReplaceableServer, ServerOptions } from "./replaceable-server.ts";
import { print } from "../../kit/terminal.ts";

/** What to run, and how long it may be silent. */
interface SupervisorOptions extends ServerOptions {
  readonly origin: string;
  /** The longest allowed silence: `limits.querySeconds` of the policy file. */
  readonly querySeconds: number;
}

/** A supervised server. */
export interface Supervisor {
  /** The server that is running now. */
  server(): LocalServer;
  /** Rejects with `CliError` when the server cannot be kept running. */
  readonly failed: Promise<never>;
  /** Stops the server and the supervision. */
  stop(): Promise<void>;
}

/** A path that the Worker answers from memory, without sign-in and without counting it for a rate limit. */
const HEALTH_PATH = "/.well-known/oauth-authorization-server";

/** Starts the server and supervises it until it is stopped. Rejects when it cannot be started at all. */
export async function superviseServer(options: SupervisorOptions): Promise<Supervisor> {
  const stopping = new AbortController();
  const failure = Promise.withResolvers<never>();
  // The promise may reject before a caller awaits `failed`.
  failure.promise.catch(() => {});
  const health = watchHealth(options.querySeconds);
  const server = await startReplaceable(options, stopping.signal, {
    onCallEnd: () => health.noteCallEnd(performance.now()),
    onFailure: failure.reject,
  });
  const watching = watch(server, health, options, stopping.signal).catch((error: unknown) => {
    if (!stopping.signal.aborted) failure.reject(error);
  });
  return {
    server: () => server.current(),
    failed: failure.promise,
    async stop() {
      stopping.abort();
      await watching;
      await server.current().miniflare.dispose();
    },
  };
}

async function watch(
  server: ReplaceableServer,
  health: HealthWatch,
  { origin, querySeconds }: SupervisorOptions,
  signal: AbortSignal,
): Promise<never> {
  for (;;) {
    await delay(health.intervalMs, undefined, { signal });
    if (server.isOutdated()) {
      print("Refused statements were cleared: the server restarts, which takes about a second.");
      await server.update();
      health.reset();
    }
    const isStuck = health.isStuck(await check(origin, health.timeoutMs));
    signal.throwIfAborted();
    if (!isStuck) continue;
    await server.restart(
      `The server did not answer for ${querySeconds} seconds (limits.querySeconds) and is restarting.`,
    );
    health.reset();
  }
}

async function check(origin: string, timeoutMs: number): Promise<HealthCheck> {
  const beganMs = performance.now();
  const isAnswered = await answers(`${origin}${HEALTH_PATH}`, timeoutMs);
  return { beganMs, endedMs: performance.now(), wallMs: Date.now(), isAnswered, isDebugged: isDebuggerAttached() };
}

/** Whether the server sends any answer: that shows that its thread is free. */
async function answers(url: string, timeoutMs: number): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    await response.arrayBuffer();
    return true;
  } catch {
    // No answer in time, or no server: the check fails either way.
    return false;
  }
}
