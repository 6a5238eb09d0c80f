// Runs real Python clients as processes where Python and their packages are installed. PYTHON names the interpreter.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";

const PYTHON = process.env["PYTHON"] ?? "python3";
const SCRIPTS = path.resolve(import.meta.dirname, "../python");

/** Says why a script cannot run here; undefined when its module is installed with at least this major version. */
export function whyNoPython(module: string, major: number): string | undefined {
  const code = `import importlib.metadata as m, ${module}; print(m.version("${module}"))`;
  const { error, status, stdout } = spawnSync(PYTHON, ["-c", code], { encoding: "utf8", timeout: 60_000 });
  if (error !== undefined) return `${PYTHON} does not run here`;
  if (status !== 0) return `${PYTHON} has no module ${module}; set PYTHON to an interpreter that has it`;
  const version = stdout.trim();
  return Number(version.split(".")[0]) < major ? `${module} is ${version}, but the test needs ${major}` : undefined;
}

/**
 * Runs a script until it prints `DONE` and JSON, and returns the JSON. For each `AUTHORIZE <url>` that the script prints, `authorize`
 * returns the callback URL, which the script reads from standard input. Throws with the script's output when it ends without a result.
 */
export async function runPython(
  script: string,
  args: readonly string[],
  authorize: (url: string) => Promise<URL>,
): Promise<unknown> {
  const child = spawn(PYTHON, [path.join(SCRIPTS, script), ...args], { stdio: "pipe" });
  const output: string[] = [];
  let result: unknown;
  createInterface(child.stderr).on("line", (line) => output.push(line));
  const ended = once(child, "close");
  try {
    for await (const line of createInterface(child.stdout)) {
      output.push(line);
      const [, word, rest = ""] = /^(AUTHORIZE|DONE) (.*)$/.exec(line) ?? [];
      if (word === "AUTHORIZE") child.stdin.write(`${(await authorize(rest)).href}\n`);
      if (word === "DONE") result = JSON.parse(rest);
    }
    await ended;
  } finally {
    child.kill();
  }
  if (result === undefined) throw new Error(`${script} ended without a result:\n${output.join("\n")}`);
  return result;
}
