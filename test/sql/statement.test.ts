// Layer 1 refuses everything that could be more than one SELECT, and says how to fix it.
import { describe, expect, it } from "vitest";
import { AppError } from "../../src/errors.ts";
import { MAX_SQL_BYTES, parseStatement } from "../../src/sql/statement.ts";

function readRefusal(sql: string): string {
  try {
    parseStatement(sql);
    return "accepted";
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    expect(error.code).toBe("query_refused");
    return error.publicMessage;
  }
}

describe("parseStatement: statements that layer 1 refuses", () => {
  it.each([
    ["an empty text", "", "must be one statement that begins"],
    ["only a comment", "-- hello", "must be one statement that begins"],
    ["a write", "DELETE FROM customers", "must be one statement that begins"],
    ["a write behind a comment", "/* SELECT */ DELETE FROM customers", "must be one statement that begins"],
    ["EXPLAIN", "EXPLAIN SELECT 1", "must be one statement that begins"],
    ["PRAGMA", "PRAGMA table_info(customers)", "must be one statement that begins"],
    ["ATTACH", "ATTACH 'x' AS y", "must be one statement that begins"],
    ["stacked statements", "SELECT 1; DELETE FROM customers", "more text after a semicolon"],
    ["a statement behind an empty one", "SELECT 1;; SELECT 2", "more text after a semicolon"],
    ["a semicolon in the middle", "SELECT (1; )", "more text after a semicolon"],
    ["only a semicolon", ";", "must be one statement that begins"],
    ["an unterminated comment behind a semicolon", "SELECT 1; /* x", "more text after a semicolon"],
    ["an escape from the wrapping", "SELECT 1) UNION SELECT * FROM (SELECT 2", "that was not opened"],
    ["an open parenthesis", "SELECT (1", "leaves 1 parenthesis open"],
    ["an unterminated string", "SELECT 'a", "unterminated"],
    ["an unterminated comment", "SELECT 1 /* ) x", "unterminated"],
    ["an unterminated identifier", 'SELECT "a', "unterminated"],
    ["a NUL character", "SELECT 1\u0000", "control character"],
    ["a control character", "SELECT \u0001", "control character"],
    ["a byte order mark", "\ufeffSELECT 1", "control character"],
    ["a vertical tab", "SELECT\u000b1", "control character"],
    ["half of a surrogate pair", "SELECT '\ud800'", "half of a Unicode character"],
    ["more than the allowed bytes", `SELECT '${"ä".repeat(MAX_SQL_BYTES / 2)}'`, "longer than"],
    ["a named parameter", "SELECT :a", "plain ?"],
    ["a numbered parameter", "SELECT ?1", "plain ?"],
    ["the schema main", "SELECT * FROM main.customers", "names the schema main"],
    ["the schema main in quotes", 'SELECT * FROM "MAIN" . customers', "names the schema MAIN"],
    ["the schema main as a string", "SELECT * FROM 'main'.customers", "names the schema main"],
    ["the schema temp", "SELECT * FROM temp.x", "names the schema temp"],
    ["a three-part name", "SELECT main1.customers.id FROM customers", "three parts"],
    ["sqlite_schema", "SELECT * FROM sqlite_schema", "begins with sqlite_"],
    ["sqlite_schema in brackets", "SELECT * FROM [SQLite_Schema]", "begins with sqlite_"],
    ["sqlite_schema as a string", "SELECT * FROM 'sqlite_master'", "begins with sqlite_"],
    ["a pragma function", "SELECT * FROM pragma_table_info('customers')", "begins with pragma_"],
    ["a pragma function as a string", "SELECT o.* FROM 'pragma_optimize' o", "begins with pragma_"],
    ["internal tables of D1", "SELECT * FROM _cf_KV", "begins with _cf_"],
    ["tables of Gatehouse", "SELECT * FROM `_gatehouse_masking_token`", "begins with _gatehouse"],
    ["internal functions of FTS5", "SELECT fts5(1)", "begins with fts5"],
  ])("refuses %s", (_case, sql, expected) => {
    expect(readRefusal(sql)).toContain(expected);
  });
});

describe("parseStatement: statements that layer 1 accepts", () => {
  it.each(["SELECT 1;", "SELECT 1 ; ;", "SELECT 1; -- done", "SELECT 1;\n/* done; */\n"])(
    "accepts and drops the semicolon at the end of %j",
    (sql) => {
      expect(parseStatement(sql).text.trim()).toBe("SELECT 1");
    },
  );

  it.each([
    "SELECT 1",
    "  select * from customers",
    "WITH a AS (SELECT 1) SELECT * FROM a",
    "VALUES (1), (2)",
    "-- a comment\nSELECT 1 -- another",
    "SELECT 'a;b)', \"c(\", [d;]",
    "SELECT count(*) FROM orders WHERE total_cents > ? AND status = ?",
    "SELECT c.name FROM customers c",
  ])("accepts %s", (sql) => {
    expect(readRefusal(sql)).toBe("accepted");
  });

  it("finds parameters and folds names", () => {
    const statement = parseStatement("SELECT \"Name\", '?' FROM Customers WHERE x = ? AND y = ?");
    expect(statement.parameterOffsets.map((offset) => statement.text[offset])).toEqual(["?", "?"]);
    expect([...statement.names]).toContainEqual(["customers", "Customers"]);
    expect(statement.names.has("name")).toBe(true);
  });
});
