// Masking tokens on a real D1: equal values have equal masking tokens in every source, no SQL reaches the value, missing ones are
// created, and only a role with the right exchanges them, for a row that it sees.
import { env, exports } from "cloudflare:workers";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { mask } from "../../src/config/define-gatehouse.ts";
import { AppError } from "../../src/errors.ts";
import { maintainMaskingTokens } from "../../src/app/open-sources.ts";
import { parseMaskingTokenKey, deriveMaskingToken } from "../../src/masking-tokens/masking-token-store.ts";
import { SOURCE_TABLES_SQL } from "../../src/masking-tokens/masking-token-table.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { TOKEN_KEY, createReader, tableSource } from "../support/governed.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";
import type { Roles } from "../support/policy-builder.ts";

const TOKENIZED = { email: mask.token("email"), card: mask.token("card") };
const NORTH = { column: "region", op: "=", value: "north" } as const;

function world(roles: Roles = {}) {
  const all: Roles = {
    tokens: [
      allow("shop.people", { masks: TOKENIZED }),
      allow("ops.visits", { masks: { visitor: mask.token("email") } }),
    ],
    north: [allow("shop.people", { masks: TOKENIZED, rows: NORTH, reveal: ["email"] })],
    cards: [allow("shop.people", { masks: TOKENIZED, reveal: ["card"] })],
    clear: [allow("shop.people", { rows: NORTH })],
    ...roles,
  };
  return buildPolicy({
    tables: { people: { id: key(NUMBER), email: TEXT, card: NUMBER, region: TEXT } },
    sources: { ops: { binding: "OPS_DB", tables: { visits: { visitor: TEXT, page: TEXT } } } },
    roles: all,
    members: {
      ...Object.fromEntries(Object.keys(all).map((role) => [role, [role]])),
      both: ["tokens", "clear"],
      tokennorth: ["tokens", "north"],
    },
  });
}

const SECRETS = ["ann@secret.example", "bob@secret.example", "4111222233334444"];
const createMaskingToken = (domain: string, value: string): string => {
  if (TOKEN_KEY === null) throw new Error("no key");
  return deriveMaskingToken(TOKEN_KEY, domain, value);
};
const ANN = createMaskingToken("email", "ann@secret.example");
const BOB = createMaskingToken("email", "bob@secret.example");

beforeAll(async () => {
  const people = [
    "CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT, card INTEGER, region TEXT)",
    [
      "INSERT INTO people VALUES (1, 'ann@secret.example', 4111222233334444, 'north'),",
      "(2, 'bob@secret.example', NULL, 'south'), (3, 'ann@secret.example', 5, 'south'),",
      "(4, NULL, 9007199254740993, 'north'), (5, CAST(x'ff' AS BLOB), 7.5, 'east')",
    ].join(" "),
    "CREATE INDEX people_email ON people (email)",
  ];
  const visits = [
    "CREATE TABLE visits (visitor TEXT, page TEXT)",
    "INSERT INTO visits VALUES ('bob@secret.example', '/a'), ('ann@secret.example', '/b'), ('eve@secret.example', '/c')",
  ];
  await env.SHOP_DB.batch(people.map((sql) => env.SHOP_DB.prepare(sql)));
  await env.OPS_DB.batch(visits.map((sql) => env.OPS_DB.prepare(sql)));
});

const countMaskingTokens = async (): Promise<unknown> =>
  env.SHOP_DB.prepare("SELECT count(*) AS n FROM _gatehouse_masking_token").first("n");

