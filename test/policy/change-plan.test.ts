// Tests which changes a user may plan: scenarios with the refusal's code and message. A refusal must not name what the user does not see.
import { describe, expect, it } from "vitest";
import type { ChangeRequest } from "../../src/policy/change-plan.ts";
import { plan } from "./help-desk.ts";

const TOKEN = "tok_abcdefghij234567";

/** A request of JSON, in which `__proto__` is a key as any other. */
const fromJson = (text: string): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>;

const WHERE = { id: 7 };
const SET = { status: "done" };
const SETTABLE = "You may set: status, priority, email, constructor.";
const USABLE = "Use columns in clear: id, status, priority, region, due, constructor.";

describe("planChange", () => {
  it("plans an update with values of the declared types", () => {
    const planned = plan("desk", { where: { id: [7, "8"], due: null }, values: { status: "done", priority: null } });
    expect(planned).toMatchObject({
      operation: "update",
      where: [
        { column: { name: "id" }, values: [7, 8] },
        { column: { name: "due" }, values: [null] },
      ],
      values: [
        { column: { name: "status" }, value: "done" },
        { column: { name: "priority" }, value: null },
      ],
      grants: [{ rule: "desk/allow/change/shop.tickets", maxRows: 20 }],
    });
  });

  it.each<[string, Partial<ChangeRequest>, string]>([
    [
      "an update without where",
      { values: SET },
      'invalid_input: An update needs where: the rows, by columns that you see, such as {"id": 42}.',
    ],
    [
      "an update without values",
      { where: WHERE },
      "invalid_input: An update needs values: each column to set, with its value.",
    ],
    [
      "an operation that no rule allows",
      { operation: "delete", where: WHERE },
      "not_allowed: You may not delete rows of shop.tickets. You may update.",
    ],
    [
      "an empty list",
      { where: { id: [] }, values: SET },
      "invalid_input: where.id is an empty list. Give at least one value.",
    ],
    ["a list in a list", { where: { id: [[7]] }, values: SET }, "invalid_input: where.id must be a whole number"],
    [
      "an object as a value",
      { where: WHERE, values: { status: { oneOf: 1 } } },
      "invalid_input: values.status must be text.",
    ],
    [
      "a rounded number in where",
      { where: { id: 2 ** 53 }, values: SET },
      "invalid_input: where.id is a whole number beyond 2^53",
    ],
    [
      "a day that does not exist",
      { where: { due: "2026-02-30" }, values: SET },
      "invalid_input: where.due must be a date such as 2026-06-30.",
    ],
    [
      "51 literals",
      { where: { id: Array.from({ length: 51 }, (_, id) => id) }, values: SET },
      "invalid_input: where has 51 literals, and at most 50 are possible.",
    ],
    [
      "51 literals over two columns",
      { where: { id: Array.from({ length: 50 }, (_, id) => id), status: "open" }, values: SET },
      "invalid_input: where has 51 literals",
    ],
    [
      "too long literals",
      { where: WHERE, values: { email: "x".repeat(200_000) } },
      "invalid_input: A change has at most 200000 characters.",
    ],
    [
      "a value outside of the schema",
      { where: WHERE, values: { priority: 6 } },
      "invalid_input: values.priority must be at most 5.",
    ],
    [
      "a value that is not among the allowed ones",
      { where: WHERE, values: { status: "Done" } },
      'invalid_input: values.status must be one of "open", "done".',
    ],
    [
      "null where the rule does not allow it",
      { where: WHERE, values: { status: null } },
      "invalid_input: values.status cannot be null.",
    ],
    [
      "a column that no rule sets",
      { where: WHERE, values: { region: "x" } },
      `not_allowed: You may not set "region" in shop.tickets. ${SETTABLE}`,
    ],
    [
      "a column that does not exist",
      { where: WHERE, values: { nothing: "x" } },
      `not_allowed: You may not set "nothing" in shop.tickets. ${SETTABLE}`,
    ],
    [
      "a hidden column that the rule names",
      { where: WHERE, values: { secret: "x" } },
      `not_allowed: You may not set "secret" in shop.tickets. ${SETTABLE}`,
    ],
    [
      "a masked column without the right to reveal it",
      { where: WHERE, values: { phone: "x" } },
      `not_allowed: You may not set "phone" in shop.tickets. ${SETTABLE}`,
    ],
    [
      "a column in another case",
      { where: WHERE, values: { STATUS: "done" } },
      `not_allowed: You may not set "STATUS" in shop.tickets. ${SETTABLE}`,
    ],
    [
      "__proto__ in values",
      { where: WHERE, values: fromJson('{"__proto__":"x"}') },
      `not_allowed: You may not set "__proto__" in shop.tickets. ${SETTABLE}`,
    ],
    [
      "toString in values",
      { where: WHERE, values: { toString: "x" } },
      `not_allowed: You may not set "toString" in shop.tickets. ${SETTABLE}`,
    ],
    [
      "__proto__ in where",
      { where: fromJson('{"__proto__":7}'), values: SET },
      `invalid_input: where names "__proto__", and you see no such column. ${USABLE}`,
    ],
    [
      "hasOwnProperty in where",
      { where: { hasOwnProperty: 7 }, values: SET },
      `invalid_input: where names "hasOwnProperty", and you see no such column. ${USABLE}`,
    ],
    [
      "a where column in another case",
      { where: { Id: 7 }, values: SET },
      `invalid_input: where names "Id", and you see no such column. ${USABLE}`,
    ],
    [
      "a masked column in where",
      { where: { phone: "55" }, values: SET },
      `not_allowed: where names phone, which is masked for you. Use columns in clear: id, status, priority, region, due, constructor.`,
    ],
    [
      "a masking token in where",
      { where: { status: TOKEN }, values: SET },
      "not_allowed: where.status has a masking token, which stands for a value that you do not see. Write real values only.",
    ],
    [
      "a masking token in a list",
      { where: { status: ["open", `the ${TOKEN.toUpperCase()}.`] }, values: SET },
      "not_allowed: where.status has a masking token",
    ],
    [
      "a masking token for a number",
      { where: { id: TOKEN }, values: SET },
      "not_allowed: where.id has a masking token",
    ],
    [
      "a masking token in a value",
      { where: WHERE, values: { email: TOKEN } },
      "not_allowed: values.email has a masking token",
    ],
    [
      "a masking token in longer text",
      { where: WHERE, values: { constructor: `Re: ${TOKEN.toUpperCase()}!` } },
      "not_allowed: values.constructor has a masking token",
    ],
  ])("refuses %s", (_name, request, refusal) => {
    expect(plan("desk", request)).toEqual(expect.stringContaining(refusal));
  });

  it("answers alike for a hidden column and for one that does not exist", () => {
    const answers = ["secret", "absent"].map((name) => [
      plan("desk", { where: { [name]: "x" }, values: SET }),
      plan("desk", { where: WHERE, values: { [name]: "x" } }),
    ]);
    const [hidden, absent] = answers.map((texts) => JSON.stringify(texts));
    expect(hidden?.replaceAll("secret", "absent")).toBe(absent);
  });

  it("shortens a long name in the refusal", () => {
    const refusal = plan("desk", { where: WHERE, values: { ["x".repeat(10_000)]: "x" } });
    expect(typeof refusal === "string" && refusal.length).toBeLessThan(400);
  });

  it("says so when the user sees no column in clear, and may set none", () => {
    expect(plan("faceless", { where: { status: "x" }, values: SET })).toBe(
      "not_allowed: where names status, which is masked for you. You see no column of shop.tickets in clear.",
    );
  });

  it("sets a column that is called constructor", () => {
    expect(plan("desk", { where: WHERE, values: { constructor: "x" } })).toMatchObject({ values: [{ value: "x" }] });
  });

  it("takes a denied column out of what may be set", () => {
    expect(plan("denied", { where: WHERE, values: { priority: 1 } })).toBe(
      'not_allowed: You may not set "priority" in shop.tickets. You may set: status, email, constructor.',
    );
  });
});

