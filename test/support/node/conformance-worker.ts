// The conformance Worker as a process that can be killed and started again on the same ports with the same state.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll } from "vitest";
import { buildWorker } from "../../../scripts/build.ts";
import { originOf } from "../../../scripts/local.ts";
import { freePort } from "./server.ts";
import { ROOT, runProcess } from "./worker.ts";
import type { WorkerProcess } from "./worker.ts";

export interface Count {
  readonly tries: number;
  readonly effects: number;
}

export interface ConformanceWorker {
  readonly origin: string;
  /** The same objects behind another isolate. */
  readonly twinOrigin: string;
  readonly port: number;
  start(): Promise<void>;
  stop(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** Side effects by name, from storage. */
  counts(): Promise<Record<string, Count>>;
  /** When the session's object in memory was constructed, in milliseconds of its own clock. */
  born(sessionId: string): Promise<number>;
  /** The sockets of streams that the session's object holds. */
  streams(sessionId: string): Promise<number>;
  publish(uri: string): Promise<void>;
  /** Another of the Worker's control paths, with its query. */
  control(pathAndQuery: string): Promise<void>;
  /** Ends it and takes its files away. */
  remove(): Promise<void>;
}

/** Runs one for the tests of a file; its origins are known once they run. */
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

/** Builds it; `start` runs it. */
export async function createConformanceWorker(): Promise<ConformanceWorker> {
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
