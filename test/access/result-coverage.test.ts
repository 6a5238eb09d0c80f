// Kept results and how each was made: by SQL of the user's own, or by a saved query. Each use decides as for the same way of asking.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { defineGatehouse, mask } from "../../src/config.ts";
import type { GatehouseInput } from "../../src/config.ts";
import { AppError } from "../../src/errors.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { seedShop } from "../support/seed.ts";

const TEXT = { type: "text", description: "Text" } as const;
const NUMBER = { type: "integer", description: "Number" } as const;
const EMAIL = "kate@harbor.example";
type Rule = Extract<GatehouseInput["roles"][string]["rules"][number], { masks?: unknown }>;

const WHOLE: Rule = { action: "read", datasets: ["shop.customers"] };

type Queries = NonNullable<GatehouseInput["queries"]>;
type Roles = GatehouseInput["roles"];

const NAMES = { description: "Names", source: "shop", sql: "SELECT id, name FROM customers ORDER BY id" } as const;
const QUERIES: Queries = {
  names: NAMES,
  towns: { description: "Regions", source: "shop", sql: "SELECT DISTINCT region FROM customers ORDER BY 1" },
  "price-list": { description: "Prices", source: "shop", sql: "SELECT 'anchor' AS thing, 9500 AS cents" },
};
const ROLES: Roles = {
  free: { description: "All, by any SQL", rules: [WHOLE] },
  reports: {
    description: "All, by saved queries",
    savedOnly: true,
    queries: ["names", "towns", "price-list"],
    rules: [WHOLE],
  },
  lists: { description: "All, by one saved query", savedOnly: true, queries: ["towns"], rules: [WHOLE] },
};

/** One user with these roles. */
function world(held: readonly string[], roles: Roles = ROLES, queries: Queries = QUERIES) {
  return gatewayFor(
    defineGatehouse({
      organisation: { name: "T", contact: "T" },
      sources: {
        shop: {
          kind: "d1",
          binding: "SHOP_DB",
          title: "S",
          description: "S",
          tables: {
            customers: { description: "C", key: "id", columns: { id: NUMBER, name: TEXT, region: TEXT, email: TEXT } },
            tickets: { description: "T", columns: { id: NUMBER, subject: TEXT } },
          },
        },
      },
      queries,
      roles,
      members: [{ email: EMAIL, name: "Kate", roles: [...held] }],
    }),
  );
}

type Gateway = ReturnType<typeof world>;
type Caller = ReturnType<typeof callerAs>;

const ask = async (gateway: Gateway, caller: Caller, source: string, sql: string) =>
  gateway.query(caller, { what: { source, sql }, params: [], limit: undefined });
const run = async (gateway: Gateway, caller: Caller, saved: string) =>
  gateway.query(caller, { what: { saved }, params: [], limit: undefined });

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "answered",
    (thrown: unknown) => {
      if (!(thrown instanceof AppError)) throw thrown;
      return thrown.code;
    },
  );
}

/** What each way to a kept result gives. */
async function waysTo(gateway: Gateway, caller: Caller, id: string): Promise<readonly string[]> {
  const listed = [
    JSON.stringify(await gateway.describe(caller, "workspace")).includes(`"workspace.${id}"`),
    (await gateway.listResources(caller)).some(({ uri }) => uri === `gatehouse://result/${id}`),
    (await gateway.search(caller, id, 50)).results.some((found) => found.id === id),
    (await gateway.complete(caller, { kind: "result", source: undefined, prefix: "" })).values.includes(id),
  ];
  return [
    await codeOf(gateway.fetch(caller, id, 1)),
    await codeOf(gateway.readResource(caller, `gatehouse://result/${id}`)),
    await codeOf(gateway.describe(caller, id)),
    await codeOf(ask(gateway, caller, "workspace", `SELECT * FROM ${id}`)),
    ...listed.map((isListed) => (isListed ? "listed" : "not listed")),
  ];
}

