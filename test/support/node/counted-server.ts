// Serves test/cost-worker over the sample's data, and measures what requests to it cost.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { freeAddresses, openStorage, startLocal } from "../../../cli/local-server/local.ts";
import { migrateLocal, migrateOwnTables } from "../../../cli/local-server/migrations.ts";
import { loadSample } from "../../../cli/local-server/sample.ts";
import sample from "../../../sample/gatehouse.config.ts";
import { runTool } from "../../../cli/project/tools.ts";
import { freePort } from "./server.ts";
import { ENTRY_ALIAS, ROOT } from "./worker.ts";

const CONFIG = path.join(ROOT, "sample/wrangler.jsonc");

/** The calls to bindings that a request made before its answer: `LEDGER.begin`, or `SHOP_DB.batch 3` for a batch of three statements. */
export type Cost = readonly string[];

/** A request, or several of which the last one's answer ends the measurement. */
type Measured = () => Promise<Response | undefined>;

/** A running server. */
export interface CountedServer {
  readonly origin: string;
  /**
   * Measures a request. `once` sends it a single time. Otherwise it is sent until caches are warm and two measurements agree, so that the
   * comparison of roles, which each ledger makes once a minute, is in none.
   */
  measure(request: Measured, how?: "once" | "warm"): Promise<Cost>;
  stop(): Promise<void>;
}

interface Snapshot {
  readonly calls: Cost;
  readonly answered: Cost;
  readonly hasAlarmRun: boolean;
}

const MAX_TRIES = 10;

/** Builds and starts it. */
export async function startCountedServer(): Promise<CountedServer> {
  const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-costs-"));
  const [stateDir, bundleDir] = [path.join(dir, "state"), path.join(dir, "bundle")];
  const storage = await openStorage(CONFIG, stateDir);
  await migrateLocal(storage, CONFIG);
  await migrateOwnTables(storage, sample);
  await loadSample(storage, stateDir, () => {});
  await storage.dispose();
  const entry = path.join(ROOT, "test/cost-worker/worker.ts");
  await runTool("wrangler", ["deploy", entry, "--dry-run", "--config", CONFIG, "--outdir", bundleDir, ...ENTRY_ALIAS]);
  const bindings = { GATEHOUSE_TOKEN_KEY: "a key of tests, long enough to be one" };
  const port = await freePort();
  const addresses = (await freeAddresses(port)) ?? [];
  const { miniflare, origin } = await startLocal({
    configPath: CONFIG,
    bundleDir,
    port,
    addresses,
    stateDir,
    bindings,
  });
  const snapshot = async (): Promise<Snapshot> => {
    const read: Snapshot = JSON.parse(await (await fetch(`${origin}/calls`)).text());
    return read;
  };
  const measureOnce = async (request: Measured): Promise<{ cost: Cost; isClean: boolean }> => {
    await fetch(`${origin}/reset`);
    const response = await request();
    const { answered, hasAlarmRun } = await snapshot();
    // An answer that took long became a stream, which another way delivers.
    const isStreamed = response?.headers.get("content-type")?.startsWith("text/event-stream") === true;
    return { cost: answered.toSorted(), isClean: !hasAlarmRun && !isStreamed };
  };
  return {
    origin,
    async measure(request, how = "warm") {
      if (how === "once") return (await measureOnce(request)).cost;
      let last: Cost = [];
      for (let tries = 0; tries < MAX_TRIES; tries += 1) {
        const { cost, isClean } = await measureOnce(request);
        if (isClean && tries > 1 && JSON.stringify(cost) === JSON.stringify(last)) return cost;
        last = cost;
      }
      throw new Error(`the cost differs from one time to the next; at last it was ${last.join(", ")}`);
    },
    async stop() {
      await miniflare.dispose();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
