// Reviews the policy file: what each role sees, what one user sees and why, and what has changed since a git revision.
import path from "node:path";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { listSignInWarnings } from "../../src/sign-in/sign-in-warnings.ts";
import { foldAscii } from "../../src/lib/email-address.ts";
import type { MemberRecord, Policy } from "../../src/policy/model.ts";
import type { ListedMember } from "../../src/members/member-row.ts";
import { root } from "../project/tools.ts";
import { assumeAttributes } from "../own-database/attribute-argument.ts";
import { problemLines, readMembersIfThere } from "../own-database/members-table.ts";
import type { DatabaseChoice } from "../own-database/own-database.ts";
import { loadPolicyFile, placeProblems } from "../project/load-policy.ts";
import { loadOwnConfig } from "../project/policy-file.ts";
import { describeDatasets, matrixOf, warningsOf } from "./check.ts";
import { diffPolicies } from "./diff.ts";
import { explainDecision, explanationLines, storedLines } from "./explain.ts";
import {
  describePersonalColumn,
  listPersonalColumns,
  readPersonalGuesses,
  sampleLocalData,
  warnOfPersonalChanges,
} from "./personal-columns.ts";
import { loadRevision } from "./revision.ts";
import { findSavedQueryProblems } from "./saved-query-check.ts";
import { configuredSignIn } from "../local-server/sign-in.ts";
import { parseEmailArgument } from "../kit/email-argument.ts";
import type { Output } from "../kit/output.ts";
import { printAside } from "../kit/terminal.ts";

/** The policy file to review: the operator's own, or the sample's. */
export async function loadPolicy(
  isSample: boolean,
): Promise<{ readonly file: string; readonly config: Gatehouse; readonly policy: Policy }> {
  const file = isSample ? "sample/gatehouse.config.ts" : "src/gatehouse.config.ts";
  const config = isSample ? await loadPolicyFile(path.join(root, file), root) : await loadOwnConfig();
  return { file, config, policy: config.policy };
}

/** Reviews the whole policy: what each role sees, and warnings about what has no effect. Throws `CliError` for an invalid policy file. */
export async function checkPolicy(choice: DatabaseChoice): Promise<Output> {
  const { file, policy } = await loadPolicy(choice.sample === true);
  if (policy.datasets.length === 0)
    return {
      lines: [
        `${file} declares no dataset. npm run introspect declares those of a database; --sample checks the sample.`,
      ],
      data: { datasets: [], personalColumns: [], warnings: [] },
    };
  const samples = await sampleLocalData(policy, configPathOf(choice), choice.env);
  const guesses = choice.sample === true ? undefined : readPersonalGuesses(root);
  const personalColumns = listPersonalColumns(policy, samples, guesses);
  const queryProblems = placeProblems(path.join(root, file), root, await findSavedQueryProblems(policy));
  const warnings = [
    ...queryProblems,
    ...(await listWarnings(policy, choice)),
    ...personalColumns.map(describePersonalColumn),
    ...warnOfPersonalChanges(policy, samples, guesses),
  ];
  return {
    lines: [
      ...matrixOf(policy),
      ...(warnings.length === 0 ? ["No warnings."] : warnings.map((warning) => `warning: ${warning}`)),
    ],
    data: { datasets: describeDatasets(policy), personalColumns, warnings },
  };
}

/** Whom to explain what, with what to assume. */
interface Question {
  readonly email: string;
  readonly dataset: string;
  readonly column: string | undefined;
  /** Assumed groups of the identity provider. */
  readonly groups: readonly string[];
  /** Assumed roles in the members table. */
  readonly roles: readonly string[];
  /** Assumed attributes, each as `name=value`. */
  readonly attributes: readonly string[];
}

/** Explains what a user sees of a dataset, with their entry in the members table. */
export async function explainAccess(question: Question, choice: DatabaseChoice): Promise<Output> {
  const { policy } = await loadPolicy(choice.sample === true);
  const email = parseEmailArgument(question.email);
  const members = await storedMembers(choice);
  const stored = members.find((member) => member.email === email);
  const supposed = { groups: question.groups, record: buildRecord(policy, stored, question) };
  const explanation = explainDecision(policy, email, question.dataset, question.column, supposed);
  const warnings = problemLines(policy, members.filter(isMisspelling(email)));
  return {
    lines: [
      ...explanationLines(explanation, question.column !== undefined),
      ...(stored === undefined ? [] : storedLines(stored)),
      ...warnings,
    ],
    data: { ...explanation, allowed: explanation.denied === null, warnings },
  };
}

/** Compares the policy with that of a git revision. */
export async function diffWithRevision(revision: string, isSample: boolean): Promise<Output> {
  const { file, policy } = await loadPolicy(isSample);
  const diff = diffPolicies((await loadRevision(revision, file)).policy, policy);
  const lines = [...listed("Opens", diff.opens), ...listed("Closes", diff.closes), ...listed("Changes", diff.changes)];
  return { lines: lines.length === 0 ? [`Permissions are the same as at ${revision}.`] : lines, data: diff };
}

function configPathOf({ sample }: DatabaseChoice): string {
  return path.join(root, sample === true ? "sample/wrangler.jsonc" : "wrangler.jsonc");
}

async function listWarnings(policy: Policy, choice: DatabaseChoice): Promise<readonly string[]> {
  return [
    ...listSignInWarnings(configuredSignIn(configPathOf(choice), choice.env), policy.groups),
    ...warningsOf(policy),
    ...problemLines(policy, await storedMembers(choice)),
  ];
}

/** The roles and attributes of the members table, with those that the options assume. */
function buildRecord(policy: Policy, stored: ListedMember | undefined, assumed: Question): MemberRecord {
  const roles = (stored?.roles ?? []).map(({ role }) => role);
  const attributes = assumeAttributes(policy, stored?.attributes ?? {}, assumed.attributes);
  return { roles: [...roles, ...assumed.roles], attributes };
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
