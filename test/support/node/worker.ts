// Runs a script that serves a Worker in its own process group, so that tests can kill and restart it.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";

export const ROOT = path.resolve(import.meta.dirname, "../../..");
/** Options of wrangler for a build of another entry: it reads the paths of aliases in its configuration from the folder of the entry. */
export const ENTRY_ALIAS: readonly string[] = [
  "--alias",
  `@modelcontextprotocol/server/_shims:${path.join(ROOT, "src/mcp/json-schema-validator.ts")}`,
];

/** A running process. */
export interface WorkerProcess {
  readonly origin: string;
  readonly output: () => string;
  /** Ends the whole process group, including workerd, and waits until it has ended. */
  readonly stop: (signal: "SIGTERM" | "SIGKILL") => Promise<void>;
  /** The id of the process and of its group. */
  readonly pid: number;
  /** The exit status; null while the process runs. */
  readonly status: () => number | null;
}

/**
 * Runs a script, with arguments if they are given, with this Node in its own process group. Resolves when its output contains `readyText`; rejects with the output when the
 * script ends before.
 */
export async function runProcess(
  script: string | readonly [script: string, ...args: string[]],
  env: Record<string, string>,
  readyText: string,
  origin: string,
  cwd = ROOT,
): Promise<WorkerProcess> {
  const child = spawn(process.execPath, typeof script === "string" ? [script] : [...script], {
    cwd,
    env: { ...process.env, ...env },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    const collect = (chunk: Buffer): void => {
      output += chunk.toString();
      if (output.includes(readyText)) resolve();
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.on("error", reject);
    child.on("close", (status) => reject(new Error(`${String(script)} ended with ${status}:\n${output}`)));
  });
  return {
    origin,
    output: () => output,
    stop: async (signal) => {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, signal);
      await ended;
    },
    pid: child.pid ?? NaN,
    status: () => child.exitCode,
  };
}

/** Finds the workerd child of a Node process in Linux's /proc; undefined while there is none. */
export function findWorkerd(pid: number): number | undefined {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
  const found = children.find((id) => id !== "" && readFileSync(`/proc/${id}/comm`, "utf8").startsWith("workerd"));
  return found === undefined ? undefined : Number(found);
}
