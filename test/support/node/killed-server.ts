// Serves test/kill-worker over the sample's data, to be killed and restarted often: the Worker is built once, the state stays, and while one
// process serves, the next one has loaded its modules already.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { openStorage, originOf } from "../../../cli/local-server/local.ts";
import { migrateLocal, migrateOwnTables } from "../../../cli/local-server/migrations.ts";
import { loadSample } from "../../../cli/local-server/sample.ts";
import { runTool } from "../../../cli/project/tools.ts";
import sample from "../../../sample/gatehouse.config.ts";
import { freePort } from "./server.ts";
import { ENTRY_ALIAS, ROOT, runProcess } from "./worker.ts";
import type { WorkerProcess } from "./worker.ts";

const CONFIG = path.join(ROOT, "sample/wrangler.jsonc");

/** A server that can be killed. */
export interface KilledServer {
  readonly origin: string;
  readonly stateDir: string;
  /** Whether it has been killed and does not serve again yet. */
  isDown(): boolean;
  /** Kills all of its processes with SIGKILL, and resolves when they have ended. */
  kill(): Promise<void>;
  /** Serves again. Resolves when it does. */
  restart(): Promise<void>;
  /** What the process that serves has printed. */
  output(): string;
  remove(): Promise<void>;
}

/** Builds it and starts it. */
export async function startKilledServer(): Promise<KilledServer> {
  const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-kills-"));
  const [stateDir, bundleDir] = [path.join(dir, "state"), path.join(dir, "bundle")];
  const entry = path.join(ROOT, "test/kill-worker/worker.ts");
  const options = ["deploy", entry, "--dry-run", "--config", CONFIG, "--outdir", bundleDir, ...ENTRY_ALIAS];
  await Promise.all([runTool("wrangler", options), loadState(stateDir)]);
  const port = await freePort();
  const origin = originOf(port);
  const bindings = { GATEHOUSE_SIGN_IN: "sample", GATEHOUSE_TOKEN_KEY: "a key of tests, long enough to be one" };
  const env = {
    CONFIG,
    BUNDLE: bundleDir,
    STATE: stateDir,
    PORT: String(port),
    BINDINGS: JSON.stringify(bindings),
  };
  const load = async (): Promise<WorkerProcess> => runProcess("test/support/node/standby.ts", env, "loaded", origin);
  let isDown = true;
  let standby = load();
  const serveNext = async (): Promise<WorkerProcess> => {
    const next = await standby;
    process.kill(next.pid, "SIGUSR2");
    await next.waitFor("serving");
    isDown = false;
    standby = load();
    // It is awaited when it is needed.
    standby.catch(() => undefined);
    return next;
  };
  let running = await serveNext();
  return {
    origin,
    stateDir,
    isDown: () => isDown,
    async kill() {
      isDown = true;
      await running.stop("SIGKILL");
    },
    async restart() {
      running = await serveNext();
    },
    output: () => running.output(),
    async remove() {
      await Promise.all([running.stop("SIGKILL"), standby.then(async (next) => next.stop("SIGKILL"))]);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function loadState(stateDir: string): Promise<void> {
  const storage = await openStorage(CONFIG, stateDir);
  await migrateLocal(storage, CONFIG);
  await migrateOwnTables(storage, sample);
  await loadSample(storage, stateDir, () => {});
  await storage.dispose();
}
