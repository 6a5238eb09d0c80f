// Tests the output of `npm run policy`: who sees what, what has no effect and why, and what a change opens and closes.
import { describe, expect, it } from "vitest";
import { describeDatasets, matrixOf, warningsOf } from "../../cli/policy-report/check.ts";
import { problemLines } from "../../cli/own-database/members-table.ts";
import { diffPolicies } from "../../cli/policy-report/diff.ts";
import { explain, storedLines } from "../../cli/policy-report/explain.ts";
import { defineGatehouse, mask, sql, subject } from "../../src/config/define-gatehouse.ts";
import type { GatehouseInput } from "../../src/config/define-gatehouse.ts";
import { readMemberRow } from "../../src/members/member-row.ts";
import type { ListedMember } from "../../src/members/member-row.ts";

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
          lonely: { description: "L", key: "id", recordKeys: true, columns: { id: TEXT } },
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

describe("npm run policy -- check", () => {
  const policy = policyOf(
    {
      analyst: [...ANALYST, { action: "read", datasets: ["shop.shut"] }],
      north: NORTH,
      idle: [{ effect: "deny", action: "read", datasets: ["shop.lonely"] }],
    },
    { ann: ["analyst"], bare: ["north"], nobody: [] },
  );

  it("prints what each role sees", () => {
    expect(matrixOf(policy).slice(0, 7)).toEqual([
      "shop.people  analyst  north             idle",
      "  rows         all      region = :region  –",
      "  id           clear    clear             –",
      "  email        email    clear             –",
      "  region       clear    clear             –",
      "  notes        –        –                 –",
      "  closed       –        –                 –",
    ]);
    expect(matrixOf(policy)).toContain("  documents  –              all");
  });

  it("puts roles that see the same of a dataset in one column", () => {
    const rules: Rules = [{ action: "read", datasets: ["shop.lonely"] }];
    const shared = policyOf({ one: rules, two: rules, three: ANALYST }, {});
    const lines = matrixOf(shared);
    expect(lines.slice(lines.indexOf("") + 1, lines.indexOf("") + 4)).toEqual([
      "shop.lonely  one, two  three",
      "  rows         all       –",
      "  id           clear     –",
    ]);
  });

  it("says by which columns audit records name the rows of a dataset, and so does explain", () => {
    const line = "  Audit records name the returned rows by id.";
    const rules: Rules = [{ action: "read", datasets: ["shop.lonely", "shop.people"] }];
    const recorded = policyOf({ one: rules }, { ann: ["one"] });
    const lines = matrixOf(recorded);
    expect(lines.filter((text) => text === line)).toHaveLength(1);
    expect(lines.slice(lines.indexOf("shop.lonely  one"), lines.indexOf(line))).toEqual([
      "shop.lonely  one",
      "  rows         all",
      "  id           clear",
    ]);
    expect(describeDatasets(recorded).map(({ recordedKey }) => recordedKey)).toEqual([[], ["id"], [], []]);
    expect(explain(recorded, "ann@x.example", "shop.lonely")).toContain(line);
    expect(explain(recorded, "ann@x.example", "shop.people")).not.toContain(line);
  });

  it("warns once of all hidden datasets that rules allow, and once of all that none allows", () => {
    const tables = Object.fromEntries(
      [1, 2, 3, 4, 5, 6].flatMap((number) => [
        [`v${number}`, { description: "V", view: true, hidden: true, columns: { id: TEXT } }],
        [`t${number}`, { description: "T", columns: { id: TEXT } }],
      ]),
    );
    const { policy: wide } = defineGatehouse({
      organisation: { name: "T", contact: "T" },
      sources: { crm: { kind: "d1", binding: "X", title: "S", description: "S", tables } },
      roles: {
        reader: {
          description: "R",
          administers: true,
          rules: [{ action: "read", datasets: [1, 2, 3, 4, 5, 6].map((number) => `crm.v${number}`) }],
        },
      },
      members: [{ email: "a@x.example", name: "A", roles: ["reader"] }],
    });
    expect(warningsOf(wide)).toEqual([
      "crm.t1, crm.t2, crm.t3, crm.t4 and 2 more: no rule allows reading them. Write rules, or remove the datasets.",
      "crm.v1, crm.v2, crm.v3, crm.v4 and 2 more: rules allow reading them, but they are hidden. " +
        "Open those that users need: npm run gatehouse -- open crm.v1 …",
    ]);
  });

  it("warns about datasets, roles, members and rules without effect", () => {
    expect(warningsOf(policy)).toEqual([
      "shop.lonely: no rule allows reading it. Write a rule, or remove the dataset.",
      "shop.shut: rules allow reading it, but it is hidden. Open it, or leave it hidden: npm run gatehouse -- open shop.shut",
      "roles.idle: no member or group in the policy file has it, so only the members table can give it.",
      "roles: none has administers: true, so only npm run member can add members, and no setup code works.",
      "nobody@x.example: has no role and sees nothing.",
      "north/allow/read/shop.people: bare@x.example lacks the attribute region, so the rule grants them nothing.",
      "idle/deny/read/shop.lonely: denies a dataset that no rule allows. Remove the rule.",
    ]);
  });
});

