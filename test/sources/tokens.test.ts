// The token mask on a real D1: equal values are equal tokens everywhere, nothing in SQL reaches the value, what has no token
// yet gets one, and only the right role exchanges one, for a row that it sees.
import { env, exports } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { defineGatehouse, mask } from "../../src/config.ts";
import type { GatehouseInput } from "../../src/config.ts";
import { AppError } from "../../src/errors.ts";
import { keepTokens } from "../../src/sources/registry.ts";
import { parseTokenKey, tokenOf } from "../../src/sources/tokens.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { TOKEN_KEY, createReader, tableSource } from "../support/governed.ts";

const TEXT = { type: "text", description: "Text" } as const;
const NUMBER = { type: "integer", description: "Number" } as const;
const TOKENED = { email: mask.token("email"), card: mask.token("card") };
const NORTH = { column: "region", op: "=", value: "north" } as const;

type Roles = GatehouseInput["roles"];

function world(roles: Roles = {}) {
  const all: Roles = {
    tokens: {
      description: "t",
      rules: [
        { action: "read", datasets: ["shop.people"], masks: TOKENED },
        { action: "read", datasets: ["ops.visits"], masks: { visitor: mask.token("email") } },
      ],
    },
    north: {
      description: "n",
      rules: [{ action: "read", datasets: ["shop.people"], masks: TOKENED, rows: NORTH, reveal: ["email"] }],
    },
    cards: {
      description: "k",
      rules: [{ action: "read", datasets: ["shop.people"], masks: TOKENED, reveal: ["card"] }],
    },
    clear: { description: "c", rules: [{ action: "read", datasets: ["shop.people"], rows: NORTH }] },
    ...roles,
  };
  const people = { id: NUMBER, email: TEXT, card: NUMBER, region: TEXT };
  return defineGatehouse({
    organisation: { name: "Test", contact: "Test" },
    sources: {
      shop: {
        kind: "d1",
        binding: "SHOP_DB",
        title: "Shop",
        description: "Shop",
        tables: { people: { description: "People", key: "id", columns: people } },
      },
      ops: {
        kind: "d1",
        binding: "OPS_DB",
        title: "Ops",
        description: "Ops",
        tables: { visits: { description: "Visits", columns: { visitor: TEXT, page: TEXT } } },
      },
    },
    roles: all,
    members: [
      ...Object.keys(all).map((role) => ({ email: `${role}@harbor.example`, name: role, roles: [role] })),
      { email: "both@harbor.example", name: "both", roles: ["tokens", "clear"] },
      { email: "tokennorth@harbor.example", name: "tn", roles: ["tokens", "north"] },
    ],
  });
}

const SECRETS = ["ann@secret.example", "bob@secret.example", "4111222233334444"];
const tokenFor = (domain: string, value: string): string => {
  if (TOKEN_KEY === null) throw new Error("no key");
  return tokenOf(TOKEN_KEY, domain, value);
};
const ANN = tokenFor("email", "ann@secret.example");
const BOB = tokenFor("email", "bob@secret.example");

beforeAll(async () => {
  const people = [
    "CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT, card INTEGER, region TEXT)",
    "INSERT INTO people VALUES (1, 'ann@secret.example', 4111222233334444, 'north'), (2, 'bob@secret.example', NULL, 'south'), (3, 'ann@secret.example', 5, 'south'), (4, NULL, 9007199254740993, 'north'), (5, CAST(x'ff' AS BLOB), 7.5, 'east')",
    "CREATE INDEX people_email ON people (email)",
  ];
  const visits = [
    "CREATE TABLE visits (visitor TEXT, page TEXT)",
    "INSERT INTO visits VALUES ('bob@secret.example', '/a'), ('ann@secret.example', '/b'), ('eve@secret.example', '/c')",
  ];
  await env.SHOP_DB.batch(people.map((sql) => env.SHOP_DB.prepare(sql)));
  await env.OPS_DB.batch(visits.map((sql) => env.OPS_DB.prepare(sql)));
});

const count = async (): Promise<unknown> =>
  env.SHOP_DB.prepare("SELECT count(*) AS n FROM _gatehouse_token").first("n");

