// Which statements are the same one to a refusal: those that a user could write instead of it without changing what it does.
import { describe, expect, it } from "vitest";
import { shapeOf } from "../../src/sql/shape.ts";
import { MAX_SQL_BYTES } from "../../src/sql/statement.ts";

const REFUSED = "SELECT a.id FROM orders a, orders b WHERE a.total_cents > 5 AND b.status IN ('open', 'paid') LIMIT 10";

describe("the shape of a statement", () => {
  it.each([
    ["spaces and line feeds", REFUSED.replaceAll(" ", "\n \t")],
    ["comments", `/* again */ ${REFUSED.replace("FROM", "-- x\nFROM")} -- end`],
    ["a semicolon at the end", `${REFUSED} ; ;`],
    ["the case of words", REFUSED.toUpperCase().replaceAll("'OPEN', 'PAID'", "'open', 'paid'")],
    ["quotes around names", REFUSED.replaceAll("orders", '"orders"').replaceAll("a.id", "[a].`id`")],
    ["numbers", REFUSED.replace("5", "0x7f").replace("10", "99.5e3")],
    ["texts", REFUSED.replace("'open'", "'it''s'")],
    ["parameters in place of values", REFUSED.replace("5", "?").replace("'open'", "?")],
    ["the length of a list of values", REFUSED.replace("'paid'", "'paid', 'shipped', x'00', 7")],
  ])("is the same with other %s", (_what, sql) => {
    expect(shapeOf(sql)).toBe(shapeOf(REFUSED));
  });

  it.each([
    ["table", REFUSED.replace("orders b", "customers b")],
    ["condition", REFUSED.replace(" LIMIT", " AND a.id = b.id LIMIT")],
    ["operator", REFUSED.replace(">", "<")],
  ])("is another one with another %s", (_what, sql) => {
    expect(shapeOf(sql)).not.toBe(shapeOf(REFUSED));
  });

  it("keeps words apart that would read as one", () => {
    expect(shapeOf('SELECT "a b"')).not.toBe(shapeOf("SELECT a b"));
  });

  it.each([
    ["unterminated", "SELECT 'a"],
    ["with a control character", "SELECT 1\u0007"],
    ["too long", `SELECT ${"1".repeat(MAX_SQL_BYTES)}`],
  ])("does not exist for text that is %s, which no database sees", (_what, sql) => {
    expect(shapeOf(sql)).toBeUndefined();
  });
});
