// Tests `gatehouse policy test`: its sentences and the messages about wrong ones, what each claim comes to, and rows of the sample's data.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { FORMS, parseCases } from "../../cli/policy-test/case-parser.ts";
import sample from "../../sample/gatehouse.config.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const { policy } = sample;

describe("parseCases", () => {
  it.each<[string, string]>([
    ["role analist sees shop.orders", "1:6: there is no role analist. Did you mean analyst?"],
    ["group data sees shop.orders", "1:7: there is no group data. There is none."],
    [
      "role analyst sees shop.customers.emial as email",
      "1:19: there is no column shop.customers.emial. Did you mean shop.customers.email?",
    ],
    ["role analyst sees shop.customers.email as emal", "1:43: there is no mask emal. Did you mean email?"],
    ["role analyst saw shop.orders", "1:14: saw is here, where sees or cannot or may should be."],
    ["role analyst cannot see shop.ordrs", "1:25: there is no table or column shop.ordrs. Did you mean shop.orders?"],
    ["role analyst sees 3 rows of handbook", "1:29: handbook is no table, and only tables have rows."],
    [
      "role analyst sees 3 rows of shop.orders where statsu = x",
      "1:47: there is no column of shop.orders statsu. Did you mean status?",
    ],
    [
      "role analyst sees no row of shop.orders where total_cents > many",
      "1:61: many is text, but the column is integer.",
    ],
    ["role analyst sees no row of shop.orders where status ~ x", "1:54: ~ is no comparison."],
    ["role support with regoin = north sees shop.orders", "1:19: there is no attribute regoin. Did you mean region?"],
    ["role analyst sees only rows of shop.orders", "1:43: the sentence ends where where should be."],
    ["role analyst sees shop.customers.email", "1:39: the sentence ends where as or in should be."],
    ["role analyst sees shop.orders now", "1:31: now does not belong here: the sentence is complete before it."],
    ["role analyst may updte status in shop.orders", "1:18: there is no change updte. Did you mean update?"],
    [
      "role analyst may update statsu in shop.orders",
      "1:25: there is no column of shop.orders statsu. Did you mean status?",
    ],
    ["role analyst may update status of shop.orders", "1:32: of is here, where in should be."],
    ["role analyst may delete shop.orders", "1:25: shop.orders is here, where row or rows should be."],
    ["role analyst may not change handbook", "1:29: handbook is no table, and only tables have rows."],
    [
      "role analyst may delete rows of shop.orders with approval revewer",
      "1:59: there is no approval revewer. Did you mean reviewer?",
    ],
    [
      "role analyst may not delete rows of shop.orders with approval none",
      "1:49: with does not belong here: the sentence is complete before it.",
    ],
    ["role analyst sees 'shop.orders", "1:19: ' does not belong here. Text in quotes ends with the same quote."],
  ])("refuses %s", (line, expected) => {
    const { cases, problems } = parseCases(line, policy);
    expect(problems.map((problem) => `${problem.line}:${problem.column}: ${problem.message}`).join()).toContain(
      expected,
    );
    expect(cases).toEqual([]);
  });

  it("reads every form that it lists, and skips comments and empty lines", () => {
    const withGroup = { ...policy, groups: [{ group: "data-team", roles: ["analyst"] }] };
    const { cases, problems } = parseCases(`# Cases\n\n${FORMS.join("\r\n")}\n`, withGroup);
    expect(problems).toEqual([]);
    expect(cases.map(({ line, text }) => [line, text])).toEqual(FORMS.map((form, index) => [index + 3, form]));
  });

  it("reads names with spaces and dots in quotes, and lists of attribute values", () => {
    const [customers] = policy.datasets;
    if (customers?.kind !== "table") throw new Error("the sample has no table");
    const spaced = {
      ...customers,
      id: "shop.Order Details",
      columns: customers.columns.map((column) => ({ ...column })),
    };
    const { cases } = parseCases(
      `role support with region = (north, 'south') sees "shop.Order Details.email" in clear`,
      { ...policy, datasets: [spaced] },
    );
    expect(cases).toMatchObject([
      {
        subject: { kind: "role", name: "support", attributes: { region: ["north", "south"] } },
        claim: { kind: "column", column: "email", shownAs: "clear" },
      },
    ]);
  });
});

