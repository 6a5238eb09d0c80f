// Tests which rules a planned change rests on where a user has several roles, where it may move a row out of sight, and when it is undone.
import { describe, expect, it } from "vitest";
import { AppError } from "../../src/errors.ts";
import { planUndo } from "../../src/policy/change-plan.ts";
import type { ChangeRequest } from "../../src/policy/change-plan.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";
import { allowChange, requireAllowedChange, tryPlan } from "../support/change-rules.ts";
import { TICKETS, plan, policy } from "./help-desk.ts";

const WHERE = { id: 7 };

describe("planChange for several roles", () => {
  const rulesOf = (account: string, values: ChangeRequest["values"]) => {
    const planned = plan(account, { where: WHERE, values });
    return typeof planned === "string" ? planned : planned.grants.map(({ rule, approval }) => `${rule}: ${approval}`);
  };

  it("puts the mildest approval first", () => {
    expect(rulesOf("several", { status: "open" })).toEqual([
      "quick/allow/change/shop.tickets: none",
      "lead/allow/change/shop.tickets: reviewer",
    ]);
  });

  it("keeps only the rules whose schemas every value fits", () => {
    expect(rulesOf("several", { status: "lost" })).toEqual(["lead/allow/change/shop.tickets: reviewer"]);
  });

  it("keeps only the rules that cover every column", () => {
    expect(rulesOf("several", { status: "open", due: "2026-06-30" })).toEqual([
      "lead/allow/change/shop.tickets: reviewer",
    ]);
  });

  it("refuses columns that no single rule covers", () => {
    const { policy: split } = buildPolicy({
      tables: { tickets: { id: key(NUMBER), a: TEXT, b: TEXT } },
      roles: {
        one: [allow(TICKETS), allowChange(TICKETS, { columns: { a: {} } })],
        two: [allow(TICKETS), allowChange(TICKETS, { columns: { b: {} } })],
      },
      members: { both: ["one", "two"] },
    });
    expect(tryPlan(requireAllowedChange(split, "both", TICKETS), { where: WHERE, values: { a: "1", b: "2" } })).toBe(
      "not_allowed: No rule lets you set a, b of shop.tickets in one change. Set fewer columns at once.",
    );
  });
});

describe("planChange for a change that may move a row out of sight", () => {
  const move = (account: string) => plan(account, { where: WHERE, values: { region: "south" } });
  const REFUSAL =
    "not_allowed: Rows of shop.tickets are shown to you by rules over these columns and others that you do not see";

  it("plans it where the user sees every column of the row rules", () => {
    expect(move("northern")).toMatchObject({ grants: [{ mayLeaveSight: false }] });
  });

  it("refuses it where another role's row rule, over a column that the user does not see, decides whether the row stays", () => {
    expect(move("northern-secretive")).toEqual(expect.stringContaining(REFUSAL));
    expect(move("northern-secretive")).not.toContain("secret ");
  });

  it("plans a change of other columns there", () => {
    expect(plan("northern-secretive", { where: WHERE, values: { status: "x" } })).toMatchObject({ grants: [{}] });
  });

  it("plans it where a role shows every row, so that none can leave", () => {
    expect(move("northern-everything")).toMatchObject({ grants: [{}] });
  });

  it("keeps of several rules only those that let rows leave", () => {
    expect(move("northern-mover")).toMatchObject({ grants: [{ mayLeaveSight: true }] });
    const planned = move("northern-mover");
    expect(typeof planned === "object" && planned.grants).toHaveLength(1);
  });
});

describe("planUndo", () => {
  const undo = (account: string, operation: ChangeRequest["operation"], columns: readonly string[]) => {
    try {
      const { grants } = planUndo(requireAllowedChange(policy, account, TICKETS), { operation, columns });
      return grants.map(({ rule }) => rule);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return `${error.code}: ${error.publicMessage}`;
    }
  };
  const REFUSAL = "not_allowed: You may not make this change today, so you may not undo it either.";

  it.each<[string, string, ChangeRequest["operation"], readonly string[], string | readonly string[]]>([
    [
      "gives the rules by which the columns can be set, mildest approval first",
      "several",
      "update",
      ["status"],
      ["quick/allow/change/shop.tickets", "lead/allow/change/shop.tickets"],
    ],
    ["refuses a column that is denied today", "denied", "update", ["priority"], REFUSAL],
    ["refuses a column that the user does not see today", "desk", "update", ["phone"], REFUSAL],
    ["refuses an operation that no rule allows today", "desk", "delete", [], REFUSAL],
    ["gives the rule of a delete", "lead", "delete", [], ["lead/allow/change/shop.tickets"]],
    ["refuses a name that only objects have", "desk", "update", ["toString"], REFUSAL],
  ])("%s", (_name, account, operation, columns, expected) => {
    expect(undo(account, operation, columns)).toEqual(expected);
  });
});
