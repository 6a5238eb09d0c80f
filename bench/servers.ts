// Runs each benchmarked Worker in its own workerd process, and reads the process's CPU time and memory from /proc.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { SUBJECTS, buildSubject } from "./build.ts";
import type { Subject } from "./build.ts";
import { initializeBody, JSON_HEADERS } from "./client.ts";

const FIRST_PORT = 18_900;
// The binary itself rather than its npm wrapper, so that signals and /proc refer to the right process.
const WORKERD = createRequire(import.meta.url).resolve(
  `@cloudflare/workerd-${process.platform}-${process.arch === "x64" ? "64" : process.arch}/bin/workerd`,
);
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;

/** A running workerd with one Worker. */
export class Server {
  readonly name: string;
  readonly port: number;
  readonly gzipBytes: number;
  /** Milliseconds from the start of the process to its first answer. */
  readonly startMs: number;
  readonly #process: ChildProcess;

  private constructor(subject: Subject, port: number, gzipBytes: number, startMs: number, child: ChildProcess) {
    this.name = subject.name;
    this.port = port;
    this.gzipBytes = gzipBytes;
    this.startMs = startMs;
    this.#process = child;
  }

  /** Bundles and starts a subject. Throws when the process ends before it answers. */
  static async start(subject: Subject, port: number, dir: string): Promise<Server> {
    const configPath = await buildSubject(subject, port, dir);
    const gzipBytes = gzipSync(readFileSync(path.join(dir, `${subject.name}.js`))).length;
    const startedMs = performance.now();
    const child = spawn(WORKERD, ["serve", "--experimental", configPath], { stdio: ["ignore", "inherit", "inherit"] });
    await waitForAnswer(port, child);
    return new Server(subject, port, gzipBytes, performance.now() - startedMs, child);
  }

  /** The user and system time of the process so far. */
  cpuSeconds(): number {
    const fields = this.#proc("stat").split(") ")[1]?.split(" ") ?? [];
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }

  residentBytes(): number {
    return Number(this.#proc("statm").split(" ")[1]) * PAGE_BYTES;
  }

  stop(): void {
    this.#process.kill("SIGKILL");
  }

  #proc(file: string): string {
    return readFileSync(`/proc/${this.#process.pid}/${file}`, "utf8");
  }
}

/** Starts every subject and adds each to the map as soon as it runs, so that the caller can stop them after a failure. */
export async function startAll(servers: Map<string, Server>, dir: string): Promise<void> {
  for (const [index, subject] of SUBJECTS.entries())
    servers.set(subject.name, await Server.start(subject, FIRST_PORT + index, dir));
}

async function waitForAnswer(port: number, child: ChildProcess): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) {
    const isAnswered = await fetch(`http://127.0.0.1:${port}/mcp`, {
      method: "POST",
      headers: JSON_HEADERS,
      body: initializeBody(1),
    }).then(
      async (response) => (await response.text(), true),
      () => false,
    );
    if (isAnswered) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`The server on port ${port} ended with ${child.exitCode ?? child.signalCode} before it answered.`);
}
