// Serves the sample's Worker with another policy file, for tests of what must hold in any deployment. Bindings and Durable Objects are the
// sample's.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Miniflare } from "miniflare";
import { afterAll, beforeAll } from "vitest";
import { runTool } from "../../../cli/project/tools.ts";
import { freeAddresses, openStorage, startLocal } from "../../../cli/local-server/local.ts";
import { migrateLocal } from "../../../cli/local-server/migrations.ts";
import { freePort } from "./server.ts";
import { ENTRY_ALIAS, ROOT } from "./worker.ts";

const CONFIG = path.join(ROOT, "sample/wrangler.jsonc");
const ENTRY = path.join(ROOT, "sample/index.ts");

/** How to prepare the server. */
interface PolicyServerOptions {
  /** Fills the databases and documents. */
  readonly prepare?: (storage: Miniflare) => Promise<void>;
  /** Variables in addition to those of the sample's configuration. */
  readonly bindings?: Readonly<Record<string, string>>;
}

/** Runs a server for the tests of a file. Returns a function that gives its origin while tests run. */
export function usePolicyServer(policyFile: string, { prepare, bindings }: PolicyServerOptions = {}): () => string {
  const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-policy-"));
  let origin: string | undefined;
  let running: Miniflare | undefined;
  beforeAll(async () => {
    const stateDir = path.join(dir, "state");
    const storage = await openStorage(CONFIG, stateDir);
    await migrateLocal(storage, CONFIG);
    await prepare?.(storage);
    await storage.dispose();
    const bundleDir = await bundlePolicy(dir, path.join(ROOT, policyFile));
    const port = await freePort();
    const addresses = await freeAddresses(port);
    if (addresses === undefined) throw new Error(`port ${port} is taken`);
    const started = await startLocal({ configPath: CONFIG, bundleDir, port, addresses, stateDir, bindings });
    running = started.miniflare;
    origin = started.origin;
  }, 120_000);
  afterAll(async () => {
    await running?.dispose();
    rmSync(dir, { recursive: true, force: true });
  });
  return () => {
    if (origin === undefined) throw new Error("the server runs during tests only");
    return origin;
  };
}

/** Bundles the sample's Worker with another policy file into a folder. Returns the folder of the bundle. */
export async function bundlePolicy(dir: string, policyFile: string): Promise<string> {
  const bundleDir = path.join(dir, "bundle");
  const args = ["deploy", writeEntry(dir, policyFile), "--dry-run", "--config", CONFIG, "--outdir", bundleDir];
  await runTool("wrangler", [...args, ...ENTRY_ALIAS]);
  return bundleDir;
}

/** Writes a copy of the sample's entry that imports another policy file. */
function writeEntry(dir: string, policyFile: string): string {
  const text = readFileSync(ENTRY, "utf8")
    .replace("../src/app/create-gatehouse.ts", path.join(ROOT, "src/app/create-gatehouse.ts"))
    .replace("./gatehouse.config.ts", policyFile);
  const file = path.join(dir, "index.ts");
  writeFileSync(file, text);
  return file;
}
