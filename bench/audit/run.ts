// `npm run bench:audit`: measures reading and verifying the audit log with a million records in the local GATEHOUSE_DB, by the modules of
// the command line. Prints tables and writes them to results.md. `AUDIT_BENCH_STATE` names a folder whose records are used again.
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import path from "node:path";
import { openAuditRecordStore } from "../../src/audit/audit-record-store.ts";
import type { AuditRecordStore, RecordCursor } from "../../src/audit/audit-record-store.ts";
import { createFilter } from "../../src/audit/record-filter.ts";
import type { RecordSearch } from "../../src/audit/record-filter.ts";
import { verifyStoredChains } from "../../src/audit/verify-stored-chain.ts";
import { openStorage } from "../../cli/local-server/local.ts";
import { migrateLocal } from "../../cli/local-server/migrations.ts";
import {
  BEGIN_MS,
  CLIENTS,
  END_MS,
  RARE_COLUMN,
  RECORDS,
  columnOf,
  datasetOf,
  userOf,
  writeRecords,
} from "./records.ts";

const RUNS = 15;
const LIMIT = 50;
const MAX_PAGE_MS = 100;
const MAX_VERIFY_MS = 60_000;
const DAY_MS = 86_400_000;
const configPath = path.join(import.meta.dirname, "wrangler.jsonc");
const given = process.env["AUDIT_BENCH_STATE"];
const stateDir = given ?? mkdtempSync(path.join(tmpdir(), "gatehouse-bench-audit-"));

const [common, second, third, rare, veryRare, never] = CLIENTS;
const lastDay = { sinceMs: END_MS - DAY_MS, untilMs: END_MS };
const busiest = { users: [userOf(0)] };
const SEARCHES: Readonly<Record<string, RecordSearch>> = {
  "no filter": {},
  "one day": { sinceMs: BEGIN_MS + 9 * DAY_MS, untilMs: BEGIN_MS + 10 * DAY_MS },
  "a user with many records": busiest,
  "a user with few records": { users: [userOf(199)] },
  "two accounts of a user": { users: [userOf(0), userOf(150)] },
  "a client with most records": { clients: [common ?? ""] },
  "a client with few records": { clients: [veryRare ?? ""] },
  "a client without records": { clients: [never ?? ""] },
  "a dataset": { dataset: datasetOf(0) },
  "a column": { column: columnOf(0, 1) },
  "a column that few calls read": { column: RARE_COLUMN },
  denied: { decision: "denied" },
  allowed: { decision: "allowed" },
  "action query": { action: "query" },
  "action describe": { action: "describe" },
  "a rare action": { action: "replay" },
  "user and dataset": { ...busiest, dataset: datasetOf(0) },
  "user and a dataset that few calls read": { ...busiest, dataset: datasetOf(39) },
  "user and denied": { ...busiest, decision: "denied" },
  "user and allowed": { ...busiest, decision: "allowed" },
  "user and one day": { ...busiest, ...lastDay },
  "user and action query": { ...busiest, action: "query" },
  "client and dataset": { clients: [second ?? ""], dataset: datasetOf(1) },
  "client and denied": { clients: [third ?? ""], decision: "denied" },
  "column and denied": { column: columnOf(0, 1), decision: "denied" },
  "column and user": { ...busiest, column: columnOf(2, 4) },
  "rare client and dataset": { clients: [rare ?? ""], dataset: datasetOf(0) },
  "dataset and column and day": { dataset: datasetOf(0), column: columnOf(0, 1), ...lastDay },
  "two common filters that no record matches": { clients: [second ?? ""], dataset: datasetOf(0) },
};

interface Pages {
  readonly ms: readonly number[];
  readonly found: number;
}

/** Reads pages until one is full or the list ends, as `audit list` does, and takes the time of each. */
async function readUntilFull(
  store: AuditRecordStore,
  search: RecordSearch,
  order: "newest first" | "oldest first",
): Promise<Pages> {
  const ms: number[] = [];
  let [cursor, found]: [RecordCursor | null, number] = [null, 0];
  do {
    const startedMs = performance.now();
    const page = await store.list(createFilter(search), { order, cursor, limit: LIMIT - found });
    ms.push(performance.now() - startedMs);
    found += page.records.length;
    cursor = page.next;
  } while (cursor !== null && found < LIMIT);
  return { ms, found };
}

const quantile = (values: readonly number[], share: number): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
};

