// Tests which literals a change may write into a column of each type, and how they are compared with a rule's value schema.
import { describe, expect, it } from "vitest";
import { AppError } from "../../src/errors.ts";
import type { ValueSchema } from "../../src/policy/change-model.ts";
import { findValueProblem, holdsMaskingToken, parseChangeLiteral } from "../../src/policy/change-values.ts";
import { COLUMN_TYPES } from "../../src/policy/model.ts";
import type { Column, ColumnType } from "../../src/policy/model.ts";

const TOKEN = "tok_abcdefghij234567";

function columnOf(type: ColumnType): Column {
  return { name: "c", type, description: "", untrusted: false, hidden: false, references: null, examples: [] };
}

/** The parsed value, or the refusal. */
function parse(type: ColumnType, literal: unknown): unknown {
  try {
    return parseChangeLiteral(columnOf(type), literal, "values.c");
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return `${error.code}: ${error.publicMessage}`;
  }
}

const INTEGER = 'invalid_input: values.c must be a whole number (beyond 2^53 as text, such as "9007199254740993").';
const ROUNDED =
  'invalid_input: values.c is a whole number beyond 2^53, which JSON numbers round. Write it as text, such as "9007199254740993".';
const REAL = "invalid_input: values.c must be a number.";
const BOOLEAN = "invalid_input: values.c must be true or false.";
const PLAIN = "invalid_input: values.c must be text.";
const DAY = "invalid_input: values.c must be a date such as 2026-06-30.";
const TIME =
  "invalid_input: values.c must be a date and time in the form that the column has, such as 2026-06-30 14:05:00 or 2026-06-30T14:05:00Z.";
const JSON_TEXT = "invalid_input: values.c must be text that is JSON.";

describe("parseChangeLiteral", () => {
  it.each<[ColumnType, unknown, unknown]>([
    ["integer", 42, 42],
    ["integer", "-42", -42],
    ["integer", 2 ** 53 - 1, 9007199254740991],
    ["integer", "9007199254740993", { kind: "integer", digits: "9007199254740993" }],
    ["integer", "-9223372036854775808", { kind: "integer", digits: "-9223372036854775808" }],
    ["integer", "9223372036854775808", INTEGER],
    ["integer", 2 ** 53, ROUNDED],
    ["integer", JSON.parse("9007199254740993"), ROUNDED],
    ["integer", 1.5, INTEGER],
    ["integer", "007", INTEGER],
    ["integer", "1e3", INTEGER],
    ["integer", " 1", INTEGER],
    ["integer", "", INTEGER],
    ["integer", true, INTEGER],
    ["integer", [1], INTEGER],
    ["integer", { valueOf: 1 }, INTEGER],
    ["real", 5, { kind: "real", value: 5 }],
    ["real", "2.50", { kind: "real", value: 2.5 }],
    ["real", "1e300", { kind: "real", value: 1e300 }],
    ["real", 2 ** 53, ROUNDED],
    ["real", "9007199254740993", REAL],
    [
      "real",
      JSON.parse("1e999"),
      "invalid_input: values.c is a number beyond the range of a double. Write it as text.",
    ],
    ["real", "0x10", REAL],
    ["real", "Infinity", REAL],
    ["boolean", true, 1],
    ["boolean", false, 0],
    ["boolean", 1, 1],
    ["boolean", 2, BOOLEAN],
    ["boolean", "true", BOOLEAN],
    ["text", "", ""],
    ["text", "Łódź 🚢", "Łódź 🚢"],
    ["text", 1, PLAIN],
    ["text", { toString: "x" }, PLAIN],
    ["text", undefined, PLAIN],
    ["text", "hidden \0 part", PLAIN],
    ["date", "2028-02-29", "2028-02-29"],
    ["date", "2026-02-29", DAY],
    ["date", "2026-02-30", DAY],
    ["date", "2026-13-01", DAY],
    ["date", "2026-6-30", DAY],
    ["date", "2026-06-30T00:00:00Z", DAY],
    ["date", "2026-06-30\n", DAY],
    ["date", "today", DAY],
    ["date", 20260630, DAY],
    ["datetime", "2026-06-30T14:05", "2026-06-30T14:05"],
    ["datetime", "2026-06-30 14:05:59.123456789+02:00", "2026-06-30 14:05:59.123456789+02:00"],
    ["datetime", "2026-06-31T14:05:00Z", TIME],
    ["datetime", "2026-06-30T24:00:00Z", TIME],
    ["datetime", "2026-06-30T14:60:00Z", TIME],
    ["datetime", "2026-06-30T14:05:60Z", TIME],
    ["datetime", "2026-06-30T14:05:00+99:00", TIME],
    ["datetime", "2026-06-30", TIME],
    ["datetime", "now", TIME],
    ["json", '{"a":[1]}', '{"a":[1]}'],
    ["json", "{a:1}", JSON_TEXT],
    ["json", { a: 1 }, JSON_TEXT],
  ])("reads for a column of type %s the literal %j as %j", (type, literal, expected) => {
    expect(parse(type, literal)).toEqual(expected);
  });

  it("refuses half of a character, which the database would change", () => {
    const half = String.fromCharCode(0xd83d);
    expect(parse("text", `half ${half}`)).toBe(PLAIN);
    expect(parse("json", JSON.stringify("x").replace("x", half))).toBe(JSON_TEXT);
  });

  it.each(COLUMN_TYPES)("reads null for a column of type %s", (type) => {
    expect(parse(type, null)).toBeNull();
  });
});

