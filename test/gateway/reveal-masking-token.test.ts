// Exchanging a masking token when the database treats different values as equal: by collation, by type affinity, or as doubles.
// The answer is exactly the value of the masking token, from a row that the user sees, or nothing.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { mask } from "../../src/config/define-gatehouse.ts";
import { AppError } from "../../src/errors.ts";
import { deriveMaskingToken } from "../../src/masking-tokens/masking-token-store.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { TOKEN_KEY, createReader } from "../support/governed.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";

const COLUMNS = ["nocase", "rtrim", "plain", "whole", "number", "generated"] as const;
const MASKS = Object.fromEntries(COLUMNS.map((name) => [name, mask.token("name")]));

const config = buildPolicy({
  tables: {
    persons: {
      id: key(NUMBER),
      region: TEXT,
      nocase: TEXT,
      rtrim: TEXT,
      plain: TEXT,
      whole: NUMBER,
      number: NUMBER,
      generated: TEXT,
    },
  },
  roles: {
    masked: [allow("shop.persons", { masks: MASKS })],
    all: [allow("shop.persons", { masks: MASKS, reveal: [...COLUMNS] })],
    north: [
      allow("shop.persons", {
        masks: MASKS,
        reveal: [...COLUMNS],
        rows: { column: "region", op: "=", value: "north" },
      }),
    ],
  },
});

const createMaskingToken = (value: string): string => {
  if (TOKEN_KEY === null) throw new Error("no key");
  return deriveMaskingToken(TOKEN_KEY, "name", value);
};

/** Inserts rows, each as SQL values: region, then all columns except the generated one. */
async function fill(...rows: readonly string[]): Promise<void> {
  await env.SHOP_DB.batch([
    env.SHOP_DB.prepare("DELETE FROM persons"),
    env.SHOP_DB.prepare("DELETE FROM _gatehouse_masking_token"),
    ...rows.map((row) =>
      env.SHOP_DB.prepare(`INSERT INTO persons (region, nocase, rtrim, plain, whole, number) VALUES (${row})`),
    ),
  ]);
  // The first read creates the masking tokens.
  await createReader(config).read("masked", "SELECT * FROM persons");
}

/** Fetches the masking token of a value: its text, or the error code. */
async function reveal(role: string, value: string): Promise<string> {
  try {
    return (await gatewayFor(config).fetch(callerAs(`${role}@harbor.example`), createMaskingToken(value), 1)).text;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.code;
  }
}

beforeAll(async () => {
  await env.SHOP_DB.batch(
    [
      [
        "CREATE TABLE persons (id INTEGER PRIMARY KEY, region TEXT, nocase TEXT COLLATE NOCASE, rtrim TEXT COLLATE RTRIM,",
        "plain, whole INTEGER, number NUMERIC, generated TEXT COLLATE NOCASE AS (nocase || '!'))",
      ].join(" "),
      "CREATE INDEX persons_nocase ON persons (nocase)",
    ].map((sql) => env.SHOP_DB.prepare(sql)),
  );
});

describe("exchanging a masking token of a value that a collation treats as equal to another", () => {
  const ANN = ["'north', 'ANN', 'Bob ', NULL, NULL, NULL", "'south', 'Ann', 'Bob', NULL, NULL, NULL"] as const;

  it.each([
    ["the value in a visible row", "north", "ANN", "ANN"],
    ["not_found for a value in a hidden row that differs in case", "north", "Ann", "not_found"],
    ["not_found for a value in a hidden row that differs in trailing space", "north", "Bob", "not_found"],
    ["the value with its trailing space", "north", "Bob ", "Bob "],
    ["the first of two visible values", "all", "ANN", "ANN"],
    ["the second of two visible values", "all", "Ann", "Ann"],
    ["the value of a generated column", "all", "Ann!", "Ann!"],
    ["not_found for the value of a generated column in a hidden row", "north", "Ann!", "not_found"],
  ])("gives %s", async (_name, role, value, expected) => {
    for (const rows of [ANN, ANN.toReversed()]) {
      await fill(...rows);
      expect(await reveal(role, value)).toBe(expected);
    }
  });

  it("creates a masking token for each of two such values in the first query", async () => {
    await fill();
    await env.SHOP_DB.prepare("INSERT INTO persons (region, nocase) VALUES ('north', 'Eve'), ('north', 'EVE')").run();
    const { rows } = await createReader(config).read("masked", "SELECT nocase FROM persons ORDER BY id");
    expect(rows).toEqual([[createMaskingToken("Eve")], [createMaskingToken("EVE")]]);
  });
});

