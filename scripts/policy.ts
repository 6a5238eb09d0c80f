// `npm run policy -- check | explain <email> <dataset> [column] | diff <git revision>`: the policy file read for people.
// `--sample` reads that of the sample organisation.
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { signInWarnings } from "../src/auth/sign-in-warnings.ts";
import type { Gatehouse } from "../src/config.ts";
import { root } from "./build.ts";
import { PolicyProblem, loadOwnConfig } from "./policy-file.ts";
import { matrixOf, warningsOf } from "./policy/check.ts";
import { diffPolicies } from "./policy/diff.ts";
import { explain } from "./policy/explain.ts";
import { configuredSignIn } from "./sign-in.ts";

const USAGE =
  "Say what to do: check, explain <email> <dataset> [column], or diff <git revision>. --sample reads the sample's policy. With explain, --group <name> (also several) supposes groups of the identity provider, and --role <name> a role of the members table.";

async function main(): Promise<readonly string[]> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      sample: { type: "boolean", default: false },
      env: { type: "string" },
      group: { type: "string", multiple: true, default: [] },
      role: { type: "string", multiple: true, default: [] },
    },
  });
  const file = values.sample ? "sample/gatehouse.config.ts" : "src/gatehouse.config.ts";
  const { policy } = values.sample ? await load(path.join(root, file)) : await loadOwnConfig();
  const [command, ...rest] = positionals;
  const [first, second, third] = rest;
  if (command === "check" && rest.length === 0) {
    if (policy.datasets.length === 0)
      return [`${file} declares no dataset. npm run introspect reads a database; --sample looks at the sample.`];
    const signIn = configuredSignIn(
      path.join(root, values.sample ? "sample/wrangler.jsonc" : "wrangler.jsonc"),
      values.env,
    );
    const found = [...signInWarnings(signIn, policy.groups), ...warningsOf(policy)];
    const warnings = found.map((warning) => `warning: ${warning}`);
    return [...matrixOf(policy), ...(warnings.length === 0 ? ["No warnings."] : warnings)];
  }
  if (command === "explain" && first !== undefined && second !== undefined && rest.length <= 3)
    return explain(policy, first, second, third, {
      groups: values.group,
      record: { roles: values.role, attributes: {} },
    });
  if (command === "diff" && first !== undefined && rest.length === 1) {
    const { opens, closes, changes } = diffPolicies((await loadRevision(first, file)).policy, policy);
    const lines = [...listed("Opens", opens), ...listed("Closes", closes), ...listed("Changes", changes)];
    return lines.length === 0 ? [`Nobody sees more or less than at ${first}.`] : lines;
  }
  throw new PolicyProblem(USAGE);
}

function listed(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`)];
}

async function load(file: string): Promise<Gatehouse> {
  const loaded: { default: Gatehouse } = await import(file);
  return loaded.default;
}

/** What a policy is written in. */
const POLICY_FILES = ["src/gatehouse.config.ts", "src/catalogue.ts", "src/catalogue", "sample/gatehouse.config.ts"];

/** The policy files of a revision, read by today's code. */
async function loadRevision(revision: string, file: string): Promise<Gatehouse> {
  const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-policy-"));
  try {
    for (const name of ["src", "sample", "package.json"])
      cpSync(path.join(root, name), path.join(dir, name), { recursive: true });
    symlinkSync(path.join(root, "node_modules"), path.join(dir, "node_modules"));
    for (const name of POLICY_FILES) rmSync(path.join(dir, name), { recursive: true, force: true });
    const git = (...args: readonly string[]) =>
      execFileSync("git", args, { cwd: root, stdio: ["ignore", "pipe", "pipe"], maxBuffer: 1e9 });
    const there = git("ls-tree", "--name-only", revision, "--", ...POLICY_FILES)
      .toString()
      .split("\n")
      .filter((name) => name !== "");
    execFileSync("tar", ["-x", "-C", dir], { input: git("archive", revision, "--", ...there) });
    return await load(path.join(dir, file));
  } catch (error) {
    throw new PolicyProblem(
      `The policy of ${revision} cannot be read: ${error instanceof Error ? error.message : "no reason given"}`,
    );
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

try {
  console.log((await main()).join("\n"));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
