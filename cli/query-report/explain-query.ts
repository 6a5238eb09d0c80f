// Explains to an operator what would happen to a user's query on this machine: with the Worker's own modules over the local databases, in
// the order of a real read, up to where the statement would run.
import { readFileSync } from "node:fs";
import path from "node:path";
import * as z from "zod";
import type { Identity } from "../../src/lib/identity.ts";
import type { Refusal } from "../../src/sql/defence-refusal.ts";
import type { SqlValue } from "../../src/sql/parameters.ts";
import { suggestName } from "../../src/sql/suggest.ts";
import { resolveSubject } from "../../src/policy/evaluate.ts";
import { requireRole } from "../../src/policy/member-input.ts";
import { NO_MEMBER_RECORD } from "../../src/policy/model.ts";
import type { MemberRecord, Policy, SourceDeclaration } from "../../src/policy/model.ts";
import { CliError, usageError } from "../kit/cli-error.ts";
import { parseEmailArgument } from "../kit/email-argument.ts";
import type { Output } from "../kit/output.ts";
import { describeEmptyDatabase } from "../local-server/empty-database.ts";
import { withLocalDatabases } from "../own-database/own-database.ts";
import { openWorkerSources } from "../local-server/worker-sources.ts";
import { assumeAttributes } from "../own-database/attribute-argument.ts";
import type { OwnDatabase } from "../own-database/own-database.ts";
import { explainDecision } from "../policy-report/explain.ts";
import { reportExplanation } from "./explanation-report.ts";
import { loadWorkerModules } from "./worker-modules.ts";

/** The question of an operator. */
interface Question {
  readonly sql: string | undefined;
  /** A file with the SQL. */
  readonly file?: string;
  readonly source: string;
  readonly email: string | undefined;
  /** Roles to assume. */
  readonly roles: readonly string[];
  /** Attributes to assume, each as `name=value`. */
  readonly attributes?: readonly string[];
  /** A JSON array of the values of its parameters. */
  readonly params?: string;
  readonly sample?: boolean;
}

/** A user whose query is explained. */
interface ExplainedUser {
  readonly identity: Identity;
  readonly record: MemberRecord;
}

/** Explains a query. Reads no row of it. Throws `CliError` for wrong input. */
export async function explainQueryOf(question: Question): Promise<Output> {
  const sql = readSql(question);
  const params = parseParams(question.params);
  if (question.email === undefined && question.roles.length === 0)
    throw usageError("Say whose query it is: --as ann@example.com, or --role analyst for any user with this role.");
  return withLocalDatabases({ sample: question.sample ?? false }, async ({ own, storage }) => {
    const { config } = own;
    const declaration = requireD1Source(config.policy, question.source);
    const user = await findUser(own, question);
    const subject = resolveSubject(config.policy, user.identity, user.record);
    const { explainQuery, createReadTrace } = await loadWorkerModules();
    const trace = createReadTrace();
    const problems: string[] = [];
    const refusals: Refusal[] = [];
    const sources = await openWorkerSources(config, storage, {
      maxQuerySteps: config.limits.maxQuerySteps,
      maskingTokenKey: PLACEHOLDER_KEY,
      log: (message) => problems.push(message),
      defenceLog: () => (refusal) => refusals.push(refusal),
      trace,
    });
    const explanation = await explainQuery({ config, sources, trace }, subject, {
      source: question.source,
      sql,
      params,
    });
    const { email, groups } = user.identity;
    const decisions = explanation.datasets.map((dataset) =>
      explainDecision(config.policy, email, dataset, undefined, { groups, record: user.record }),
    );
    const isAssumed = question.email === undefined;
    if (explanation.refusal?.step === "schema check") {
      const empty = await describeEmptyDatabase(await storage.getD1Database(declaration.binding), declaration);
      if (empty !== undefined) throw new CliError(empty);
    }
    return reportExplanation({
      source: question.source,
      subject,
      isAssumed,
      decisions,
      explanation,
      problems,
      refusals,
    });
  });
}

