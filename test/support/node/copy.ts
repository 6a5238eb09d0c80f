// A copy of the repository to work in: what `npm run introspect` writes belongs into no test's own checkout.
import { execFile } from "node:child_process";
import { cpSync, symlinkSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { ROOT } from "./worker.ts";

const run = promisify(execFile);

/** Copies what git knows or would know, with the same node_modules. */
export async function copyRepository(to: string): Promise<void> {
  const { stdout } = await run("git", ["ls-files", "-co", "--exclude-standard"], { cwd: ROOT });
  for (const name of stdout.split("\n").filter((one) => one !== "" && !one.startsWith("bench/node_modules")))
    cpSync(path.join(ROOT, name), path.join(to, name));
  symlinkSync(path.join(ROOT, "node_modules"), path.join(to, "node_modules"));
}

/** Runs a script there. A failure is told by what it printed. */
export async function runScript(copy: string, script: string, ...args: readonly string[]) {
  return run(process.execPath, [path.join(copy, script), ...args], { cwd: copy }).catch((error: unknown) => {
    const { stdout = "", stderr = "" } = Object(error);
    return { stdout: String(stdout), stderr: String(stderr) };
  });
}
