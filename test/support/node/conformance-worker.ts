// Runs the conformance Worker in a process that can be killed and restarted on the same ports with the same state.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll } from "vitest";
import { buildWorker } from "../../../cli/project/tools.ts";
import { originOf } from "../../../cli/local-server/local.ts";
import { freePort } from "./server.ts";
import { ROOT, runProcess } from "./worker.ts";
import type { WorkerProcess } from "./worker.ts";

/** How often a tool ran, and how often its side effect happened. */
export interface Count {
  readonly tries: number;
  readonly effects: number;
}

/** A Worker that tests start and stop. */
interface ConformanceWorker {
  readonly origin: string;
  /** The origin of a second isolate with the same Durable Objects. */
  readonly twinOrigin: string;
  readonly port: number;
  start(): Promise<void>;
  stop(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** Reads the counts of side effects by name, from storage. */
  counts(): Promise<Record<string, Count>>;
  /** When the session's object was constructed, in milliseconds of its own clock. */
  born(sessionId: string): Promise<number>;
  /** The number of stream sockets that the session's object holds. */
  streams(sessionId: string): Promise<number>;
  publish(uri: string): Promise<void>;
  /** Calls another control path of the Worker, with its query. */
  control(pathAndQuery: string): Promise<void>;
  /** Stops the Worker and deletes its files. */
  remove(): Promise<void>;
}

/** Runs a Worker for the tests of a file. Its origins are known only while tests run. */
export function useConformanceWorker(): () => ConformanceWorker {
  let worker: ConformanceWorker | undefined;
  beforeAll(async () => {
    worker = await createConformanceWorker();
    await worker.start();
  }, 60_000);
  afterAll(async () => {
    await worker?.remove();
  });
  return () => {
    if (worker === undefined) throw new Error("the conformance Worker runs during tests only");
    return worker;
  };
}

/** Builds a Worker without starting it. */
async function createConformanceWorker(): Promise<ConformanceWorker> {
  const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-conformance-"));
  const config = path.join(ROOT, "test/conformance/wrangler.jsonc");
  const bundle = path.join(dir, "bundle");
  await buildWorker(config, bundle);
  const [port, twinPort] = [await freePort(), await freePort()];
  const origin = originOf(port);
  const state = path.join(dir, "state");
  const env = { CONFIG: config, BUNDLE: bundle, PORT: String(port), TWIN_PORT: String(twinPort), STATE: state };
  let running: WorkerProcess | undefined;
  const stop = async (signal: "SIGTERM" | "SIGKILL"): Promise<void> => {
    await running?.stop(signal);
    running = undefined;
  };
  const numberAt = async (pathAndQuery: string): Promise<number> =>
    Number(await (await fetch(`${origin}${pathAndQuery}`)).text());
  return {
    origin,
    twinOrigin: originOf(twinPort),
    port,
    async start() {
      running = await runProcess("test/support/node/serve.ts", env, "serving", origin);
    },
    stop,
    async counts() {
      const counts: Record<string, Count> = JSON.parse(await (await fetch(`${origin}/counts`)).text());
      return counts;
    },
    born: async (sessionId) => numberAt(`/born?session=${sessionId}`),
    streams: async (sessionId) => numberAt(`/streams?session=${sessionId}`),
    async publish(uri) {
      await fetch(`${origin}/publish?uri=${encodeURIComponent(uri)}`);
    },
    async control(pathAndQuery) {
      const { status } = await fetch(`${origin}${pathAndQuery}`);
      if (status !== 204) throw new Error(`${pathAndQuery} answered ${status}`);
    },
    async remove() {
      await stop("SIGTERM");
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
