// The message about a column that does not exist lists the columns that could be meant there, and none that the user may not read.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { createReader } from "../support/governed.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";

const config = buildPolicy({
  tables: {
    invoices: { id: key(NUMBER), buyer: TEXT, cents: NUMBER },
    contacts: { email: TEXT, city: TEXT, secret: TEXT },
    "order lines": { "first name": TEXT, order: NUMBER, plain: TEXT },
  },
  roles: {
    reader: [allow("shop.invoices"), allow("shop.contacts", { hidden: ["secret"] }), allow("shop.order lines")],
  },
});
const { outcome } = createReader(config);

beforeAll(async () => {
  await env.SHOP_DB.exec("CREATE TABLE invoices (id INTEGER PRIMARY KEY, buyer TEXT, cents INTEGER)");
  await env.SHOP_DB.exec('CREATE TABLE "order lines" ("first name" TEXT, "order" INTEGER, plain TEXT)');
  await env.SHOP_DB.exec("CREATE TABLE contacts (email TEXT, city TEXT, secret TEXT)");
});

const SPENDING = "WITH spending AS (SELECT buyer, sum(cents) AS total FROM invoices GROUP BY buyer)";

describe("the message about a missing column", () => {
  it.each<[string, string]>([
    ["SELECT cent FROM invoices", "id, buyer, cents"],
    ["SELECT cents FROM contacts", "email, city"],
    [`${SPENDING} SELECT cents FROM spending`, "buyer, total"],
    [`${SPENDING} SELECT buyer FROM spending WHERE cents > 5`, "buyer, total"],
    [`${SPENDING} SELECT buyer FROM spending ORDER BY cents`, "buyer, total"],
    [`${SPENDING} SELECT spending.cents FROM spending`, "buyer, total"],
    [`${SPENDING} SELECT s.cents FROM spending AS s JOIN contacts p ON p.email = s.buyer`, "buyer, total"],
    [`${SPENDING} SELECT cents FROM spending JOIN contacts ON email = buyer`, "buyer, total, email, city"],
    [`${SPENDING} SELECT buyer AS who FROM spending GROUP BY wo`, "buyer, total, who"],
    [`${SPENDING}, top AS (SELECT * FROM spending ORDER BY total LIMIT 5) SELECT cents FROM top`, "buyer, total"],
    [`${SPENDING}, t AS (SELECT s.*, p.city c FROM spending s, contacts p) SELECT cents FROM t`, "buyer, total, c"],
    ["WITH spending(who, much) AS (SELECT buyer, cents FROM invoices) SELECT cents FROM spending", "who, much"],
    ["WITH bands(name, low) AS (VALUES ('a', 1)) SELECT high FROM bands, contacts", "name, low, email, city"],
    ["WITH days(day) AS (SELECT 1 UNION ALL SELECT day + 1 FROM days WHERE day < 9) SELECT d FROM days", "day"],
    ["WITH Spending AS (SELECT buyer AS Buyer FROM invoices) SELECT cents FROM SPENDING", "Buyer"],
    ["WITH invoices AS (SELECT email FROM contacts) SELECT cents FROM invoices", "email"],
    ["WITH s AS (SELECT cnts FROM invoices) SELECT cnts FROM s", "id, buyer, cents"],
    ["SELECT cents FROM (SELECT buyer, count(*) AS n FROM invoices GROUP BY buyer)", "buyer, n"],
    ["SELECT x.cents FROM (SELECT buyer b FROM invoices) x, contacts", "b"],
    ["SELECT (SELECT cnts FROM contacts LIMIT 1) FROM invoices", "email, city, id, buyer, cents"],
    ["SELECT 1 FROM contacts WHERE EXISTS (SELECT 1 FROM invoices o WHERE o.email = city)", "id, buyer, cents"],
    ["SELECT city FROM contacts UNION SELECT city FROM invoices", "id, buyer, cents"],
    ["SELECT valu FROM json_each('[1]')", "key, value, type, atom, id, parent, fullkey, path"],
    ['SELECT "x", total FROM contacts', "email, city"],
  ])("lists what %s can read: %s", async (sql, columns) => {
    expect(await outcome("reader", sql)).toMatch(
      new RegExp(`^query_failed: There is no column .* Columns: ${columns}\\.`),
    );
  });

  it.each([
    [`${SPENDING} SELECT totl FROM spending`, "total"],
    [`${SPENDING} SELECT buyer, total AS revenue FROM spending ORDER BY revenu`, "revenue"],
    ["WITH s(amount) AS (SELECT cents FROM invoices) SELECT amont FROM s", "amount"],
  ])("suggests the name of a WITH query's column for %s", async (sql, name) => {
    expect(await outcome("reader", sql)).toContain(`Did you mean ${name}?`);
  });

  it.each([
    ['SELECT ordr FROM "order lines"', 'Did you mean "order"?'],
    ['SELECT "first name", plin FROM "order lines"', 'Columns: "first name", "order", plain.'],
    ['SELECT l.first_name FROM "order lines" l', 'Did you mean l."first name"?'],
    ['SELECT "order lines".ordr FROM "order lines"', 'Did you mean "order lines"."order"?'],
    ["SELECT 1 FROM orderlines", 'Did you mean "order lines"?'],
  ])("writes the names as SQL can use them for %s", async (sql, expected) => {
    expect(await outcome("reader", sql)).toContain(expected);
  });

  it.each([
    ["SELECT json_extract('{}', 'overloaded')", "an invalid path"],
    ["SELECT json_extract('{}', 'query timed out')", "an invalid path"],
    ["SELECT overloaded FROM invoices", "There is no column overloaded"],
    ["SELECT json_extract('{}', 'Network connection lost. reset because')", "an invalid path"],
  ])("takes no word of the user's for a failure of the database: %s", async (sql, expected) => {
    expect(await outcome("reader", sql)).toMatch(new RegExp(`^query_failed: .*${expected}`));
  });

  it("lists no column for a source without names", async () => {
    expect(await outcome("reader", "SELECT total FROM (SELECT 1 + 1 FROM invoices)")).not.toContain("Columns:");
  });

  it.each([
    "SELECT secret FROM contacts",
    "WITH p AS (SELECT * FROM contacts) SELECT secret FROM p",
    "WITH p AS (SELECT * FROM contacts) SELECT x FROM p",
    "SELECT (SELECT x FROM invoices) FROM contacts",
  ])("does not list a hidden column for %s", async (sql) => {
    const refusal = await outcome("reader", sql);
    expect(refusal).toMatch(/^query_failed: There is no column .* Columns: /);
    expect(refusal.replace("no column secret", "")).not.toContain("secret");
  });

  it("answers at once for WITH queries that read each other many times", async () => {
    const queries = Array.from({ length: 40 }, (_value, at) => `w${at + 1} AS (SELECT * FROM w${at})`);
    const sql = `WITH w0 AS (SELECT buyer FROM invoices), ${queries.join(", ")} SELECT cents FROM w40`;
    expect(await outcome("reader", sql)).toContain("Columns: buyer.");
  });
});
