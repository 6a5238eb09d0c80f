// Starts the real server once for all tests in Node, as `npm start` does, with its own state folder.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestProject } from "vitest/node";
import { runProcess } from "./worker.ts";
import type { WorkerProcess } from "./worker.ts";

declare module "vitest" {
  export interface ProvidedContext {
    origin: string;
    stateDir: string;
  }
}

/** Runs `npm start` and resolves when it serves. */
export async function startServer(
  port: number,
  stateDir: string,
  variables: Record<string, string> = {},
): Promise<WorkerProcess> {
  const env = { PORT: String(port), GATEHOUSE_STATE: stateDir, ...variables };
  return runProcess(["cli/main.ts", "start"], env, "Press Ctrl+C to stop.", `http://localhost:${port}`);
}

/** Finds a free port on loopback. */
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

/** Settings as in a deployment: the server's metadata must not depend on the network of the machine that runs the tests. */
const DEPLOYED = { GATEHOUSE_CLIENT_METADATA_DOCUMENTS: "on" };

/** The global setup of the tests in Node. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const stateDir = mkdtempSync(path.join(tmpdir(), "gatehouse-test-"));
  const server = await startServer(await freePort(), stateDir, DEPLOYED);
  project.provide("origin", server.origin);
  project.provide("stateDir", stateDir);
  return async () => {
    await server.stop("SIGTERM");
    rmSync(stateDir, { recursive: true, force: true });
  };
}
