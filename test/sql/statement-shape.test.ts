// Which statements have the same shape: those that a user could write instead of a refused statement without changing what it does.
import { describe, expect, it } from "vitest";
import { normalizeStatement } from "../../src/sql/statement-shape.ts";
import { MAX_SQL_BYTES } from "../../src/sql/statement.ts";

const REFUSED = "SELECT a.id FROM orders a, orders b WHERE a.total_cents > 5 AND b.status IN ('open', 'paid') LIMIT 10";

describe("normalizeStatement", () => {
  it.each([
    ["spaces and line feeds", REFUSED.replaceAll(" ", "\n \t")],
    ["comments", `/* again */ ${REFUSED.replace("FROM", "-- x\nFROM")} -- end`],
    ["semicolons at the end", `${REFUSED} ; ;`],
    ["letter case", REFUSED.toUpperCase().replaceAll("'OPEN', 'PAID'", "'open', 'paid'")],
    ["quotes around names", REFUSED.replaceAll("orders", '"orders"').replaceAll("a.id", "[a].`id`")],
    ["numbers", REFUSED.replace("5", "0x7f").replace("10", "99.5e3")],
    ["texts", REFUSED.replace("'open'", "'it''s'")],
    ["parameters for values", REFUSED.replace("5", "?").replace("'open'", "?")],
    ["numbers of values in a list", REFUSED.replace("'paid'", "'paid', 'shipped', x'00', 7")],
  ])("gives the same shape to a statement with different %s", (_difference, sql) => {
    expect(normalizeStatement(sql)).toBe(normalizeStatement(REFUSED));
  });

  it.each([
    ["table", REFUSED.replace("orders b", "customers b")],
    ["condition", REFUSED.replace(" LIMIT", " AND a.id = b.id LIMIT")],
    ["operator", REFUSED.replace(">", "<")],
  ])("gives another shape to a statement with another %s", (_difference, sql) => {
    expect(normalizeStatement(sql)).not.toBe(normalizeStatement(REFUSED));
  });

  it("distinguishes a quoted name with a space from two words", () => {
    expect(normalizeStatement('SELECT "a b"')).not.toBe(normalizeStatement("SELECT a b"));
  });

  it.each([
    ["unterminated", "SELECT 'a"],
    ["with a control character", "SELECT 1\u0007"],
    ["too long", `SELECT ${"1".repeat(MAX_SQL_BYTES)}`],
  ])("returns undefined for text that no database sees: %s", (_case, sql) => {
    expect(normalizeStatement(sql)).toBeUndefined();
  });
});