describe("exchanging a masking token of a value that a type treats as equal to another", () => {
  it.each<[string, string, string, string, string]>([
    ["an integer in a column without a type", "NULL, NULL, 1, NULL, NULL", "NULL, NULL, 7, NULL, NULL", "1", "1"],
    [
      "a text of digits in a column without a type",
      "NULL, NULL, '1', NULL, NULL",
      "NULL, NULL, 7, NULL, NULL",
      "1",
      "1",
    ],
    [
      "not_found when the visible value is a real",
      "NULL, NULL, 1.0, NULL, NULL",
      "NULL, NULL, '1', NULL, NULL",
      "1",
      "not_found",
    ],
    [
      "not_found for a text with a leading zero",
      "NULL, NULL, 1, NULL, NULL",
      "NULL, NULL, '01', NULL, NULL",
      "01",
      "not_found",
    ],
    [
      "not_found for a text that equals the visible values as a number",
      "'1.0', NULL, 1, 1, 1",
      "NULL, NULL, '1.00', NULL, NULL",
      "1.00",
      "not_found",
    ],
    [
      "not_found for an integer that rounds to the same double as the visible one",
      "NULL, NULL, 9007199254740992, NULL, NULL",
      "NULL, NULL, 9007199254740993, NULL, NULL",
      "9007199254740993",
      "not_found",
    ],
    [
      "an integer that no double represents, in a column without a type",
      "NULL, NULL, 9007199254740993, NULL, NULL",
      "NULL, NULL, 9007199254740992, NULL, NULL",
      "9007199254740993",
      "9007199254740993",
    ],
    [
      "an integer that no double represents, in an integer column",
      "NULL, NULL, NULL, 9007199254740993, NULL",
      "NULL, NULL, NULL, 9007199254740992, NULL",
      "9007199254740993",
      "9007199254740993",
    ],
    [
      "the smallest integer",
      "NULL, NULL, NULL, NULL, -9223372036854775807 - 1",
      "NULL, NULL, NULL, NULL, -9223372036854775807",
      "-9223372036854775808",
      "-9223372036854775808",
    ],
    ["a text in an integer column", "NULL, NULL, NULL, 'x1', NULL", "NULL, NULL, NULL, 'X1', NULL", "x1", "x1"],
    [
      "not_found when the visible value is a blob",
      "NULL, NULL, x'41', NULL, NULL",
      "NULL, NULL, 'A', NULL, NULL",
      "A",
      "not_found",
    ],
  ])("gives %s", async (_name, north, south, value, expected) => {
    await fill(`'north', ${north}`, `'south', ${south}`);
    expect(await reveal("north", value)).toBe(expected);
  });
});

describe("exchanging a masking token whose table entry was changed", () => {
  it("gives not_found", async () => {
    await fill("'north', 'Ann', NULL, NULL, NULL, NULL", "'north', 'Chief', NULL, NULL, NULL, NULL");
    await env.SHOP_DB.batch([
      env.SHOP_DB.prepare("DELETE FROM _gatehouse_masking_token WHERE value = 'Chief'"),
      env.SHOP_DB.prepare("UPDATE _gatehouse_masking_token SET value = 'Chief' WHERE value = 'Ann'"),
    ]);
    expect(await reveal("all", "Ann")).toBe("not_found");
  });
});
