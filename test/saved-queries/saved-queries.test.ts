// Saved queries: users run them by name with typed values over their own guard views, including users who may run nothing else.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { AppError } from "../../src/errors.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { DATE, DATETIME, NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";
import type { PolicyParts } from "../support/policy-builder.ts";
import { SECRETS, seedShop } from "../support/seed.ts";

const createConfig = (queries: PolicyParts["queries"] = {}) =>
  buildPolicy({
    organisation: { name: "T", contact: "T" },
    tables: {
      customers: { id: key(NUMBER), name: TEXT, region: TEXT, email: TEXT },
      orders: { id: NUMBER, customer_id: NUMBER, placed_at: DATETIME },
    },
    queries: {
      "by-region": {
        description: "Customers of a region",
        source: "shop",
        sql: "SELECT name, :region AS asked FROM customers WHERE region = :region ORDER BY id LIMIT :most",
        params: { region: { ...TEXT, description: "north or south" }, most: { ...NUMBER, description: "rows" } },
      },
      since: {
        description: "Orders since a day",
        source: "shop",
        sql: "SELECT count(*) FROM orders WHERE placed_at >= :day",
        params: { day: { ...DATE, description: "first day" } },
      },
      ...queries,
    },
    roles: {
      free: { queries: ["since"], rules: [allow("shop.*")] },
      bound: {
        savedOnly: true,
        queries: ["by-region"],
        rules: [allow("shop.customers", { hidden: ["email"], rows: { column: "region", op: "=", value: "north" } })],
      },
    },
  });

/** The end of an answer to a user with the role bound. */
const ROLE_HINT =
  "If something is missing, another role may be needed. This user has the role bound; other roles: free. T can assign roles.";

const gateway = gatewayFor(createConfig());
const run = async (
  role: string,
  saved: string,
  params: readonly (string | number | null)[],
  caller = callerAs(`${role}@harbor.example`),
) => gateway.query(caller, { target: { saved }, params, rowLimit: undefined });

async function readFailure(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    (answer) => new Error(`answered ${JSON.stringify(answer)}`),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof AppError)) throw error;
  return `${error.code}: ${error.publicMessage}`;
}

beforeAll(seedShop);

describe("a saved query", () => {
  it("runs with values in the order of its parameters over the user's own rows", async () => {
    expect((await run("bound", "by-region", ["north", 1])).rows).toEqual([["Nora North", "north"]]);
    expect((await run("bound", "by-region", ["south", 5])).rows).toEqual([]);
    expect((await run("free", "since", ["2026-02-01"])).rows).toEqual([[2]]);
  });

  it.each<[string, readonly (string | number | null)[], string]>([
    [
      "by-region",
      ["north"],
      "invalid_input: by-region takes 2 value(s) in params, in this order: region (text), most (integer).",
    ],
    ["by-region", [5, 1], "invalid_input: The parameter region takes text, not 5."],
    [
      "by-region",
      ["north", "1e0"],
      'invalid_input: The parameter most takes a whole number of at most 64 bits, not "1e0".',
    ],
    [
      "since",
      ["2026-02-01"],
      `not_found: There is no saved query "since" that you may run. There are: by-region. ${ROLE_HINT}`,
    ],
    [
      "nothing",
      [],
      `not_found: There is no saved query "nothing" that you may run. There are: by-region. ${ROLE_HINT}`,
    ],
  ])("is refused when a user runs %s with %j: %s", async (saved, params, message) => {
    expect(await readFailure(run("bound", saved, params))).toBe(message);
  });

  it("appears in describe, search and fetch for a user who may run it", async () => {
    const caller = callerAs("bound@harbor.example");
    expect(await gateway.describe(caller, undefined)).toMatchObject({
      sources: [],
      saved: [{ saved: "by-region", params: ["region (text): north or south", "most (integer): rows"] }],
      hint: `Run a saved query: query with saved and params. ${ROLE_HINT}`,
    });
    expect(await gateway.describe(caller, "by-region")).toMatchObject({ saved: "by-region" });
    expect((await gateway.search(caller, "customers region", 5)).results).toMatchObject([{ id: "by-region" }]);
    expect((await gateway.fetch(caller, "by-region", 1)).text).toContain(
      'query with saved "by-region" and params [region, most]',
    );
    expect(await readFailure(gateway.fetch(caller, "since", 1))).toMatch(/^not_found/);
  });

  it("is recorded by name without its values, and its result is stored", async () => {
    const caller = callerAs("bound@harbor.example");
    await run("bound", "by-region", ["north", 2], caller);
    expect(await gateway.describe(caller, "r1")).toMatchObject({
      description: "2 rows of shop: saved query by-region",
    });
    const [record] = await env.LEDGER.get(env.LEDGER.idFromName(caller.identity.subjectId)).listRecords(0, 1);
    expect(JSON.parse(record?.body ?? "")).toMatchObject({
      attempt: { asked: "saved by-region" },
      outcome: { rules: ["bound/allow/read/shop.customers"], rows: 2 },
    });
    expect(record?.body).not.toContain("Nora");
  });
});

describe("a savedOnly role", () => {
  it("reads nothing but its saved queries: no other SQL, no row, no table", async () => {
    const caller = callerAs("bound@harbor.example");
    const sql = { target: { source: "shop", sql: "SELECT * FROM customers" }, params: [], rowLimit: undefined };
    const answers = [
      await readFailure(gateway.query(caller, sql)),
      await readFailure(gateway.fetch(caller, "shop.customers/1", 1)),
      await readFailure(gateway.fetch(caller, "shop.customers", 1)),
      await readFailure(gateway.describe(caller, "shop.customers")),
      JSON.stringify(await gateway.listResources(caller)),
    ];
    expect(answers.join("\n")).not.toMatch(/Nora|"customers"|email/);
    for (const secret of Object.values(SECRETS)) expect(answers.join("\n")).not.toContain(secret);
    expect((await run("bound", "by-region", ["north", 1], caller)).result).toBe("r1");
    expect(
      (await gateway.query(caller, { ...sql, target: { source: "workspace", sql: "SELECT count(*) FROM r1" } })).rows,
    ).toEqual([[1]]);
  });
});

describe("a policy file with saved queries", () => {
  const query = (sql: string, params = {}) => ({ x: { description: "x", source: "shop", sql, params } });

  it("may end its SQL with a semicolon, which is removed", () => {
    const { policy } = createConfig(query("SELECT :a; -- all", { a: TEXT }));
    expect(policy.queries.find(({ name }) => name === "x")?.text).toBe("SELECT ?");
  });

  it.each<[PolicyParts["queries"], string]>([
    [
      query("SELECT :a"),
      "queries.x.sql: The SQL contains the parameter :a. Declare it under params, and write it as :name.",
    ],
    [query("SELECT ?"), "queries.x.sql: The SQL contains the parameter ?."],
    [query("SELECT 1", { a: TEXT }), "queries.x.sql: The SQL does not use the parameter a."],
    [query("DELETE FROM customers"), "queries.x.sql: The SQL must be one statement that begins with SELECT"],
    [
      query("SELECT 1; SELECT 2"),
      "queries.x.sql: The SQL must be one statement: there is more text after a semicolon.",
    ],
    [
      { x: { description: "x", source: "ops", sql: "SELECT 1" } },
      "queries.x.source: there is no D1 source ops. There are: shop.",
    ],
    [{ shop: { description: "x", source: "shop", sql: "SELECT 1" } }, "queries.shop: a source has the same name."],
  ])("is refused when queries are %j", (queries, message) => {
    expect(() => createConfig(queries)).toThrow(message);
  });
});
