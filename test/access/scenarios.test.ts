// Who gets what, through the protocol as a client would ask: each row names an account, a call, what must and must not
// be in the answer, and how the ledger records it.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { firstBrokenLink } from "../../src/ledger/chain.ts";
import { identityOf } from "../../src/auth/subject.ts";
import { SECRETS, seedShop } from "../support/seed.ts";
import { callTool, post2026, tokenOf } from "../support/worker.ts";

const ACCOUNTS = ["analyst", "support", "owner", "guest"] as const;
type Account = (typeof ACCOUNTS)[number];

const tokens = new Map<Account, string>();

beforeAll(async () => {
  await seedShop();
  for (const account of ACCOUNTS) tokens.set(account, await tokenOf(account));
});

function tokenFor(account: Account): string {
  return tokens.get(account) ?? "";
}

async function ledgerOf(account: Account) {
  const email = `${account}@harbor.example`;
  const { subjectId } = await identityOf({ issuer: "urn:gatehouse:sample", subject: email, email });
  return env.LEDGER.get(env.LEDGER.idFromName(subjectId));
}

interface RecordBody {
  readonly attempt: { readonly operation: string; readonly asked: string; readonly roles: readonly string[] };
  readonly outcome: {
    readonly result: string;
    readonly code: string | null;
    readonly rows: number;
    readonly rules: readonly string[];
    readonly masked: readonly string[];
    readonly denials: readonly string[];
  };
}

async function recordsSince(account: Account, seq: number): Promise<readonly RecordBody[]> {
  const records = await (await ledgerOf(account)).records(seq, 100);
  return records.map(({ body }): RecordBody => JSON.parse(body));
}

interface Scenario {
  readonly who: Account;
  readonly tool: string;
  readonly args: Record<string, unknown>;
  readonly has?: readonly string[];
  readonly lacks?: readonly string[];
  readonly recorded: { readonly result: string; readonly code?: string; readonly rows?: number };
}

const HIDDEN_FROM_ANALYST = [SECRETS.northEmail, SECRETS.southEmail, SECRETS.note, "7654321", "Rope Walk"];
const HIDDEN_FROM_SUPPORT = [SECRETS.southEmail, SECRETS.southName, SECRETS.southTicket, SECRETS.note];