async function measureSearches(store: AuditRecordStore): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const [name, search] of Object.entries(SEARCHES))
    for (const order of ["newest first", "oldest first"] as const) {
      const runs: Pages[] = [];
      for (let run = 0; run < RUNS; run += 1) runs.push(await readUntilFull(store, search, order));
      const pageMs = runs.flatMap(({ ms }) => ms);
      const totals = runs.map(({ ms }) => ms.reduce((sum, value) => sum + value, 0));
      const [p50, p95] = [quantile(pageMs, 0.5), quantile(pageMs, 0.95)];
      const [{ found, ms: pages } = { found: 0, ms: [] }] = runs;
      const figures = [p50.toFixed(1), p95.toFixed(1), pages.length, quantile(totals, 0.5).toFixed(1)];
      lines.push(
        `| ${name} | ${order} | ${found} | ${figures.join(" | ")} | ${p95 < MAX_PAGE_MS ? "met" : "missed"} |`,
      );
      console.log(lines.at(-1));
    }
  return lines;
}

/** Verifies the last day, whose chains have real hashes. */
async function measureVerify(store: AuditRecordStore): Promise<string> {
  const startedMs = performance.now();
  let records = 0;
  const spans = await store.listChains(lastDay.sinceMs, lastDay.untilMs);
  const listedMs = performance.now() - startedMs;
  for (const verdict of await verifyStoredChains(store, spans)) {
    if (verdict.fault !== null) throw new Error(`${verdict.ledger} has a bad record: ${JSON.stringify(verdict.fault)}`);
    records += verdict.records;
  }
  const ms = performance.now() - startedMs;
  const result = ms < MAX_VERIFY_MS ? "met" : "missed";
  return `| ${records} | ${spans.length} | ${(listedMs / 1000).toFixed(1)} s | ${(ms / 1000).toFixed(1)} s | ${result} |`;
}

/** Writes the records unless the folder has them. */
async function load(): Promise<void> {
  if (given !== undefined && existsSync(path.join(given, "v3"))) return;
  const storage = await openStorage(configPath, stateDir);
  await migrateLocal(storage, configPath);
  await storage.dispose();
  const folder = path.join(stateDir, "v3/d1");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const file = files.find((name) => name.endsWith(".sqlite") && !name.includes("metadata"));
  if (file === undefined) throw new Error("the database has no file");
  writeRecords(path.join(folder, file), (done) => console.log(`${done} of ${RECORDS} records`));
}

try {
  await load();
  const storage = await openStorage(configPath, stateDir);
  const database = await storage.getD1Database("GATEHOUSE_DB");
  const store = openAuditRecordStore(database);
  const written = await database
    .prepare(
      "SELECT (SELECT count(*) FROM audit_term) * 1.0 / count(*) AS terms, sum(length(body) + length(salts)) / count(*) AS bytes FROM audit_record",
    )
    .first<{ terms: number; bytes: number }>();
  const searches = await measureSearches(store);
  const verify = await measureVerify(store);
  await storage.dispose();
  const text = [
    "# Benchmark of the audit log",
    "",
    `${RECORDS} records of 200 users in the local GATEHOUSE_DB, ${written?.bytes} bytes and ${written?.terms.toFixed(1)} terms each, read by the modules of \`audit list\`, \`audit export\` and`,
    "`audit verify` on two local cores, without the two seconds in which a command starts.",
    `The machine's load was ${loadavg()[1]?.toFixed(1)} at the end: above 2, other work had a share of the cores, which shows in the p95.`,
    "",
    `A page has ${LIMIT} records and looks at a limited number of them; a search reads pages until it has ${LIMIT} records or the list ends.`,
    `The limit is a p95 under ${MAX_PAGE_MS} ms for a page. Each search ran ${RUNS} times.`,
    "",
    "| filter | order | found | page p50 ms | page p95 ms | pages | whole search ms | result |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ...searches,
    "",
    `Verifying one day, under ${MAX_VERIFY_MS / 1000} s:`,
    "",
    "| records | ledgers | listing the chains | in all | result |",
    "| --- | --- | --- | --- | --- |",
    verify,
    "",
  ].join("\n");
  writeFileSync(path.join(import.meta.dirname, "results.md"), text);
  console.log(text.split("\n").slice(-6).join("\n"));
} finally {
  if (given === undefined) rmSync(stateDir, { recursive: true, force: true });
}