describe("a masking token", () => {
  const { read, outcome } = createReader(world());

  it("is created by the first query that needs it", async () => {
    expect(await countMaskingTokens()).toBe(0);
    const { rows } = await read("tokens", "SELECT id, email, card FROM people ORDER BY id");
    const card = (value: string) => createMaskingToken("card", value);
    expect(rows).toEqual([
      [1, ANN, card("4111222233334444")],
      [2, BOB, null],
      [3, ANN, card("5")],
      [4, null, card("9007199254740993")],
      [5, "[redacted]", "[redacted]"],
    ]);
    expect(ANN).toMatch(/^tok_[a-z2-7]{16}$/);
    expect(await countMaskingTokens()).toBe(5);
    await env.SHOP_DB.prepare("INSERT INTO people VALUES (6, 'new@secret.example', NULL, 'north')").run();
    expect(await outcome("tokens", "SELECT email FROM people WHERE id = 6")).toBe(
      JSON.stringify([[createMaskingToken("email", "new@secret.example")]]),
    );
    await env.SHOP_DB.prepare("DELETE FROM people WHERE id = 6").run();
  });

  it("works as soon as its table exists, without a restart", async () => {
    await env.SHOP_DB.prepare("ALTER TABLE _gatehouse_masking_token RENAME TO away").run();
    const reader = createReader(world());
    expect(await reader.outcome("tokens", "SELECT email FROM people WHERE id = 1")).toMatch(/^source_unavailable: /);
    await env.SHOP_DB.prepare("ALTER TABLE away RENAME TO _gatehouse_masking_token").run();
    expect(await reader.outcome("tokens", "SELECT email FROM people WHERE id = 1")).toBe(JSON.stringify([[ANN]]));
  });

  it("works in joins, groups and filters, while the value does not", async () => {
    const sql = "SELECT email, count(*) FROM people WHERE email LIKE 'tok%' GROUP BY email ORDER BY 2";
    expect(await outcome("tokens", sql)).toBe(
      JSON.stringify([
        [BOB, 1],
        [ANN, 2],
      ]),
    );
    const join = "SELECT a.id, b.id FROM people a JOIN people b USING (email) WHERE a.id < b.id AND email LIKE 'tok%'";
    expect(await outcome("tokens", join)).toBe("[[1,3]]");
    expect((await read("tokens", "SELECT id FROM people WHERE email = ?", [BOB])).rows).toEqual([[2]]);
    expect(await outcome("tokens", "SELECT id FROM people WHERE email = 'ann@secret.example'")).toBe("[]");
  });

  it("is the same in another source, so that results join in the workspace", async () => {
    const [gateway, caller] = [gatewayFor(world()), callerAs("tokens@harbor.example")];
    await gateway.query(caller, {
      target: { source: "shop", sql: "SELECT id, email FROM people" },
      params: [],
      rowLimit: undefined,
    });
    await gateway.query(caller, {
      target: { source: "ops", sql: "SELECT visitor, page FROM visits" },
      params: [],
      rowLimit: undefined,
    });
    const sql = "SELECT id, page FROM r1 JOIN r2 ON email = visitor ORDER BY id";
    expect(
      (await gateway.query(caller, { target: { source: "workspace", sql }, params: [], rowLimit: undefined })).rows,
    ).toEqual([
      [1, "/b"],
      [2, "/a"],
      [3, "/b"],
    ]);
  });

  it("is replaced by the value in rows that another role shows in clear", async () => {
    expect(await outcome("both", "SELECT id, email FROM people WHERE id < 4 ORDER BY id")).toBe(
      JSON.stringify([
        [1, "ann@secret.example"],
        [2, BOB],
        [3, ANN],
      ]),
    );
  });

  it("does not hide a JSON error in the user's own SQL", async () => {
    expect(await outcome("tokens", "SELECT json('{') FROM people")).toMatch(/^query_failed: A JSON function got text/);
  });

  it.each([
    "SELECT * FROM _gatehouse_masking_token",
    "SELECT value FROM '_gatehouse_masking_token'",
    "SELECT (SELECT max(value) FROM _gatehouse_masking_token)",
    'SELECT value FROM "_GATEHOUSE_MASKING_TOKEN"',
    "SELECT t.value FROM people",
    "SELECT value FROM people",
    "SELECT domain, masking_token FROM people",
    "SELECT d.email FROM people d",
    "SELECT * FROM people NATURAL JOIN (SELECT 1 AS value)",
    "SELECT guard.email FROM people",
  ])("does not let SQL reach the value: %s", async (sql) => {
    const answer = await outcome("tokens", sql);
    for (const secret of SECRETS) expect(answer).not.toContain(secret);
  });

  it("reveals nothing about hidden rows, with or without a masking token", async () => {
    await env.SHOP_DB.prepare("INSERT INTO people VALUES (7, 'hidden@secret.example', NULL, 'south')").run();
    expect(await outcome("north", "SELECT count(*) FROM people WHERE email <> 'x'")).toBe("[[1]]");
    expect(await outcome("north", "SELECT json(email) FROM people WHERE id = 7")).toBe("[]");
    await env.SHOP_DB.prepare("DELETE FROM people WHERE id = 7").run();
  });
});