describe("planChange for inserts and deletes", () => {
  it.each<[string, string, Partial<ChangeRequest>, string]>([
    [
      "an insert with where",
      "clerk",
      { operation: "insert", where: WHERE, values: SET },
      "invalid_input: An insert has no where. Give the new row as values.",
    ],
    ["an insert without values", "clerk", { operation: "insert" }, "invalid_input: An insert needs values"],
    [
      "a delete with values",
      "lead",
      { operation: "delete", where: WHERE, values: SET },
      "invalid_input: A delete has no values.",
    ],
    ["a delete without where", "lead", { operation: "delete" }, "invalid_input: A delete needs where"],
    [
      "an update of what only an insert sets",
      "clerk",
      { where: WHERE, values: { id: 8 } },
      'not_allowed: You may not set "id" in shop.tickets. You may set: status.',
    ],
  ])("refuses %s", (_name, account, request, refusal) => {
    expect(plan(account, request)).toEqual(expect.stringContaining(refusal));
  });

  it("plans an insert by the role's rule for inserts", () => {
    expect(plan("clerk", { operation: "insert", values: { id: 8, status: "open" } })).toMatchObject({
      where: [],
      grants: [{ rule: "clerk/allow/change/shop.tickets" }],
    });
  });

  it("plans a delete without values", () => {
    expect(plan("lead", { operation: "delete", where: WHERE })).toMatchObject({ values: [], grants: [{}] });
  });
});
