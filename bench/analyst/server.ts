// Loads the databases of the analyst benchmark and serves its Worker. A statement that exceeds the time limit ends with its runtime,
// because nothing else stops SQLite.
import path from "node:path";
import { buildWorker } from "../../cli/project/tools.ts";
import { freeAddresses, openStorage, originOf, startWorkers, workerOf } from "../../cli/local-server/local.ts";
import { createMaskingTokenStore, parseMaskingTokenKey } from "../../src/masking-tokens/masking-token-store.ts";
import { listMaskingTokenColumns } from "../../src/masking-tokens/masking-token-columns.ts";
import { SOURCE_TABLES_SQL } from "../../src/masking-tokens/masking-token-table.ts";
import { MASKING_TOKEN_TABLE } from "../../src/policy/masks.ts";
import { TOKENS_TABLE_SQL, listDataSql } from "./data.ts";
import type { Size } from "./data.ts";
import { config } from "./policy.ts";
import { BARS, MASKING_TOKEN_KEY, ROLES } from "./roles.ts";
import type { RunAnswer, RunRequest } from "./worker.ts";

const PORT = 18_980;
const CONFIG_PATH = path.join(import.meta.dirname, "wrangler.jsonc");
/** The masking tokens that one statement copies into the pre-masked database. */
const TOKENS_PER_STATEMENT = 10_000;

/** Fills all three databases. */
export async function load(stateDir: string, size: Size, isAnalyzed: boolean): Promise<void> {
  const storage = await openStorage(CONFIG_PATH, stateDir);
  for (const role of ROLES) {
    const { directBinding } = BARS[role];
    console.log(`Filling ${directBinding} …`);
    const database = await storage.getD1Database(directBinding);
    if (role === "masked") await copyTokens(await storage.getD1Database(BARS.owner.directBinding), database);
    for (const sql of listDataSql(size, role)) await database.prepare(sql).run();
    if (role === "owner") await fillTokens(database);
    if (role === "masked") await database.prepare("DROP TABLE token_by_value").run();
    if (isAnalyzed) await database.prepare("ANALYZE").run();
  }
  await storage.dispose();
}

async function fillTokens(database: D1Database): Promise<void> {
  for (const sql of SOURCE_TABLES_SQL) await database.prepare(sql).run();
  const key = parseMaskingTokenKey(MASKING_TOKEN_KEY);
  if (key === null) throw new TypeError("there is no key");
  await createMaskingTokenStore(database, key).fillMissing(listMaskingTokenColumns(config.policy, "shop"), 1_000_000);
}

async function copyTokens(from: D1Database, to: D1Database): Promise<void> {
  await to.prepare(TOKENS_TABLE_SQL).run();
  const rows = await from.prepare(`SELECT value, masking_token FROM ${MASKING_TOKEN_TABLE}`).raw();
  for (let start = 0; start < rows.length; start += TOKENS_PER_STATEMENT)
    await to
      .prepare("INSERT INTO token_by_value SELECT value ->> 0, value ->> 1 FROM json_each(?)")
      .bind(JSON.stringify(rows.slice(start, start + TOKENS_PER_STATEMENT)))
      .run();
}

/** What came of a request: its answer and how long it took, or that it exceeded the time limit. */
export type Run = { readonly kind: "done"; readonly answer: RunAnswer; readonly ms: number } | { readonly kind: "cut" };

/** The served Worker. */
export interface Server {
  /** Runs a statement as often as requested; `ms` is the average. */
  run(request: RunRequest): Promise<Run>;
  stop(): Promise<void>;
}

/** Builds and serves the Worker. A run that takes longer than `maxMs` is cut off, and the runtime starts again. */
export async function serve(dir: string, stateDir: string, maxMs: number): Promise<Server> {
  const bundleDir = path.join(dir, "bundle");
  await buildWorker(CONFIG_PATH, bundleDir);
  const addresses = await freeAddresses(PORT);
  if (addresses === undefined) throw new Error(`port ${PORT} is taken`);
  const start = () => startWorkers(stateDir, [workerOf({ configPath: CONFIG_PATH, bundleDir, port: PORT, addresses })]);
  let miniflare = await start();
  return {
    async run(request) {
      const startedMs = performance.now();
      const timeout = AbortSignal.timeout(maxMs * request.times);
      try {
        const body = JSON.stringify(request);
        const response = await fetch(originOf(PORT), { method: "POST", body, signal: timeout });
        if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
        const answer: RunAnswer = await response.json();
        return { kind: "done", answer, ms: (performance.now() - startedMs) / request.times };
      } catch (error) {
        if (!timeout.aborted)
          throw new Error(`failed (${request.way}, ${request.role}): ${request.sql}`, { cause: error });
        await miniflare.dispose();
        miniflare = await start();
        return { kind: "cut" };
      }
    },
    stop: () => miniflare.dispose(),
  };
}