describe("maintainMaskingTokens", () => {
  it("creates masking tokens of a new key and removes those of the old one", async () => {
    const { policy } = world();
    const newKey = parseMaskingTokenKey("another key of tests, long enough to be one");
    const source = tableSource(world(), "shop");
    await maintainMaskingTokens(policy, env, newKey);
    const listDomains = async () =>
      (await env.SHOP_DB.prepare("SELECT DISTINCT domain FROM _gatehouse_masking_token ORDER BY 1").all()).results.map(
        ({ domain }) => domain,
      );
    expect(await listDomains()).toEqual([`card#${newKey?.id}`, `email#${newKey?.id}`]);
    await maintainMaskingTokens(policy, env, TOKEN_KEY);
    expect(await listDomains()).toEqual([`card#${TOKEN_KEY?.id}`, `email#${TOKEN_KEY?.id}`]);
    expect(await createReader(world(), source).outcome("tokens", "SELECT email FROM people WHERE id = 1")).toBe(
      JSON.stringify([[ANN]]),
    );
  });

  it.each([
    [2, "says layout 2, and this version of Gatehouse knows layouts up to 1. Deploy"],
    [0, "says layout 0, and this version needs layout 1. Run `npm run migrate`"],
  ])("changes nothing in a database whose layout is %i, and neither does a read", async (number, message) => {
    const setLayout = (value: number) =>
      env.SHOP_DB.prepare("UPDATE _gatehouse_layout SET number = ?").bind(value).run();
    const countTokens = () => env.SHOP_DB.prepare("SELECT count(*) AS n FROM _gatehouse_masking_token").first("n");
    await env.SHOP_DB.prepare("DELETE FROM _gatehouse_masking_token").run();
    await setLayout(number);
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    try {
      await expect(maintainMaskingTokens(world().policy, env, TOKEN_KEY)).rejects.toThrow(message);
      const reader = createReader(world(), tableSource(world(), "shop"));
      expect(await reader.outcome("tokens", "SELECT email FROM people WHERE id = 1")).toContain("source_unavailable");
      expect(await countTokens()).toBe(0);
    } finally {
      log.mockRestore();
      await setLayout(1);
    }
    const reader = createReader(world(), tableSource(world(), "shop"));
    expect(await reader.outcome("tokens", "SELECT email FROM people WHERE id = 1")).toBe(JSON.stringify([[ANN]]));
  });

  it("creates missing masking tokens when the cron trigger fires", async () => {
    await env.SHOP_DB.prepare(
      [
        "INSERT INTO customers (id, name, email, address, region, segment, created_at)",
        "VALUES (1, 'A', 'a@a.example', 'Quay Street 1', 'north', 'trade', '2026-01-01')",
      ].join(" "),
    ).run();
    await exports.default.scheduled({ scheduledTime: new Date(), cron: "*/10 * * * *" });
    const { results } = await env.SHOP_DB.prepare(
      "SELECT value, masking_token AS token FROM _gatehouse_masking_token WHERE domain LIKE 'address#%'",
    ).all();
    expect(results).toEqual([{ value: "Quay Street 1", token: createMaskingToken("address", "Quay Street 1") }]);
  });

  it("updates the statistics of the masking-token table when it has created masking tokens", async () => {
    // A new table has no statistics: SQLite deletes them together with the table.
    const schema = ["DROP TABLE _gatehouse_masking_token", ...SOURCE_TABLES_SQL];
    await env.OPS_DB.batch(schema.map((sql) => env.OPS_DB.prepare(sql)));
    await maintainMaskingTokens(world().policy, env, TOKEN_KEY);
    const statistics = "SELECT count(*) AS n FROM sqlite_stat1 WHERE tbl = '_gatehouse_masking_token'";
    expect(await env.OPS_DB.prepare(statistics).first("n")).toBeGreaterThan(0);
  });

  it("rejects a short key and names its setting", () => {
    expect(() => parseMaskingTokenKey("short")).toThrow(/^GATEHOUSE_TOKEN_KEY is too short/);
    expect(parseMaskingTokenKey(undefined)).toBeNull();
  });
});

