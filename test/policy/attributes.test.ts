// Tests which attribute values fit the columns that rules compare them with, how the others are refused, and that evaluate denies them.
import { describe, expect, it } from "vitest";
import { defineGatehouse, sql, subject } from "../../src/config/define-gatehouse.ts";
import type { GatehouseInput } from "../../src/config/define-gatehouse.ts";
import { findAttributeProblems, describeAttributeProblem, findMemberProblems } from "../../src/policy/attributes.ts";
import { evaluate, resolveSubject } from "../../src/policy/evaluate.ts";
import type { Attributes, Policy } from "../../src/policy/model.ts";
import type { ConditionInput } from "../../src/policy/policy-schema.ts";

const COLUMNS = ["integer", "real", "text", "date", "datetime", "boolean", "json"] as const;

/** A policy file with one role per row rule. The table has one column of each type, named after the type. */
function createInput(rows: readonly ConditionInput[], attributes?: Attributes): GatehouseInput {
  return {
    organisation: { name: "T", contact: "T" },
    sources: {
      shop: {
        kind: "d1",
        binding: "X",
        title: "S",
        description: "S",
        tables: {
          sales: {
            description: "S",
            columns: Object.fromEntries(COLUMNS.map((type) => [type, { type, description: type }])),
          },
        },
      },
    },
    roles: Object.fromEntries(
      rows.map((condition, index) => [
        `r${index}`,
        { description: "r", rules: [{ action: "read" as const, datasets: ["shop.sales"], rows: condition }] },
      ]),
    ),
    attributes: ["branch"],
    members: [
      {
        email: "ann@x.example",
        name: "Ann",
        roles: rows.map((_row, index) => `r${index}`),
        ...(attributes === undefined ? {} : { attributes: structuredClone(attributes) as Record<string, string> }),
      },
    ],
  };
}

const equal = (column: string): ConditionInput => ({ column, op: "=", value: subject("branch") });
const inList = (column: string): ConditionInput => ({ column, op: "in", value: subject("branch") });

function decide(policy: Policy, attributes: Attributes) {
  const [dataset] = policy.datasets;
  if (dataset === undefined) throw new Error("no dataset");
  const identity = { subjectId: "s", email: "ann@x.example", groups: [] };
  return evaluate(policy, resolveSubject(policy, identity, { roles: [], attributes }), dataset, "read");
}

const FITS: readonly (readonly [(typeof COLUMNS)[number], readonly (string | number | boolean)[]])[] = [
  ["integer", [2, 0, -7]],
  ["real", [2, 2.5, -0.1]],
  ["text", ["2", "", "north"]],
  ["date", ["2026-05-01", "2026-05", "2026"]],
  ["datetime", ["2026-05-01T10:00:00Z", "2026-05-01 10:00", "2026-05-01"]],
  ["boolean", [true, false, 1, 0]],
  ["json", ["{}"]],
];

const MISFITS: readonly (readonly [(typeof COLUMNS)[number], readonly (string | number | boolean)[]])[] = [
  ["integer", ["2", "", true, 2.5, 9_007_199_254_740_992]],
  ["real", ["2.5", true]],
  ["text", [2, true]],
  ["date", [20_260_501, "soon", "05/01/2026", true]],
  ["datetime", [0, "yesterday", true]],
  ["boolean", ["true", "1", 2]],
  ["json", [1, false]],
];

const flatten = (table: typeof FITS) =>
  table.flatMap(([type, values]) => values.map((value) => [type, value] as const));

