// The second half of `npm run bench:sql`: compares the whole call, from request to answer, with dbhub, a server that runs SQL without
// sign-in, policy, masks or audit record, and with a bare Worker, which runs it without anything else. Then measures how one client's worst
// queries affect the others. Writes whole.md. SHAPE=point compares one query only, and writes nothing.
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { buildWorker } from "../../cli/project/tools.ts";
import { freeAddresses, openStorage, originOf, startWorkers, workerOf } from "../../cli/local-server/local.ts";
import { migrateLocal } from "../../cli/local-server/migrations.ts";
import { tokensFor } from "../../test/support/oauth.ts";
import { call, initializeBody, runRound } from "../client.ts";
import type { Target } from "../client.ts";
import { CUSTOMERS, DATA_SQL, ORDERS } from "./data.ts";
import { makeFile, startDbhub } from "./dbhub.ts";
import { PEOPLE } from "./product/policy.ts";

const PORT = 18_960;
const PEER_PORT = 18_961;
const BARE_PORT = 18_962;
const ROUNDS = Number(process.env["ROUNDS"] ?? 4);
const ROUND_MS = Number(process.env["ROUND_MS"] ?? 2500);
const MAX_RATIO = 1.5;
const SHAPE = process.env["SHAPE"];
/** What a point lookup may take of the bare Worker's p50 with one client, and of its CPU; and the share of its requests with 16 clients. */
const MAX_BARE_RATIO = 2.5;
const MIN_BARE_SHARE = 0.5;
const REVISION = "2026-07-28";
const ENVELOPE = {
  "io.modelcontextprotocol/protocolVersion": REVISION,
  "io.modelcontextprotocol/clientInfo": { name: "bench", version: "1" },
  "io.modelcontextprotocol/clientCapabilities": {},
};
const SHAPES: Readonly<Record<string, string>> = {
  point: "SELECT id, status, total_cents FROM orders WHERE id = 777777",
  "500 rows":
    "SELECT id, customer_id, status, total_cents, placed_at FROM orders WHERE placed_at >= '2026-03-01' ORDER BY placed_at LIMIT 500",
  "join with group": [
    "SELECT c.segment, count(*), sum(o.total_cents) FROM orders o JOIN customers c ON c.id = o.customer_id",
    "WHERE o.placed_at >= '2026-06-15' GROUP BY c.segment",
  ].join(" "),
  count: "SELECT count(*) FROM orders WHERE status = 'placed'",
};
const WORST: readonly string[] = [
  "SELECT replace(printf('%.*c', 200000, 'x'), 'x', printf('%.*c', 200, 'y')) AS forty_megabytes",
  "SELECT count(*) FROM orders a, orders b, orders c WHERE a.status < b.status AND b.status < c.status",
  "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
];

const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-bench-whole-"));
const configPath = path.join(import.meta.dirname, "product/wrangler.jsonc");
const barePath = path.join(import.meta.dirname, "bare/wrangler.jsonc");

const toolCall = (id: number, name: string, args: object, meta: object): string =>
  JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: args, ...meta } });

/** A server and the form of calls to it. */
interface Contender {
  readonly name: string;
  readonly targetOf: (sql: string) => Target;
}

