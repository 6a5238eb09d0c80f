// Loads the policy of a git revision, for comparing it with today's.
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { CliError } from "../kit/cli-error.ts";
import { loadPolicyFile } from "../project/load-policy.ts";
import { root } from "../project/tools.ts";

/** The files that make up a policy. */
const POLICY_FILES = [
  "src/gatehouse.config.ts",
  "src/introspected-schema.ts",
  "src/introspected-schema",
  "sample/gatehouse.config.ts",
];

/** Loads the policy files of a git revision with today's code. Throws `CliError` when they cannot be read. */
export async function loadRevision(revision: string, file: string): Promise<Gatehouse> {
  const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-policy-"));
  try {
    for (const name of ["src", "sample", "package.json"])
      cpSync(path.join(root, name), path.join(dir, name), { recursive: true });
    symlinkSync(path.join(root, "node_modules"), path.join(dir, "node_modules"));
    for (const name of POLICY_FILES) rmSync(path.join(dir, name), { recursive: true, force: true });
    const git = (...args: readonly string[]) =>
      execFileSync("git", args, { cwd: root, stdio: ["ignore", "pipe", "pipe"], maxBuffer: 1e9 });
    const existing = git("ls-tree", "--name-only", revision, "--", ...POLICY_FILES)
      .toString()
      .split("\n")
      .filter((name) => name !== "");
    execFileSync("tar", ["-x", "-C", dir], { input: git("archive", revision, "--", ...existing) });
    return await loadPolicyFile(path.join(dir, file), dir);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replaceAll(`${dir}/`, "") : "no reason given";
    throw new CliError(
      `The policy of ${revision} cannot be read: ${reason}\n` +
        "Today's code reads it. If it was written for an earlier version of Gatehouse, compare it in a checkout of that version.",
    );
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