describe("exchanging a masking token", () => {
  const fetchAs = async (role: string, id: string): Promise<string> => {
    const gateway = gatewayFor(world());
    try {
      return (await gateway.fetch(callerAs(`${role}@harbor.example`), id, 1)).text;
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return error.code;
    }
  };

  it.each([
    ["gives the value with the right, for a visible row", "north", ANN, "ann@secret.example"],
    ["fails for a hidden row", "north", BOB, "not_found"],
    ["fails for a column without the right", "north", createMaskingToken("card", "4111222233334444"), "not_found"],
    ["gives a number", "cards", createMaskingToken("card", "4111222233334444"), "4111222233334444"],
    [
      "gives a number that JSON cannot represent",
      "cards",
      createMaskingToken("card", "9007199254740993"),
      "9007199254740993",
    ],
    ["fails without the right", "tokens", ANN, "not_found"],
    ["fails for a row that only a role without the right shows", "tokennorth", BOB, "not_found"],
    ["fails for a masking token that does not exist", "north", "tok_aaaaaaaaaaaaaaaa", "not_found"],
    ["fails without a role", "guest", ANN, "not_found"],
  ])("%s", async (_name, role, maskingToken, expected) => {
    expect(await fetchAs(role, maskingToken)).toBe(expected);
  });

  it("writes an audit record without the value", async () => {
    const [gateway, caller] = [gatewayFor(world()), callerAs("north@harbor.example")];
    const answer = await gateway.fetch(caller, ANN, 1);
    expect(answer.metadata).toEqual({
      kind: "token",
      column: "shop.people.email",
      rules: ["north/allow/read/shop.people"],
    });
    const [record] = await env.LEDGER.get(env.LEDGER.idFromName(caller.identity.subjectId)).listRecords(0, 5);
    expect(record?.body).toContain(ANN);
    expect(record?.body).toContain("north/allow/read/shop.people");
    expect(record?.body).not.toContain("ann@secret");
  });

  it("fails once no row contains the value, and works again when one does", async () => {
    await env.SHOP_DB.prepare("UPDATE people SET email = 'moved@secret.example' WHERE id = 1").run();
    expect(await fetchAs("north", ANN)).toBe("not_found");
    await env.SHOP_DB.prepare("UPDATE people SET email = 'ann@secret.example' WHERE id = 1").run();
    expect(await fetchAs("north", ANN)).toBe("ann@secret.example");
  });
});

describe("defineGatehouse", () => {
  it.each<[string, Roles, RegExp]>([
    [
      "rejects two domains for one column",
      { x: [allow("shop.people", { masks: { email: mask.token("other") } })] },
      /shop\.people\.email has masking tokens of two domains, other and email/,
    ],
    [
      "rejects reveal for a column that the rule does not mask with mask.token",
      { x: [allow("shop.people", { reveal: ["email"] })] },
      /reveal\[0\]: the rule does not mask email with mask\.token/,
    ],
    [
      "rejects a domain with upper-case letters",
      { x: [allow("shop.people", { masks: { region: { kind: "token", domain: "A" } } })] },
      /must be lower-case letters/,
    ],
  ])("%s", (_name, roles, expected) => {
    expect(() => world(roles)).toThrow(expected);
  });
});