describe("a token", () => {
  const { read, outcome } = createReader(world());

  it("is made when a query first needs it, and stays", async () => {
    expect(await count()).toBe(0);
    const { rows } = await read("tokens", "SELECT id, email, card FROM people ORDER BY id");
    const card = (value: string) => tokenFor("card", value);
    expect(rows).toEqual([
      [1, ANN, card("4111222233334444")],
      [2, BOB, null],
      [3, ANN, card("5")],
      [4, null, card("9007199254740993")],
      [5, "[redacted]", "[redacted]"],
    ]);
    expect(ANN).toMatch(/^tok_[a-z2-7]{16}$/);
    expect(await count()).toBe(5);
    await env.SHOP_DB.prepare("INSERT INTO people VALUES (6, 'new@secret.example', NULL, 'north')").run();
    expect(await outcome("tokens", "SELECT email FROM people WHERE id = 6")).toBe(
      JSON.stringify([[tokenFor("email", "new@secret.example")]]),
    );
    await env.SHOP_DB.prepare("DELETE FROM people WHERE id = 6").run();
  });

  it("has its table made while the Worker runs", async () => {
    await env.SHOP_DB.prepare("ALTER TABLE _gatehouse_token RENAME TO away").run();
    const late = createReader(world());
    expect(await late.outcome("tokens", "SELECT email FROM people WHERE id = 1")).toMatch(/^source_unavailable: /);
    await env.SHOP_DB.prepare("ALTER TABLE away RENAME TO _gatehouse_token").run();
    expect(await late.outcome("tokens", "SELECT email FROM people WHERE id = 1")).toBe(JSON.stringify([[ANN]]));
  });

  it("joins, groups and filters", async () => {
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

  it("is the same in another source, and joins in the workspace", async () => {
    const [gateway, caller] = [gatewayFor(world()), callerAs("tokens@harbor.example")];
    await gateway.query(caller, {
      what: { source: "shop", sql: "SELECT id, email FROM people" },
      params: [],
      limit: undefined,
    });
    await gateway.query(caller, {
      what: { source: "ops", sql: "SELECT visitor, page FROM visits" },
      params: [],
      limit: undefined,
    });
    const sql = "SELECT id, page FROM r1 JOIN r2 ON email = visitor ORDER BY id";
    expect(
      (await gateway.query(caller, { what: { source: "workspace", sql }, params: [], limit: undefined })).rows,
    ).toEqual([
      [1, "/b"],
      [2, "/a"],
      [3, "/b"],
    ]);
  });

  it("shows the value instead where another role does, row by row", async () => {
    expect(await outcome("both", "SELECT id, email FROM people WHERE id < 4 ORDER BY id")).toBe(
      JSON.stringify([
        [1, "ann@secret.example"],
        [2, BOB],
        [3, ANN],
      ]),
    );
  });

  it("does not hide the person's own mistake", async () => {
    expect(await outcome("tokens", "SELECT json('{') FROM people")).toMatch(/^query_failed: A JSON function got text/);
  });

  it.each([
    "SELECT * FROM _gatehouse_token",
    "SELECT value FROM '_gatehouse_token'",
    "SELECT (SELECT max(value) FROM _gatehouse_token)",
    'SELECT value FROM "_GATEHOUSE_TOKEN"',
    "SELECT t.value FROM people",
    "SELECT value FROM people",
    "SELECT domain, token FROM people",
    "SELECT d.email FROM people d",
    "SELECT * FROM people NATURAL JOIN (SELECT 1 AS value)",
    "SELECT guard.email FROM people",
  ])("lets nothing reach the value: %s", async (sql) => {
    const seen = await outcome("tokens", sql);
    for (const secret of SECRETS) expect(seen).not.toContain(secret);
  });

  it("tells nothing of rows that a row rule hides, whether they have tokens or not", async () => {
    await env.SHOP_DB.prepare("INSERT INTO people VALUES (7, 'hidden@secret.example', NULL, 'south')").run();
    expect(await outcome("north", "SELECT count(*) FROM people WHERE email <> 'x'")).toBe("[[1]]");
    expect(await outcome("north", "SELECT json(email) FROM people WHERE id = 7")).toBe("[]");
    await env.SHOP_DB.prepare("DELETE FROM people WHERE id = 7").run();
  });
});

describe("a new key", () => {
  it("makes tokens of its own, and the upkeep removes the old ones", async () => {
    const { policy } = world();
    const other = parseTokenKey("another key of tests, long enough to be one");
    const source = tableSource(world(), "shop");
    await keepTokens(policy, env, other);
    const domains = async () =>
      (await env.SHOP_DB.prepare("SELECT DISTINCT domain FROM _gatehouse_token ORDER BY 1").all()).results.map(
        ({ domain }) => domain,
      );
    expect(await domains()).toEqual([`card#${other?.id}`, `email#${other?.id}`]);
    await keepTokens(policy, env, TOKEN_KEY);
    expect(await domains()).toEqual([`card#${TOKEN_KEY?.id}`, `email#${TOKEN_KEY?.id}`]);
    expect(await createReader(world(), source).outcome("tokens", "SELECT email FROM people WHERE id = 1")).toBe(
      JSON.stringify([[ANN]]),
    );
  });

  it("is filled ahead by the cron trigger of the Worker", async () => {
    await env.SHOP_DB.prepare(
      "INSERT INTO customers (id, name, email, address, region, segment, created_at) VALUES (1, 'A', 'a@a.example', 'Quay Street 1', 'north', 'trade', '2026-01-01')",
    ).run();
    await exports.default.scheduled({ scheduledTime: new Date(), cron: "*/10 * * * *" });
    const { results } = await env.SHOP_DB.prepare(
      "SELECT value, token FROM _gatehouse_token WHERE domain LIKE 'address#%'",
    ).all();
    expect(results).toEqual([{ value: "Quay Street 1", token: tokenFor("address", "Quay Street 1") }]);
  });

  it("that is short or missing is refused by name", () => {
    expect(() => parseTokenKey("short")).toThrow(/^GATEHOUSE_TOKEN_KEY is too short/);
    expect(parseTokenKey(undefined)).toBeNull();
  });
});

describe("exchanging a token", () => {
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
    ["with the right, for a row in reach", "north", ANN, "ann@secret.example"],
    ["for a row out of reach", "north", BOB, "not_found"],
    ["of a column without the right", "north", tokenFor("card", "4111222233334444"), "not_found"],
    ["of a number", "cards", tokenFor("card", "4111222233334444"), "4111222233334444"],
    ["of a number that JSON cannot hold", "cards", tokenFor("card", "9007199254740993"), "9007199254740993"],
    ["without the right", "tokens", ANN, "not_found"],
    ["a row that another role reaches without the right", "tokennorth", BOB, "not_found"],
    ["that nobody made", "north", "tok_aaaaaaaaaaaaaaaa", "not_found"],
    ["with no role", "nobody", ANN, "not_found"],
  ])("%s", async (_name, role, token, expected) => {
    expect(await fetchAs(role, token)).toBe(expected);
  });

  it("is recorded, without the value", async () => {
    const [gateway, caller] = [gatewayFor(world()), callerAs("north@harbor.example")];
    const answer = await gateway.fetch(caller, ANN, 1);
    expect(answer.metadata).toEqual({
      kind: "token",
      column: "shop.people.email",
      rules: ["north/allow/read/shop.people"],
    });
    const [record] = await env.LEDGER.get(env.LEDGER.idFromName(caller.identity.subjectId)).records(0, 5);
    expect(record?.body).toContain(ANN);
    expect(record?.body).toContain("north/allow/read/shop.people");
    expect(record?.body).not.toContain("ann@secret");
  });

  it("ends when the last row that carries it is gone", async () => {
    await env.SHOP_DB.prepare("UPDATE people SET email = 'moved@secret.example' WHERE id = 1").run();
    expect(await fetchAs("north", ANN)).toBe("not_found");
    await env.SHOP_DB.prepare("UPDATE people SET email = 'ann@secret.example' WHERE id = 1").run();
    expect(await fetchAs("north", ANN)).toBe("ann@secret.example");
  });
});

describe("a policy", () => {
  it.each<[string, Roles, RegExp]>([
    [
      "gives one domain to a column",
      {
        x: {
          description: "x",
          rules: [{ action: "read", datasets: ["shop.people"], masks: { email: mask.token("other") } }],
        },
      },
      /shop\.people\.email has tokens of other here and of email elsewhere/,
    ],
    [
      "reveals tokens only",
      { x: { description: "x", rules: [{ action: "read", datasets: ["shop.people"], reveal: ["email"] }] } },
      /reveal: the rule has no token mask on email/,
    ],
    [
      "puts tokens on text and integers",
      {
        x: {
          description: "x",
          rules: [{ action: "read", datasets: ["shop.people"], masks: { region: { kind: "token", domain: "A" } } }],
        },
      },
      /must be lower-case letters/,
    ],
  ])("%s", (_name, roles, expected) => {
    expect(() => world(roles)).toThrow(expected);
  });
});
