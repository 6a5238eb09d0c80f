// Tests what `npm run policy` says of rules about changes: in check, explain and diff, and the sentences of policy test.
import { describe, expect, it } from "vitest";
import { describeDatasets, matrixOf, warningsOf } from "../../cli/policy-report/check.ts";
import { diffPolicies } from "../../cli/policy-report/diff.ts";
import { explain } from "../../cli/policy-report/explain.ts";
import { warnOfPersonalChanges } from "../../cli/policy-report/personal-columns.ts";
import { parseCases } from "../../cli/policy-test/case-parser.ts";
import { runCases } from "../../cli/policy-test/run-cases.ts";
import { mask, subject } from "../../src/config/define-gatehouse.ts";
import { resolveSubject } from "../../src/policy/evaluate.ts";
import { NO_MEMBER_RECORD } from "../../src/policy/model.ts";
import type { Policy } from "../../src/policy/model.ts";
import { DATE, NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";
import type { Column, Members, Rule } from "../support/policy-builder.ts";
import { allowChange, denyChange } from "../support/change-rules.ts";

const TICKETS = "shop.tickets";
const REGION = { column: "region", op: "=", value: subject("region") } as const;
const SUPPORT = allowChange(TICKETS, {
  rows: REGION,
  columns: { status: { oneOf: ["open", "done"] }, priority: { min: 1, max: 5, nullable: true } },
  maxRows: 20,
});

/** A policy with the role support, which reads the tickets of its region, and the role lead, which reads all. */
function policyOf(
  rules: readonly Rule[],
  options: { readonly email?: Column; readonly members?: Members } = {},
): Policy {
  const { email = TEXT, members = { ann: { roles: ["support"], attributes: { region: "north" } } } } = options;
  return buildPolicy({
    tables: {
      tickets: { id: key(NUMBER), status: TEXT, priority: NUMBER, region: TEXT, due: DATE, email, phone: TEXT },
      notes: { id: key(NUMBER), text: TEXT },
    },
    attributes: ["region"],
    roles: {
      support: { administers: true, rules: [allow(TICKETS, { masks: { phone: mask.last(2) } }), ...rules] },
      lead: [allow(TICKETS)],
      outside: [allow("shop.notes")],
    },
    members: { ...members, lena: ["lead"], otto: ["outside"] },
  }).policy;
}

const RULE = "support/allow/change/shop.tickets";
const TERMS = "update, rows region = :region, at most 20 rows at once; the user approves it on a page of this server";

describe("npm run policy -- check, on changes", () => {
  it("prints under each dataset what each role may change", () => {
    const policy = policyOf([SUPPORT, denyChange(TICKETS, ["due"])]);
    const lines = matrixOf(policy);
    expect(lines.filter((line) => line.startsWith("  Changes by"))).toEqual([
      `  Changes by support: ${TERMS}; sets status, priority.`,
      "  Changes by support: denies setting due.",
    ]);
    expect(lines.indexOf(`  Changes by support: ${TERMS}; sets status, priority.`)).toBeLessThan(lines.indexOf(""));
    expect(describeDatasets(policy).map(({ changes }) => changes.map(({ rule }) => rule))).toEqual([
      [RULE, "support/deny/change/shop.tickets"],
      [],
    ]);
  });

  it.each<[string, readonly Rule[], readonly string[]]>([
    ["nothing of a rule that a person approves", [SUPPORT], []],
    [
      "a client in whose form users approve",
      [allowChange(TICKETS, { columns: { status: {} }, confirm: { formIn: ["c1"] } })],
      [
        `${RULE}: a form of the client c1 approves, so a program with its access token can. Name only clients that show forms to a person.`,
      ],
    ],
    [
      "a rule without a person",
      [allowChange(TICKETS, { columns: { status: {} }, approval: "none" })],
      [
        `${RULE}: approval is "none", so an assistant changes rows without a person. Keep it only where that is intended.`,
      ],
    ],
    [
      "a delete",
      [allowChange(TICKETS, { operations: ["delete"], maxRows: 5 })],
      [`${RULE}: may delete 5 rows at once. Prefer a column that marks rows as removed.`],
    ],
    [
      "reviewers who do not read the table",
      [allowChange(TICKETS, { columns: { status: {} }, approval: { reviewers: ["lead", "outside"] } })],
      [
        `${RULE}: reviewers with the role outside do not read shop.tickets, so they cannot see what they approve. Let the role read it.`,
      ],
    ],
    [
      "a column that the role sees masked",
      [allowChange(TICKETS, { columns: { status: {}, phone: {} } })],
      [
        `${RULE}: sets phone, which the role does not see in clear, so alone it may not. Show the column, or remove it.`,
      ],
    ],
    [
      "a column on which row rules depend",
      [allowChange(TICKETS, { rows: REGION, columns: { region: {} } })],
      [
        `${RULE}: sets region, on which the rows of ${RULE} depend, so a change can move rows between users. Limit its values, or remove it.`,
      ],
    ],
    [
      "a denial of what no rule allows",
      [denyChange(TICKETS)],
      ["support/deny/change/shop.tickets: denies changes that no rule allows. Remove the rule."],
    ],
  ])("warns of %s", (_name, rules, warnings) => {
    expect(warningsOf(policyOf(rules))).toEqual(warnings);
  });

  it("warns of a member who lacks the attribute of a change rule", () => {
    expect(warningsOf(policyOf([SUPPORT], { members: { bo: ["support"] } }))).toEqual([
      `${RULE}: bo@harbor.example lacks the attribute region, so the rule grants them nothing.`,
    ]);
  });

  it("warns of personal columns that a rule sets, unless the declaration says that they are not", () => {
    const rule = allowChange(TICKETS, { columns: { status: {}, email: {} } });
    expect(warnOfPersonalChanges(policyOf([rule]), new Map())).toEqual([
      `${RULE}: sets email, which looks like an email address. Leave it to people, or declare it with personal: false.`,
    ]);
    expect(warnOfPersonalChanges(policyOf([rule], { email: { ...TEXT, personal: false } }), new Map())).toEqual([]);
  });
});

describe("npm run policy -- explain, on changes", () => {
  const changeLines = (policy: Policy, account: string): readonly string[] => {
    const lines = explain(policy, `${account}@harbor.example`, TICKETS);
    return lines.slice(lines.findIndex((line) => line.startsWith(`${TICKETS}: changes`)));
  };

  it("says which rows and columns a user may change, to which values, and who approves", () => {
    const approval = { reviewers: ["lead"] };
    const extra = allowChange(TICKETS, {
      operations: ["insert", "delete"],
      columns: { email: {}, phone: {} },
      approval,
    });
    expect(changeLines(policyOf([SUPPORT, extra, denyChange(TICKETS, ["due"])]), "ann")).toEqual([
      "shop.tickets: changes allowed.",
      `  ${RULE}: ${TERMS.replace(":region", "'north'")}`,
      '    status: one of "open", "done"',
      "    priority: at least 1, at most 5, or null",
      `  ${RULE}#2: insert or delete, rows all, at most 1 row at once; another user with the role lead approves it`,
      "    email: at most 2000 characters",
      "    phone: not for this user, who does not see it in clear",
      "  support/deny/change/shop.tickets",
    ]);
  });

  it("says why a user may change nothing", () => {
    const policy = policyOf([SUPPORT], { members: { bo: ["support"] } });
    expect(changeLines(policy, "lena")).toEqual([
      "shop.tickets: changes not allowed, because no rule of the user's roles names it.",
    ]);
    expect(changeLines(policy, "bo")).toEqual([
      "shop.tickets: changes not allowed, because the user lacks an attribute that the rules need, or has one of the wrong type.",
      `  ${RULE}`,
    ]);
  });

  it("says nothing of changes where no rule is about them", () => {
    expect(explain(policyOf([]), "ann@harbor.example", TICKETS).join("\n")).not.toContain("changes");
  });
});

describe("npm run policy -- diff, on changes", () => {
  const diff = (before: readonly Rule[], after: readonly Rule[]) => diffPolicies(policyOf(before), policyOf(after));
  const base = { columns: { status: {} } } as const;
  const none = { opens: [], closes: [], changes: [] };
  const on = "support on shop.tickets: ";

  it("prints nothing when the rules are the same", () => {
    expect(diff([SUPPORT], [SUPPORT])).toEqual(none);
  });

  it.each<
    [string, Parameters<typeof allowChange>[1], Parameters<typeof allowChange>[1], Partial<ReturnType<typeof diff>>]
  >([
    [
      "a milder approval",
      { ...base, approval: { reviewers: ["lead"] } },
      { ...base, approval: "none" },
      { opens: [`${on}no person approves it, previously another user with the role lead approves it`] },
    ],
    [
      "a stricter approval",
      { ...base, approval: "none" },
      base,
      { closes: [`${on}the user approves it on a page of this server, previously no person approves it`] },
    ],
    [
      "a further operation and more rows",
      base,
      { ...base, operations: ["update", "delete"], maxRows: 3 },
      { opens: [`${on}may delete rows`, `${on}changes at most 3 rows at once, previously 1`] },
    ],
    ["a further column", base, { columns: { status: {}, due: {} } }, { opens: [`${on}may set due`] }],
    ["fewer columns", { columns: { status: {}, due: {} } }, base, { closes: [`${on}may no longer set due`] }],
    [
      "another set of values",
      base,
      { columns: { status: { oneOf: ["open"] } } },
      { changes: [`${on}may set status to one of "open", previously at most 2000 characters`] },
    ],
    [
      "a row rule that is gone",
      { ...base, rows: REGION },
      base,
      { opens: [`${on}changes rows all, previously region = :region`] },
    ],
    [
      "a client in whose form the user may approve, in place of another",
      { ...base, confirm: { formIn: ["old"] } },
      { ...base, confirm: { formIn: ["new"] } },
      {
        opens: [`${on}may approve its changes in a form of the client new`],
        closes: [`${on}may no longer approve its changes in a form of the client old`],
      },
    ],
    [
      "rows that may leave sight",
      base,
      { ...base, mayLeaveSight: true },
      { opens: [`${on}rows may leave the user's sight`] },
    ],
  ])("reports %s", (_name, before, after, expected) => {
    expect(diff([allowChange(TICKETS, before)], [allowChange(TICKETS, after)])).toEqual({ ...none, ...expected });
  });

  it("reports new and removed rules and denials, the mildest approval and changes of rows first", () => {
    const rules = [SUPPORT, allowChange(TICKETS, { ...base, approval: "none" }), allow("shop.notes")];
    const { opens } = diff([denyChange(TICKETS, ["due"])], rules);
    expect(opens.map((line) => line.slice(0, 70))).toEqual([
      `${on}no longer denies setting due`,
      `${on}may change: update, rows all, at most 1 row at once; no pe`.slice(0, 70),
      `${on}may change: ${TERMS}`.slice(0, 70),
      "support on shop.notes: rows all; id clear, text clear",
    ]);
    expect(diff(rules, [allow("shop.notes"), denyChange(TICKETS)])).toMatchObject({
      opens: [],
      closes: [
        expect.stringContaining(`${on}may no longer change: update, rows all`),
        `${on}denies every change`,
        expect.stringContaining(`${on}may no longer change: update, rows region`),
      ],
    });
  });
});

describe("the sentences of policy test about changes", () => {
  const approval = { reviewers: ["lead"] };
  const policy = policyOf(
    [SUPPORT, allowChange(TICKETS, { operations: ["insert"], columns: { status: {}, phone: {} }, approval })],
    { members: { ann: { roles: ["support"], attributes: { region: "north" } } } },
  );

  it.each<[string, "passed" | "failed", string]>([
    ["ann@harbor.example may update status in shop.tickets", "passed", "allowed"],
    ["ann@harbor.example may update status to done in shop.tickets", "passed", "allowed"],
    ["ann@harbor.example may update status to Done in shop.tickets", "failed", "not allowed"],
    [
      "ann@harbor.example may update status in shop.tickets with approval requester",
      "passed",
      "allowed with approval requester",
    ],
    [
      "ann@harbor.example may update status in shop.tickets with approval reviewer",
      "failed",
      "allowed with approval requester",
    ],
    ["ann@harbor.example may not update priority to 6 in shop.tickets", "passed", "not allowed"],
    ["ann@harbor.example may not update due in shop.tickets", "passed", "not allowed"],
    [
      "ann@harbor.example may insert rows of shop.tickets with approval reviewer",
      "passed",
      "allowed with approval reviewer",
    ],
    ["ann@harbor.example may not insert phone in shop.tickets", "passed", "not allowed"],
    ["ann@harbor.example may not delete rows of shop.tickets", "passed", "not allowed"],
    ["ann@harbor.example may not change shop.tickets", "failed", "allowed"],
    ["lena@harbor.example may not change shop.tickets", "passed", "not allowed"],
    ["lena@harbor.example may update status in shop.tickets", "failed", "not allowed"],
  ])("decides: %s", async (sentence, status, actual) => {
    const { cases, problems } = parseCases(sentence, policy);
    expect(problems).toEqual([]);
    const [result] = await runCases(cases, {
      policy,
      data: { kind: "none", reason: "no data" },
      resolve: ({ subject: { ...about } }) => ({
        kind: "subject",
        subject: resolveSubject(
          policy,
          { subjectId: "s", email: about.kind === "member" ? about.email : "", groups: [] },
          NO_MEMBER_RECORD,
        ),
      }),
    });
    expect(result).toMatchObject({ status, actual });
    expect(result?.decidedBy.join()).toMatch(/allow\/change|no rule of the user's roles/);
  });

  it("leaves a claim undecided when the subject lacks an attribute", async () => {
    const onlyRegion = policyOf([SUPPORT]);
    const { cases } = parseCases("role support may not update status in shop.tickets", onlyRegion);
    const [result] = await runCases(cases, {
      policy: onlyRegion,
      data: { kind: "none", reason: "no data" },
      resolve: () => ({
        kind: "subject",
        subject: { subjectId: "s", email: "s@harbor.example", groups: [], roles: ["support"], attributes: {} },
      }),
    });
    expect(result).toMatchObject({
      status: "failed",
      actual: 'undecided, because the rules need the attribute region. Write: with region = … before "may"',
    });
  });
});
