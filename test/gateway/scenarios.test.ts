// What each account gets through the protocol: the scenario table, resources, and the audit record of each call.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { findBrokenLink } from "../support/broken-link.ts";
import { subjectIdOf } from "../support/members.ts";
import { ACCOUNTS, SCENARIOS } from "../support/scenarios.ts";
import type { Account } from "../support/scenarios.ts";
import { SECRETS, seedShop } from "../support/seed.ts";
import { callTool, post2026, tokenOf } from "../support/worker.ts";

const accessTokens = new Map<Account, string>();

beforeAll(async () => {
  await seedShop();
  for (const account of ACCOUNTS) accessTokens.set(account, await tokenOf(account));
});

function getAccessToken(account: Account): string {
  return accessTokens.get(account) ?? "";
}

async function openLedger(account: Account) {
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

async function readRecordsSince(account: Account, seq: number): Promise<readonly RecordBody[]> {
  const records = await (await openLedger(account)).listRecords(seq, 100);
  return records.map(({ body }): RecordBody => JSON.parse(body));
}

describe("tools", () => {
  it.each(SCENARIOS)(
    "answer $who calling $tool with $args",
    async ({ who, tool, args, has = [], lacks = [], recorded }) => {
      const ledger = await openLedger(who);
      const lastSeq = (await ledger.listRecords(0, 1000)).length;
      const { wire } = await callTool(getAccessToken(who), tool, args);
      const text = wire.replaceAll("\\", "");
      for (const expected of has) expect(text).toContain(expected);
      for (const forbidden of lacks) expect(wire).not.toContain(forbidden);
      const records = await readRecordsSince(who, lastSeq);
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
    },
  );
});

describe("resources", () => {
  it("lists what the user may read, in one audit record", async () => {
    const lastSeq = (await (await openLedger("support")).listRecords(0, 1000)).length;
    const wire = await (await post2026(getAccessToken("support"), "resources/list")).text();
    expect(wire).toContain("gatehouse://dataset/shop/customers");
    expect(wire).toContain("gatehouse://document/handbook/policies/returns.md");
    expect(wire).not.toContain("orders");
    expect(await readRecordsSince("support", lastSeq)).toMatchObject([{ attempt: { operation: "list resources" } }]);
    expect(await (await post2026(getAccessToken("guest"), "resources/list")).json()).toMatchObject({
      result: { resources: [] },
    });
  });

  it("reads documents, descriptions and rows, and returns -32602 for a URI that is missing or not granted", async () => {
    const read = async (who: Account, uri: string) =>
      (await post2026(getAccessToken(who), "resources/read", { uri })).text();
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

describe("the audit record", () => {
  it("holds the SQL and the rules, and no returned or bound value", async () => {
    await callTool(getAccessToken("owner"), "query", {
      source: "shop",
      sql: "SELECT email, notes FROM customers WHERE id = ? AND name <> ?",
      params: [2, "bound-value-31"],
    });
    const recordText = JSON.stringify(await readRecordsSince("owner", 0));
    expect(recordText).toContain("SELECT email, notes FROM customers WHERE id = ?");
    expect(recordText).toContain("owner/allow/read/shop.customers");
    for (const value of [...Object.values(SECRETS), "bound-value-31"]) expect(recordText).not.toContain(value);
  });

  it("distinguishes a denied name from a missing one by its denials", async () => {
    const lastSeq = (await (await openLedger("support")).listRecords(0, 1000)).length;
    await callTool(getAccessToken("support"), "fetch", { id: "shop.orders/1" });
    await callTool(getAccessToken("support"), "query", { source: "shop", sql: "SELECT * FROM orders" });
    await callTool(getAccessToken("support"), "fetch", { id: "shop.nothing" });
    expect(await readRecordsSince("support", lastSeq)).toMatchObject([
      { outcome: { result: "denied", denials: ["shop.orders: no_rule"] } },
      { outcome: { result: "denied", denials: ["shop.orders: no_rule"] } },
      { outcome: { result: "denied", denials: [] } },
    ]);
  });

  it("is an unbroken chain for each account", async () => {
    for (const account of ACCOUNTS) {
      const records = await (await openLedger(account)).listRecords(0, 1000);
      expect(records.length).toBeGreaterThan(1);
      expect(findBrokenLink(records)).toBeNull();
    }
  });
});
