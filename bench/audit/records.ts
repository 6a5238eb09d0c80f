// Writes a million audit records into the local GATEHOUSE_DB: 200 users, six clients and 40 datasets over 34 days.
// The chains of the last three days have real hashes, which `verify` checks; computing all would take long.
import { createHash, randomBytes } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { GENESIS, createSalts, hashRecord } from "../../src/audit/record-chain.ts";
import type { ChainHead } from "../../src/audit/record-chain.ts";
import { listTerms, readEntry } from "../../src/audit/record-entry.ts";

export const RECORDS = Number(process.env["RECORDS"] ?? 1_000_000);
const RECORDS_PER_DAY = 30_000;
const DAY_MS = 86_400_000;
export const END_MS = Date.parse("2026-11-28T00:00:00Z");
export const BEGIN_MS = END_MS - Math.ceil((RECORDS / RECORDS_PER_DAY) * DAY_MS);
const USERS = 200;
/** In place of the salts and the hash of older records: as long as those. */
const UNVERIFIED_SALTS = Array.from({ length: 25 }, () => "0".repeat(32));
const UNVERIFIED_HASH = "f".repeat(64);

/** The subject id of a user. Users with a low number make most calls. */
export const userOf = (n: number): string => createHash("sha1").update(`user ${n}`).digest("hex");
/** Each client reads only half of the datasets, so that pairs of common filters match nothing. */
export const CLIENTS = ["common", "second", "third", "rare", "very-rare", "never"].map((name) => `client-${name}`);
export const datasetOf = (n: number): string => `shop.table_${n}`;
export const columnOf = (dataset: number, n: number): string => `${datasetOf(dataset)}.column_${n}`;
/** A column that few calls read. */
export const RARE_COLUMN = "shop.table_0.column_rare";

/** A fixed sequence of numbers from 0 to 1, so that each run measures the same records. */
function createRandom(): () => number {
  let state = 20_261_128;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Picks a number below `count`; low ones are frequent. */
const pickSkewed = (random: () => number, count: number): number => Math.floor(random() ** 2.5 * count);

function pickClient(random: () => number): number {
  const share = random();
  return share < 0.6 ? 0 : share < 0.95 ? 1 : share < 0.99 ? 2 : share < 0.9998 ? 3 : 4;
}

function pickAction(random: () => number): string {
  const share = random();
  return share < 0.8
    ? "query"
    : share < 0.88
      ? "search"
      : share < 0.94
        ? "fetch"
        : share < 0.999
          ? "describe"
          : "replay";
}

function pickResult(random: () => number): { readonly result: string; readonly code: string | null } {
  const share = random();
  if (share < 0.97) return { result: "answered", code: null };
  return share < 0.98 ? { result: "denied", code: "not_allowed" } : { result: "failed", code: "query_refused" };
}

function makeBody(random: () => number, user: string, endedMs: number): string {
  const client = pickClient(random);
  const dataset = 2 * pickSkewed(random, 20) + (client % 2);
  const columns = Array.from({ length: 4 }, (_, index) => columnOf(dataset, index * 3 + Math.floor(random() * 3)));
  if (random() < 0.00002) columns.push(RARE_COLUMN);
  const attempt = {
    call: randomBytes(16).toString("hex"),
    subjectId: user,
    owner: null,
    clientId: CLIENTS[client],
    operation: pickAction(random),
    asked: `SELECT ${columns.join(", ")} FROM ${datasetOf(dataset)} WHERE region = ? AND created_at >= ? ORDER BY created_at LIMIT ?`,
    resource: "shop",
    era: "2026",
  };
  const outcome = {
    ...pickResult(random),
    roles: ["analyst"],
    datasets: [datasetOf(dataset)],
    rules: [`analyst/allow/read/${datasetOf(dataset)}`],
    denials: [],
    columns,
    masked: [`${columns[0]}:email`],
    untrusted: [],
    rows: Math.floor(random() * 100),
    bytes: Math.floor(random() * 10_000),
    cut: false,
    kept: "r1",
  };
  const times = { began: new Date(endedMs - 40).toISOString(), ended: new Date(endedMs).toISOString() };
  return JSON.stringify({ attempt, outcome, ...times });
}

/** Fills the tables. Terms are inserted in their order at the end, which is much faster. */
export function writeRecords(file: string, onProgress: (done: number) => void): void {
  const database = new DatabaseSync(file);
  database.exec(
    "PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; CREATE TEMP TABLE staged (term, ended_ms, record_id)",
  );
  const addRecord = database.prepare(
    "INSERT INTO audit_record (id, ledger, seq, ended_ms, body, salts, hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
  );
  const addTerm = database.prepare("INSERT INTO staged VALUES (?, ?, ?)");
  const random = createRandom();
  const heads = new Map<string, ChainHead>();
  database.exec("BEGIN");
  for (let id = 1; id <= RECORDS; id += 1) {
    const ledger = userOf(pickSkewed(random, USERS));
    const endedMs = BEGIN_MS + Math.floor(((id - 1) * DAY_MS) / RECORDS_PER_DAY);
    const head = heads.get(ledger) ?? GENESIS;
    const body = makeBody(random, ledger, endedMs);
    const isVerified = endedMs >= END_MS - 3 * DAY_MS;
    const salts = isVerified ? createSalts(body, randomBytes) : UNVERIFIED_SALTS;
    const record = { seq: head.seq + 1, body, hash: isVerified ? hashRecord(head, body, salts) : UNVERIFIED_HASH };
    heads.set(ledger, { seq: record.seq, hash: record.hash });
    addRecord.run(id, ledger, record.seq, endedMs, body, JSON.stringify(salts), record.hash);
    for (const term of listTerms(readEntry(ledger, record))) addTerm.run(term, endedMs, id);
    if (id % 50_000 === 0) onProgress(id);
  }
  database.exec("INSERT INTO audit_term SELECT * FROM staged ORDER BY term, ended_ms, record_id; COMMIT; ANALYZE");
  database.close();
}