describe("an attribute that a rule compares with a column", () => {
  it.each(flatten(FITS))("is accepted for a column of type %s when it is %j, alone and in a list", (type, value) => {
    const policies = [
      defineGatehouse(createInput([equal(type)], { branch: value })),
      defineGatehouse(createInput([inList(type)], { branch: [value] })),
      defineGatehouse(createInput([sql(`"${type}" = :branch`)], { branch: value })),
      defineGatehouse(createInput([sql(`"${type}" IN :branch`)], { branch: [value] })),
    ];
    for (const { policy } of policies) expect(decide(policy, {}).allowed).toBe(true);
  });

  it.each(flatten(MISFITS))(
    "is refused for a column of type %s when it is %j, with value, type, rule and column",
    (type, value) => {
      const rules: readonly ConditionInput[] = [
        equal(type),
        inList(type),
        { column: type, op: "!=", value: subject("branch") },
        { any: [{ column: "text", op: "is null" }, { all: [equal(type)] }] },
        sql(`"${type}" = :branch`),
        sql(`:branch IS NOT NULL OR "${type}" <> :branch`.replace(":branch IS NOT NULL OR ", "text IS NULL OR ")),
        sql(`NOT ("${type}" IN :branch)`),
      ];
      for (const rule of rules) {
        for (const branch of [value, [value]]) {
          const attempt = (): unknown => defineGatehouse(createInput([rule], { branch }));
          expect(attempt).toThrow(`members[0].attributes.branch: is ${JSON.stringify(branch)}`);
          expect(attempt).toThrow(
            `because the rule r0/allow/read/shop.sales compares it with shop.sales.${type}, which is ${type}.`,
          );
        }
      }
    },
  );

  it.each(flatten(MISFITS))(
    "denies for a column of type %s when the members table has %j, and is reported",
    (type, value) => {
      for (const rule of [equal(type), sql(`"${type}" <> :branch`)]) {
        const { policy } = defineGatehouse(createInput([rule]));
        expect(decide(policy, { branch: value })).toMatchObject({ allowed: false, reason: "missing_attribute" });
        const member = { email: "ann@x.example", attributes: { branch: value }, unreadable: [] };
        expect(findMemberProblems(policy, member)).toEqual([expect.stringContaining("attribute branch")]);
      }
    },
  );

  it("is refused when one item of a list does not fit", () => {
    expect(() => defineGatehouse(createInput([inList("integer")], { branch: [1, "2"] }))).toThrow(
      'members[0].attributes.branch: is [1,"2"]',
    );
  });

  it("is refused when it fits only one of two rules", () => {
    const rules = [equal("real"), equal("integer")];
    expect(() => defineGatehouse(createInput(rules, { branch: 2 }))).not.toThrow();
    expect(() => defineGatehouse(createInput(rules, { branch: 2.5 }))).toThrow("shop.sales.integer, which is integer.");
  });

  it.each([
    [[equal("integer"), equal("text")], "integer", "text"],
    [[inList("boolean"), sql("date < :branch")], "boolean", "date"],
    [[{ any: [equal("text"), equal("real")] }], "text", "real"],
  ] as const)("is refused as a conflict when no value can fit all of %j", (rules, firstType, secondType) => {
    const attempt = (): unknown => defineGatehouse(createInput(rules as readonly ConditionInput[]));
    expect(attempt).toThrow("the attribute branch cannot fit");
    expect(attempt).toThrow(`shop.sales.${firstType}, which is ${firstType}`);
    expect(attempt).toThrow(`shop.sales.${secondType}, which is ${secondType}`);
  });

  it.each(["id", "email"])("is refused when a rule compares the built-in %s with a number", (name) => {
    expect(() => defineGatehouse(createInput([{ column: "integer", op: "=", value: subject(name) }]))).toThrow(
      `the value ${name} is text, but the rule r0/allow/read/shop.sales compares it with shop.sales.integer, which is integer.`,
    );
    expect(() => defineGatehouse(createInput([{ column: "text", op: "=", value: subject(name) }]))).not.toThrow();
  });

  it("may have any value when no rule compares it", () => {
    for (const branch of ["2", 2, true, [1, "2"]])
      expect(() => defineGatehouse(createInput([], { branch }))).not.toThrow();
  });

  it("grants nothing, with a warning, when it is a list and the rule compares a single value", () => {
    const { policy } = defineGatehouse(createInput([equal("text")]));
    expect(decide(policy, { branch: ["north"] })).toMatchObject({ allowed: false, reason: "missing_attribute" });
    const [problem, ...others] = findAttributeProblems(policy, { branch: ["north"] });
    expect(others).toEqual([]);
    expect(problem?.kind).toBe("list");
    expect(problem && describeAttributeProblem(problem)).toContain("grants nothing");
  });
});

describe("findMemberProblems", () => {
  const { policy } = defineGatehouse(createInput([equal("integer")], { branch: 3 }));
  const stored = { email: "bob@x.example", attributes: {}, unreadable: [] };

  it("finds no problem with values that fit or that the policy file overrides", () => {
    expect(findMemberProblems(policy, { ...stored, attributes: { branch: 2, other: "x" } })).toEqual([]);
    expect(findMemberProblems(policy, { ...stored, email: "ann@x.example", attributes: { branch: "2" } })).toEqual([]);
  });

  it("does not include the value in a problem", () => {
    const [problem = ""] = findMemberProblems(policy, { ...stored, attributes: { branch: "S3CRET" } });
    expect(problem).toContain("must be a whole number");
    expect(problem).not.toContain("S3CRET");
  });

  it("reports an address that is not normalized, and unreadable parts", () => {
    for (const email of ["Bob@x.example", "\u212Aate@x.example", "bob@x.example "])
      expect(findMemberProblems(policy, { ...stored, email })).toEqual([expect.stringContaining("matches no user")]);
    expect(findMemberProblems(policy, { ...stored, unreadable: ["the attribute branch"] })).toEqual([
      "the attribute branch cannot be read, so it is ignored.",
    ]);
  });
});
