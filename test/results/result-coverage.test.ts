// Stored results by how they were read: by the user's own SQL, or by a saved query. A result may be used only while the same read
// would still be allowed.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { mask } from "../../src/config/define-gatehouse.ts";
import { AppError } from "../../src/errors.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { DATE, NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";
import type { AllowRule, PolicyParts, Roles } from "../support/policy-builder.ts";
import { seedShop } from "../support/seed.ts";

const EMAIL = "kate@harbor.example";

const WHOLE = allow("shop.customers");

type Queries = NonNullable<PolicyParts["queries"]>;

const NAMES = { description: "Names", source: "shop", sql: "SELECT id, name FROM customers ORDER BY id" } as const;
const QUERIES: Queries = {
  names: NAMES,
  towns: { description: "Regions", source: "shop", sql: "SELECT DISTINCT region FROM customers ORDER BY 1" },
  "price-list": { description: "Prices", source: "shop", sql: "SELECT 'anchor' AS thing, 9500 AS cents" },
};
/** All of `customers`: by any SQL, by saved queries, and by one saved query. */
const ROLES: Roles = {
  free: [WHOLE],
  reports: { savedOnly: true, queries: ["names", "towns", "price-list"], rules: [WHOLE] },
  lists: { savedOnly: true, queries: ["towns"], rules: [WHOLE] },
};

/** One user with these roles. */
const world = (roleNames: readonly string[], roles: Roles = ROLES, queries: Queries = QUERIES) =>
  gatewayFor(
    buildPolicy({
      tables: {
        customers: { id: key(NUMBER), name: TEXT, region: TEXT, email: TEXT },
        tickets: { id: NUMBER, subject: TEXT },
      },
      queries,
      roles,
      members: { [EMAIL]: roleNames },
    }),
  );

type Gateway = ReturnType<typeof world>;
type Caller = ReturnType<typeof callerAs>;

const ask = async (gateway: Gateway, caller: Caller, source: string, sql: string) =>
  gateway.query(caller, { target: { source, sql }, params: [], rowLimit: undefined });
const run = async (gateway: Gateway, caller: Caller, saved: string) =>
  gateway.query(caller, { target: { saved }, params: [], rowLimit: undefined });

async function readCode(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "answered",
    (thrown: unknown) => {
      if (!(thrown instanceof AppError)) throw thrown;
      return thrown.code;
    },
  );
}

/** Reads a result in each possible way: the error code or `answered`, and whether it is listed. */
async function readEveryWay(gateway: Gateway, caller: Caller, id: string): Promise<readonly string[]> {
  const isListedBy = [
    JSON.stringify(await gateway.describe(caller, "workspace")).includes(`"workspace.${id}"`),
    (await gateway.listResources(caller)).some(({ uri }) => uri === `gatehouse://result/${id}`),
    (await gateway.search(caller, id, 50)).results.some((result) => result.id === id),
    (await gateway.complete(caller, { kind: "result", source: undefined, prefix: "" })).values.includes(id),
  ];
  return [
    await readCode(gateway.fetch(caller, id, 1)),
    await readCode(gateway.readResource(caller, `gatehouse://result/${id}`)),
    await readCode(gateway.describe(caller, id)),
    await readCode(ask(gateway, caller, "workspace", `SELECT * FROM ${id}`)),
    ...isListedBy.map((isListed) => (isListed ? "listed" : "not listed")),
  ];
}

const DELETED = [
  "not_found",
  "not_found",
  "not_found",
  "query_failed",
  ...Array.from({ length: 4 }, () => "not listed"),
];
const AVAILABLE = ["answered", "answered", "answered", "answered", ...Array.from({ length: 4 }, () => "listed")];

beforeAll(seedShop);

