// The policy read for people: who sees what, what has no effect, why, and what a change opens and closes.
import { describe, expect, it } from "vitest";
import { matrixOf, warningsOf } from "../../scripts/policy/check.ts";
import { problemLines } from "../../scripts/members-table.ts";
import { diffPolicies } from "../../scripts/policy/diff.ts";
import { explain, storedLines } from "../../scripts/policy/explain.ts";
import { defineGatehouse, mask, sql, subject } from "../../src/config.ts";
import type { GatehouseInput } from "../../src/config.ts";
import { readMemberRow } from "../../src/storage/member-row.ts";
import type { ListedMember } from "../../src/storage/member-row.ts";

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

function storedMember(email: string, roles: string, attributes: string): ListedMember {
  return readMemberRow({ email, roles, attributes, changed_by: "operator", changed_ms: 1, version: 1 });
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

describe("check of attributes", () => {
  it("warns of a list where a rule compares one value", () => {
    const listed = policyOf({ north: NORTH }, { ann: ["north"] });
    const members = listed.members.map((member) => ({ ...member, attributes: { region: ["north", "east"] } }));
    expect(warningsOf({ ...listed, members })).toContainEqual(
      'ann@x.example: the attribute region is ["north","east"]. It is a list where the rule north/allow/read/shop.people compares one value with shop.people.region, so that rule grants nothing.',
    );
  });

  it("names every problem of the members table", () => {
    const policy = policyOf({ north: NORTH }, { ann: ["north"] });
    const rows = [
      storedMember("bob@x.example", "{}", '{"region":2}'),
      storedMember("Kate@x.example", "{}", "{}"),
      storedMember("dan@x.example", '{"north":{"by":"operator","atMs":1}}', '{"region":"north"}'),
    ];
    expect(problemLines(policy, rows)).toEqual([
      "bob@x.example in the members table: the attribute region does not fit. It must be text, because the rule north/allow/read/shop.people compares it with shop.people.region, which is text.",
      "Kate@x.example in the members table: its address is in no spelling that is compared with, so it matches no user. Remove it.",
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

  it("says why an attribute grants nothing, with its value, the rule and the column", () => {
    const record = { roles: ["north", "analyst"], attributes: { region: 2 } };
    const lines = explain(policy, "both@y.example", "shop.people", undefined, { groups: [], record });
    expect(lines).toContain("shop.people: allowed.");
    expect(lines).toContain(
      "  The attribute region is 2. It must be text, because the rule north/allow/read/shop.people compares it with shop.people.region, which is text.",
    );
  });

  it("does not speak of rules that the person does not have", () => {
    const record = { roles: ["analyst"], attributes: { region: 2 } };
    const lines = explain(policy, "c@x.example", "shop.people", undefined, { groups: [], record });
    expect(lines.join()).not.toContain("must be text");
  });

  it("says what a row of the members table gives, and what in it cannot be read", () => {
    const given = '{"north":{"by":"operator","atMs":1}}';
    expect(storedLines(storedMember("c@x.example", given, '{"region":"east","team":{}}'))).toEqual([
      'The members table gives c@x.example: roles north; attributes {"region":"east"}.',
      "In the members table, the attribute team cannot be read, so it counts for nothing.",
    ]);
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