const SCENARIOS: readonly Scenario[] = [
  {
    who: "analyst",
    tool: "query",
    args: { source: "shop", sql: "SELECT count(*), max(id * 2) FROM customers" },
    has: ["[3,6]"],
    lacks: ["masked"],
    recorded: { result: "answered", rows: 1 },
  },
  {
    who: "analyst",
    tool: "fetch",
    args: { id: "shop.customers/1e0" },
    has: ["not_found"],
    recorded: { result: "denied" },
  },
  {
    who: "analyst",
    tool: "fetch",
    args: { id: "gatehouse://dataset/shop/customers/1" },
    has: ["shop.customers/1"],
    lacks: ["planted-note"],
    recorded: { result: "answered", rows: 1 },
  },
  {
    who: "analyst",
    tool: "describe",
    args: {},
    has: ["shop.customers", "ops.stock", "handbook"],
    recorded: { result: "answered", rows: 0 },
  },
  {
    who: "analyst",
    tool: "describe",
    args: { dataset: "shop" },
    has: ["shop.refunds"],
    lacks: ["ops.stock"],
    recorded: { result: "answered" },
  },
  {
    who: "analyst",
    tool: "describe",
    args: { dataset: "shop.customers" },
    has: ['"masked":"last(3)"', '"masked":"email"'],
    lacks: ["notes"],
    recorded: { result: "answered" },
  },
  {
    who: "analyst",
    tool: "describe",
    args: { dataset: "handbook" },
    has: ["search for words"],
    recorded: { result: "answered" },
  },
  {
    who: "analyst",
    tool: "describe",
    args: { dataset: "shop.nothing" },
    has: ["not_found"],
    recorded: { result: "denied", code: "not_found" },
  },
  {
    who: "analyst",
    tool: "query",
    args: { source: "shop", sql: "SELECT * FROM customers ORDER BY id" },
    has: ["n…@north.example", "shop.customers.email:email", '"total":3'],
    lacks: HIDDEN_FROM_ANALYST,
    recorded: { result: "answered", rows: 3 },
  },
  {
    who: "analyst",
    tool: "query",
    args: { source: "shop", sql: "SELECT id FROM customers", limit: 1 },
    has: ['"atLeast":2', "at least 2 rows"],
    recorded: { result: "answered", rows: 1 },
  },
  {
    who: "analyst",
    tool: "query",
    args: { source: "shop", sql: "SELECT notes FROM customers" },
    has: ["query_failed"],
    lacks: HIDDEN_FROM_ANALYST,
    recorded: { result: "failed", code: "query_failed" },
  },
  {
    who: "analyst",
    tool: "query",
    args: { source: "shop", sql: "DELETE FROM customers" },
    has: ["query_refused"],
    recorded: { result: "failed", code: "query_refused" },
  },
  {
    who: "analyst",
    tool: "query",
    args: { source: "nowhere", sql: "SELECT 1" },
    has: ["not_found", "There are: shop, ops."],
    recorded: { result: "denied", code: "not_found" },
  },
  {
    who: "analyst",
    tool: "query",
    args: { source: "shop", sql: "SELECT ? + ?", params: [1, { a: 1 }] },
    has: ["params[1] must be"],
    recorded: { result: "none" },
  },
  {
    who: "analyst",
    tool: "query",
    args: { source: "shop", sql: "SELECT ?, ?", params: [true, null] },
    has: ["[1,null]"],
    recorded: { result: "answered", rows: 1 },
  },
  {
    who: "analyst",
    tool: "query",
    args: { source: "shop", sql: "SELECT 1", limit: 0 },
    has: ["limit"],
    recorded: { result: "none" },
  },
  {
    who: "analyst",
    tool: "query",
    args: { source: "shop", sql: "SELECT 1", limit: 1_000_000 },
    has: ['"total":1'],
    recorded: { result: "answered" },
  },
  {
    who: "analyst",
    tool: "fetch",
    args: { id: "shop.customers/2" },
    has: ["s…@south.example"],
    lacks: HIDDEN_FROM_ANALYST,
    recorded: { result: "answered", rows: 1 },
  },
  {
    who: "analyst",
    tool: "fetch",
    args: { id: "shop.customers/99" },
    has: ["not_found"],
    recorded: { result: "denied", code: "not_found" },
  },
  {
    who: "analyst",
    tool: "fetch",
    args: { id: "shop.customers/2 OR 1=1" },
    has: ["not_found"],
    recorded: { result: "denied" },
  },
  { who: "analyst", tool: "fetch", args: { id: "ops.stock/1" }, has: ["not_found"], recorded: { result: "denied" } },
  {
    who: "analyst",
    tool: "fetch",
    args: { id: "handbook/policies/returns.md" },
    has: ["within 30 days", "gatehouse://document/handbook/policies/returns.md"],
    recorded: { result: "answered", rows: 1 },
  },
  {
    who: "analyst",
    tool: "fetch",
    args: { id: "handbook/policies/none.md" },
    has: ["not_found"],
    recorded: { result: "denied" },
  },
  {
    who: "analyst",
    tool: "fetch",
    args: { id: "handbook/policies/returns.md", page: 2 },
    has: ["invalid_input", "1 page(s)"],
    recorded: { result: "failed", code: "invalid_input" },
  },
  {
    who: "analyst",
    tool: "fetch",
    args: { id: "handbook" },
    has: ["handbook/products/anchors.md"],
    recorded: { result: "answered" },
  },
  {
    who: "analyst",
    tool: "search",
    args: { query: "returned goods" },
    has: ["handbook/policies/returns.md"],
    recorded: { result: "answered" },
  },
  {
    who: "analyst",
    tool: "search",
    args: { query: "euro cents" },
    has: ["shop.orders"],
    recorded: { result: "answered" },
  },
  {
    who: "analyst",
    tool: "search",
    args: { query: "zzzz" },
    has: ["Nothing matched"],
    recorded: { result: "answered", rows: 0 },
  },
  {
    who: "analyst",
    tool: "search",
    args: { query: "written by staff" },
    lacks: ["notes"],
    recorded: { result: "answered" },
  },
  {
    who: "support",
    tool: "describe",
    args: {},
    has: ["shop.customers", "shop.tickets"],
    lacks: ["shop.orders", "shop.refunds", "ops"],
    recorded: { result: "answered" },
  },
  {
    who: "support",
    tool: "describe",
    args: { dataset: "shop.orders" },
    has: ["not_found"],
    lacks: ["Order number"],
    recorded: { result: "denied" },
  },
  {
    who: "support",
    tool: "query",
    args: { source: "shop", sql: "SELECT * FROM customers" },
    has: [SECRETS.northEmail],
    lacks: HIDDEN_FROM_SUPPORT,
    recorded: { result: "answered", rows: 2 },
  },
  {
    who: "support",
    tool: "query",
    args: { source: "shop", sql: "SELECT * FROM tickets" },
    has: ["Where is it?"],
    lacks: HIDDEN_FROM_SUPPORT,
    recorded: { result: "answered", rows: 1 },
  },
  {
    who: "support",
    tool: "query",
    args: { source: "shop", sql: "SELECT * FROM orders" },
    has: ["query_failed", "no table orders"],
    recorded: { result: "denied", code: "query_failed" },
  },
  {
    who: "support",
    tool: "query",
    args: { source: "ops", sql: "SELECT * FROM stock" },
    has: ["not_found", "There are: shop."],
    recorded: { result: "denied" },
  },
  {
    who: "support",
    tool: "fetch",
    args: { id: "shop.customers/2" },
    has: ["not_found"],
    lacks: HIDDEN_FROM_SUPPORT,
    recorded: { result: "denied" },
  },
  { who: "support", tool: "fetch", args: { id: "shop.orders/1" }, has: ["not_found"], recorded: { result: "denied" } },
  { who: "support", tool: "search", args: { query: "warehouses" }, lacks: ["ops."], recorded: { result: "answered" } },
  {
    who: "owner",
    tool: "query",
    args: { source: "shop", sql: "SELECT notes, email FROM customers WHERE id = 2" },
    has: [SECRETS.note, SECRETS.southEmail],
    recorded: { result: "answered", rows: 1 },
  },
  {
    who: "guest",
    tool: "describe",
    args: {},
    has: ["no role here", "owner@harbor.example"],
    lacks: ["shop.", "handbook"],
    recorded: { result: "answered" },
  },
  {
    who: "guest",
    tool: "describe",
    args: { dataset: "shop.customers" },
    has: ["not_found"],
    recorded: { result: "denied" },
  },
  {
    who: "guest",
    tool: "query",
    args: { source: "shop", sql: "SELECT * FROM customers" },
    has: ["not_found", "There is none"],
    recorded: { result: "denied" },
  },
  {
    who: "guest",
    tool: "fetch",
    args: { id: "handbook/policies/returns.md" },
    has: ["not_found"],
    lacks: ["30 days"],
    recorded: { result: "denied" },
  },
  {
    who: "guest",
    tool: "search",
    args: { query: "returns" },
    has: ["Nothing matched"],
    lacks: ["30 days"],
    recorded: { result: "answered", rows: 0 },
  },
];

