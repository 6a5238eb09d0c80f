// Writes the explanation of a query as lines for a person and as data for a program.
import type { ExplainedStep, QueryExplanation } from "../../src/gateway/query-explanation.ts";
import type { Subject } from "../../src/policy/model.ts";
import { TRACED_LAYERS } from "../../src/read/read-trace.ts";
import type { AttemptTrace, ChosenPlan, PlanStep } from "../../src/read/read-trace.ts";
import type { Refusal } from "../../src/sql/defence-refusal.ts";
import type { ViewForm } from "../../src/sql/statement-guard.ts";
import type { Output } from "../kit/output.ts";
import { explanationLines } from "../policy-report/explain.ts";
import type { Explanation } from "../policy-report/explain.ts";

/** What the report is about. */
interface Explained {
  readonly source: string;
  readonly subject: Subject;
  /** Whether the user stands for any user with the assumed roles. */
  readonly isAssumed: boolean;
  readonly decisions: readonly Explanation[];
  readonly explanation: QueryExplanation;
  /** What the Worker would write to the server log about the source. */
  readonly problems: readonly string[];
  /** Refusals that the Worker would report to the operator. */
  readonly refusals: readonly Refusal[];
}

/** The layers of docs/design.md that are numbered. */
const LAYER_NUMBERS: Readonly<Partial<Record<string, number>>> = {
  statement: 1,
  "guard views": 2,
  authorizer: 3,
  "program check": 4,
};

const NOTHING_TRACED: AttemptTrace = { verdicts: [] };

/** Writes the report. */
export function reportExplanation(explained: Explained): Output {
  const { source, subject, isAssumed, decisions, explanation, problems, refusals } = explained;
  const { refusal, attempts } = explanation;
  const attempt = attempts.at(-1) ?? NOTHING_TRACED;
  const { plan, tables, guarded, statement } = attempt;
  const layers = listLayers(explanation, attempt);
  const attributes = JSON.stringify(subject.attributes);
  return {
    lines: [
      refusal === null
        ? "The query would run. It was not run."
        : `The query is refused (${nameStep(refusal.step)}). The assistant gets, with code ${refusal.code}:`,
      ...(refusal === null ? [] : [`  ${refusal.message}`]),
      ...problems.map((problem) => `Server log: ${problem}`),
      ...refusals.map(({ code, detail }) => `Server log: defence ${code} ${detail}`),
      "",
      `${isAssumed ? "Any user" : subject.email}: roles ${subject.roles.join(", ") || "none"}; attributes ${attributes}`,
      ...decisions.flatMap((decision) => explanationLines({ ...decision, changes: null }, false).slice(1)),
      "",
      "Layers:",
      ...layers.map(({ layer, verdict, reason }) => `  ${nameStep(layer)}: ${reason ?? verdict}`),
      ...describeEarlierAttempts(attempts),
      ...(plan === undefined ? [] : ["", ...planLines(plan)]),
      ...describePlan(attempt),
      ...(guarded === undefined ? [] : ["", "SQL, with guard views:", ...indent(splitCtes(guarded.sql))]),
      ...(guarded === undefined ? [] : [`  parameters: ${JSON.stringify(guarded.parameters)}`]),
    ],
    data: {
      source,
      user: isAssumed ? null : subject.email,
      roles: subject.roles,
      attributes: subject.attributes,
      refusal,
      serverLog: [...problems, ...refusals.map(({ code, detail }) => `defence ${code} ${detail}`)],
      decisions: decisions.map(({ email: _email, roles: _roles, isKnown: _isKnown, ...decision }) => decision),
      layers,
      attempts: attempts.length,
      form: plan === undefined ? null : { ...plan.form, needsFence: plan.needsFence },
      work: plan === undefined ? null : { steps: countSteps(plan), limit: plan.maxSteps },
      tables: tables ?? null,
      guardSql: guarded ?? null,
      statement: statement === undefined ? null : { sql: statement.sql, parameters: statement.parameters },
      plan: statement?.plan ?? plan?.lines ?? null,
      instructions: statement?.instructions ?? null,
    },
  };
}

interface ReportedLayer {
  readonly layer: ExplainedStep;
  readonly verdict: "passed" | "refused" | "not reached";
  readonly reason: string | null;
}

/** All steps, in the order in which they judge. */
const STEPS: readonly ExplainedStep[] = [
  "statement",
  "source",
  ...TRACED_LAYERS.flatMap((layer): ExplainedStep[] => (layer === "schema check" ? [layer, "parameters"] : [layer])),
];