describe("a result of the user's own SQL", () => {
  it("is deleted when only a saved-query role still covers the table", async () => {
    const caller = callerAs(EMAIL);
    await ask(world(["free", "reports"]), caller, "shop", "SELECT id, name FROM customers");
    expect(await readEveryWay(world(["reports"]), caller, "r1")).toEqual(DELETED);
  });

  it("is deleted when it was computed from a result of the user's own SQL, and stays when it was not", async () => {
    const [gateway, caller] = [world(["free", "reports"]), callerAs(EMAIL)];
    await run(gateway, caller, "names");
    await ask(gateway, caller, "shop", "SELECT id, name FROM customers");
    await ask(gateway, caller, "workspace", "SELECT name FROM r1 UNION ALL SELECT name FROM r2");
    await ask(gateway, caller, "workspace", "SELECT count(*) FROM r3");
    await ask(gateway, caller, "workspace", "SELECT count(*) FROM r1");
    const after = world(["reports"]);
    expect(await readEveryWay(after, caller, "r3")).toEqual(DELETED);
    expect(await readEveryWay(after, caller, "r4")).toEqual(DELETED);
    expect(await readEveryWay(after, caller, "r5")).toEqual(AVAILABLE);
    expect(await readEveryWay(after, caller, "r1")).toEqual(AVAILABLE);
  });

  it("is deleted when its role becomes a saved-query role", async () => {
    const caller = callerAs(EMAIL);
    await ask(world(["free"]), caller, "shop", "SELECT id, name FROM customers");
    const marked: Roles = { ...ROLES, free: { savedOnly: true, rules: [WHOLE] } };
    expect(await readEveryWay(world(["free"], marked), caller, "r1")).toEqual(DELETED);
  });
});

describe("a result of a saved query", () => {
  it("stays while the user may run the query with the same grants", async () => {
    const caller = callerAs(EMAIL);
    await run(world(["reports", "free"]), caller, "names");
    expect(await readEveryWay(world(["reports"]), caller, "r1")).toEqual(AVAILABLE);
  });

  it.each<[string, readonly string[], Roles, Queries]>([
    ["the user may run only other saved queries", ["lists"], ROLES, QUERIES],
    ["the role no longer has the query", ["reports"], without("names"), QUERIES],
    ["the query was removed", ["reports"], without("names"), { towns: QUERIES["towns"] ?? NAMES, "price-list": NAMES }],
    [
      "the SQL of the query has changed",
      ["reports"],
      ROLES,
      { ...QUERIES, names: { ...NAMES, sql: "SELECT count(*) FROM customers" } },
    ],
    ["the user may read the table but not run the query", ["free"], ROLES, QUERIES],
    [
      "the role masks a column",
      ["reports"],
      { ...ROLES, reports: { ...reports(), rules: [{ ...WHOLE, masks: { name: mask.redact } }] } },
      QUERIES,
    ],
  ])("is deleted when %s", async (_name, roleNames, roles, queries) => {
    const caller = callerAs(EMAIL);
    const before = world(["reports"]);
    await run(before, caller, "names");
    await ask(before, caller, "workspace", "SELECT count(*) FROM r1");
    const after = world(roleNames, roles, queries);
    expect(await readEveryWay(after, caller, "r1")).toEqual(DELETED);
    expect(await readEveryWay(after, caller, "r2")).toEqual(DELETED);
  });

  it("is deleted when the user may no longer run a query that reads no table", async () => {
    const caller = callerAs(EMAIL);
    await run(world(["reports"]), caller, "price-list");
    expect(await readEveryWay(world(["lists"]), caller, "r1")).toEqual(DELETED);
  });

  it("stays when only its description changes", async () => {
    const caller = callerAs(EMAIL);
    await run(world(["reports"]), caller, "names");
    const queries = { ...QUERIES, names: { ...NAMES, description: "Names of all customers" } };
    expect(await readEveryWay(world(["reports"], ROLES, queries), caller, "r1")).toEqual(AVAILABLE);
  });
});

describe("a result that an earlier version stored", () => {
  it.each<[string, (origin: Record<string, unknown>) => unknown]>([
    [
      "it lacks how its rows were read",
      (origin) => ({ ...origin, lineage: [{ dataset: "shop.customers", grants: [] }] }),
    ],
    ["it has no lineage", (origin) => ({ ...origin, lineage: undefined })],
    ["its kind of read is unknown", (origin) => ({ ...origin, lineage: [{ by: { kind: "other" }, reads: [] }] })],
    ["its origin is not an object", () => "?"],
  ])("is deleted when %s", async (_name, change) => {
    const [gateway, caller] = [world(["free"]), callerAs(EMAIL)];
    await ask(gateway, caller, "shop", "SELECT 1");
    const workspace = env.WORKSPACE.get(env.WORKSPACE.idFromName(caller.identity.subjectId));
    await runInDurableObject(workspace, async (_instance, { storage }) => {
      const result = storage.kv.get<{ origin: string }>("result:r1");
      storage.kv.put("result:r1", { ...result, origin: JSON.stringify(change(JSON.parse(result?.origin ?? "{}"))) });
    });
    expect(await readEveryWay(gateway, caller, "r1")).toEqual(DELETED);
  });

  it("is deleted when its origin is not JSON", async () => {
    const [gateway, caller] = [world(["free"]), callerAs(EMAIL)];
    await ask(gateway, caller, "shop", "SELECT 1");
    const workspace = env.WORKSPACE.get(env.WORKSPACE.idFromName(caller.identity.subjectId));
    await runInDurableObject(workspace, async (_instance, { storage }) => {
      storage.kv.put("result:r1", { ...storage.kv.get<object>("result:r1"), origin: "{" });
    });
    expect(await readEveryWay(gateway, caller, "r1")).toEqual(DELETED);
  });
});