describe("tools", () => {
  it.each(SCENARIOS)("$who $tool $args", async ({ who, tool, args, has = [], lacks = [], recorded }) => {
    const ledger = await ledgerOf(who);
    const before = (await ledger.records(0, 1000)).length;
    const { wire } = await callTool(tokenFor(who), tool, args);
    const text = wire.replaceAll("\\", "");
    for (const expected of has) expect(text).toContain(expected);
    for (const forbidden of lacks) expect(wire).not.toContain(forbidden);
    const records = await recordsSince(who, before);
    if (recorded.result === "none") return expect(records).toEqual([]);
    expect(records).toHaveLength(1);
    expect(records[0]).toMatchObject({
      attempt: { operation: tool },
      outcome: {
        result: recorded.result,
        ...(recorded.code === undefined ? {} : { code: recorded.code }),
        ...(recorded.rows === undefined ? {} : { rows: recorded.rows }),
      },
    });
  });
});

describe("resources", () => {
  it("lists what the person may read, in one recorded operation", async () => {
    const before = (await (await ledgerOf("support")).records(0, 1000)).length;
    const wire = await (await post2026(tokenFor("support"), "resources/list")).text();
    expect(wire).toContain("gatehouse://dataset/shop/customers");
    expect(wire).toContain("gatehouse://document/handbook/policies/returns.md");
    expect(wire).not.toContain("orders");
    expect(await recordsSince("support", before)).toMatchObject([{ attempt: { operation: "list resources" } }]);
    expect(await (await post2026(tokenFor("guest"), "resources/list")).json()).toMatchObject({
      result: { resources: [] },
    });
  });

  it("reads a document whole and a dataset's description, and says not found for the rest", async () => {
    const read = async (who: Account, uri: string) => (await post2026(tokenFor(who), "resources/read", { uri })).text();
    expect(await read("support", "gatehouse://document/handbook/policies/returns.md")).toContain("within 30 days");
    expect(await read("analyst", "gatehouse://dataset/shop/customers")).toContain("masked: email");
    expect(await read("analyst", "gatehouse://dataset/shop/customers/1")).toContain("n…@north.example");
    expect(await read("analyst", "gatehouse://document/handbook")).toContain("handbook/policies/returns.md");
    for (const [who, uri] of [
      ["guest", "gatehouse://document/handbook/policies/returns.md"],
      ["support", "gatehouse://dataset/shop/orders"],
      ["support", "gatehouse://dataset/shop/nothing"],
      ["support", "gatehouse://document/handbook/%zz"],
    ] as const) {
      expect(JSON.parse(await read(who, uri))).toMatchObject({ error: { code: -32602 } });
    }
  });
});