type Status = "passed" | "failed" | "no data";

/** Each case with its status and what its actual state says. */
const CASES: readonly (readonly [string, Status, string])[] = [
  ["role analyst sees shop.customers.email in clear", "failed", "as email"],
  ["role analyst cannot see shop.orders", "failed", "visible"],
  ["role analyst sees 12 rows of shop.orders", "failed", "12000 rows of shop.orders (the table has 12000)"],
  ["role analyst sees 12000 rows of shop.orders", "passed", "12000 rows"],
  ["role support with region = north sees no row of region north", "failed", "496 rows of shop.customers"],
  ["role support with region = north sees no row of region atlantis", "no data", "the local data has no row"],
  ["role analyst sees all rows of shop.orders where status = nowhere", "no data", "the local data has no row"],
  ["role analyst sees only rows of shop.orders where total_cents >= 0", "no data", "no other rows"],
  [
    "role support with region = north sees only rows of shop.customers where segment = trade",
    "failed",
    "496 rows, of which",
  ],
  ["role support sees shop.customers", "failed", "the rules need the attribute region"],
  ["role support sees no row of shop.customers", "failed", "the rules need the attribute region"],
  ["role support with region = 2 cannot see shop.customers", "failed", "the attribute region is 2. It must be text"],
  ["role analyst sees some row of shop.customers where notes is not null", "passed", "of shop.customers"],
  ["role support with region = north sees no row of shop.orders", "passed", "no row of shop.orders"],
  ["member suport@harbor.example cannot see handbook", "failed", "Did you mean support@harbor.example?"],
];

const result = z.object({
  passed: z.number(),
  failed: z.number(),
  withoutData: z.number(),
  cases: z.array(
    z.object({
      line: z.number(),
      case: z.string(),
      status: z.string(),
      actual: z.string(),
      decidedBy: z.array(z.string()),
    }),
  ),
});

describe("policy test --sample", () => {
  const state = mkdtempSync(path.join(tmpdir(), "gatehouse-policy-test-"));
  afterAll(() => rmSync(state, { recursive: true }));
  const file = path.join(state, "cases.txt");
  const own = readFileSync(path.join(ROOT, "sample/policy-tests.txt"), "utf8");
  writeFileSync(file, [...CASES.map(([text]) => text), own].join("\n"));
  const ran = spawnSync(process.execPath, ["cli/main.ts", "policy", "test", file, "--sample", "--json"], {
    cwd: ROOT,
    env: { ...process.env, GATEHOUSE_STATE: path.join(state, "state") },
    encoding: "utf8",
  });
  const { cases, ...counts } = result.parse(JSON.parse(ran.stdout));

  it.each(CASES)("decides: %s", (text, status, actual) => {
    const decided = cases.find((each) => each.case === text);
    expect(decided).toMatchObject({ status });
    expect(decided?.actual).toContain(actual);
    if (!text.startsWith("member"))
      expect(decided?.decidedBy.join()).toMatch(/allow\/read|no rule of the user's roles/);
  });

  it("passes the sample's own cases", () => {
    expect(cases.slice(CASES.length).filter(({ status }) => status !== "passed")).toEqual([]);
    expect(cases.length).toBeGreaterThan(CASES.length + 15);
  });

  it("exits with 1 when cases fail or have no data, and counts them", () => {
    expect(ran.status).toBe(1);
    const count = (status: Status): number => CASES.filter((each) => each[1] === status).length;
    expect(counts).toMatchObject({ failed: count("failed"), withoutData: count("no data") });
  });
});
