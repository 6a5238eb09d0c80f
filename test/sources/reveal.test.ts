// Exchanging a masking token where the database calls different values equal: by collation, by affinity, as doubles. What comes back
// is the value that the token stands for, found in a row that the user sees, or nothing.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { defineGatehouse, mask } from "../../src/config.ts";
import { AppError } from "../../src/errors.ts";
import { tokenOf } from "../../src/sources/tokens.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { TOKEN_KEY, createReader } from "../support/governed.ts";

const TEXT = { type: "text", description: "Text" } as const;
const NUMBER = { type: "integer", description: "Number" } as const;
const COLUMNS = ["nocase", "rtrim", "plain", "whole", "number", "made"] as const;
const TOKENED = Object.fromEntries(COLUMNS.map((name) => [name, mask.token("name")]));
const PEOPLE = { action: "read", datasets: ["shop.persons"], masks: TOKENED } as const;

function config() {
  const rule = { ...PEOPLE, datasets: [...PEOPLE.datasets] };
  return defineGatehouse({
    organisation: { name: "T", contact: "T" },
    sources: {
      shop: {
        kind: "d1",
        binding: "SHOP_DB",
        title: "S",
        description: "S",
        tables: {
          persons: {
            description: "P",
            key: "id",
            columns: {
              id: NUMBER,
              region: TEXT,
              nocase: TEXT,
              rtrim: TEXT,
              plain: TEXT,
              whole: NUMBER,
              number: NUMBER,
              made: TEXT,
            },
          },
        },
      },
    },
    roles: {
      masked: { description: "m", rules: [rule] },
      all: { description: "a", rules: [{ ...rule, reveal: [...COLUMNS] }] },
      north: {
        description: "n",
        rules: [{ ...rule, reveal: [...COLUMNS], rows: { column: "region", op: "=", value: "north" } }],
      },
    },
    members: ["masked", "all", "north"].map((role) => ({ email: `${role}@harbor.example`, name: role, roles: [role] })),
  });
}

const tokenFor = (value: string): string => {
  if (TOKEN_KEY === null) throw new Error("no key");
  return tokenOf(TOKEN_KEY, "name", value);
};

/** Rows as SQL: region, then the columns in order but the last, which the database makes. */
async function fill(...rows: readonly string[]): Promise<void> {
  await env.SHOP_DB.batch([
    env.SHOP_DB.prepare("DELETE FROM persons"),
    env.SHOP_DB.prepare("DELETE FROM _gatehouse_token"),
    ...rows.map((row) =>
      env.SHOP_DB.prepare(`INSERT INTO persons (region, nocase, rtrim, plain, whole, number) VALUES (${row})`),
    ),
  ]);
  // Makes the tokens.
  await createReader(config()).read("masked", "SELECT * FROM persons");
}

/** What fetch gives for the token of this value. */
async function reveal(role: string, value: string): Promise<string> {
  try {
    return (await gatewayFor(config()).fetch(callerAs(`${role}@harbor.example`), tokenFor(value), 1)).text;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.code;
  }
}

beforeAll(async () => {
  await env.SHOP_DB.batch(
    [
      "CREATE TABLE persons (id INTEGER PRIMARY KEY, region TEXT, nocase TEXT COLLATE NOCASE, rtrim TEXT COLLATE RTRIM, plain, whole INTEGER, number NUMERIC, made TEXT COLLATE NOCASE AS (nocase || '!'))",
      "CREATE INDEX persons_nocase ON persons (nocase)",
    ].map((sql) => env.SHOP_DB.prepare(sql)),
  );
});

describe("a masking token of values that a collation calls equal", () => {
  const ANN = ["'north', 'ANN', 'Bob ', NULL, NULL, NULL", "'south', 'Ann', 'Bob', NULL, NULL, NULL"] as const;

  it.each([
    ["the value in a row that the user sees", "north", "ANN", "ANN"],
    ["nothing for one in a hidden row that differs by case", "north", "Ann", "not_found"],
    ["nothing for one in a hidden row that differs by a space", "north", "Bob", "not_found"],
    ["the value with its space", "north", "Bob ", "Bob "],
    ["the value of each of two rows in sight: the first", "all", "ANN", "ANN"],
    ["the value of each of two rows in sight: the second", "all", "Ann", "Ann"],
    ["the value of a generated column", "all", "Ann!", "Ann!"],
    ["nothing for one of a generated column in a hidden row", "north", "Ann!", "not_found"],
  ])("gives %s", async (_name, role, value, expected) => {
    for (const rows of [ANN, ANN.toReversed()]) {
      await fill(...rows);
      expect(await reveal(role, value)).toBe(expected);
    }
  });

  it("is there for each of them at the first query", async () => {
    await fill();
    await env.SHOP_DB.prepare("INSERT INTO persons (region, nocase) VALUES ('north', 'Eve'), ('north', 'EVE')").run();
    const { rows } = await createReader(config()).read("masked", "SELECT nocase FROM persons ORDER BY id");
    expect(rows).toEqual([[tokenFor("Eve")], [tokenFor("EVE")]]);
  });
});

describe("a masking token of values that a type calls equal", () => {
  it.each<[string, string, string, string, string]>([
    ["the integer that is stored without a type", "NULL, NULL, 1, NULL, NULL", "NULL, NULL, 7, NULL, NULL", "1", "1"],
    ["the text that looks like one", "NULL, NULL, '1', NULL, NULL", "NULL, NULL, 7, NULL, NULL", "1", "1"],
    ["nothing for a real", "NULL, NULL, 1.0, NULL, NULL", "NULL, NULL, '1', NULL, NULL", "1", "not_found"],
    ["nothing for other digits", "NULL, NULL, 1, NULL, NULL", "NULL, NULL, '01', NULL, NULL", "01", "not_found"],
    ["nothing for text by its number", "'1.0', NULL, 1, 1, 1", "NULL, NULL, '1.00', NULL, NULL", "1.00", "not_found"],
    [
      "nothing for the integer beside it that is the same double",
      "NULL, NULL, 9007199254740992, NULL, NULL",
      "NULL, NULL, 9007199254740993, NULL, NULL",
      "9007199254740993",
      "not_found",
    ],
    [
      "an integer that is no double, without a type",
      "NULL, NULL, 9007199254740993, NULL, NULL",
      "NULL, NULL, 9007199254740992, NULL, NULL",
      "9007199254740993",
      "9007199254740993",
    ],
    [
      "an integer that is no double, as an integer",
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
    ["text in a column of numbers", "NULL, NULL, NULL, 'x1', NULL", "NULL, NULL, NULL, 'X1', NULL", "x1", "x1"],
    ["nothing for bytes", "NULL, NULL, x'41', NULL, NULL", "NULL, NULL, 'A', NULL, NULL", "A", "not_found"],
  ])("gives %s", async (_name, north, south, value, expected) => {
    await fill(`'north', ${north}`, `'south', ${south}`);
    expect(await reveal("north", value)).toBe(expected);
  });
});

describe("a masking token that the table of tokens gives another value", () => {
  it("gives nothing", async () => {
    await fill("'north', 'Ann', NULL, NULL, NULL, NULL", "'north', 'Chief', NULL, NULL, NULL, NULL");
    await env.SHOP_DB.batch([
      env.SHOP_DB.prepare("DELETE FROM _gatehouse_token WHERE value = 'Chief'"),
      env.SHOP_DB.prepare("UPDATE _gatehouse_token SET value = 'Chief' WHERE value = 'Ann'"),
    ]);
    expect(await reveal("all", "Ann")).toBe("not_found");
  });
});
