// `gatehouse policy test [file]`: decides an operator's test cases on this machine, for reviews and for CI.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { randomBytes } from "node:crypto";
import type { Miniflare } from "miniflare";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { parseEmailAddress } from "../../src/lib/email-address.ts";
import { parseMaskingTokenKey } from "../../src/masking-tokens/masking-token-store.ts";
import type { ListedMember } from "../../src/members/member-row.ts";
import { resolveSubject } from "../../src/policy/evaluate.ts";
import type { Policy } from "../../src/policy/model.ts";
import { suggestName } from "../../src/sql/suggest.ts";
import { CliError } from "../kit/cli-error.ts";
import type { Output } from "../kit/output.ts";
import { printAside } from "../kit/terminal.ts";
import { openStorage } from "../local-server/local.ts";
import { migrateLocal, migrateOwnTables } from "../local-server/migrations.ts";
import { loadSample } from "../local-server/sample.ts";
import { openWorkerSources } from "../local-server/worker-sources.ts";
import { readMembersIfThere } from "../own-database/members-table.ts";
import { loadPolicy } from "../policy-report/policy.ts";
import { openStateFolder } from "../project/private-files.ts";
import { hasLocalState, stateFolder } from "../project/state-folder.ts";
import { root } from "../project/tools.ts";
import { FORMS, parseCases } from "./case-parser.ts";
import type { CaseResult, CaseSubject, ResolvedSubject, TestCase } from "./case.ts";
import { runCases } from "./run-cases.ts";
import type { CaseContext } from "./run-cases.ts";

/** The file of the cases unless one is named. */
const DEFAULT_FILE = "policy-tests.txt";

interface TestOptions {
  readonly sample: boolean;
  /** Tells on standard error what happens. */
  readonly say: (text: string) => void;
}

/** The output, and whether every case has passed. */
interface TestRun {
  readonly output: Output;
  readonly isPassed: boolean;
}

/** Decides the cases of a file. Throws `CliError` for a file that cannot be read, with the place of each mistake in it. */
export async function testPolicy(file: string | undefined, { sample, say }: TestOptions): Promise<TestRun> {
  const { config, policy } = await loadPolicy(sample);
  const cases = readCases(findFile(file, sample), policy);
  const configPath = path.join(root, sample ? "sample/wrangler.jsonc" : "wrangler.jsonc");
  const needsData = cases.some(({ claim }) => claim.kind === "rows");
  const members = await readMembers(cases, { sample, say });
  const resolve = (testCase: TestCase): ResolvedSubject => resolveCase(policy, members, testCase.subject);
  const work = async (data: CaseContext["data"]): Promise<TestRun> =>
    report(await runCases(cases, { policy, data, resolve }));
  if (!needsData) return work({ kind: "none", reason: "the local data was not opened" });
  if (!sample && !hasLocalState())
    return work({ kind: "none", reason: "there is no local data yet: npm run introspect loads a database" });
  const stateDir = stateFolder();
  openStateFolder(stateDir);
  const storage = await openStorage(configPath, stateDir);
  try {
    await migrateLocal(storage, configPath);
    await migrateOwnTables(storage, config);
    if (sample) await loadSample(storage, stateDir, say);
    return await work({ kind: "open", sources: await openLocalSources(config, storage, stateDir) });
  } finally {
    await storage.dispose();
  }
}

function findFile(file: string | undefined, isSample: boolean): string {
  const folder = process.env["INIT_CWD"] ?? process.cwd();
  if (file !== undefined) return path.resolve(folder, file);
  return path.join(root, isSample ? "sample" : ".", DEFAULT_FILE);
}

