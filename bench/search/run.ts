// `npm run bench:search`: measures reindexing of twenty thousand documents, and then whole search calls, from request to answer, in the
// real Worker. Prints tables and writes them to results.md.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Miniflare } from "miniflare";
import { buildWorker } from "../../cli/project/tools.ts";
import { freeAddresses, openStorage, originOf, startLocal } from "../../cli/local-server/local.ts";
import { migrateLocal } from "../../cli/local-server/migrations.ts";
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

/** A word of about this rank in the vocabulary; each `n` gives another word. */
const wordOf = (rank: number, n: number): string => WORDS[rank + (n % 40)] ?? "";
const KINDS: Readonly<Record<string, (n: number) => string>> = {
  "a rare word": (n) => wordOf(9000, n),
  "a word in some documents": (n) => wordOf(900, n),
  "a word in most documents": (n) => wordOf(0, n % 8),
  "two words": (n) => `${wordOf(60, n)} ${wordOf(700, n)}`,
  "a question": (n) =>
    `how do we ${wordOf(300, n)} the ${wordOf(40, n)} with a ${wordOf(3000, n)} and ${wordOf(5, n % 8)}`,
  "three letters": (n) => wordOf(200, n).slice(0, 3),
  "a word in no document": (n) => `xq${n}`,
};

async function load(): Promise<void> {
  const storage = await openStorage(configPath, stateDir);
  await migrateLocal(storage, configPath);
  const library = await storage.getKVNamespace("LIBRARY");
  let pending: Promise<void>[] = [];
  for (const [key, text] of makeDocuments()) {
    pending.push(library.put(key, text));
    if (pending.length < 100) continue;
    await Promise.all(pending);
    pending = [];
  }
  await Promise.all(pending);
  await storage.dispose();
}

/** Runs the upkeep until reindexing has ended, and returns the seconds of each run. */
async function reindexAll(miniflare: Miniflare): Promise<readonly number[]> {
  const database = await miniflare.getD1Database("GATEHOUSE_DB");
  await database.prepare("UPDATE document_source SET due_ms = 0").run();
  const worker = await miniflare.getWorker();
  const runs: number[] = [];
  for (;;) {
    const startedMs = performance.now();
    const { outcome } = await worker.scheduled();
    runs.push((performance.now() - startedMs) / 1000);
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
    const result = Number(figures[1]) < MAX_P95_MS ? "met" : "missed";
    lines.push(`| ${kind} | ${concurrency} | ${latencies.length} | ${figures.join(" | ")} | ${result} |`);
    console.log(lines.at(-1));
  }
  const sorted = all.toSorted((a, b) => a - b);
  const figures = [0.5, 0.95, 0.99].map((share) => quantile(sorted, share));
  const result = Number(figures[1]) < MAX_P95_MS ? "met" : "missed";
  return [...lines, `| all kinds equally | ${concurrency} | ${sorted.length} | ${figures.join(" | ")} | ${result} |`];
}

try {
  console.log(`Generating ${DOCUMENTS} documents …`);
  await load();
  const bundleDir = path.join(dir, "bundle");
  await buildWorker(configPath, bundleDir);
  const addresses = await freeAddresses(PORT);
  if (addresses === undefined) throw new Error(`port ${PORT} is taken`);
  const { miniflare } = await startLocal({ configPath, bundleDir, port: PORT, addresses, stateDir });
  const reindexing = [await reindexAll(miniflare), await reindexAll(miniflare)];
  const seconds = reindexing.map(
    (runs) => `${runs.reduce((sum, run) => sum + run, 0).toFixed(1)} s in ${runs.length} run(s)`,
  );
  console.log(`Reindexing took ${seconds[0]}, and ${seconds[1]} without changes.`);
  const send = async (url: string, init?: RequestInit) => fetch(url, { redirect: "manual", ...init });
  const { accessToken } = await tokensFor({ origin: originOf(PORT), send }, PERSON);
  const lines = [...(await measure(accessToken, 1)), ...(await measure(accessToken, 4))];
  const text = [
    "# Benchmark of search",
    [
      `The whole call over ${DOCUMENTS} documents of 150 to 750 words, from request to answer, on two local cores shared with the client.`,
      "It includes the sign-in check, policy, index, a second read of the hits, and the audit record.",
      `The limit is a p95 under ${MAX_P95_MS} ms.`,
    ].join("\n"),
    `Reindexing took ${seconds[0]} the first time, and ${seconds[1]} without changes.`,
    [
      "| search for | concurrency | calls | p50 ms | p95 ms | p99 ms | result |",
      "| --- | --- | --- | --- | --- | --- | --- |",
      ...lines,
    ].join("\n"),
    [
      "A word in no document measures the call without documents.",
      "For a rare word, nearly all of the additional time is the second read of the hits from the local KV.",
      "For frequent words, ranking adds to it; its work is limited (docs/documents.md).",
    ].join("\n"),
  ].join("\n\n");
  writeFileSync(path.join(import.meta.dirname, "results.md"), `${text}\n`);
  console.log(`\n${text}`);
  await miniflare.dispose();
} finally {
  rmSync(dir, { recursive: true, force: true });
}
process.exit(0);