describe("npm run policy -- check, on attributes", () => {
  it("warns about a list where a rule compares one value", () => {
    const policy = policyOf({ north: NORTH }, { ann: ["north"] });
    const members = policy.members.map((member) => ({ ...member, attributes: { region: ["north", "east"] } }));
    expect(warningsOf({ ...policy, members })).toContainEqual(
      [
        'ann@x.example: the attribute region is ["north","east"].',
        "It is a list, but the rule north/allow/read/shop.people compares a single value with shop.people.region,",
        "so the rule grants nothing.",
      ].join(" "),
    );
  });

  it("reports every problem of the members table", () => {
    const policy = policyOf({ north: NORTH }, { ann: ["north"] });
    const rows = [
      storedMember("bob@x.example", "{}", '{"region":2}'),
      storedMember("Kate@x.example", "{}", "{}"),
      storedMember("dan@x.example", '{"north":{"by":"operator","atMs":1}}', '{"region":"north"}'),
    ];
    expect(problemLines(policy, rows)).toEqual([
      [
        "bob@x.example in the members table: the attribute region does not fit. It must be text,",
        "because the rule north/allow/read/shop.people compares it with shop.people.region, which is text.",
      ].join(" "),
      "Kate@x.example in the members table: its address is not in normalized form, so it matches no user. Remove it.",
    ]);
  });
});

describe("npm run policy -- explain", () => {
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
        "shop.people: not allowed, because the user lacks an attribute that the rules need, or has one of the wrong type.",
        "  north/allow/read/shop.people",
      ],
    ],
    [
      "stranger@x.example",
      "handbook",
      undefined,
      [
        "stranger@x.example: not in the policy file, so it gives them no role",
        "handbook: not allowed, because the user has no role.",
      ],
    ],
  ])("explains the access of %s to %s (column: %s)", (email, dataset, column, lines) => {
    expect(explain(policy, email, dataset, column)).toEqual(lines);
  });

  it("says why an attribute grants nothing, with its value, the rule and the column", () => {
    const record = { roles: ["north", "analyst"], attributes: { region: 2 } };
    const lines = explain(policy, "both@y.example", "shop.people", undefined, { groups: [], record });
    expect(lines).toContain("shop.people: allowed.");
    expect(lines).toContain(
      [
        "  The attribute region is 2. It must be text,",
        "because the rule north/allow/read/shop.people compares it with shop.people.region, which is text.",
      ].join(" "),
    );
  });

  it("leaves out attribute problems of rules that the user's roles do not have", () => {
    const record = { roles: ["analyst"], attributes: { region: 2 } };
    const lines = explain(policy, "c@x.example", "shop.people", undefined, { groups: [], record });
    expect(lines.join()).not.toContain("must be text");
  });

  it("shows what a row of the members table gives, and what in it cannot be read", () => {
    const given = '{"north":{"by":"operator","atMs":1}}';
    expect(storedLines(storedMember("c@x.example", given, '{"region":"east","team":{}}'))).toEqual([
      'The members table gives c@x.example: roles north; attributes {"region":"east"}.',
      "In the members table, the attribute team cannot be read, so it has no effect.",
    ]);
  });

  it("lists the declared datasets or columns when the given one is not declared", () => {
    expect(() => explain(policy, "both@x.example", "shop.nothing")).toThrow("There are: shop.people, shop.lonely");
    expect(() => explain(policy, "both@x.example", "shop.people", "x")).toThrow(
      "It has: id, email, region, notes, closed.",
    );
  });
});