function readCases(file: string, policy: Policy): readonly TestCase[] {
  const relative = path.relative(root, file);
  const name = relative.startsWith("..") ? file : relative;
  if (!existsSync(file))
    throw new CliError(`There is no file ${name}.`, {
      hint: `Write one case on each line, such as: ${FORMS[0] ?? ""}. docs/policy.md lists the forms.`,
    });
  const { cases, problems } = parseCases(readFileSync(file, "utf8"), policy);
  if (problems.length > 0)
    throw new CliError(
      problems.map(({ line, column, message }) => `${name}:${line}:${column}: ${message}`).join("\n"),
      {
        hint: `The right forms are:\n${FORMS.map((form) => `  ${form}`).join("\n")}`,
      },
    );
  if (cases.length === 0)
    throw new CliError(`${name} has no case.`, { hint: `Write one on each line: ${FORMS[0] ?? ""}` });
  return cases;
}

/** Reads the members table only if a case names a member who may be in it. */
async function readMembers(cases: readonly TestCase[], { sample, say }: TestOptions): Promise<readonly ListedMember[]> {
  if (!cases.some(({ subject }) => subject.kind === "member")) return [];
  const table = await readMembersIfThere({ sample });
  if (table.kind === "read") return table.members;
  say(`The members table was not read: ${table.reason}.`);
  return [];
}

const SUBJECT_ID = "policy-test";

function resolveCase(policy: Policy, members: readonly ListedMember[], subject: CaseSubject): ResolvedSubject {
  if (subject.kind === "member") return resolveMember(policy, members, subject.email);
  const { id = SUBJECT_ID, email = `${SUBJECT_ID}@example.invalid`, ...attributes } = subject.attributes;
  const roles =
    subject.kind === "role"
      ? [subject.name]
      : policy.groups.filter(({ group }) => group === subject.name).flatMap((group) => group.roles);
  return {
    kind: "subject",
    subject: { subjectId: String(id), email: String(email), groups: [], roles, attributes },
  };
}

function resolveMember(policy: Policy, members: readonly ListedMember[], typed: string): ResolvedSubject {
  const email = parseEmailAddress(typed);
  const stored = members.find((member) => member.email === email);
  const known = [...policy.members, ...members].map((member) => member.email);
  if (email === undefined || !known.includes(email)) {
    const suggestion = suggestName(typed, known);
    const choice = suggestion === undefined ? "" : ` Did you mean ${suggestion}?`;
    return { kind: "unknown", message: `neither the policy file nor the local members table has ${typed}.${choice}` };
  }
  const record = { roles: (stored?.roles ?? []).map(({ role }) => role), attributes: stored?.attributes ?? {} };
  return { kind: "subject", subject: resolveSubject(policy, { subjectId: SUBJECT_ID, email, groups: [] }, record) };
}

async function openLocalSources(config: Gatehouse, storage: Miniflare, stateDir: string) {
  const keyFile = path.join(stateDir, "token-key");
  // A count needs no masking token, so without a key of npm start any will do.
  const key = existsSync(keyFile) ? readFileSync(keyFile, "utf8") : randomBytes(32).toString("hex");
  return openWorkerSources(config, storage, {
    maxQuerySteps: Number.MAX_SAFE_INTEGER,
    maskingTokenKey: parseMaskingTokenKey(key),
    // The cases about the source then fail, and this says why.
    log: printAside,
  });
}

function report(cases: readonly CaseResult[]): TestRun {
  const count = (status: CaseResult["status"]): number => cases.filter((each) => each.status === status).length;
  const [passed, failed, withoutData] = [count("passed"), count("failed"), count("no data")];
  const lines = cases
    .filter(({ status }) => status !== "passed")
    .flatMap((result) => [
      `${result.status === "failed" ? "Failed" : "Without data"}, line ${result.line}: ${result.case}`,
      `  expected: ${result.expected}`,
      `  actual: ${result.actual}`,
      ...result.decidedBy.map((rule) => `  decided by: ${rule}`),
    ]);
  const summary = `${passed} passed, ${failed} failed${withoutData === 0 ? "" : `, ${withoutData} without data`}`;
  return {
    output: { lines: [...lines, summary], data: { passed, failed, withoutData, cases } },
    isPassed: failed + withoutData === 0,
  };
}
