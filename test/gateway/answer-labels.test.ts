// What an answer says of its rows: it names the restricted tables, rules, masked and untrusted columns that the statement reads, and no others.
import { beforeAll, describe, expect, it } from "vitest";
import { mask } from "../../src/config/define-gatehouse.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { DATE, NUMBER, TEXT, allow, buildPolicy } from "../support/policy-builder.ts";
import { seedShop } from "../support/seed.ts";

const config = buildPolicy({
  tables: {
    customers: {
      id: NUMBER,
      name: TEXT,
      email: TEXT,
      region: TEXT,
      birth_date: DATE,
      notes: { ...TEXT, untrusted: true },
    },
    products: { id: NUMBER, sku: TEXT, name: TEXT },
    orders: { id: NUMBER, customer_id: NUMBER, status: TEXT, total_cents: NUMBER },
    tickets: { id: NUMBER, customer_id: NUMBER, body: { ...TEXT, untrusted: true }, opened_at: TEXT },
  },
  roles: {
    reader: [
      allow("shop.customers", {
        rows: { column: "region", op: "=", value: "north" },
        masks: { email: mask.email, birth_date: mask.year },
      }),
      allow(["shop.products", "shop.tickets"]),
      allow("shop.orders", { rows: { column: "id", op: "<", value: 3 }, masks: { total_cents: mask.null } }),
    ],
  },
});

const CUSTOMERS = { restricted: ["shop.customers"], rules: ["reader/allow/read/shop.customers"] };
const PRODUCTS = { rules: ["reader/allow/read/shop.products"] };
const EMAIL = "shop.customers.email:email";
const BIRTH_DATE = "shop.customers.birth_date:year";
const NOTES = "shop.customers.notes";

beforeAll(seedShop);

const caller = callerAs("reader@harbor.example");

async function labelsOf(sql: string, source = "shop") {
  const answer = await gatewayFor(config).query(caller, {
    target: { source, sql },
    params: [],
    rowLimit: undefined,
  });
  const { restricted, rules, masked, untrusted, inexact, result } = answer;
  const present = { restricted, rules, masked, untrusted };
  return {
    result,
    inexact,
    rows: answer.rows,
    labels: Object.fromEntries(Object.entries(present).filter(([, value]) => value !== undefined)),
  };
}