const GONE = ["not_found", "not_found", "not_found", "query_failed", ...Array.from({ length: 4 }, () => "not listed")];
const THERE = ["answered", "answered", "answered", "answered", ...Array.from({ length: 4 }, () => "listed")];

beforeAll(seedShop);

describe("a result of the user's own SQL", () => {
  it("is gone when only a role for saved queries reaches the table", async () => {
    const caller = callerAs(EMAIL);
    await ask(world(["free", "reports"]), caller, "shop", "SELECT id, name FROM customers");
    expect(await waysTo(world(["reports"]), caller, "r1")).toEqual(GONE);
  });

  it("is gone when it was made from results, one of which was made by such SQL", async () => {
    const [gateway, caller] = [world(["free", "reports"]), callerAs(EMAIL)];
    await run(gateway, caller, "names");
    await ask(gateway, caller, "shop", "SELECT id, name FROM customers");
    await ask(gateway, caller, "workspace", "SELECT name FROM r1 UNION ALL SELECT name FROM r2");
    await ask(gateway, caller, "workspace", "SELECT count(*) FROM r3");
    await ask(gateway, caller, "workspace", "SELECT count(*) FROM r1");
    const after = world(["reports"]);
    expect(await waysTo(after, caller, "r3")).toEqual(GONE);
    expect(await waysTo(after, caller, "r4")).toEqual(GONE);
    expect(await waysTo(after, caller, "r5")).toEqual(THERE);
    expect(await waysTo(after, caller, "r1")).toEqual(THERE);
  });

  it("is gone with the role when a role for saved queries is marked so later", async () => {
    const caller = callerAs(EMAIL);
    await ask(world(["free"]), caller, "shop", "SELECT id, name FROM customers");
    const marked: Roles = { ...ROLES, free: { description: "f", savedOnly: true, rules: [WHOLE] } };
    expect(await waysTo(world(["free"], marked), caller, "r1")).toEqual(GONE);
  });
});

describe("a result of a saved query", () => {
  it("stays while the user may run the query over as much", async () => {
    const caller = callerAs(EMAIL);
    await run(world(["reports", "free"]), caller, "names");
    expect(await waysTo(world(["reports"]), caller, "r1")).toEqual(THERE);
  });

  it.each<[string, readonly string[], Roles, Queries]>([
    ["the user may run other saved queries only", ["lists"], ROLES, QUERIES],
    ["the query is no longer the role's", ["reports"], without("names"), QUERIES],
    ["the query is gone", ["reports"], without("names"), { towns: QUERIES["towns"] ?? NAMES, "price-list": NAMES }],
    [
      "the query says something else",
      ["reports"],
      ROLES,
      { ...QUERIES, names: { ...NAMES, sql: "SELECT count(*) FROM customers" } },
    ],
    ["the user may read the table, but not run the query", ["free"], ROLES, QUERIES],
    [
      "the role shows less",
      ["reports"],
      { ...ROLES, reports: { ...reports(), rules: [{ ...WHOLE, masks: { name: mask.redact } }] } },
      QUERIES,
    ],
  ])("is gone when %s", async (_name, held, roles, queries) => {
    const caller = callerAs(EMAIL);
    const before = world(["reports"]);
    await run(before, caller, "names");
    await ask(before, caller, "workspace", "SELECT count(*) FROM r1");
    const after = world(held, roles, queries);
    expect(await waysTo(after, caller, "r1")).toEqual(GONE);
    expect(await waysTo(after, caller, "r2")).toEqual(GONE);
  });

  it("is gone with the right to run it, also when it read no table", async () => {
    const caller = callerAs(EMAIL);
    await run(world(["reports"]), caller, "price-list");
    expect(await waysTo(world(["lists"]), caller, "r1")).toEqual(GONE);
  });

  it("stays when only its description changes", async () => {
    const caller = callerAs(EMAIL);
    await run(world(["reports"]), caller, "names");
    const queries = { ...QUERIES, names: { ...NAMES, description: "Names of all customers" } };
    expect(await waysTo(world(["reports"], ROLES, queries), caller, "r1")).toEqual(THERE);
  });
});

