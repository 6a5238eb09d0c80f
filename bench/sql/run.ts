// `npm run bench:sql`: governed reads of a million rows beside the same SELECT without any of it, in interleaved rounds.
// Prints tables and writes them to results.md.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { buildWorker } from "../../scripts/build.ts";
import { freeAddresses, openStorage, originOf, startWorkers, workerOf } from "../../scripts/local.ts";
import { TOKEN_TABLE_SQL } from "../../src/sources/token-table.ts";
import { CUSTOMERS, DATA_SQL, ORDERS } from "./data.ts";
import { SHAPES } from "./shapes.ts";

const PORT = 18_950;
const ROUNDS = Number(process.env["ROUNDS"] ?? 7);
const ROUND_MS = 400;
/** The bars of docs/design.md: of a point lookup, and of everything else. */
const MAX_MORE_MS = 1.5;
const MAX_RATIO = 1.2;
const LAYERS = ["without planner", "without authorizer", "without verification"];
const WAYS = ["direct", "again", "first time", "batch", ...LAYERS];
const ACCOUNTS = ["all", "north", "tokens"];

const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-bench-sql-"));
const configPath = path.join(import.meta.dirname, "wrangler.jsonc");
const state = path.join(dir, "state");

async function load(): Promise<void> {
  const storage = await openStorage(configPath, state);
  const database = await storage.getD1Database("LARGE_DB");
  for (const sql of [...DATA_SQL, ...TOKEN_TABLE_SQL]) await database.prepare(sql).run();
  await storage.dispose();
}

/** Milliseconds of one read, over so many in one request. */
async function measure(way: string, account: string, shape: string, times: number): Promise<number> {
  const url = new URL(originOf(PORT));
  for (const [name, value] of Object.entries({ way, account, shape, times: String(times) }))
    url.searchParams.set(name, value);
  const began = performance.now();
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${way}, ${shape}: ${response.status} ${await response.text()}`);
  await response.text();
  return (performance.now() - began) / times;
}

const text = (cells: readonly number[]): string =>
  cells.map((cell) => (Number.isNaN(cell) ? "–" : cell.toFixed(2))).join(" | ");

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

try {
  console.log(`Making ${ORDERS} orders …`);
  await load();
  const bundle = path.join(dir, "bundle");
  await buildWorker(configPath, bundle);
  const addresses = await freeAddresses(PORT);
  if (addresses === undefined) throw new Error(`port ${PORT} is taken`);
  const miniflare = await startWorkers(state, [workerOf({ configPath, bundleDir: bundle, port: PORT, addresses })]);
  const lines = [
    "| query | rows of | bar | direct ms | again ms | more ms | ratio | result | first time ms | more ms | ratio | result | batch alone | without planner | without authorizer | without verification |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
  ];
  await measure("fill", "", "", 0);
  for (const account of ACCOUNTS) {
    for (const { name } of SHAPES.filter(({ accounts }) => accounts.includes(account))) {
      const slower = Math.max(await measure("direct", account, name, 3), await measure("again", account, name, 3));
      const times = Math.max(1, Math.round(ROUND_MS / slower));
      // Without the planner a join on tokens looks each of them up for every pair of rows, which takes minutes.
      const ways = account === "tokens" ? WAYS.filter((way) => way !== "without planner") : WAYS;
      const found = new Map(ways.map((way): [string, number[]] => [way, []]));
      for (let round = 0; round <= ROUNDS; round += 1) {
        for (const way of ways) {
          const ms = await measure(way, account, name, times);
          if (round > 0) found.get(way)?.push(ms);
        }
      }
      const of = (way: string): number => median(found.get(way) ?? [NaN]);
      const isPoint = name === "point" || name.startsWith("one ");
      const bar = isPoint ? `${MAX_MORE_MS} ms more` : `${MAX_RATIO} ×`;
      const judged = (ms: number): string => {
        const [more, ratio] = [ms - of("direct"), ms / of("direct")];
        const isMet = isPoint ? more <= MAX_MORE_MS : ratio <= MAX_RATIO;
        return `${text([ms, more, ratio])} | ${isMet ? "met" : "missed"}`;
      };
      const cells = [
        text([of("direct")]),
        judged(of("again")),
        judged(of("first time")),
        text(["batch", ...LAYERS].map(of)),
      ];
      lines.push(`| ${name} | ${account} | ${bar} | ${cells.join(" | ")} |`);
      console.log(lines.at(-1));
    }
  }
  const page = `# Benchmark of governed SQL\n\n${ORDERS} orders, ${CUSTOMERS} customers, in a local D1; medians of ${ROUNDS} interleaved rounds, one read at a time. \`again\` is a statement that came before, \`first time\` one that never did, and so are those without a layer. \`batch alone\` is the direct SELECT in one transaction with a look at the schema and its EXPLAIN, and nothing else: no read that is checked in its own transaction takes less here. Compare within this table only.\n\n${lines.join("\n")}\n`;
  writeFileSync(path.join(import.meta.dirname, "results.md"), page);
  console.log(`\n${page}`);
  await miniflare.dispose();
} finally {
  rmSync(dir, { recursive: true, force: true });
}