/** Lists the verdicts of the last attempt, from the check of the text to the program check. */
function listLayers({ refusal }: QueryExplanation, { verdicts }: AttemptTrace): readonly ReportedLayer[] {
  const refusedAt = refusal === null ? STEPS.length : STEPS.indexOf(refusal.step);
  return STEPS.map((layer, index): ReportedLayer => {
    const said = verdicts.filter((verdict) => verdict.layer === layer);
    const reason = said.find((verdict) => verdict.refusal !== null)?.refusal ?? null;
    if (reason !== null || index === refusedAt) return { layer, verdict: "refused", reason };
    const isTraced = TRACED_LAYERS.some((traced) => traced === layer);
    const isPassed = isTraced ? said.length > 0 : index < refusedAt;
    return { layer, verdict: isPassed ? "passed" : "not reached", reason: null };
  });
}

function nameStep(step: string): string {
  const number = LAYER_NUMBERS[step];
  return number === undefined ? step : `${step} (layer ${number})`;
}

/** Says why earlier attempts did not end the read. */
function describeEarlierAttempts(attempts: readonly AttemptTrace[]): readonly string[] {
  return attempts.slice(0, -1).flatMap(({ verdicts }, index) => {
    const refused = verdicts.find(({ refusal }) => refusal !== null);
    return [`  attempt ${index + 1} ended at ${refused?.layer ?? "an unknown layer"}: ${refused?.refusal ?? ""}`];
  });
}

function planLines(plan: ChosenPlan): readonly string[] {
  return [
    `Work: about ${formatNumber(countSteps(plan))} steps, of at most ${formatNumber(plan.maxSteps)} (limits.maxQuerySteps).`,
    "Form of the guard views:",
    ...describeForm(plan.form, plan.needsFence).map((text) => `  ${text}`),
  ];
}

function countSteps({ stepsLog2 }: ChosenPlan): number {
  return Math.max(0, Math.round(2 ** stepsLog2));
}

function formatNumber(value: number): string {
  return value.toLocaleString("en-GB");
}

function describeForm(form: ViewForm, needsFence: boolean): readonly string[] {
  const orderings = {
    free: "rows in any order: no index that the plan uses could reveal the order of hidden values",
    unindexed: "tables read without indexes, which could reveal the order of hidden values",
    sorted: "rows sorted into storage order, because an index could reveal the order of hidden values",
  };
  const fence = needsFence
    ? "fenced: an expression could reveal a hidden row by failing on it, or by its time"
    : "fenced: the plan is cheaper, or a subquery could take noticeable time on a hidden row";
  return [
    form.fenced ? fence : "not fenced: no expression could reveal a hidden row",
    orderings[form.ordering],
    ...(form.ruleIndexed ? [] : ["no search of an index by the row rule: other indexes are faster"]),
    ...(form.materialized ? ["computed once, before the query around them"] : []),
    ...(form.masksOnce ? ["masks computed once for each row"] : []),
    ...(form.leftJoined ? ["RIGHT and FULL joins written as LEFT joins"] : []),
  ];
}

function describePlan({ plan, statement }: AttemptTrace): readonly string[] {
  if (statement !== undefined) return ["", "SQLite's plan, of the database:", ...treeLines(statement.plan)];
  if (plan === undefined || plan.lines.length === 0) return [];
  return ["", "SQLite's plan, over a copy of the schema without rows:", ...treeLines(plan.lines)];
}

/** Writes a plan as a tree. */
function treeLines(plan: readonly PlanStep[], parent = 0, depth = 1): readonly string[] {
  return plan
    .filter((line) => line.parent === parent)
    .flatMap(({ id, detail }) => [`${"  ".repeat(depth)}${detail}`, ...treeLines(plan, id, depth + 1)]);
}

/** Puts each guard view, all names that can read nothing, and the user's text on lines of their own. */
function splitCtes(sql: string): readonly string[] {
  return sql
    .replaceAll(
      /, (?="(?:[^"]|"")*"(?:\([^()]*\))? AS (?:(?:NOT )?MATERIALIZED )?\((?!SELECT \* FROM "denied_))/g,
      ",\n",
    )
    .replace(/, (?="(?:[^"]|"")*" AS \(SELECT \* FROM "denied_)/, ",\n")
    .replace(/\) SELECT \* FROM \(\n/, ")\nSELECT * FROM (\n")
    .split("\n");
}

function indent(lines: readonly string[]): readonly string[] {
  return lines.map((line) => `  ${line}`);
}
