// Who gets what, through the protocol as a client would ask: the scenario table, resources, and the record of it all.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { firstBrokenLink } from "../../src/ledger/chain.ts";
import { subjectIdOf } from "../support/members.ts";
import { ACCOUNTS, SCENARIOS } from "../support/scenarios.ts";
import type { Account } from "../support/scenarios.ts";
import { SECRETS, seedShop } from "../support/seed.ts";
import { callTool, post2026, tokenOf } from "../support/worker.ts";

const tokens = new Map<Account, string>();

beforeAll(async () => {
  await seedShop();
  for (const account of ACCOUNTS) tokens.set(account, await tokenOf(account));
});

function tokenFor(account: Account): string {
  return tokens.get(account) ?? "";
}

async function ledgerOf(account: Account) {
  return env.LEDGER.get(env.LEDGER.idFromName(await subjectIdOf(`${account}@harbor.example`)));
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
