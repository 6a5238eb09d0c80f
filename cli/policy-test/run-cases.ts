// Decides test cases: claims about columns and datasets by the Worker's policy modules, claims about rows by guarded counts.
import { AppError } from "../../src/errors.ts";
import { BUILT_IN_VALUES, describeAttributeProblem, findAttributeProblems } from "../../src/policy/attributes.ts";
import type { ComparingRules } from "../../src/policy/attributes.ts";
import { listRowRules, listSubjectValues } from "../../src/policy/conditions.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import { formatMask, listVisibleColumns } from "../../src/policy/guard-view.ts";
import { formatDisclosure } from "../../src/policy/masks.ts";
import type { Decision, Policy, Rule, Subject } from "../../src/policy/model.ts";
import { withoutSavedOnlyRoles } from "../../src/policy/saved-query.ts";
import type { Source } from "../../src/read/source.ts";
import { REASONS } from "../policy-report/explain.ts";
import { rowsText } from "../policy-report/words.ts";
import type {
  CaseCondition,
  CaseResult,
  ChangeClaim,
  CaseRows,
  CaseStatus,
  Claim,
  ResolvedSubject,
  TestCase,
} from "./case.ts";
import { decideChangeClaim } from "./change-claims.ts";
import { countVisible, decideAll } from "./guarded-counts.ts";
import type { Counts } from "./guarded-counts.ts";

/** What the cases are decided with. */
export interface CaseContext {
  readonly policy: Policy;
  /** The local data, or why there is none. */
  readonly data:
    { readonly kind: "open"; readonly sources: readonly Source[] } | { readonly kind: "none"; readonly reason: string };
  readonly resolve: (testCase: TestCase) => ResolvedSubject;
}

/** A result without what repeats the case. */
type Verdict = Omit<CaseResult, "line" | "case">;

/** Decides all cases in order. */
export async function runCases(cases: readonly TestCase[], context: CaseContext): Promise<readonly CaseResult[]> {
  const results: CaseResult[] = [];
  for (const testCase of cases) {
    const resolved = context.resolve(testCase);
    const verdict =
      resolved.kind === "unknown"
        ? failed("a user with a role", resolved.message, [])
        : await decideClaim(context, withoutSavedOnlyRoles(context.policy, resolved.subject), testCase.claim);
    results.push({ line: testCase.line, case: testCase.text, ...verdict });
  }
  return results;
}

function failed(expected: string, actual: string, decidedBy: readonly string[]): Verdict {
  return { status: "failed", expected, actual, decidedBy };
}

async function decideClaim(context: CaseContext, subject: Subject, claim: Claim): Promise<Verdict> {
  const { policy } = context;
  if (claim.kind === "rows") {
    const verdicts: Verdict[] = [];
    for (const rows of claim.rows) verdicts.push(await decideRows(context, subject, claim.amount, rows));
    return uniteVerdicts(verdicts);
  }
  if (claim.kind === "change") return decideChange(policy, subject, claim);
  const id = claim.kind === "column" ? claim.dataset.id : claim.dataset;
  const dataset = policy.datasets.find((candidate) => candidate.id === id);
  if (dataset === undefined) throw new TypeError(`there is no dataset ${id}`);
  const decision = evaluate(policy, subject, dataset, "read");
  const lacking = explainLacking(policy, subject, decision);
  const expected = expectedOf(claim);
  if (lacking !== undefined) return failed(expected, lacking, listDecidingRules(decision));
  const actual = claim.kind === "column" ? shownAs(decision, claim) : decision.allowed ? "visible" : "not visible";
  const status: CaseStatus = actual === expected ? "passed" : "failed";
  return {
    status,
    expected,
    actual,
    decidedBy: listDecidingRules(decision, claim.kind === "column" ? claim.column : undefined),
  };
}

function decideChange(policy: Policy, subject: Subject, claim: ChangeClaim): Verdict {
  const { lacksAttribute, ...decided } = decideChangeClaim(policy, subject, claim);
  if (lacksAttribute) {
    const isUsed = ({ id, role, dataset }: Pick<Rule, "id" | "role" | "dataset">): boolean =>
      dataset === claim.dataset.id && subject.roles.includes(role) && decided.decidedBy.includes(id);
    const { rules, changeRules, datasets } = policy;
    const used = { rules: rules.filter(isUsed), changeRules: changeRules.filter(isUsed), datasets };
    return failed(decided.expected, describeLacking(used, subject, "may"), decided.decidedBy);
  }
  return { status: decided.actual === decided.expected ? "passed" : "failed", ...decided };
}

function expectedOf(claim: Exclude<Claim, { kind: "rows" } | ChangeClaim>): string {
  if (claim.kind === "dataset") return claim.isVisible ? "visible" : "not visible";
  return describeShown(claim.shownAs);
}

function describeShown(shown: string | null): string {
  if (shown === null) return "not visible";
  return shown === "clear" ? "in clear" : `as ${shown}`;
}

function shownAs(decision: Decision, claim: Extract<Claim, { kind: "column" }>): string {
  if (!decision.allowed) return describeShown(null);
  const column = listVisibleColumns(decision, claim.dataset).find(({ name }) => name === claim.column);
  if (column === undefined) return describeShown(null);
  return describeShown((formatMask(column) ?? "clear").split("|").toSorted().join("|"));
}

