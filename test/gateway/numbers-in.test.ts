// Numbers that users send arrive at the database with their value and type, or are refused: JSON.parse rounds whole numbers beyond 2^53.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { AppError } from "../../src/errors.ts";
import { createParameters } from "../../src/sql/parameters.ts";
import type { SqlValue } from "../../src/sql/parameters.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { DATE, DATETIME, NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";
import { callTool, tokenOf } from "../support/worker.ts";

const REAL = { type: "real", description: "Number" } as const;
const LARGE = "9007199254740993";
const GREATEST = "9223372036854775807";
const LEAST = "-9223372036854775808";

const gateway = gatewayFor(
  buildPolicy({
    tables: { readings: { id: key(NUMBER), name: TEXT, price: REAL } },
    queries: {
      "by-id": {
        description: "By id",
        source: "shop",
        sql: "SELECT name, typeof(:id), :id, :id + 0 FROM readings WHERE +id = :id",
        params: { id: { ...NUMBER, description: "id" } },
      },
      half: {
        description: "Half",
        source: "shop",
        sql: "SELECT :x / 2, typeof(:x), :x = 5, (SELECT count(*) FROM readings WHERE name = 'greatest' AND :x > 0)",
        params: { x: { ...REAL, description: "x" } },
      },
      both: {
        description: "Equal numbers of two types",
        source: "shop",
        sql: "SELECT :i / 2, :r / 2, typeof(:t), typeof(:i), typeof(:r)",
        params: {
          i: { ...NUMBER, description: "i" },
          r: { ...REAL, description: "r" },
          t: { ...TEXT, description: "t" },
        },
      },
      day: {
        description: "Day",
        source: "shop",
        sql: "SELECT :day, :at",
        params: { day: { ...DATE, description: "day" }, at: { ...DATETIME, description: "at" } },
      },
    },
    roles: { reader: { queries: ["by-id", "half", "both", "day"], rules: [allow("shop.*")] } },
  }),
);
const caller = callerAs("reader@harbor.example");

async function answer(target: { source: string; sql: string } | { saved: string }, params: readonly SqlValue[]) {
  try {
    return (await gateway.query(caller, { target, params, rowLimit: undefined })).rows;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return `${error.code}: ${error.publicMessage}`;
  }
}
const ask = (sql: string, ...params: readonly SqlValue[]) => answer({ source: "shop", sql }, params);
const run = (saved: string, ...params: readonly SqlValue[]) => answer({ saved }, params);

beforeAll(async () => {
  await env.SHOP_DB.exec("CREATE TABLE readings (id BIGINT PRIMARY KEY, name TEXT, price REAL)");
  await env.SHOP_DB.exec(
    `INSERT INTO readings VALUES (${LARGE}, 'large', 2.5), (9007199254740992, 'even', 5), (${GREATEST}, 'greatest', 1e300), (${LEAST}, 'least', 0), (5, 'five', 5)`,
  );
});

describe("a whole number beyond 2^53 in params", () => {
  it.each([2 ** 53, -(2 ** 53), Number(GREATEST), 1e300, 2 ** 53 + 2])(
    "is refused as the JSON number %d",
    async (value) => {
      const refusal = await ask("SELECT name FROM readings WHERE name = ? OR id = ?", "x", value);
      expect(refusal).toMatch(/^invalid_input: params\[1\] is a whole number beyond 2\^53.*Write it as text/);
      expect(refusal).toContain("CAST(? AS INTEGER)");
    },
  );

  it("is refused over the stored results and in a saved query too", async () => {
    await ask("SELECT id FROM readings");
    const refusal = await answer({ source: "workspace", sql: "SELECT * FROM r1 WHERE id = ?" }, [2 ** 53]);
    expect(refusal).toMatch(/^invalid_input: params\[0\].*Write it as text/);
    for (const saved of ["by-id", "half"])
      expect(await run(saved, 2 ** 53)).toMatch(
        /^invalid_input: The value of the parameter (?:id|x) is a whole number beyond 2\^53.*as text/,
      );
  });

  it("is refused by the tool, and so is a number that JSON.parse turns into infinity", async () => {
    const token = await tokenOf("owner");
    for (const params of [[Number(LARGE)], [1, -Number(LARGE)]])
      expect(
        JSON.stringify(
          await callTool(token, "query", { source: "shop", sql: `SELECT ${params.map(() => "?").join()}`, params }),
        ),
      ).toMatch(/invalid_input: params\[[01]\] is a whole number beyond 2\^53/);
    expect(await ask("SELECT ?", Number.POSITIVE_INFINITY)).toMatch(
      /^invalid_input: params\[0\] is a number beyond the range/,
    );
  });

  it("finds its row as text, compared with a column or cast", async () => {
    expect(await ask("SELECT name FROM readings WHERE id = ?", LARGE)).toEqual([["large"]]);
    expect(await ask("SELECT name FROM readings WHERE id + 0 = CAST(? AS INTEGER)", GREATEST)).toEqual([["greatest"]]);
  });
});

