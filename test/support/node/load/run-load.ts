// A load with kills: many users with several sessions each call the local server while its workerd is killed every few seconds, and
// afterwards everything that a client was told is compared with the audit log.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ROOT } from "../worker.ts";
import { connectAll, makeCalls } from "./load-clients.ts";
import type { LoadCall } from "./load-clients.ts";
import { checkFailures, checkLog, checkMemory, checkRecords, describeTimes, listMissing } from "./load-checks.ts";
import type { LoadCheck } from "./load-checks.ts";
import { readLoggedCalls, readRecords } from "./load-records.ts";
import type { LoggedEnd } from "./load-records.ts";
import { startLoadServer } from "./load-server.ts";
import type { LoadServer } from "./load-server.ts";

/** How large a load is, and how long it lasts. */
export interface LoadOptions {
  readonly subjects: number;
  /** The sessions of each subject. */
  readonly sessions: number;
  /** How long the server is killed again and again, and how often at most. */
  readonly killingSeconds: number;
  readonly maxKills?: number;
  /** The seconds between one restart and the next kill. */
  readonly killSeconds: number;
  /** How long calls go on after the last kill. Memory is judged in this time. */
  readonly calmSeconds: number;
  /** The calls of a second, of all clients together. */
  readonly rate: number;
  /** Whether to wait for the records of calls that a kill cut, which take a minute more: the length of a lease. */
  readonly waitsForCut: boolean;
  /** Told what happens. */
  readonly print: (line: string) => void;
}

/** What a load has shown. */
export interface LoadReport {
  readonly checks: readonly LoadCheck[];
  readonly calls: readonly LoadCall[];
  readonly figures: readonly string[];
}

/** A call that a kill cut is recorded when its lease ends, and its record arrives some seconds later. */
const SETTLE_MS = 150_000;
const POLL_MS = 2000;

/** Runs a load on a server of its own. */
export async function runLoad(options: LoadOptions): Promise<LoadReport> {
  const { subjects, sessions, print } = options;
  const stateDir = mkdtempSync(path.join(tmpdir(), "gatehouse-kills-"));
  const emails = Array.from({ length: subjects }, (_value, index) => `load-${index}@harbor.example`);
  const server = await startLoadServer(stateDir, emails);
  try {
    const openedMs = performance.now();
    const clients = await connectAll(server.origin, { emails, sessions });
    print(`${clients.length} sessions of ${subjects} users were opened in ${seconds(performance.now() - openedMs)}.`);
    const calls: LoadCall[] = [];
    const stopping = new AbortController();
    const working = makeCalls(clients, (clients.length / options.rate) * 1000, stopping.signal, calls);
    const calmFromMs = await killRepeatedly(server, options);
    await delay(options.calmSeconds * 1000);
    stopping.abort();
    await working;
    const calmToMs = performance.now();
    print("Waiting for the records of the last calls …");
    const readLogged = (): readonly LoggedEnd[] =>
      readLoggedCalls(server.output()).filter(({ outcome }) => options.waitsForCut || outcome !== undefined);
    await waitForRecords(readLogged, stateDir);
    const verified = await verify(stateDir);
    await Promise.allSettled(clients.map(async ({ client }) => client.close()));
    return buildReport(server, stateDir, { calls, calmFromMs, calmToMs, verified, logged: readLogged() });
  } finally {
    await server.stop();
    rmSync(stateDir, { recursive: true, force: true });
  }
}

/** Returns when the server answered after the last kill. */
async function killRepeatedly(server: LoadServer, options: LoadOptions): Promise<number> {
  const { killingSeconds, maxKills = Infinity, killSeconds, print } = options;
  const untilMs = performance.now() + killingSeconds * 1000;
  for (let count = 1; count <= maxKills && performance.now() < untilMs; count += 1) {
    await delay(killSeconds * 1000);
    await server.kill();
    const { beganMs, endedMs } = server.outages.at(-1) ?? { beganMs: NaN, endedMs: NaN };
    print(`Kill ${count}: the server answered again after ${seconds(endedMs - beganMs)}.`);
  }
  return performance.now();
}

async function waitForRecords(readLogged: () => readonly LoggedEnd[], stateDir: string): Promise<void> {
  const untilMs = performance.now() + SETTLE_MS;
  const isMissing = (): boolean => listMissing(readLogged(), readRecords(stateDir)).length > 0;
  while (isMissing() && performance.now() < untilMs) await delay(POLL_MS);
}

/** Runs `audit verify` over all records, beside the running server, which answers for the ledgers. */
async function verify(stateDir: string): Promise<LoadCheck> {
  const env = { ...process.env, GATEHOUSE_STATE: stateDir };
  const { status, output } = await new Promise<{ status: number; output: string }>((resolve) => {
    execFile(process.execPath, ["cli/main.ts", "audit", "verify"], { cwd: ROOT, env }, (error, stdout, stderr) =>
      resolve({ status: error === null ? 0 : 1, output: `${stdout}${stderr}`.trim() }),
    );
  });
  return { name: "audit verify finds all chains whole", isMet: status === 0, detail: output.split("\n")[0] ?? "" };
}

interface LoadResults {
  readonly calls: readonly LoadCall[];
  readonly calmFromMs: number;
  readonly calmToMs: number;
  readonly verified: LoadCheck;
  readonly logged: readonly LoggedEnd[];
}

function buildReport(server: LoadServer, stateDir: string, results: LoadResults): LoadReport {
  const { calls, calmFromMs, calmToMs, verified, logged } = results;
  const records = readRecords(stateDir);
  const calm = calls.filter(({ beganMs }) => beganMs >= calmFromMs);
  const outcomes = [...Map.groupBy(calls, ({ outcome }) => outcome)].map(
    ([outcome, list]) => `${list.length} ${outcome}`,
  );
  const outageMs = server.outages.reduce((sum, { beganMs, endedMs }) => sum + endedMs - beganMs, 0);
  return {
    calls,
    checks: [
      ...checkRecords(calls, records),
      checkLog(logged, records),
      verified,
      checkFailures(calls, server.outages),
      checkMemory(server.memory, calmFromMs),
    ],
    figures: [
      `calls: ${calls.length} (${outcomes.join(", ")})`,
      `kills: ${server.outages.length}, of which ${server.coldStarts()} needed npm start again; outages together ${seconds(outageMs)}`,
      `answered calls: ${describeTimes(calls)}`,
      `answered calls without kills (${seconds(calmToMs - calmFromMs)}): ${describeTimes(calm)}`,
    ],
  };
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
