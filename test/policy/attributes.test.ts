// Attributes against the columns that rules compare them with: what fits, what is refused with which reason, and what denies.
import { describe, expect, it } from "vitest";
import { defineGatehouse, sql, subject } from "../../src/config.ts";
import type { GatehouseInput } from "../../src/config.ts";
import { attributeProblems, describeProblem, memberProblems } from "../../src/policy/attributes.ts";
import { evaluate, resolveSubject } from "../../src/policy/evaluate.ts";
import type { Attributes, Policy } from "../../src/policy/model.ts";

type Rows = NonNullable<Extract<GatehouseInput["roles"][string]["rules"][number], { rows?: unknown }>["rows"]>;

const COLUMNS = ["integer", "real", "text", "date", "datetime", "boolean", "json"] as const;

/** One rule for each entry, on a table with a column of each type that is called like it. */
function inputOf(rows: readonly Rows[], attributes?: Attributes): GatehouseInput {
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

const equal = (column: string): Rows => ({ column, op: "=", value: subject("branch") });
const within = (column: string): Rows => ({ column, op: "in", value: subject("branch") });

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

const flat = (table: typeof FITS) => table.flatMap(([type, values]) => values.map((value) => [type, value] as const));

describe("an attribute that a rule compares with a column", () => {
  it.each(flat(FITS))("of type %s may be %j, alone and in a list", (type, value) => {
    const policies = [
      defineGatehouse(inputOf([equal(type)], { branch: value })),
      defineGatehouse(inputOf([within(type)], { branch: [value] })),
      defineGatehouse(inputOf([sql(`"${type}" = :branch`)], { branch: value })),
      defineGatehouse(inputOf([sql(`"${type}" IN :branch`)], { branch: [value] })),
    ];
    for (const { policy } of policies) expect(decide(policy, {}).allowed).toBe(true);
  });

  it.each(flat(MISFITS))("of type %s is refused when it is %j, naming value, type, rule and column", (type, value) => {
    const rules: readonly Rows[] = [
      equal(type),
      within(type),
      { column: type, op: "!=", value: subject("branch") },
      { any: [{ column: "text", op: "is null" }, { all: [equal(type)] }] },
      sql(`"${type}" = :branch`),
      sql(`:branch IS NOT NULL OR "${type}" <> :branch`.replace(":branch IS NOT NULL OR ", "text IS NULL OR ")),
      sql(`NOT ("${type}" IN :branch)`),
    ];
    for (const rule of rules) {
      for (const branch of [value, [value]]) {
        const attempt = (): unknown => defineGatehouse(inputOf([rule], { branch }));
        expect(attempt).toThrow(`members[0].attributes.branch: is ${JSON.stringify(branch)}`);
        expect(attempt).toThrow(
          `because the rule r0/allow/read/shop.sales compares it with shop.sales.${type}, which is ${type}.`,
        );
      }
    }
  });

  it.each(flat(MISFITS))("of type %s denies when the members table says %j, and it is said", (type, value) => {
    for (const rule of [equal(type), sql(`"${type}" <> :branch`)]) {
      const { policy } = defineGatehouse(inputOf([rule]));
      expect(decide(policy, { branch: value })).toMatchObject({ allowed: false, reason: "missing_attribute" });
      const member = { email: "ann@x.example", attributes: { branch: value }, unreadable: [] };
      expect(memberProblems(policy, member)).toEqual([expect.stringContaining("attribute branch")]);
    }
  });

  it("is refused when one of a list does not fit", () => {
    expect(() => defineGatehouse(inputOf([within("integer")], { branch: [1, "2"] }))).toThrow(
      'members[0].attributes.branch: is [1,"2"]',
    );
  });

  it("must fit all rules that compare with it", () => {
    const rules = [equal("real"), equal("integer")];
    expect(() => defineGatehouse(inputOf(rules, { branch: 2 }))).not.toThrow();
    expect(() => defineGatehouse(inputOf(rules, { branch: 2.5 }))).toThrow("shop.sales.integer, which is integer.");
  });

  it.each([
    [[equal("integer"), equal("text")], "integer", "text"],
    [[within("boolean"), sql("date < :branch")], "boolean", "date"],
    [[{ any: [equal("text"), equal("real")] }], "text", "real"],
  ] as const)("is a conflict when no value fits all rules: %j", (rules, one, other) => {
    const attempt = (): unknown => defineGatehouse(inputOf(rules as readonly Rows[]));
    expect(attempt).toThrow("the attribute branch cannot fit");
    expect(attempt).toThrow(`shop.sales.${one}, which is ${one}`);
    expect(attempt).toThrow(`shop.sales.${other}, which is ${other}`);
  });

  it.each(["id", "email"])("cannot be the built-in %s where the column is a number", (name) => {
    expect(() => defineGatehouse(inputOf([{ column: "integer", op: "=", value: subject(name) }]))).toThrow(
      `the value ${name} is text, but the rule r0/allow/read/shop.sales compares it with shop.sales.integer, which is integer.`,
    );
    expect(() => defineGatehouse(inputOf([{ column: "text", op: "=", value: subject(name) }]))).not.toThrow();
  });

  it("may be anything when no rule compares with it", () => {
    for (const branch of ["2", 2, true, [1, "2"]]) expect(() => defineGatehouse(inputOf([], { branch }))).not.toThrow();
  });

  it("as a list grants nothing where one value is compared, and is warned of", () => {
    const { policy } = defineGatehouse(inputOf([equal("text")]));
    expect(decide(policy, { branch: ["north"] })).toMatchObject({ allowed: false, reason: "missing_attribute" });
    const [problem, ...others] = attributeProblems(policy, { branch: ["north"] });
    expect(others).toEqual([]);
    expect(problem?.kind).toBe("list");
    expect(problem && describeProblem(problem)).toContain("grants nothing");
  });
});

describe("a member of the members table", () => {
  const { policy } = defineGatehouse(inputOf([equal("integer")], { branch: 3 }));
  const stored = { email: "bob@x.example", attributes: {}, unreadable: [] };

  it("has no problem with what fits, and none with what the policy file overrides", () => {
    expect(memberProblems(policy, { ...stored, attributes: { branch: 2, other: "x" } })).toEqual([]);
    expect(memberProblems(policy, { ...stored, email: "ann@x.example", attributes: { branch: "2" } })).toEqual([]);
  });

  it("has its problems named without the value", () => {
    const [problem = ""] = memberProblems(policy, { ...stored, attributes: { branch: "S3CRET" } });
    expect(problem).toContain("must be a whole number");
    expect(problem).not.toContain("S3CRET");
  });

  it("has a problem when its address is in no spelling that matches, and with what cannot be read", () => {
    for (const email of ["Bob@x.example", "\u212Aate@x.example", "bob@x.example "])
      expect(memberProblems(policy, { ...stored, email })).toEqual([expect.stringContaining("matches no user")]);
    expect(memberProblems(policy, { ...stored, unreadable: ["the attribute branch"] })).toEqual([
      "the attribute branch cannot be read, so it counts for nothing.",
    ]);
  });
});
