// Runs the repository's development tools (wrangler, tsc, prettier), and bundles a Worker exactly as a deployment would.
import { spawn } from "node:child_process";
import path from "node:path";
import { CliError } from "../kit/cli-error.ts";
import { generateSqliteModule } from "./sqlite-module.ts";

export const root = path.resolve(import.meta.dirname, "../..");

/** Runs a command from node_modules/.bin under this Node. Resolves with its output; rejects with `CliError` and that output when it fails. */
export async function runTool(name: string, args: readonly string[]): Promise<string> {
  // This Node comes first for what the tool runs in turn, such as the build command of wrangler.jsonc.
  const searchPath = [path.dirname(process.execPath), process.env["PATH"]].join(path.delimiter);
  const child = spawn(process.execPath, [path.join(root, "node_modules", ".bin", name), ...args], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, PATH: searchPath, WRANGLER_SEND_METRICS: "false", CI: "true" },
  });
  let output = "";
  const collect = (chunk: Buffer): void => void (output += chunk.toString());
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) =>
      status === 0 ? resolve(output) : reject(new CliError(`${name} ${args.join(" ")} failed:\n${output}`)),
    );
  });
}

/** Bundles the Worker of a wrangler configuration into a folder without deploying it. Returns wrangler's output. */
export async function buildWorker(
  configPath: string,
  outDir: string,
  options: readonly string[] = [],
): Promise<string> {
  generateSqliteModule();
  return runTool("wrangler", ["deploy", "--dry-run", "--config", configPath, "--outdir", outDir, ...options]);
}
