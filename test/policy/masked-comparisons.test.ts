// Compares masked dates and numbers in SQL, through the governed read on a real D1: counts that were wrong without an error when a year was a
// number and a range was text.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { mask } from "../../src/config/define-gatehouse.ts";
import { createReader } from "../support/governed.ts";
import { DATETIME, NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";

describe("a table of employees", () => {
  const employees = buildPolicy({
    tables: { employees: { id: key(NUMBER), region: TEXT, BirthDate: DATETIME, Age: NUMBER, Pay: NUMBER } },
    roles: {
      masked: [
        allow("shop.employees", { masks: { BirthDate: mask.year, Age: mask.bucket(10), Pay: mask.round(100) } }),
      ],
      north: [allow("shop.employees", { rows: { column: "region", op: "=", value: "north" } })],
      redacted: [allow("shop.employees", { masks: { Age: mask.redact } })],
    },
    members: { masked: ["masked"], mixed: ["masked", "north"], disagreeing: ["redacted", "north"] },
  });
  const { outcome } = createReader(employees);
  const BIRTH_DATES = [
    "1962-02-18",
    "1958-12-08",
    "1973-08-29",
    "1947-09-19",
    "1965-03-03",
    "1973-07-01",
    "1970-05-29",
    "1968-01-09",
  ];

  beforeAll(async () => {
    const insert = env.SHOP_DB.prepare("INSERT INTO employees VALUES (?, ?, ?, ?, ?)");
    await env.SHOP_DB.batch([
      env.SHOP_DB.prepare(
        "CREATE TABLE employees (id INTEGER PRIMARY KEY, region TEXT COLLATE NOCASE, BirthDate DATETIME, Age INTEGER, Pay INTEGER)",
      ),
      ...BIRTH_DATES.map((date, index) =>
        insert.bind(
          index,
          index % 2 === 0 ? "north" : "south",
          `${date} 00:00:00`,
          2026 - Number(date.slice(0, 4)),
          1000 + index,
        ),
      ),
      insert.bind(8, "north", null, "unknown", null),
    ]);
  });

  it.each([
    ["masked", "SELECT count(*) FROM employees WHERE BirthDate < '1970-01-01'", [], [[5]]],
    ["mixed", "SELECT count(*) FROM employees WHERE BirthDate < '1970-01-01'", [], [[5]]],
    ["masked", "SELECT strftime('%Y', BirthDate) FROM employees WHERE id = 0", [], [["1962"]]],
    ["masked", "SELECT BirthDate FROM employees WHERE id = 0", [], [["1962-01-01 00:00:00"]]],
    ["masked", "SELECT count(*) FROM employees WHERE Age > 65", [], [[1]]],
    ["masked", "SELECT count(*) FROM employees WHERE Age > '65'", [], [[1]]],
    ["masked", "SELECT count(*) FROM employees WHERE Age > ?", ["65"], [[1]]],
    ["mixed", "SELECT count(*) FROM employees WHERE Age > 65", [], [[1]]],
    ["mixed", "SELECT count(*) FROM employees WHERE Age > ?", ["65"], [[1]]],
    [
      "mixed",
      "SELECT Age, typeof(Age) FROM employees WHERE id IN (0, 1, 8) ORDER BY id",
      [],
      [
        [64, "integer"],
        [60, "integer"],
        [null, "null"],
      ],
    ],
    [
      "disagreeing",
      "SELECT Age FROM employees WHERE id IN (0, 1, 8) ORDER BY id",
      [],
      [[64], ["[redacted]"], ["unknown"]],
    ],
    ["masked", "SELECT Pay + 1 FROM employees WHERE id = 0", [], [[1001]]],
    ["masked", "SELECT region FROM employees WHERE region = 'NORTH' AND id = 0", [], [["north"]]],
  ] as const)("answers %s: %s %j", async (account, sql, values, expected) => {
    expect(await outcome(account, sql, values)).toBe(JSON.stringify(expected));
  });
});
