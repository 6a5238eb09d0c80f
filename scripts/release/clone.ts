// Release checks in a fresh clone, used as a newcomer would: it starts, a real client signs in and queries, and its tests pass.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { connectAs } from "../../test/support/node/clients.ts";
import { root } from "../../cli/project/tools.ts";
import { passedIf } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";

const READY = "Press Ctrl+C to stop.";
const START_TIMEOUT_MS = 300_000;

/** Clones the repository, passes the folder to `use`, and removes it afterwards. */
export async function withClone<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(path.join(tmpdir(), "gatehouse-release-"));
  try {
    const { status, stderr } = spawnSync("git", ["clone", "--quiet", root, folder], { encoding: "utf8" });
    if (status !== 0) throw new Error(`git clone failed: ${stderr}`);
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Checks that everything is committed, because a clone contains nothing else. */
export function checkCommitted(): Outcome {
  const { stdout } = spawnSync("git", ["status", "--porcelain"], { cwd: root, encoding: "utf8" });
  const { stdout: commit } = spawnSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" });
  return passedIf(
    stdout === "",
    stdout === "" ? `everything is committed, at ${commit.trim()}` : `not committed:\n${stdout.trimEnd()}`,
  );
}

/** Runs `npm start` in the clone and queries it as the sample's analyst. */
export async function checkFirstUse(folder: string): Promise<Outcome> {
  const port = String(40_000 + (process.pid % 20_000));
  const child = spawn("npm", ["start"], {
    cwd: folder,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, PORT: port },
  });
  const startedMs = performance.now();
  try {
    await new Promise<void>((resolve, reject) => {
      let output = "";
      const timer = setTimeout(() => reject(new Error(`npm start took too long:\n${output}`)), START_TIMEOUT_MS);
      const collect = (chunk: Buffer): void => {
        output += chunk.toString();
        if (output.includes(READY)) resolve(clearTimeout(timer));
      };
      child.stdout.on("data", collect);
      child.stderr.on("data", collect);
      child.once("error", reject);
      child.once("close", (status) => reject(new Error(`npm start ended with ${status}:\n${output}`)));
    });
    const seconds = Math.round((performance.now() - startedMs) / 1000);
    const client = await connectAs("sdk v2, 2026", `http://localhost:${port}/mcp`, "analyst@harbor.example");
    const answer = await client.call("query", { source: "shop", sql: "SELECT count(*) AS orders FROM orders" });
    await client.close();
    return passedIf(
      !answer.isError && answer.text.includes("12000"),
      `npm start served after ${seconds} s; a client signed in and got: ${answer.text.split("\n")[0]}`,
    );
  } finally {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGTERM");
  }
}

/** Runs `npm test` in the clone. */
export function checkTests(folder: string): Outcome {
  const { status, stdout } = spawnSync("npm", ["test"], { cwd: folder, encoding: "utf8", maxBuffer: 1 << 28 });
  const [summary = "no summary"] = /^\s*Tests .*$/m.exec(stdout) ?? [];
  return passedIf(status === 0, `npm test ended with ${status}: ${summary.trim()}`);
}