/** A subject without an attribute that its rules need sees nothing, which would make every "cannot see" pass. */
function explainLacking({ datasets, rules }: Policy, subject: Subject, decision: Decision): string | undefined {
  if (decision.allowed || decision.reason !== "missing_attribute") return undefined;
  const used = { datasets, rules: rules.filter(({ id }) => decision.rules.includes(id)), changeRules: [] };
  return describeLacking(used, subject, "sees");
}

function describeLacking(used: ComparingRules, { attributes }: Subject, verb: string): string {
  const [problem] = findAttributeProblems(used, attributes);
  if (problem !== undefined) return `the attribute ${problem.attribute} ${describeAttributeProblem(problem)}`;
  const needed = listRowRules(used).flatMap(({ rows }) => listSubjectValues(rows));
  const missing = needed.find((name) => !BUILT_IN_VALUES.includes(name) && !Object.hasOwn(attributes, name));
  const name = missing ?? needed[0] ?? "region";
  return `undecided, because the rules need the attribute ${name}. Write: with ${name} = … before "${verb}"`;
}

function listDecidingRules(decision: Decision, column?: string): readonly string[] {
  if (!decision.allowed) return [...decision.rules, REASONS[decision.reason]];
  const granting = decision.grants.map(({ rule, rows, columns }) => {
    const disclosure = column === undefined ? undefined : (columns[column] ?? { kind: "hidden" as const });
    const shown = disclosure === undefined ? "" : `, ${column ?? ""} ${formatDisclosure(disclosure)}`;
    return `${rule} (rows ${rowsText(rows)}${shown})`;
  });
  const grantIds = decision.grants.map(({ rule }) => rule);
  return [...granting, ...decision.rules.filter((rule) => !grantIds.includes(rule))];
}

type Amount = Extract<Claim, { kind: "rows" }>["amount"];

async function decideRows(
  context: CaseContext,
  subject: Subject,
  amount: Amount,
  { table, where }: CaseRows,
): Promise<Verdict> {
  const { policy, data } = context;
  const decision = evaluate(policy, subject, table, "read");
  const name = `${table.id}${describeWhere(where)}`;
  const expected = describeAmount(amount, name);
  const rules = listDecidingRules(decision);
  const lacking = explainLacking(policy, subject, decision);
  if (lacking !== undefined) return failed(expected, lacking, rules);
  if (data.kind === "none") return { status: "no data", expected, actual: data.reason, decidedBy: rules };
  try {
    const all = await countVisible(data.sources, table, decideAll(table), where);
    const seen = decision.allowed ? await countVisible(data.sources, table, decision, where) : { rows: 0, matching: 0 };
    return { ...judgeCounts(amount, name, { seen, all }), expected, decidedBy: rules };
  } catch (error) {
    // What the guard or the database refuses is about the operator's data or policy, such as a table that the local database lacks.
    if (error instanceof AppError)
      return failed(expected, `the rows could not be counted: ${error.publicMessage}`, rules);
    throw error;
  }
}

/** Says whether counts meet a claim, and whether the data could have shown otherwise. */
function judgeCounts(
  amount: Amount,
  name: string,
  { seen, all }: { readonly seen: Counts; readonly all: Counts },
): Pick<Verdict, "status" | "actual"> {
  const actual = `${rowCount(seen.matching)} of ${name} (the table has ${all.matching})`;
  if (amount === "only") {
    const others = seen.rows - seen.matching;
    const onlyActual = `${rowCount(seen.rows)}, of which ${others} are others`;
    if (others > 0) return { status: "failed", actual: onlyActual };
    if (seen.rows === 0) return { status: "no data", actual: "no row at all, so the case shows nothing" };
    if (all.rows === all.matching)
      return { status: "no data", actual: "the local data has no other rows, so the case shows nothing" };
    return { status: "passed", actual: onlyActual };
  }
  if (all.matching === 0)
    return { status: "no data", actual: `the local data has no row of ${name}, so the case shows nothing` };
  const isMet =
    amount === "all"
      ? seen.matching === all.matching
      : amount === "some"
        ? seen.matching > 0
        : seen.matching === amount;
  return { status: isMet ? "passed" : "failed", actual };
}

/** A claim about several tables fails with the first that fails, and has no data only if none of the tables has any. */
function uniteVerdicts(verdicts: readonly Verdict[]): Verdict {
  const decisive =
    verdicts.find(({ status }) => status === "failed") ??
    verdicts.find(({ status }) => status === "passed") ??
    verdicts[0];
  return decisive ?? { status: "no data", expected: "rows", actual: "no open table has this column", decidedBy: [] };
}

function describeAmount(amount: Amount, name: string): string {
  if (amount === "only") return `only rows of ${name}`;
  if (amount === "all") return `all rows of ${name}`;
  return amount === "some" ? `at least 1 row of ${name}` : `${rowCount(amount)} of ${name}`;
}

function rowCount(count: number): string {
  return count === 0 ? "no row" : count === 1 ? "1 row" : `${count} rows`;
}

function describeWhere(where: readonly CaseCondition[]): string {
  const parts = where.map((part) =>
    "value" in part ? `${part.column} ${part.op} ${String(part.value)}` : `${part.column} ${part.op}`,
  );
  return parts.length === 0 ? "" : ` where ${parts.join(" and ")}`;
}
