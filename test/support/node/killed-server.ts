// Serves test/kill-worker over the sample's data, to be killed often. The Worker is built once and the state stays. The runtime, which runs
// the Worker, its objects and its databases, is a process of its own: it is killed, and miniflare starts the next one.
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { freeAddresses, openStorage, startLocal } from "../../../cli/local-server/local.ts";
import { migrateLocal, migrateOwnTables } from "../../../cli/local-server/migrations.ts";
import { loadSample } from "../../../cli/local-server/sample.ts";
import { runTool } from "../../../cli/project/tools.ts";
import sample from "../../../sample/gatehouse.config.ts";
import { freePort } from "./server.ts";
import { ENTRY_ALIAS, ROOT, findWorkerd } from "./worker.ts";

const CONFIG = path.join(ROOT, "sample/wrangler.jsonc");
/** How long the runtime may take to end after SIGKILL. */
const MAX_END_MS = 30_000;

/** A server that can be killed. */
export interface KilledServer {
  readonly origin: string;
  readonly stateDir: string;
  /** Whether it has been killed and is not to be called again yet. */
  isDown(): boolean;
  /**
   * Kills the runtime with SIGKILL, and runs `whileDown` when it has ended and before the next one starts. Throws what that throws. The
   * promise resolves when the next one serves.
   */
  kill(whileDown: () => void): Promise<void>;
  /** Ends the time in which it counts as down. */
  resume(): void;
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
  let [isDown, onRestart] = [false, (): void => {}];
  const { miniflare, origin } = await startLocal({
    configPath: CONFIG,
    bundleDir,
    port,
    addresses: (await freeAddresses(port)) ?? [],
    stateDir,
    bindings: { GATEHOUSE_SIGN_IN: "sample", GATEHOUSE_TOKEN_KEY: "a key of tests, long enough to be one" },
    watcher: { onLog: () => {}, onCrash: () => onRestart() },
  });
  return {
    origin,
    stateDir,
    isDown: () => isDown,
    async kill(whileDown) {
      isDown = true;
      const restarted = new Promise<void>((resolve) => (onRestart = resolve));
      killRuntime();
      // miniflare hears of the end only when this function waits, so until then nothing starts.
      whileDown();
      await restarted;
    },
    resume() {
      isDown = false;
    },
    async remove() {
      await miniflare.dispose();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Kills the runtime that this process has started, and returns when all of its threads have ended. Throws if they do not end. */
function killRuntime(): void {
  const pid = findWorkerd(process.pid);
  if (pid === undefined) throw new Error("the runtime does not run");
  process.kill(pid, "SIGKILL");
  // It stays in the list of processes until this one hears of its end.
  const isDead = (): boolean =>
    readdirSync(`/proc/${pid}/task`).length === 1 && / \(.*\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  const endMs = performance.now() + MAX_END_MS;
  while (!isDead())
    if (performance.now() > endMs) throw new Error(`the runtime ${pid} still runs ${MAX_END_MS} ms after SIGKILL`);
}

async function loadState(stateDir: string): Promise<void> {
  const storage = await openStorage(CONFIG, stateDir);
  await migrateLocal(storage, CONFIG);
  await migrateOwnTables(storage, sample);
  await loadSample(storage, stateDir, () => {});
  await storage.dispose();
}