describe("an answer names what the statement reads", () => {
  it.each([
    // Names that are no tables: aliases, strings, keywords, CTEs of the user, names of columns.
    ["SELECT count(*) AS customers FROM products", PRODUCTS],
    ["SELECT 'customers', count(*) FROM products", PRODUCTS],
    ["SELECT id AS orders FROM products ORDER BY orders", PRODUCTS],
    ["SELECT customers.id FROM products AS customers", PRODUCTS],
    ["WITH customers AS (SELECT 1 AS email) SELECT email FROM customers", { rules: [] }],
    ["WITH customers AS (SELECT name AS email FROM products) SELECT count(*) FROM customers", PRODUCTS],
    ["SELECT 1", { rules: [] }],
    ["SELECT name FROM products /* customers email */ -- orders", PRODUCTS],
    // Columns.
    ["SELECT count(*) FROM customers", CUSTOMERS],
    ["SELECT name FROM customers ORDER BY id", CUSTOMERS],
    ["SELECT name AS email FROM customers", CUSTOMERS],
    ["SELECT name FROM customers WHERE name <> 'email'", CUSTOMERS],
    ["SELECT name FROM customers WHERE EMAIL LIKE 'n%'", { ...CUSTOMERS, masked: [EMAIL] }],
    ["SELECT * FROM customers", { ...CUSTOMERS, masked: [EMAIL, BIRTH_DATE], untrusted: [NOTES] }],
    ["SELECT name FROM (SELECT * FROM customers)", { ...CUSTOMERS, masked: [EMAIL, BIRTH_DATE], untrusted: [NOTES] }],
    ["SELECT count(*) FROM customers GROUP BY notes", { ...CUSTOMERS, untrusted: [NOTES] }],
    [
      'SELECT (SELECT max("email") FROM customers) FROM products',
      {
        restricted: ["shop.customers"],
        rules: ["reader/allow/read/shop.customers", "reader/allow/read/shop.products"],
        masked: [EMAIL],
      },
    ],
    [
      "SELECT p.name FROM products p WHERE EXISTS (SELECT 1 FROM customers c WHERE c.id = p.id)",
      {
        restricted: ["shop.customers"],
        rules: ["reader/allow/read/shop.customers", "reader/allow/read/shop.products"],
      },
    ],
    // `name` is a column of both tables, and only that of products is read; `email` is masked in customers only.
    [
      "SELECT p.name, c.id FROM products p JOIN customers c ON c.id = p.id",
      {
        restricted: ["shop.customers"],
        rules: ["reader/allow/read/shop.customers", "reader/allow/read/shop.products"],
      },
    ],
    // SQLite does not report the columns that USING and NATURAL compare.
    [
      "SELECT count(*) FROM customers JOIN (SELECT 'n…@north.example' AS email) USING (email)",
      { ...CUSTOMERS, masked: [EMAIL] },
    ],
    ["SELECT count(*) FROM customers a FULL JOIN customers b USING (notes)", { ...CUSTOMERS, untrusted: [NOTES] }],
    [
      "SELECT count(*) FROM customers a NATURAL JOIN customers b",
      { ...CUSTOMERS, masked: [EMAIL, BIRTH_DATE], untrusted: [NOTES] },
    ],
  ])("with the labels of %s", async (sql, expected) => {
    const { labels } = await labelsOf(sql);
    const sorted = { ...labels, rules: (labels["rules"] ?? []).toSorted() };
    expect(sorted).toEqual(expected);
  });

  it("names what a statement over stored results reads, from the columns that it uses", async () => {
    const { result } = await labelsOf("SELECT id, email, upper(email) AS copy, notes FROM customers");
    const [first, second] = [
      await labelsOf(`SELECT id FROM ${result}`, "workspace"),
      await labelsOf(`SELECT copy FROM ${result}`, "workspace"),
    ];
    expect(first.labels).toEqual(CUSTOMERS);
    expect(second.labels).toEqual({ ...CUSTOMERS, masked: [EMAIL], untrusted: [NOTES] });
    const third = await labelsOf(`SELECT count(*) AS ${result} FROM ${first.result}`, "workspace");
    expect(third.labels).toEqual(CUSTOMERS);
  });
});

describe("an answer says what masked values make inexact", () => {
  const YEAR = "customers.birth_date is known to the year only, shown as 1 January";

  it.each([
    ["SELECT name, birth_date FROM customers ORDER BY id", undefined],
    ["SELECT * FROM customers LIMIT 1", undefined],
    ["SELECT count(*) FROM customers WHERE birth_date < '1980-03-01'", [YEAR]],
    ["SELECT birth_date AS born FROM customers ORDER BY born", [YEAR]],
    ["SELECT name, birth_date FROM customers ORDER BY 2", [YEAR]],
    ["SELECT DISTINCT birth_date FROM customers", [YEAR]],
    ["SELECT strftime('%m', birth_date) FROM customers", [YEAR]],
    [
      "WITH t(a, b, c, d, e, f) AS (SELECT * FROM customers) SELECT count(*) FROM t WHERE e > '1980-01-01'",
      ["customers.email is cut to its first letter and domain: different addresses can look equal", YEAR],
    ],
    ["SELECT count(*) FROM customers JOIN (SELECT '1980-02-01' AS birth_date) USING (birth_date)", [YEAR]],
    // A string with the name of a column is no column.
    ["SELECT birth_date, 'birth_date' FROM customers WHERE name <> 'birth_date'", undefined],
  ])("in %s", async (sql, expected) => {
    expect((await labelsOf(sql)).inexact?.toSorted()).toEqual(expected?.toSorted());
  });

  it("says how exact masked columns of a stored result are, and of results computed from it", async () => {
    const { result } = await labelsOf("SELECT id, birth_date AS born, count(*) OVER () AS n FROM customers");
    expect((await labelsOf(`SELECT born FROM ${result}`, "workspace")).inexact).toBeUndefined();
    const older = await labelsOf(`SELECT count(*) AS n FROM ${result} WHERE born < '1981-01-01'`, "workspace");
    expect(older).toMatchObject({ rows: [[1]], inexact: [YEAR] });
    expect((await labelsOf(`SELECT n * 2 FROM ${older.result}`, "workspace")).inexact).toEqual([YEAR]);
  });
});