async function createContenders(tokens: readonly string[]): Promise<readonly Contender[]> {
  const signedIn = (client: number) => ({
    host: `localhost:${PORT}`,
    authorization: `Bearer ${tokens[client % tokens.length]}`,
  });
  const agent = new Agent();
  const sessions = await Promise.all(
    tokens.map(async (_token, client) => (await call(agent, PORT, signedIn(client), initializeBody(1))).session ?? ""),
  );
  agent.destroy();
  const query = (sql: string) => ({ source: "large", sql, limit: 500 });
  return [
    {
      name: "dbhub",
      targetOf: (sql) => ({
        port: PEER_PORT,
        headersOf: () => ({ "mcp-protocol-version": "2025-11-25" }),
        body: (_method, id) => toolCall(id, "execute_sql", { sql }, {}),
      }),
    },
    {
      name: "bare",
      targetOf: (sql) => ({
        port: BARE_PORT,
        headersOf: () => ({}),
        body: (_method, id) => toolCall(id, "query", { sql }, {}),
      }),
    },
    {
      name: "2026",
      targetOf: (sql) => ({
        port: PORT,
        headersOf: (_method, client) => ({
          ...signedIn(client),
          "mcp-protocol-version": REVISION,
          "mcp-method": "tools/call",
          "mcp-name": "query",
        }),
        body: (_method, id) => toolCall(id, "query", query(sql), { _meta: ENVELOPE }),
      }),
    },
    {
      name: "2025",
      targetOf: (sql) => ({
        port: PORT,
        headersOf: (_method, client) => ({
          ...signedIn(client),
          "mcp-protocol-version": "2025-11-25",
          "mcp-session-id": sessions[client % sessions.length] ?? "",
        }),
        body: (_method, id) => toolCall(id, "query", query(sql), {}),
      }),
    },
  ];
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

interface Figures {
  /** The median of the rounds' p50, in milliseconds. */
  readonly p50: number;
  /** The median of the rounds' requests per second. */
  readonly rate: number;
  /** The median of the runtime's CPU milliseconds per request; NaN where the system does not tell. */
  readonly cpuMs: number;
}

/** The number of ticks in which Linux counts a second of CPU. */
const TICKS_PER_SECOND = 100;

/** Returns the CPU seconds of the runtime so far, which is the child process of this one; NaN on systems without /proc. */
function readRuntimeCpu(): number {
  try {
    const stats = readdirSync("/proc").flatMap((pid) => {
      if (!/^[0-9]+$/.test(pid)) return [];
      const [, name, rest = ""] = /^[0-9]+ \((.*)\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
      const fields = rest.split(" ");
      return name === "workerd" && Number(fields[1]) === process.pid ? [Number(fields[11]) + Number(fields[12])] : [];
    });
    return stats.reduce((sum, ticks) => sum + ticks, 0) / TICKS_PER_SECOND;
  } catch {
    // A process ended meanwhile, or there is no /proc.
    return Number.NaN;
  }
}

async function measure(
  contenders: readonly Contender[],
  sql: string,
  concurrency: number,
): Promise<readonly Figures[]> {
  const roundFigures = contenders.map((): Figures[] => []);
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [index, { targetOf }] of contenders.entries()) {
      const startCpu = readRuntimeCpu();
      const { latencies, requests, seconds } = await runRound(targetOf(sql), "tools/call", concurrency, ROUND_MS);
      const cpuMs = (1000 * (readRuntimeCpu() - startCpu)) / requests;
      if (round > 0) roundFigures[index]?.push({ p50: median(latencies), rate: requests / seconds, cpuMs });
    }
  }
  return roundFigures.map((figures) => ({
    p50: median(figures.map(({ p50 }) => p50)),
    rate: median(figures.map(({ rate }) => rate)),
    cpuMs: median(figures.map(({ cpuMs }) => cpuMs)),
  }));
}

/** Judges the point lookup in the 2026 era against the bare Worker. */
function judgeBare(concurrency: number, bare: Figures | undefined, modern: Figures | undefined): string {
  if (bare === undefined || modern === undefined) throw new TypeError("there is no bare Worker");
  const share = modern.rate / bare.rate;
  const time = modern.p50 / bare.p50;
  const cpu = modern.cpuMs / bare.cpuMs;
  const isMet = (concurrency === 1 ? time <= MAX_BARE_RATIO : share >= MIN_BARE_SHARE) && !(cpu > MAX_BARE_RATIO);
  const cells = [
    concurrency,
    time.toFixed(2),
    share.toFixed(2),
    bare.cpuMs.toFixed(2),
    modern.cpuMs.toFixed(2),
    cpu.toFixed(2),
  ];
  return `| ${cells.join(" | ")} | ${isMet ? "met" : "missed"} |`;
}

async function compare(
  contenders: readonly Contender[],
): Promise<{ readonly lines: readonly string[]; readonly bareLines: readonly string[] }> {
  const headings = [
    "query",
    "concurrency",
    "dbhub ms",
    "bare ms",
    "2026 ms",
    "ratio",
    "2025 ms",
    "ratio",
    "limit",
    "result",
    "dbhub /s",
    "bare /s",
    "2026 /s",
    "2025 /s",
  ];
  const lines = [`| ${headings.join(" | ")} |`, `| ${headings.map(() => "---").join(" | ")} |`];
  const bareHeadings = [
    "clients",
    "p50 ratio",
    "share of requests",
    "bare CPU ms",
    "2026 CPU ms",
    "CPU ratio",
    "result",
  ];
  const bareLines = [`| ${bareHeadings.join(" | ")} |`, `| ${bareHeadings.map(() => "---").join(" | ")} |`];
  for (const concurrency of [1, 16]) {
    for (const [name, sql] of Object.entries(SHAPES).filter(([shape]) => SHAPE === undefined || shape === SHAPE)) {
      const figures = await measure(contenders, sql, concurrency);
      const [peer = 0, bare = 0, modern = 0, session = 0] = figures.map(({ p50 }) => p50);
      const result = Math.max(modern, session) / peer <= MAX_RATIO ? "met" : "missed";
      const times = [peer, bare, modern, modern / peer, session, session / peer]
        .map((value) => value.toFixed(2))
        .join(" | ");
      const rates = figures.map(({ rate }) => rate.toFixed(0)).join(" | ");
      lines.push(`| ${name} | ${concurrency} | ${times} | ${MAX_RATIO} × | ${result} | ${rates} |`);
      console.log(lines.at(-1));
      if (name === "point") {
        bareLines.push(judgeBare(concurrency, figures[1], figures[2]));
        console.log(bareLines.at(-1));
      }
    }
  }
  return { lines, bareLines };
}