describe("npm run policy -- diff", () => {
  const before = policyOf({ analyst: ANALYST, north: NORTH }, { ann: ["analyst"] });
  const diff = (
    roles: Readonly<Record<string, Rules>>,
    held: Readonly<Record<string, readonly string[]>> = { ann: ["analyst"] },
  ) => diffPolicies(before, policyOf(roles, held));

  it("prints nothing when nothing changed", () => {
    expect(diff({ analyst: ANALYST, north: NORTH })).toEqual({ opens: [], closes: [], changes: [] });
  });

  it.each<[string, Readonly<Record<string, Rules>>, Partial<ReturnType<typeof diff>>]>([
    [
      "a removed mask and a newly hidden column",
      { analyst: [{ action: "read", datasets: ["shop.people"], hidden: ["region", "notes"] }], north: NORTH },
      {
        opens: ["analyst on shop.people.email: clear, previously email"],
        closes: ["analyst on shop.people.region: –, previously clear"],
      },
    ],
    [
      "a removed row rule",
      { analyst: ANALYST, north: [{ action: "read", datasets: ["shop.people"], hidden: ["notes"] }] },
      {
        opens: ["north on shop.people: rows all, previously region = :region"],
        closes: ["north on handbook: no longer readable (no rule)"],
      },
    ],
    [
      "a changed row rule",
      {
        analyst: ANALYST,
        north: [
          { action: "read", datasets: ["shop.people"], hidden: ["notes"], rows: sql("region <> :region") },
          ...NORTH.slice(1),
        ],
      },
      { opens: [], closes: [], changes: ["north on shop.people: rows region <> :region, previously region = :region"] },
    ],
    [
      "a new denial",
      { analyst: [...ANALYST, { effect: "deny", action: "read", datasets: ["shop.people"] }], north: NORTH },
      { closes: ["analyst on shop.people: no longer readable (denied)"] },
    ],
  ])("reports %s", (_name, roles, expected) => {
    expect(diff(roles)).toMatchObject(expected);
  });

  it("reports which roles may read the audit log, and with what users have asked", () => {
    const auditing = (audits: boolean | "with arguments") => ({
      ...before,
      roles: before.roles.map((role) => ({ ...role, audits: role.name === "north" && audits })),
    });
    const log = "north may read the audit log";
    const asked = "north may read in the audit log what users have asked";
    expect(diffPolicies(before, auditing(true)).opens).toEqual([log]);
    expect(diffPolicies(before, auditing("with arguments")).opens).toEqual([log, asked]);
    expect(diffPolicies(auditing("with arguments"), auditing(true))).toMatchObject({
      opens: [],
      closes: [asked.replace("may", "may no longer")],
    });
  });

  it("reports roles that a member gets and loses", () => {
    expect(diff({ analyst: ANALYST, north: NORTH }, { ann: ["north"] })).toMatchObject({
      opens: ["ann@x.example gets the role north"],
      closes: ["ann@x.example loses the role analyst"],
    });
  });
});
