// Serves the sample's Worker with a second Worker that receives its trace (a streaming tail), for tests of what a trace and the log hold.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Miniflare } from "miniflare";
import { afterAll, beforeAll } from "vitest";
import sample from "../../../sample/gatehouse.config.ts";
import { buildWorker } from "../../../cli/project/tools.ts";
import { freeAddresses, openStorage, originOf, startWorkers, workerOf } from "../../../cli/local-server/local.ts";
import { migrateLocal, migrateOwnTables } from "../../../cli/local-server/migrations.ts";
import { loadSample } from "../../../cli/local-server/sample.ts";
import { freePort } from "./server.ts";
import { ROOT } from "./worker.ts";

const CONFIG = path.join(ROOT, "sample/wrangler.jsonc");
const TAIL = "trace-tail";
const TOKEN_KEY = "a key of tests, long enough to be one";
const PREFIX = "trace event ";
/** Prints each event of a trace in one line. Counts are BigInts, which JSON lacks. */
const TAIL_SCRIPT = `
  const print = (event) =>
    console.log(${JSON.stringify(PREFIX)} + JSON.stringify(event, (_key, value) => (typeof value === "bigint" ? Number(value) : value)));
  export default { tailStream: (onset) => { print(onset); return print; } };
`;

/** An event of a trace. */
export interface TraceEvent {
  readonly spanContext: { readonly traceId: string; readonly spanId?: string };
  readonly event: {
    readonly type: string;
    readonly name?: string;
    readonly spanId?: string;
    readonly info?: unknown;
  };
}

/** What the server has printed. */
interface TracedServer {
  readonly origin: string;
  /** The server's own log, without the trace. */
  readonly log: readonly string[];
  readonly events: readonly TraceEvent[];
  /** Waits until what has been printed fulfils the condition. */
  until(condition: () => boolean): Promise<void>;
}

/** Runs a server for the tests of a file. Returns a function that gives it while tests run. */
export function useTracedServer(): () => TracedServer {
  const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-traces-"));
  let running: Miniflare | undefined;
  let server: TracedServer | undefined;
  beforeAll(async () => {
    const stateDir = path.join(dir, "state");
    const storage = await openStorage(CONFIG, stateDir);
    await migrateLocal(storage, CONFIG);
    await migrateOwnTables(storage, sample);
    await loadSample(storage, stateDir, () => {});
    await storage.dispose();
    const bundleDir = path.join(dir, "bundle");
    await buildWorker(CONFIG, bundleDir);
    const port = await freePort();
    const addresses = await freeAddresses(port);
    if (addresses === undefined) throw new Error(`port ${port} is taken`);
    const output = collectOutput();
    const options = workerOf({
      configPath: CONFIG,
      bundleDir,
      port,
      addresses,
      bindings: { GATEHOUSE_TOKEN_KEY: TOKEN_KEY },
    });
    const worker = { ...options, streamingTails: [TAIL] };
    const tail = {
      name: TAIL,
      modules: [{ type: "ESModule" as const, path: path.join(dir, "tail.js"), contents: TAIL_SCRIPT }],
      modulesRoot: dir,
      bindings: { GATEHOUSE_URL: "" },
      unsafeDirectSockets: [],
      compatibilityDate: "2026-10-23",
      compatibilityFlags: ["streaming_tail_worker", "experimental"],
    };
    running = await startWorkers(stateDir, [worker, tail], { onLog: (line) => output.read(line), onCrash: () => {} });
    server = { ...output, origin: originOf(port) };
  }, 120_000);
  afterAll(async () => {
    await running?.dispose();
    rmSync(dir, { recursive: true, force: true });
  });
  return () => {
    if (server === undefined) throw new Error("the server runs during tests only");
    return server;
  };
}

function collectOutput() {
  const log: string[] = [];
  const events: TraceEvent[] = [];
  const waiting = new Set<() => void>();
  return {
    log,
    events,
    read(line: string): void {
      if (line.startsWith(PREFIX)) events.push(JSON.parse(line.slice(PREFIX.length)));
      else log.push(line);
      for (const check of waiting) check();
    },
    async until(condition: () => boolean): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<void>();
      const check = (): void => void (condition() && resolve());
      waiting.add(check);
      check();
      await promise;
      waiting.delete(check);
    },
  };
}