describe("a result whose mask has changed", () => {
  const masked = (masks: AllowRule["masks"]): Roles => ({ free: [{ ...WHOLE, masks }] });

  it.each([
    [
      "is deleted when a range of 10 becomes rounding to 5000",
      masked({ id: mask.bucket(10) }),
      masked({ id: mask.round(5000) }),
      DELETED,
    ],
    [
      "is deleted when a masking token becomes the last character",
      masked({ email: mask.token("email") }),
      masked({ email: mask.last(1) }),
      DELETED,
    ],
    [
      "stays when a range of 20 becomes a range of 10",
      masked({ id: mask.bucket(20) }),
      masked({ id: mask.bucket(10) }),
      AVAILABLE,
    ],
  ])("%s", async (_name, then, now, expected) => {
    const caller = callerAs(EMAIL);
    await ask(world(["free"], then), caller, "shop", "SELECT id, email FROM customers");
    expect(await readEveryWay(world(["free"], now), caller, "r1")).toEqual(expected);
  });

  it("is deleted when its masking tokens become values and other columns still have masking tokens of the domain", async () => {
    const caller = callerAs(EMAIL);
    const subjects = allow("shop.tickets", { masks: { subject: mask.token("email") } });
    const tokenized = { ...WHOLE, masks: { email: mask.token("email") } };
    await ask(world(["free"], { free: [tokenized, subjects] }), caller, "shop", "SELECT id, email FROM customers");
    const clearAlone = world(["free"], { free: [WHOLE] });
    expect(await readEveryWay(clearAlone, caller, "r1")).toEqual(AVAILABLE);
    const clearBesideTokens = world(["free"], { free: [WHOLE, subjects] });
    expect(await readEveryWay(clearBesideTokens, caller, "r1")).toEqual(DELETED);
  });
});

function reports() {
  return { savedOnly: true, queries: ["names", "towns", "price-list"] };
}

function without(name: string): Roles {
  const queries = reports().queries.filter((query) => query !== name);
  return { ...ROLES, reports: { ...reports(), queries, rules: [WHOLE] } };
}

describe("a result that the version before stored, whose origin has no number of the masked forms", () => {
  const removeNumber = async (caller: Caller): Promise<void> => {
    const workspace = env.WORKSPACE.get(env.WORKSPACE.idFromName(caller.identity.subjectId));
    await runInDurableObject(workspace, async (_instance, { storage }) => {
      const result = storage.kv.get<{ origin: string }>("result:r1");
      const { maskedForms, ...origin } = JSON.parse(result?.origin ?? "{}");
      expect(maskedForms).toBe(1);
      storage.kv.put("result:r1", { ...result, origin: JSON.stringify(origin) });
    });
  };

  it.each([
    ["is deleted when it shows ranges as text", { id: mask.bucket(10) }, DELETED],
    ["is deleted when it shows numbers rounded in another way", { id: mask.round(10) }, DELETED],
    ["stays when its masks have the same form as before", { email: mask.email }, AVAILABLE],
    ["stays when it shows everything in clear", {}, AVAILABLE],
  ] as const)("%s", async (_title, masks, expected) => {
    const [gateway, caller] = [world(["free"], { free: [{ ...WHOLE, masks }] }), callerAs(EMAIL)];
    await ask(gateway, caller, "shop", "SELECT * FROM customers");
    await removeNumber(caller);
    expect(await readEveryWay(gateway, caller, "r1")).toEqual(expected);
  });

  it("is deleted when one of the grants behind it truncated a date", async () => {
    const policy = buildPolicy({
      tables: { customers: { id: key(NUMBER), region: TEXT, birth_date: DATE } },
      roles: {
        all: [allow("shop.customers", { masks: { birth_date: mask.year } })],
        north: [allow("shop.customers", { rows: { column: "region", op: "=", value: "north" } })],
      },
      members: { [EMAIL]: ["all", "north"] },
    });
    const [gateway, caller] = [gatewayFor(policy), callerAs(EMAIL)];
    await ask(gateway, caller, "shop", "SELECT id FROM customers");
    await removeNumber(caller);
    expect(await readEveryWay(gateway, caller, "r1")).toEqual(DELETED);
  });
});
