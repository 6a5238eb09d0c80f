// The policy read for people: who sees what, what has no effect, why, and what a change opens and closes.
import { describe, expect, it } from "vitest";
import { matrixOf, warningsOf } from "../../scripts/policy/check.ts";
import { diffPolicies } from "../../scripts/policy/diff.ts";
import { explain } from "../../scripts/policy/explain.ts";
import { defineGatehouse, mask, sql, subject } from "../../src/config.ts";
import type { GatehouseInput } from "../../src/config.ts";

const TEXT = { type: "text", description: "Text" } as const;
type Rules = GatehouseInput["roles"][string]["rules"];

const ANALYST: Rules = [{ action: "read", datasets: ["shop.people"], masks: { email: mask.email }, hidden: ["notes"] }];
const NORTH: Rules = [
  {
    action: "read",
    datasets: ["shop.people"],
    rows: { column: "region", op: "=", value: subject("region") },
    hidden: ["notes"],
  },
  { action: "read", datasets: ["handbook"] },
];

function policyOf(roles: Readonly<Record<string, Rules>>, held: Readonly<Record<string, readonly string[]>>) {
  return defineGatehouse({
    organisation: { name: "T", contact: "T" },
    sources: {
      shop: {
        kind: "d1",
        binding: "X",
        title: "S",
        description: "S",
        tables: {
          people: {
            description: "P",
            columns: { id: TEXT, email: TEXT, region: TEXT, notes: TEXT, closed: { ...TEXT, hidden: true } },
          },
          lonely: { description: "L", columns: { id: TEXT } },
          shut: { description: "H", hidden: true, columns: { id: TEXT } },
        },
      },
      handbook: { kind: "kv", binding: "Y", title: "H", description: "H" },
    },
    roles: Object.fromEntries(Object.entries(roles).map(([name, rules]) => [name, { description: name, rules }])),
    members: Object.entries(held).map(([name, names]) => ({
      email: `${name}@x.example`,
      name,
      roles: [...names],
      ...(name === "bare" ? {} : { attributes: { region: "north" } }),
    })),
  }).policy;
}

describe("check", () => {
  const policy = policyOf(
    {
      analyst: [...ANALYST, { action: "read", datasets: ["shop.shut"] }],
      north: NORTH,
      idle: [{ effect: "deny", action: "read", datasets: ["shop.lonely"] }],
    },
    { ann: ["analyst"], bare: ["north"], nobody: [] },
  );

  it("prints who sees what, role by role", () => {
    expect(matrixOf(policy).slice(0, 7)).toEqual([
      "shop.people  analyst  north             idle",
      "  rows         all      region = :region  –",
      "  id           clear    clear             –",
      "  email        email    clear             –",
      "  region       clear    clear             –",
      "  notes        –        –                 –",
      "  closed       –        –                 –",
    ]);
    expect(matrixOf(policy)).toContain("  documents  –        all    –");
  });

  it("warns of what has no effect", () => {
    expect(warningsOf(policy)).toEqual([
      "shop.lonely: no rule lets anybody read it. Write one, or remove it.",
      'shop.shut: rules name it, but nobody has opened it. Remove its "hidden": true, or leave it closed.',
      "roles.idle: no member of this file and no group holds it, so its rules reach only whom the members table names.",
      "roles: none has administers: true, so members can be added by npm run member alone, and no set-up code works.",
      "nobody@x.example: holds no role and sees nothing.",
      "north/allow/read/shop.people: bare@x.example lacks region, so the rule grants them nothing.",
      "idle/deny/read/shop.lonely: denies what no rule allows. Remove it.",
    ]);
  });
});

describe("explain", () => {
  const policy = policyOf({ analyst: ANALYST, north: NORTH }, { both: ["analyst", "north"], bare: ["north"] });
  it.each<[string, string, string | undefined, readonly string[]]>([
    [
      "both@x.example",
      "shop.people",
      "email",
      [
        "both@x.example: roles analyst, north",
        "shop.people: allowed.",
        "  analyst/allow/read/shop.people: rows all",
        "  north/allow/read/shop.people: rows region = 'north'",
        "  email: clear|email",
        "    by analyst/allow/read/shop.people: email",
        "    by north/allow/read/shop.people: clear",
      ],
    ],
    [
      "bare@x.example",
      "shop.people",
      undefined,
      [
        "bare@x.example: roles north",
        "shop.people: not allowed, because the person lacks an attribute that the rules need, or has it of another type.",
        "  north/allow/read/shop.people",
      ],
    ],
    [
      "stranger@x.example",
      "handbook",
      undefined,
      [
        "stranger@x.example: is not in the policy file, so has no role from it",
        "handbook: not allowed, because the person has no role.",
      ],
    ],
  ])("%s on %s %s", (email, dataset, column, lines) => {
    expect(explain(policy, email, dataset, column)).toEqual(lines);
  });

  it("names what there is when the dataset or column is not declared", () => {
    expect(() => explain(policy, "both@x.example", "shop.nothing")).toThrow("There are: shop.people, shop.lonely");
    expect(() => explain(policy, "both@x.example", "shop.people", "x")).toThrow(
      "It has: id, email, region, notes, closed.",
    );
  });
});

describe("diff", () => {
  const before = policyOf({ analyst: ANALYST, north: NORTH }, { ann: ["analyst"] });
  const diff = (
    roles: Readonly<Record<string, Rules>>,
    held: Readonly<Record<string, readonly string[]>> = { ann: ["analyst"] },
  ) => diffPolicies(before, policyOf(roles, held));

  it("nothing, when nothing changed", () => {
    expect(diff({ analyst: ANALYST, north: NORTH })).toEqual({ opens: [], closes: [], changes: [] });
  });

  it.each<[string, Readonly<Record<string, Rules>>, Partial<ReturnType<typeof diff>>]>([
    [
      "a mask that shows more, and a column that is hidden",
      { analyst: [{ action: "read", datasets: ["shop.people"], hidden: ["region", "notes"] }], north: NORTH },
      {
        opens: ["analyst on shop.people.email: clear, was email"],
        closes: ["analyst on shop.people.region: –, was clear"],
      },
    ],
    [
      "a row rule that goes",
      { analyst: ANALYST, north: [{ action: "read", datasets: ["shop.people"], hidden: ["notes"] }] },
      {
        opens: ["north on shop.people: rows all, were region = :region"],
        closes: ["north on handbook: nothing any more (no rule)"],
      },
    ],
    [
      "a row rule that is another",
      {
        analyst: ANALYST,
        north: [
          { action: "read", datasets: ["shop.people"], hidden: ["notes"], rows: sql("region <> :region") },
          ...NORTH.slice(1),
        ],
      },
      { opens: [], closes: [], changes: ["north on shop.people: rows region <> :region, were region = :region"] },
    ],
    [
      "a denial",
      { analyst: [...ANALYST, { effect: "deny", action: "read", datasets: ["shop.people"] }], north: NORTH },
      { closes: ["analyst on shop.people: nothing any more (denied)"] },
    ],
  ])("%s", (_name, roles, expected) => {
    expect(diff(roles)).toMatchObject(expected);
  });

  it("people and their roles", () => {
    expect(diff({ analyst: ANALYST, north: NORTH }, { ann: ["north"] })).toMatchObject({
      opens: ["ann@x.example gets the role north"],
      closes: ["ann@x.example loses the role analyst"],
    });
  });
});
