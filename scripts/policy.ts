// `npm run policy -- check | explain <email> <dataset> [column] | diff <git revision>`: reviews the policy file. `--sample` reviews the
// sample organisation's. `check` and `explain` also read the local members table, or with `--remote` the deployment's.
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { listSignInWarnings } from "../src/sign-in/sign-in-warnings.ts";
import type { Gatehouse } from "../src/config/define-gatehouse.ts";
import { foldAscii } from "../src/lib/email-address.ts";
import type { MemberRecord, Policy } from "../src/policy/model.ts";
import { requireEmailAddress } from "../src/policy/member-input.ts";
import type { ListedMember } from "../src/members/member-row.ts";
import { root } from "./build.ts";
import { problemLines, readMembersIfThere } from "./members-table.ts";
import { DATABASE_OPTIONS } from "./own-database.ts";
import type { DatabaseChoice } from "./own-database.ts";
import { PolicyProblem, loadOwnConfig } from "./policy-file.ts";
import { matrixOf, warningsOf } from "./policy/check.ts";
import { diffPolicies } from "./policy/diff.ts";
import { explain, storedLines } from "./policy/explain.ts";
import { configuredSignIn } from "./sign-in.ts";
import { print, printAside, printFailure } from "./terminal.ts";

const USAGE = [
  "Give a command: check, explain <email> <dataset> [column], or diff <git revision>. --sample reads the sample's policy.",
  "check and explain read the local members table, or with --remote the deployment's.",
  "With explain, --group <name> assumes a group of the identity provider, and --role <name> a role in the members table;",
  "both can be repeated.",
].join(" ");

async function main(): Promise<readonly string[]> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      ...DATABASE_OPTIONS,
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
      return [
        `${file} declares no dataset. npm run introspect declares those of a database; --sample checks the sample.`,
      ];
    return check(policy, values);
  }
  if (command === "explain" && first !== undefined && second !== undefined && rest.length <= 3) {
    const email = requireEmailAddress(first);
    const members = await storedMembers(values);
    const stored = members.find((member) => member.email === email);
    const record = buildRecord(stored, values.role);
    return [
      ...explain(policy, email, second, third, { groups: values.group, record }),
      ...(stored === undefined ? [] : storedLines(stored)),
      ...problemLines(policy, members.filter(isMisspelling(email))),
    ];
  }
  if (command === "diff" && first !== undefined && rest.length === 1) {
    const { opens, closes, changes } = diffPolicies((await loadRevision(first, file)).policy, policy);
    const lines = [...listed("Opens", opens), ...listed("Closes", closes), ...listed("Changes", changes)];
    return lines.length === 0 ? [`Permissions are the same as at ${first}.`] : lines;
  }
  throw new PolicyProblem(USAGE);
}

async function check(policy: Policy, choice: DatabaseChoice): Promise<readonly string[]> {
  const configPath = path.join(root, choice.sample ? "sample/wrangler.jsonc" : "wrangler.jsonc");
  const problems = [
    ...listSignInWarnings(configuredSignIn(configPath, choice.env), policy.groups),
    ...warningsOf(policy),
    ...problemLines(policy, await storedMembers(choice)),
  ];
  const warnings = problems.map((problem) => `warning: ${problem}`);
  return [...matrixOf(policy), ...(warnings.length === 0 ? ["No warnings."] : warnings)];
}

/** The roles and attributes of the members table, plus the roles that the options assume. */
function buildRecord(stored: ListedMember | undefined, assumedRoles: readonly string[]): MemberRecord {
  const roles = (stored?.roles ?? []).map(({ role }) => role);
  return { roles: [...roles, ...assumedRoles], attributes: stored?.attributes ?? {} };
}

/** Whether a row is probably meant for this address, but its spelling matches no user. */
function isMisspelling(address: string): (member: ListedMember) => boolean {
  return ({ email }) => email !== address && foldAscii(email.trim()) === address;
}

/** Reads the members table. When it cannot be read, prints why and returns no members: the output then covers the policy file only. */
async function storedMembers(choice: DatabaseChoice): Promise<readonly ListedMember[]> {
  const table = await readMembersIfThere(choice);
  if (table.kind === "read") return table.members;
  printAside(`The members table was not read: ${table.reason}.`);
  return [];
}

function listed(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`)];
}

async function load(file: string): Promise<Gatehouse> {
  const loaded: { default: Gatehouse } = await import(file);
  return loaded.default;
}

/** The files that make up a policy. */
const POLICY_FILES = [
  "src/gatehouse.config.ts",
  "src/introspected-schema.ts",
  "src/introspected-schema",
  "sample/gatehouse.config.ts",
];

/** Loads the policy files of a git revision with today's code. Throws `PolicyProblem` when they cannot be read. */
async function loadRevision(revision: string, file: string): Promise<Gatehouse> {
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
    return await load(path.join(dir, file));
  } catch (error) {
    const reason = error instanceof Error ? error.message.replaceAll(`${dir}/`, "") : "no reason given";
    throw new PolicyProblem(
      `The policy of ${revision} cannot be read: ${reason}\n` +
        "Today's code reads it. If it was written for an earlier version of Gatehouse, compare it in a checkout of that version.",
    );
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

try {
  print((await main()).join("\n"));
} catch (error) {
  printFailure(error);
  process.exit(1);
}