describe("the record", () => {
  it("holds what was asked and decided, never a value that was returned or bound", async () => {
    await callTool(tokenFor("owner"), "query", {
      source: "shop",
      sql: "SELECT email, notes FROM customers WHERE id = ? AND name <> ?",
      params: [2, "bound-value-31"],
    });
    const all = JSON.stringify(await recordsSince("owner", 0));
    expect(all).toContain("SELECT email, notes FROM customers WHERE id = ?");
    expect(all).toContain("owner/allow/read/shop.customers");
    for (const value of [...Object.values(SECRETS), "bound-value-31"]) expect(all).not.toContain(value);
  });

  it("tells a refusal of the policy from a name that does not exist, by its reason", async () => {
    const before = (await (await ledgerOf("support")).records(0, 1000)).length;
    await callTool(tokenFor("support"), "fetch", { id: "shop.orders/1" });
    await callTool(tokenFor("support"), "query", { source: "shop", sql: "SELECT * FROM refunds" });
    await callTool(tokenFor("support"), "fetch", { id: "shop.nothing" });
    expect(await recordsSince("support", before)).toMatchObject([
      { outcome: { result: "denied", denials: ["shop.orders: no_rule"] } },
      { outcome: { result: "denied", denials: ["shop.refunds: no_rule"] } },
      { outcome: { result: "denied", denials: [] } },
    ]);
  });

  it("is an unbroken chain for everybody", async () => {
    for (const account of ACCOUNTS) {
      const records = await (await ledgerOf(account)).records(0, 1000);
      expect(records.length).toBeGreaterThan(1);
      expect(firstBrokenLink(records)).toBeNull();
    }
  });
});
