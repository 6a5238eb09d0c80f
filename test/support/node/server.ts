// Starts the real server once for all tests in Node, as a newcomer would: `npm start`, with its own state folder.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  export interface ProvidedContext {
    origin: string;
    stateDir: string;
  }
}

export interface RunningServer {
  readonly origin: string;
  readonly output: () => string;
  /** Ends the process group and waits for it. */
  readonly stop: (signal: "SIGTERM" | "SIGKILL") => Promise<void>;
}

/** Runs scripts/start.ts and resolves when it says that it serves. Rejects with its output when it ends before. */
export async function startServer(port: number, stateDir: string): Promise<RunningServer> {
  const root = path.resolve(import.meta.dirname, "../../..");
  const env = { ...process.env, PORT: String(port), GATEHOUSE_STATE: stateDir };
  const child = spawn(process.execPath, ["scripts/start.ts"], {
    cwd: root,
    env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    const collect = (chunk: Buffer): void => {
      output += chunk.toString();
      if (output.includes("Press Ctrl+C to stop.")) resolve();
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.on("error", reject);
    child.on("close", (status) => reject(new Error(`the server ended with ${status}:\n${output}`)));
  });
  return {
    origin: `http://localhost:${port}`,
    output: () => output,
    stop: async (signal) => {
      killGroup(child, signal);
      await ended;
    },
  };
}

export async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        typeof address === "object" && address !== null ? resolve(address.port) : reject(new Error("no port")),
      );
    });
  });
}

function killGroup(child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): void {
  if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, signal);
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const stateDir = mkdtempSync(path.join(tmpdir(), "gatehouse-test-"));
  const server = await startServer(await freePort(), stateDir);
  project.provide("origin", server.origin);
  project.provide("stateDir", stateDir);
  return async () => {
    await server.stop("SIGTERM");
    rmSync(stateDir, { recursive: true, force: true });
  };
}