describe("a typed number of a custom tool", () => {
  it.each([LARGE, GREATEST, LEAST, "5", "0", "-1"])("binds the digits %s exactly", async (digits) => {
    expect(await ask("SELECT CAST(? AS TEXT)", { kind: "integer", digits })).toEqual([[digits]]);
  });

  it.each([
    "9223372036854775808",
    "-9223372036854775809",
    "abc",
    "",
    " 5",
    "5.0",
    "1e3",
    "007",
    "+1",
    "-0",
    "0x10",
    "٣",
  ])("refuses %j as the digits of an integer, which SQLite would change", async (digits) => {
    const refusal = await ask("SELECT ?, ?", 1, { kind: "integer", digits });
    expect(refusal).toMatch(/^invalid_input: params\[1\] .*whole number of at most 64 bits/);
    expect(refusal).not.toContain("CAST");
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("refuses %d as a real", async (value) => {
    const refusal = await ask("SELECT ?", { kind: "real", value });
    expect(refusal).toMatch(/^invalid_input: params\[0\] .*beyond the range of a double/);
  });

  it("is refused by the statement builder too", () => {
    const parameters = createParameters();
    expect(() => parameters.bind({ kind: "integer", digits: "9223372036854775808" })).toThrow(TypeError);
    expect(() => parameters.bind({ kind: "real", value: Number.NaN })).toThrow(TypeError);
  });
});

it("names the cast to INTEGER only for a whole number, and for comparisons with other things than columns", async () => {
  expect(await ask("SELECT ?", 2 ** 53)).toContain("Compared with a column of numbers, that is enough");
  expect(await ask("SELECT ?", Number.POSITIVE_INFINITY)).not.toContain("CAST");
});

it("binds whole numbers up to 2^53 and other numbers as before", async () => {
  expect(await ask("SELECT typeof(?), typeof(?), typeof(?), ?", 2 ** 53 - 1, -(2 ** 53) + 1, 0.1, 2 ** 53 - 1)).toEqual(
    [["integer", "integer", "real", 2 ** 53 - 1]],
  );
});

describe("an integer parameter of a saved query", () => {
  it.each([
    [LARGE, "large"],
    [GREATEST, "greatest"],
    [LEAST, "least"],
    ["5", "five"],
  ])("takes %s as text and binds it exactly", async (id, name) => {
    const [row] = await run("by-id", id);
    const shown = name === "five" ? 5 : id;
    expect(row).toEqual([name, "integer", shown, shown]);
  });

  it.each([
    "9223372036854775808",
    "-9223372036854775809",
    "99999999999999999999999",
    "5.0",
    "05",
    "+5",
    " 5",
    "5e0",
    "0x5",
    "-0",
    "",
    "five",
  ])("refuses the text %j", async (text) => {
    expect(await run("by-id", text)).toBe(
      `invalid_input: The parameter id takes a whole number of at most 64 bits, not ${JSON.stringify(text)}.`,
    );
  });

  it("refuses a fraction", async () => {
    expect(await run("by-id", 1.5)).toMatch(/^invalid_input: The parameter id takes a whole number/);
  });
});

describe("a real parameter of a saved query", () => {
  it.each<[string | number, number]>([
    [5, 2.5],
    ["5", 2.5],
    ["5.0", 2.5],
    ["-0.5e1", -2.5],
    [0.5, 0.25],
  ])("binds %j as REAL", async (value, half) => {
    const [row] = await run("half", value);
    expect(row?.slice(0, 2)).toEqual([half, "real"]);
  });

  it("takes a large number as text", async () => {
    expect(await run("half", "1e300")).toEqual([[5e299, "real", 0, 1]]);
  });

  it.each(["five", "", "1e400", "0x5", "05", ".5", "5.", "NaN", "Infinity", LARGE])(
    "refuses the text %j",
    async (text) => {
      expect(await run("half", text)).toBe(
        `invalid_input: The parameter x takes a number, or one as text (a whole number beyond 2^53 only if a real can hold it, otherwise with .0), not ${JSON.stringify(text)}.`,
      );
    },
  );

  it("keeps its type beside an integer and a text of the same digits", async () => {
    expect(await run("both", 5, 5, "5")).toEqual([[2, 2.5, "text", "integer", "real"]]);
  });
});

describe("a date parameter of a saved query", () => {
  it.each([
    ["2024-02-29", "2026-05-31 14:00:00"],
    ["2026-12-31", "2026-05-31T14:00:00.123Z"],
    ["0001-01-01", "2026-05-31"],
  ])("takes %s and %s", async (day, at) => {
    expect(await run("day", day, at)).toEqual([[day, at]]);
  });

  it.each([
    ["2026-02-31", "2026-05-31"],
    ["2026-13-01", "2026-05-31"],
    ["2026-05-31", "2026-04-31 10:00:00"],
    ["2026-05-31", "2026-04-30 25:00:00"],
    ["2026-05-31", "2026-04-30 10:61"],
  ])("refuses a day or time that does not exist: %s and %s", async (day, at) => {
    expect(await run("day", day, at)).toMatch(/^invalid_input: The parameter (?:day|at) takes a date/);
  });
});

describe("a row with a large key", () => {
  it.each([LARGE, GREATEST, LEAST])("is fetched by its key %s", async (id) => {
    const { text } = await gateway.fetch(caller, `shop.readings/${id}`, 1);
    expect(JSON.parse(text)).toMatchObject({ id });
  });

  it.each(["9007199254740994", "9223372036854775808", "09007199254740993"])(
    "is not found by the key %s",
    async (id) => {
      await expect(gateway.fetch(caller, `shop.readings/${id}`, 1)).rejects.toMatchObject({ code: "not_found" });
    },
  );
});

it("refuses a policy whose row rule compares an integer column with a number that JSON has rounded", () => {
  const build = (type: typeof NUMBER | typeof REAL) =>
    buildPolicy({
      tables: { readings: { id: key(type) } },
      roles: { reader: [allow("shop.readings", { rows: { column: "id", op: "=", value: Number(LARGE) } })] },
    });
  expect(() => build(NUMBER)).toThrow(/cannot be compared with shop\.readings\.id.*write this rule in SQL/);
  expect(() => build(REAL)).not.toThrow();
});

describe("a number among the parameters", () => {
  it.each([
    ["SELECT count(*) FROM readings WHERE name > ?", 5, "SELECT count(*) FROM readings WHERE name > 5"],
    ["SELECT count(*) FROM readings WHERE name < ?", 5, "SELECT count(*) FROM readings WHERE name < 5"],
    ["SELECT '5' = ?", 5, "SELECT '5' = 5"],
    ["SELECT '2.5' = ?", 2.5, "SELECT '2.5' = 2.5"],
    ["SELECT name || ? FROM readings WHERE id = 5", 7, "SELECT name || 7 FROM readings WHERE id = 5"],
    ["SELECT 7 / ?", 2, "SELECT 7 / 2"],
    ["SELECT name FROM readings WHERE id = -?", -5, "SELECT name FROM readings WHERE id = 5"],
    ["SELECT name FROM readings ORDER BY id LIMIT ?", 2, "SELECT name FROM readings ORDER BY id LIMIT 2"],
  ])("compares and computes as the same number in the SQL: %s with %j", async (sql, value, literal) => {
    expect(await ask(sql, value)).toEqual(await ask(literal));
  });
});
