// Which columns a statement compares, sorts by or computes with: those need a note in the answer if they are masked.
import { describe, expect, it } from "vitest";
import { listComputedColumns } from "../../src/sql/column-uses.ts";
import { parseStatement } from "../../src/sql/statement.ts";

const COLUMNS = ["email", "Birth_Date", "age"];
const list = (sql: string) => listComputedColumns(parseStatement(sql), COLUMNS);

describe("a statement uses no column that it only shows", () => {
  it.each([
    "SELECT email FROM customers",
    "SELECT email, birth_date, age FROM customers WHERE region = 'north' ORDER BY name LIMIT 5",
    "SELECT c.email AS mail FROM customers c WHERE c.region = 'north'",
    'SELECT c."email" mail, customers.[age] FROM customers c',
    "SELECT * FROM customers LIMIT 5",
    "SELECT * FROM customers LIMIT 5, 10",
    "SELECT c.*, o.id FROM customers c JOIN orders o ON o.customer_id = c.id ORDER BY o.id",
    "SELECT ALL email FROM customers",
    "SELECT name AS email FROM customers",
    "SELECT id, email FROM customers ORDER BY 1",
    "SELECT id, email FROM customers ORDER BY +1, id + 2, name COLLATE NOCASE, name = '2'",
    "SELECT id, email FROM customers GROUP BY 1 HAVING count(*) > 2 LIMIT 2, 2",
    "SELECT email, total / 2 FROM customers ORDER BY id * 1",
    "SELECT email FROM customers ORDER BY substr(name, 1, 2)",
    "SELECT count(*) FROM customers",
    "SELECT count(*) FROM customers WHERE name = 'email'",
    "VALUES (1)",
  ])("finds no use of a column in %s", (sql) => {
    expect(list(sql)).toEqual([]);
  });
});

describe("a statement uses the column", () => {
  it.each([
    ["SELECT name FROM customers WHERE email = 'x'", ["email"]],
    ["SELECT name FROM customers WHERE EMAIL = 'x'", ["email"]],
    ["SELECT name FROM customers WHERE birth_date < '1970-01-01' AND age > 65", ["Birth_Date", "age"]],
    ["SELECT email FROM customers ORDER BY email", ["email"]],
    ["SELECT email FROM customers ORDER BY 1", ["email"]],
    ["SELECT id, email FROM customers ORDER BY id, (2) DESC", ["email"]],
    ["SELECT id, email FROM customers GROUP BY 2", ["email"]],
    ["SELECT id, email FROM customers ORDER BY +2", ["email"]],
    ["SELECT id, email FROM customers ORDER BY id, -(-2) DESC NULLS LAST", ["email"]],
    ["SELECT id, email FROM customers ORDER BY (+2)", ["email"]],
    ["SELECT id, email FROM customers ORDER BY 2 COLLATE NOCASE", ["email"]],
    ["SELECT id, email FROM customers ORDER BY (+2 COLLATE 'NOCASE')", ["email"]],
    ["SELECT id, email FROM customers ORDER BY 0x2", ["email"]],
    ["SELECT id, email FROM customers ORDER BY 1 + 1", ["email"]],
    ["SELECT id, email FROM customers ORDER BY (SELECT 1 LIMIT 1), 2", ["email"]],
    ["SELECT id, email FROM customers ORDER BY window, 2", ["email"]],
    ["SELECT email, count(*) FROM customers GROUP BY +1", ["email"]],
    ["SELECT email, count(*) FROM customers GROUP BY - -1 HAVING count(*) > 1", ["email"]],
    ["SELECT email, sum(1) OVER w FROM customers GROUP BY +1 WINDOW w AS (PARTITION BY id)", ["email"]],
    ["SELECT * FROM customers ORDER BY +2", COLUMNS],
    ["SELECT email AS mail FROM customers ORDER BY mail", ["email"]],
    ['SELECT email mail FROM customers GROUP BY "Mail"', ["email"]],
    ["SELECT email AS age FROM customers ORDER BY age", ["email", "age"]],
    ["SELECT name AS email FROM customers ORDER BY email", ["email"]],
    ["SELECT age + 1 FROM customers", ["age"]],
    ["SELECT -age FROM customers", ["age"]],
    ["SELECT age COLLATE NOCASE FROM customers", ["age"]],
    ["SELECT (age) FROM customers", ["age"]],
    ["SELECT max(age), email FROM customers", ["age"]],
    ["SELECT count(DISTINCT email) FROM customers", ["email"]],
    ["SELECT age, row_number() OVER (ORDER BY age) FROM customers", ["age"]],
    ["SELECT sum(1) OVER w FROM customers WINDOW w AS (ORDER BY age)", ["age"]],
    ["SELECT DISTINCT email FROM customers", ["email"]],
    ["SELECT region FROM customers GROUP BY region HAVING max(age) > 3", ["age"]],
    ["SELECT c.id FROM customers c JOIN leads l ON l.email = c.email", ["email"]],
    ["SELECT c.id FROM customers c JOIN leads l USING (email)", ["email"]],
    ["SELECT c.id FROM customers c JOIN leads l USING ('email')", ["email"]],
    ["SELECT id FROM customers c WHERE c.'age' > 3", ["age"]],
    ["SELECT email FROM customers UNION SELECT email FROM leads", ["email"]],
    ["SELECT email FROM customers EXCEPT SELECT name FROM leads", ["email"]],
    ["SELECT e FROM (SELECT email AS e FROM customers)", ["email"]],
    ["SELECT (SELECT max(age) FROM customers)", ["age"]],
    ["WITH x AS (SELECT email FROM customers) SELECT * FROM x", COLUMNS],
    ["WITH x AS (SELECT email AS e FROM customers) SELECT count(e) FROM x", ["email"]],
    ["WITH x(a, b) AS (SELECT id, email FROM customers) SELECT a, b FROM x", ["email"]],
    ["WITH x(a, b, c) AS (SELECT * FROM customers) SELECT a FROM x ORDER BY b", COLUMNS],
    ["SELECT DISTINCT * FROM customers", COLUMNS],
    ["SELECT * FROM customers ORDER BY 2", COLUMNS],
    ["SELECT * FROM customers UNION SELECT * FROM leads", COLUMNS],
    ["SELECT * FROM customers ORDER BY age", ["age"]],
    ["SELECT id FROM customers NATURAL JOIN leads", COLUMNS],
    ["SELECT count(*) FROM (SELECT DISTINCT * FROM customers)", COLUMNS],
    ["SELECT * FROM (SELECT c.* FROM customers c) ORDER BY 1", COLUMNS],
    ["SELECT id FROM customers WHERE EXISTS (SELECT * FROM leads)", COLUMNS],
    ["VALUES ((SELECT max(age) FROM customers))", ["age"]],
  ])("finds the columns that are used in %s", (sql, expected) => {
    expect(list(sql)).toEqual(expected);
  });
});
