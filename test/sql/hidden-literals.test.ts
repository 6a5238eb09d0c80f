// SQL in audit records has no values in it.
import { describe, expect, it } from "vitest";
import { hideLiterals } from "../../src/sql/hidden-literals.ts";

const NAMES = new Set(["customers", "full name"]);
const hide = (sql: string): string => hideLiterals(sql, (name) => NAMES.has(name));

describe("hideLiterals", () => {
  it.each([
    ["text", "SELECT id FROM customers WHERE name = 'Ann''s'", "SELECT id FROM customers WHERE name = ?"],
    ["numbers and bytes", "SELECT 17, 1.5e3, 0xFF, x'0a' LIMIT 5", "SELECT ?, ?, ?, ? LIMIT ?"],
    [
      "text in double quotes",
      'SELECT * FROM "customers" WHERE name = "Ann Smith"',
      'SELECT * FROM "customers" WHERE name = ?',
    ],
    ["comments", "SELECT 1 /* about Ann */ -- ann@x.example", "SELECT ?    "],
    ["text without an end", "SELECT * FROM customers WHERE name = 'Ann", "SELECT * FROM customers WHERE name = ?"],
    ["text without a meaning", "SELECT \u0000 Ann", "SELECT ?"],
  ])("replaces %s", (_what, sql, hidden) => {
    expect(hide(sql)).toBe(hidden);
  });

  it("keeps names, parameters and layout", () => {
    const sql = 'SELECT "Full Name", [customers].id\n  FROM customers\n WHERE id = ? AND region = :region';
    expect(hide(sql)).toBe(sql);
  });
});
