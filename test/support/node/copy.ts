// Copies the repository for tests of commands that write into it, such as `npm run introspect`.
import { execFile } from "node:child_process";
import { cpSync, symlinkSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { ROOT } from "./worker.ts";

const run = promisify(execFile);

/** Copies all files that git tracks or would track, and links node_modules. */
export async function copyRepository(to: string): Promise<void> {
  const { stdout } = await run("git", ["ls-files", "-co", "--exclude-standard"], { cwd: ROOT });
  for (const name of stdout.split("\n").filter((file) => file !== "" && !file.startsWith("bench/node_modules")))
    cpSync(path.join(ROOT, name), path.join(to, name));
  symlinkSync(path.join(ROOT, "node_modules"), path.join(to, "node_modules"));
}

/** Runs a script in the copy. Returns its output, also when it fails. */
export async function runScript(copy: string, script: string, ...args: readonly string[]) {
  return run(process.execPath, [path.join(copy, script), ...args], { cwd: copy }).catch((error: unknown) => {
    const { stdout = "", stderr = "" } = Object(error);
    return { stdout: String(stdout), stderr: String(stderr) };
  });
}
