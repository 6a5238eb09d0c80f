// Builds a Worker and runs it in a process of its own, to be killed and started again with its state.
import { spawn } from "node:child_process";
import path from "node:path";

export const ROOT = path.resolve(import.meta.dirname, "../../..");

export interface WorkerProcess {
  readonly origin: string;
  readonly output: () => string;
  /** Ends the whole process group, workerd with it, and waits for that. */
  readonly stop: (signal: "SIGTERM" | "SIGKILL") => Promise<void>;
  /** Of the process, and of its group. */
  readonly pid: number;
  /** With which status it has ended; null while it runs. */
  readonly status: () => number | null;
}

/**
 * Runs a script under this Node in its own process group, and resolves when its output holds `readyText`. Rejects with
 * the output when it ends before.
 */
export async function runProcess(
  script: string,
  env: Record<string, string>,
  readyText: string,
  origin: string,
  cwd = ROOT,
): Promise<WorkerProcess> {
  const child = spawn(process.execPath, [script], {
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
    child.on("close", (status) => reject(new Error(`${script} ended with ${status}:\n${output}`)));
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