/** Stands for the deployment's key: a plan does not depend on it, and so no output can contain anything of it. */
const PLACEHOLDER_KEY = { bytes: new Uint8Array(32), id: "key" };

function readSql({ sql, file }: Question): string {
  if ((sql === undefined) === (file === undefined))
    throw usageError("Give the SQL once: in quotes after the options, or with --file report.sql.");
  const text = sql ?? readFile(file ?? "");
  if (text.trim() === "") throw usageError(file === undefined ? "The SQL is empty." : `${file} is empty.`);
  return text;
}

function readFile(file: string): string {
  const target = path.resolve(process.env["INIT_CWD"] ?? process.cwd(), file);
  try {
    return readFileSync(target, "utf8");
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : "no reason given";
    throw usageError(`${file} cannot be read: ${reason}.`);
  }
}

const paramsSchema = z.array(z.union([z.string(), z.number(), z.boolean().transform(Number), z.null()]));

function parseParams(text: string | undefined): readonly SqlValue[] {
  if (text === undefined) return [];
  try {
    return paramsSchema.parse(JSON.parse(text));
  } catch {
    throw usageError(`--params is ${text}. It takes a JSON array of text, numbers, true, false and null: ["north",5].`);
  }
}

function requireD1Source({ sources }: Policy, name: string): SourceDeclaration {
  const source = sources.find((candidate) => candidate.name === name);
  if (source?.kind === "d1") return source;
  const names = sources.filter(({ kind }) => kind === "d1").map((candidate) => candidate.name);
  const choice = `It has: ${names.join(", ") || "none"}.`;
  if (source !== undefined)
    throw new CliError(`${name} holds documents, which no SQL reads.`, { hint: `Give a source of tables. ${choice}` });
  if (name === "workspace")
    throw new CliError("Stored results belong to a user's session, so their queries cannot be explained here.");
  const suggestion = suggestName(name, names);
  const didYouMean = suggestion === undefined ? "" : ` Did you mean ${suggestion}?`;
  throw new CliError(`The policy file has no source ${name}.${didYouMean} ${choice}`);
}

/** Stands for any user with the assumed roles. No sign-in can have it. */
const ANY_USER: Identity = { subjectId: "explained", email: "any.user@gatehouse.invalid", groups: [] };

async function findUser(own: OwnDatabase, question: Question): Promise<ExplainedUser> {
  const { policy } = own.config;
  const { identity, record } = await findHeld(own, question);
  const attributes = assumeAttributes(policy, record.attributes, question.attributes ?? []);
  return { identity, record: { ...record, attributes } };
}

/** The user with the assumed roles, and the attributes that they have. */
async function findHeld({ config, members }: OwnDatabase, { email: text, roles }: Question): Promise<ExplainedUser> {
  const { policy } = config;
  for (const role of roles) requireRole(policy, role);
  if (text === undefined) return { identity: ANY_USER, record: { ...NO_MEMBER_RECORD, roles } };
  const email = parseEmailArgument(text);
  const { roles: storedRoles, attributes } = await members.read(email);
  const subjects = (await members.listSubjects(email)).toSorted((one, other) => other.seenMs - one.seenMs);
  const [latest] = subjects;
  const isStored = storedRoles.length > 0 || Object.keys(attributes).length > 0;
  const isDeclared = policy.members.some((member) => member.email === email);
  if (!isDeclared && !isStored && latest === undefined && roles.length === 0) {
    const suggestion = suggestName(
      email,
      [...policy.members, ...(await members.list())].map((member) => member.email),
    );
    throw new CliError(
      `${email} is no member: neither the policy file nor the members table names them, and they have never signed in.` +
        (suggestion === undefined ? "" : ` Did you mean ${suggestion}?`),
      { hint: "npm run member -- list lists the members; --role assumes a role." },
    );
  }
  return {
    identity: { subjectId: latest?.subjectId ?? "explained", email, groups: latest?.groups ?? [] },
    record: { roles: [...storedRoles, ...roles], attributes },
  };
}