describe("a result that an earlier version kept", () => {
  it.each<[string, (origin: Record<string, unknown>) => unknown]>([
    ["without how it was made", (origin) => ({ ...origin, lineage: [{ dataset: "shop.customers", grants: [] }] })],
    ["without any lineage", (origin) => ({ ...origin, lineage: undefined })],
    ["made in a way that is not known", (origin) => ({ ...origin, lineage: [{ by: { kind: "other" }, reads: [] }] })],
    ["that is no object", () => "?"],
  ])("is gone: %s", async (_name, change) => {
    const [gateway, caller] = [world(["free"]), callerAs(EMAIL)];
    await ask(gateway, caller, "shop", "SELECT 1");
    const workspace = env.WORKSPACE.get(env.WORKSPACE.idFromName(caller.identity.subjectId));
    await runInDurableObject(workspace, async (_instance, { storage }) => {
      const result = storage.kv.get<{ origin: string }>("result:r1");
      storage.kv.put("result:r1", { ...result, origin: JSON.stringify(change(JSON.parse(result?.origin ?? "{}"))) });
    });
    expect(await waysTo(gateway, caller, "r1")).toEqual(GONE);
  });

  it("is gone when what was stored is not JSON", async () => {
    const [gateway, caller] = [world(["free"]), callerAs(EMAIL)];
    await ask(gateway, caller, "shop", "SELECT 1");
    const workspace = env.WORKSPACE.get(env.WORKSPACE.idFromName(caller.identity.subjectId));
    await runInDurableObject(workspace, async (_instance, { storage }) => {
      storage.kv.put("result:r1", { ...storage.kv.get<object>("result:r1"), origin: "{" });
    });
    expect(await waysTo(gateway, caller, "r1")).toEqual(GONE);
  });
});

describe("a result with another mask than today's", () => {
  const masked = (masks: Rule["masks"]): Roles => ({ free: { description: "f", rules: [{ ...WHOLE, masks }] } });

  it.each([
    [
      "a range of 10 when the column is rounded to 5000",
      masked({ id: mask.bucket(10) }),
      masked({ id: mask.round(5000) }),
      GONE,
    ],
    [
      "a masking token when the last character is shown",
      masked({ email: mask.token("email") }),
      masked({ email: mask.last(1) }),
      GONE,
    ],
    ["a range of 20 when one of 10 is shown", masked({ id: mask.bucket(20) }), masked({ id: mask.bucket(10) }), THERE],
  ])("%s", async (_name, then, now, expected) => {
    const caller = callerAs(EMAIL);
    await ask(world(["free"], then), caller, "shop", "SELECT id, email FROM customers");
    expect(await waysTo(world(["free"], now), caller, "r1")).toEqual(expected);
  });

  it("that holds masking tokens is gone when the column comes in clear and other columns have tokens of the domain", async () => {
    const caller = callerAs(EMAIL);
    const subjects: Rule = { action: "read", datasets: ["shop.tickets"], masks: { subject: mask.token("email") } };
    const tokens = { ...WHOLE, masks: { email: mask.token("email") } };
    await ask(
      world(["free"], { free: { description: "f", rules: [tokens, subjects] } }),
      caller,
      "shop",
      "SELECT id, email FROM customers",
    );
    const alone = world(["free"], { free: { description: "f", rules: [WHOLE] } });
    expect(await waysTo(alone, caller, "r1")).toEqual(THERE);
    const beside = world(["free"], { free: { description: "f", rules: [WHOLE, subjects] } });
    expect(await waysTo(beside, caller, "r1")).toEqual(GONE);
  });
});

function reports() {
  return { description: "r", savedOnly: true, queries: ["names", "towns", "price-list"] };
}

function without(name: string): Roles {
  const queries = reports().queries.filter((query) => query !== name);
  return { ...ROLES, reports: { ...reports(), queries, rules: [WHOLE] } };
}
