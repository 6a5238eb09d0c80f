// `npm run bench:search`: the whole call of search over twenty thousand documents, from request to answer, in the real Worker;
// before it, how long the sweep takes. Prints tables and writes them to results.md.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Miniflare } from "miniflare";
import { buildWorker } from "../../scripts/build.ts";
import { freeAddresses, openStorage, originOf, startLocal } from "../../scripts/local.ts";
import { migrateLocal } from "../../scripts/migrations.ts";
import { tokensFor } from "../../test/support/oauth.ts";
import { runRound } from "../client.ts";
import type { Target } from "../client.ts";
import { DOCUMENTS, WORDS, makeDocuments } from "./documents.ts";
import { PERSON } from "./product/policy.ts";

const PORT = 18_970;
const ROUND_MS = Number(process.env["ROUND_MS"] ?? 5000);
const MAX_P95_MS = 50;
const REVISION = "2026-07-28";
const ENVELOPE = {
  "io.modelcontextprotocol/protocolVersion": REVISION,
  "io.modelcontextprotocol/clientInfo": { name: "bench", version: "1" },
  "io.modelcontextprotocol/clientCapabilities": {},
};
const configPath = path.join(import.meta.dirname, "product/wrangler.jsonc");
const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-bench-search-"));
const stateDir = path.join(dir, "state");

/** The word of about this rank: the n-th asks for another one each time. */
const wordOf = (rank: number, n: number): string => WORDS[rank + (n % 40)] ?? "";
const KINDS: Readonly<Record<string, (n: number) => string>> = {
  "a rare word": (n) => wordOf(9000, n),
  "a word of some documents": (n) => wordOf(900, n),
  "a word of most documents": (n) => wordOf(0, n % 8),
  "two words": (n) => `${wordOf(60, n)} ${wordOf(700, n)}`,
  "a question": (n) =>
    `how do we ${wordOf(300, n)} the ${wordOf(40, n)} with a ${wordOf(3000, n)} and ${wordOf(5, n % 8)}`,
  "three letters": (n) => wordOf(200, n).slice(0, 3),
  "a word of none": (n) => `xq${n}`,
};

async function load(): Promise<void> {
  const storage = await openStorage(configPath, stateDir);
  await migrateLocal(storage, configPath);
  const library = await storage.getKVNamespace("LIBRARY");
  let waiting: Promise<void>[] = [];
  for (const [key, text] of makeDocuments()) {
    waiting.push(library.put(key, text));
    if (waiting.length < 100) continue;
    await Promise.all(waiting);
    waiting = [];
  }
  await Promise.all(waiting);
  await storage.dispose();
}

/** Runs the upkeep until the sweep has ended. Seconds of each run. */
async function sweepAll(miniflare: Miniflare): Promise<readonly number[]> {
  const database = await miniflare.getD1Database("GATEHOUSE_DB");
  await database.prepare("UPDATE document_source SET due_ms = 0").run();
  const worker = await miniflare.getWorker();
  const runs: number[] = [];
  for (;;) {
    const began = performance.now();
    const { outcome } = await worker.scheduled();
    runs.push((performance.now() - began) / 1000);
    if (outcome !== "ok") throw new Error(`the upkeep ended with ${outcome}`);
    const state = await database.prepare("SELECT began_ms FROM document_source").first<{ began_ms: number | null }>();
    if (state?.began_ms === null) return runs;
  }
}

function targetOf(token: string, textOf: (n: number) => string): Target {
  const headers = {
    host: `localhost:${PORT}`,
    authorization: `Bearer ${token}`,
    "mcp-protocol-version": REVISION,
    "mcp-method": "tools/call",
    "mcp-name": "search",
  };
  const params = (id: number) => ({ name: "search", arguments: { query: textOf(id) }, _meta: ENVELOPE });
  return {
    port: PORT,
    headersOf: () => headers,
    body: (_method, id) => JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params: params(id) }),
  };
}

const quantile = (sorted: readonly number[], share: number): string =>
  (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN).toFixed(1);

async function measure(token: string, concurrency: number): Promise<readonly string[]> {
  const lines: string[] = [];
  const all: number[] = [];
  for (const [kind, textOf] of Object.entries(KINDS)) {
    await runRound(targetOf(token, textOf), "tools/call", concurrency, ROUND_MS / 5);
    const { latencies } = await runRound(targetOf(token, textOf), "tools/call", concurrency, ROUND_MS);
    all.push(...latencies.filter((_value, index) => index % Math.ceil(latencies.length / 200) === 0));
    const figures = [0.5, 0.95, 0.99].map((share) => quantile(latencies, share));
    const bar = Number(figures[1]) < MAX_P95_MS ? "met" : "missed";
    lines.push(`| ${kind} | ${concurrency} | ${latencies.length} | ${figures.join(" | ")} | ${bar} |`);
    console.log(lines.at(-1));
  }
  const sorted = all.toSorted((a, b) => a - b);
  const figures = [0.5, 0.95, 0.99].map((share) => quantile(sorted, share));
  const bar = Number(figures[1]) < MAX_P95_MS ? "met" : "missed";
  return [...lines, `| all kinds alike | ${concurrency} | ${sorted.length} | ${figures.join(" | ")} | ${bar} |`];
}

try {
  console.log(`Making ${DOCUMENTS} documents …`);
  await load();
  const bundleDir = path.join(dir, "bundle");
  await buildWorker(configPath, bundleDir);
  const addresses = await freeAddresses(PORT);
  if (addresses === undefined) throw new Error(`port ${PORT} is taken`);
  const { miniflare } = await startLocal({ configPath, bundleDir, port: PORT, addresses, stateDir });
  const swept = [await sweepAll(miniflare), await sweepAll(miniflare)];
  const seconds = swept.map(
    (runs) => `${runs.reduce((sum, run) => sum + run, 0).toFixed(1)} s in ${runs.length} run(s)`,
  );
  console.log(`First sweep ${seconds[0]}, one that finds nothing new ${seconds[1]}`);
  const send = async (url: string, init?: RequestInit) => fetch(url, { redirect: "manual", ...init });
  const { accessToken } = await tokensFor({ origin: originOf(PORT), send }, PERSON);
  const lines = [...(await measure(accessToken, 1)), ...(await measure(accessToken, 4))];
  const text = [
    "# Benchmark of search",
    `The whole call over ${DOCUMENTS} documents of 150 to 750 words, from request to answer: sign-in check, policy, index, the hits read again, record. Local, on two cores that the client shares. The bar is a p95 under ${MAX_P95_MS} ms.`,
    `The first sweep took ${seconds[0]}, one that finds nothing new ${seconds[1]}.`,
    [
      "| search for | at a time | calls | p50 ms | p95 ms | p99 ms | bar |",
      "| --- | --- | --- | --- | --- | --- | --- |",
      ...lines,
    ].join("\n"),
    "A word of none is the call without documents. What the others take more is, for the rarest word nearly all of it, reading the hits again from the local KV; ranking adds to it where a word is frequent, and is bounded (docs/operating.md).",
  ].join("\n\n");
  writeFileSync(path.join(import.meta.dirname, "results.md"), `${text}\n`);
  console.log(`\n${text}`);
  await miniflare.dispose();
} finally {
  rmSync(dir, { recursive: true, force: true });
}
process.exit(0);