/** Sends a query from one client, and measures the point lookups of four other clients during three seconds. */
async function disturb({ name, targetOf }: Contender, sql: string): Promise<string> {
  const agent = new Agent();
  const target = targetOf(sql);
  const startedMs = performance.now();
  let answer = "no answer in 3 s";
  const worst = call(agent, target.port, target.headersOf("tools/call", 15), target.body("tools/call", 1))
    .then(({ text }) => `${text.length} characters`)
    .catch((error: unknown) => {
      const message = error instanceof Error ? error.message : String(error);
      return message.includes('"error"') ? (/"text":"(\w+: [^"]{0,80})/.exec(message)?.[1] ?? "refused") : "cut off";
    })
    .then((outcome) => (answer = `${outcome}, after ${Math.round(performance.now() - startedMs)} ms`));
  const others = runRound(targetOf(SHAPES["point"] ?? ""), "tools/call", 4, 3000).catch(() => undefined);
  const deadline = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 4000));
  const round = await Promise.race([others, deadline]);
  agent.destroy();
  await Promise.race([worst, deadline]);
  const served = round === undefined ? "none" : `${round.requests}, p50 ${median(round.latencies).toFixed(1)} ms`;
  return `| ${name} | \`${sql.length > 60 ? `${sql.slice(0, 57)}…` : sql}\` | ${answer} | ${served} |`;
}

let peer: ChildProcess | undefined;
try {
  console.log(`Generating ${ORDERS} orders twice …`);
  const file = path.join(dir, "large.db");
  makeFile(file);
  const state = path.join(dir, "state");
  const storage = await openStorage(configPath, state);
  await migrateLocal(storage, configPath);
  const database = await storage.getD1Database("LARGE_DB");
  for (const sql of DATA_SQL) await database.prepare(sql).run();
  await storage.dispose();
  const workers = [];
  for (const [name, config, port] of [
    ["gatehouse", configPath, PORT],
    ["bare", barePath, BARE_PORT],
  ] as const) {
    const bundleDir = path.join(dir, name);
    await buildWorker(config, bundleDir);
    const addresses = await freeAddresses(port);
    if (addresses === undefined) throw new Error(`port ${port} is taken`);
    workers.push({ ...workerOf({ configPath: config, bundleDir, port, addresses }), name });
  }
  const miniflare = await startWorkers(state, workers);
  peer = await startDbhub(file, PEER_PORT);
  const flow = {
    origin: originOf(PORT),
    send: async (url: string, init?: RequestInit) => fetch(url, { redirect: "manual", ...init }),
  };
  const tokens: string[] = [];
  for (const email of PEOPLE) tokens.push((await tokensFor(flow, email)).accessToken);
  const contenders = await createContenders(tokens);
  const { lines, bareLines } = await compare(contenders);
  const disturbed = [
    "| server | one client sends | and gets | the others' point lookups in 3 s |",
    "| --- | --- | --- | --- |",
  ];
  // dbhub comes last, because a query may block it for good.
  for (const contender of contenders.filter(({ name }) => SHAPE === undefined && name !== "bare").toReversed())
    for (const sql of WORST) disturbed.push(await disturb(contender, sql));
  const text = `# Benchmark of the whole call

${ORDERS} orders and ${CUSTOMERS} customers.
The time is from request to answer, with the sign-in check, the audit record and the stored result.
\`dbhub\` is @bytebase/dbhub in read-only mode over an SQLite file with the same rows; it does none of these.
\`bare\` is a Worker that looks up one value in a Durable Object and runs the SQL unchanged.
Medians of the p50 of ${ROUNDS} interleaved rounds of ${ROUND_MS} ms.
Compare only within this table.

${lines.join("\n")}

The point lookup of the 2026 era beside the bare Worker.
With one client it may take ${MAX_BARE_RATIO} × the time, and with 16 it must answer ${MIN_BARE_SHARE} × the requests; CPU is that of the runtime, of which it may take ${MAX_BARE_RATIO} ×.

${bareLines.join("\n")}

Four clients look up single orders while a fifth client sends its worst query:

${disturbed.join("\n")}
`;
  if (SHAPE === undefined) writeFileSync(path.join(import.meta.dirname, "whole.md"), text);
  console.log(`\n${text}`);
  await miniflare.dispose();
} finally {
  peer?.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
}
process.exit(0);
