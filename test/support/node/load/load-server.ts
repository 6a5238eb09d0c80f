// `npm start` over the sample with many members, whose workerd is killed again and again: the supervisor restarts it, and when that gives
// up after three restarts in a minute, this file starts `npm start` again, as an operator would.
import { readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { openStorage } from "../../../../cli/local-server/local.ts";
import { migrateLocal } from "../../../../cli/local-server/migrations.ts";
import { addRole } from "../../../../src/members/member-statements.ts";
import { freePort, startServer } from "../server.ts";
import { ROOT, findWorkerd } from "../worker.ts";

const CONFIG = path.join(ROOT, "sample/wrangler.jsonc");
/** The id of the sample's GATEHOUSE_DB. */
export const SAMPLE_DATABASE_ID = "sample-gatehouse";
const POLL_MS = 100;
const GAVE_UP = "needed a fourth restart within a minute";

/** A span of time in which the server may not answer, in milliseconds of `performance.now()`. */
export interface Outage {
  readonly beganMs: number;
  /** Infinity while it lasts. */
  endedMs: number;
}

/** The memory of workerd at one time. */
interface MemorySample {
  readonly atMs: number;
  readonly rssBytes: number;
}

/** The server under load. */
export interface LoadServer {
  readonly origin: string;
  readonly outages: readonly Outage[];
  readonly memory: readonly MemorySample[];
  /** How often `npm start` was started again after its supervisor gave up. */
  coldStarts(): number;
  /** Everything that all processes have printed so far. */
  output(): string;
  /** Kills workerd, and resolves when the server answers again. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** Stores the members, whom the sample sign-in then offers, and starts the server. */
export async function startLoadServer(stateDir: string, emails: readonly string[]): Promise<LoadServer> {
  await storeMembers(stateDir, emails);
  const port = await freePort();
  const start = async () => startServer(port, stateDir, { GATEHOUSE_CLIENT_METADATA_DOCUMENTS: "off" });
  let server = await start();
  const earlierOutputs: string[] = [];
  const outages: Outage[] = [];
  const memory: MemorySample[] = [];
  // The server runs in a process group of its own, so it would go on when this process is ended.
  process.once("exit", () => {
    if (server.status() === null) process.kill(-server.pid, "SIGKILL");
  });
  const sampling = setInterval(() => {
    const rssBytes = readMemory(server.pid);
    if (rssBytes !== undefined) memory.push({ atMs: performance.now(), rssBytes });
  }, 1000);

  const countReports = (): number => server.output().split("ended by itself").length - 1;
  /** Whether the server answers; false when it does not run. */
  const answers = async (): Promise<boolean> => {
    try {
      const response = await fetch(`${server.origin}/.well-known/oauth-authorization-server`);
      await response.arrayBuffer();
      return response.ok;
    } catch {
      return false;
    }
  };
  return {
    origin: server.origin,
    outages,
    memory,
    coldStarts: () => earlierOutputs.length,
    output: () => [...earlierOutputs, server.output()].join("\n"),
    async kill() {
      const pid = findWorkerd(server.pid);
      if (pid === undefined) throw new Error(`workerd does not run:\n${server.output().slice(-2000)}`);
      const outage: Outage = { beganMs: performance.now(), endedMs: Infinity };
      outages.push(outage);
      const reports = countReports();
      process.kill(pid, "SIGKILL");
      // The supervisor reports a crash once workerd runs again.
      while (server.status() === null && countReports() === reports) await delay(POLL_MS);
      if (server.output().includes(GAVE_UP) || server.status() !== null) {
        await server.stop("SIGKILL");
        earlierOutputs.push(server.output());
        server = await start();
      }
      while (!(await answers())) await delay(POLL_MS);
      outage.endedMs = performance.now();
    },
    async stop() {
      clearInterval(sampling);
      await server.stop("SIGTERM");
    },
  };
}

async function storeMembers(stateDir: string, emails: readonly string[]): Promise<void> {
  const storage = await openStorage(CONFIG, stateDir);
  try {
    await migrateLocal(storage, CONFIG);
    const database = await storage.getD1Database("GATEHOUSE_DB");
    const author = { by: "operator", nowMs: Date.now() };
    await database.batch(
      emails.map((email) => {
        const { sql, values } = addRole(email, "analyst", author);
        return database.prepare(sql).bind(...values);
      }),
    );
  } finally {
    await storage.dispose();
  }
}

/** Reads the resident memory of the workerd of an `npm start`; undefined while it does not run. */
function readMemory(serverPid: number): number | undefined {
  try {
    const pid = findWorkerd(serverPid);
    if (pid === undefined) return undefined;
    const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
  } catch {
    // It has just ended.
    return undefined;
  }
}