describe("holdsMaskingToken", () => {
  it.each([TOKEN, `mail to ${TOKEN}, please`, TOKEN.toUpperCase(), `x${TOKEN}y`, `{"email":"${TOKEN}"}`])(
    "finds one in %s",
    (text) => {
      expect(holdsMaskingToken(text)).toBe(true);
    },
  );

  it.each([
    "tok_",
    "tok_abc",
    "tok_abcdefghij23456",
    "tok-abcdefghij234567",
    "tok_abcdefghij01890!",
    7,
    null,
    true,
    undefined,
  ])("finds none in %s", (value) => {
    expect(holdsMaskingToken(value)).toBe(false);
  });
});

/** The problem of a literal under a schema. */
function check(type: ColumnType, schema: Partial<ValueSchema>, literal: unknown): string | undefined {
  const value = parseChangeLiteral(columnOf(type), literal, "values.c");
  return findValueProblem(columnOf(type), value, { maxLength: 2000, nullable: false, ...schema });
}

describe("findValueProblem", () => {
  it.each<[ColumnType, Partial<ValueSchema>, unknown, string | undefined]>([
    ["text", {}, null, "cannot be null."],
    ["text", { nullable: true, oneOf: ["open"] }, null, undefined],
    ["text", { oneOf: ["open", "done"] }, "open", undefined],
    ["text", { oneOf: ["open", "done"] }, "Open", 'must be one of "open", "done".'],
    ["text", { oneOf: ["open"] }, "open ", 'must be one of "open".'],
    ["text", { maxLength: 3 }, "🚢🚢🚢", undefined],
    ["text", { maxLength: 3 }, "four", "has more than 3 characters."],
    ["integer", { oneOf: [1, 2] }, "2", undefined],
    ["integer", { oneOf: [1, 2] }, 3, "must be one of 1, 2."],
    ["integer", { oneOf: ["9007199254740993"] }, "9007199254740993", undefined],
    ["integer", { oneOf: ["9007199254740993"] }, "9007199254740992", 'must be one of "9007199254740993".'],
    ["integer", { min: 0 }, 0, undefined],
    ["integer", { min: 0 }, -1, "must be at least 0."],
    ["integer", { min: 0 }, "-9007199254740993", "must be at least 0."],
    ["integer", { max: 100 }, "9007199254740993", "must be at most 100."],
    ["integer", { max: 9007199254740991 }, "9007199254740992", "must be at most 9007199254740991."],
    ["integer", { max: "9007199254740993" }, "9007199254740993", undefined],
    ["integer", { max: "9007199254740993" }, "9007199254740994", "must be at most 9007199254740993."],
    ["integer", { min: "9007199254740993" }, "9007199254740992", "must be at least 9007199254740993."],
    ["real", { oneOf: [1] }, "1.0", undefined],
    ["real", { min: 0.5, max: 1 }, 0.75, undefined],
    ["real", { min: 0.5 }, 0.4999, "must be at least 0.5."],
    ["real", { max: 1 }, "1e300", "must be at most 1."],
    ["boolean", { oneOf: [true] }, 1, undefined],
    ["boolean", { oneOf: [true] }, false, "must be one of true."],
    ["date", { min: "2026-01-01", max: "2026-12-31" }, "2026-12-31", undefined],
    ["date", { min: "2026-01-01" }, "2025-12-31", "must be at least 2026-01-01."],
    ["date", { max: "2026-12-31" }, "2027-01-01", "must be at most 2026-12-31."],
    ["datetime", { max: "2026-12-31" }, "2026-12-31T23:59:59Z", undefined],
    ["datetime", { max: "2026-12-31" }, "2026-12-31T23:30:00-05:00", "must be at most 2026-12-31."],
    ["datetime", { min: "2026-12-31" }, "2026-12-31T00:30:00+02:00", "must be at least 2026-12-31."],
    ["datetime", { max: "2026-06-30T12:00:00Z" }, "2026-06-30 12:00:00", undefined],
    ["datetime", { max: "2026-06-30T12:00:00Z" }, "2026-06-30 23:00:00", "must be at most 2026-06-30T12:00:00Z."],
    ["datetime", { min: "2026-06-30 12:00:00Z" }, "2026-06-30T11:00:00Z", "must be at least 2026-06-30 12:00:00Z."],
    ["datetime", { max: "2026-06-30T12:00:00Z" }, "2026-06-30T12:00:00.001Z", "must be at most 2026-06-30T12:00:00Z."],
  ])("says of type %s, %j and %j: %s", (type, schema, literal, expected) => {
    expect(check(type, schema, literal)).toBe(expected);
  });
});
