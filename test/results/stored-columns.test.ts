// Columns of stored results: those of the version before, and those of documents.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { mask } from "../../src/config/define-gatehouse.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";
import { seedShop } from "../support/seed.ts";

const CUSTOMERS = { id: key(NUMBER), name: TEXT, email: TEXT, notes: { ...TEXT, untrusted: true } };
const config = buildPolicy({
  tables: { customers: CUSTOMERS },
  sources: {
    handbook: { binding: "HANDBOOK" },
    ops: { binding: "OPS_DB", tables: { warehouses: { id: NUMBER, town: TEXT } } },
  },
  roles: { reader: [allow("shop.customers", { masks: { email: mask.email } }), allow(["handbook", "ops.warehouses"])] },
});
const gateway = gatewayFor(config);
const query = (caller: ReturnType<typeof callerAs>, source: string, sql: string) =>
  gateway.query(caller, { target: { source, sql }, params: [], rowLimit: undefined });

beforeAll(seedShop);

describe("a result of the version before, whose columns have no labels and types", () => {
  it("is fenced and labelled as a whole, and stays exact", async () => {
    const caller = callerAs("reader@harbor.example");
    await query(caller, "shop", "SELECT id, name, email, notes FROM customers WHERE id = 1");
    const workspace = env.WORKSPACE.get(env.WORKSPACE.idFromName(caller.identity.subjectId));
    await runInDurableObject(workspace, async (_instance, { storage }) => {
      const result = storage.kv.get<{ columns: { name: string; types: string[] }[] }>("result:r1");
      storage.kv.put("result:r1", { ...result, columns: result?.columns.map(({ name, types }) => ({ name, types })) });
    });
    const answer = await query(caller, "workspace", "SELECT id, name FROM r1");
    expect(answer).toMatchObject({
      rows: [[1, "⟦Nora North⟧"]],
      masked: ["shop.customers.email:email"],
      untrusted: ["shop.customers.notes"],
    });
    expect((await gateway.fetch(caller, "r1", 1)).text).toContain("1,⟦Nora North⟧,⟦n…@north.example⟧");
  });
});

describe("a CSV document", () => {
  it("joins to an integer key, and compares as numbers", async () => {
    await env.HANDBOOK.put("prices.csv", "customer,code,price\n1,007,9.5\n2,010,100\n3,100,1234.50\n");
    const caller = callerAs("reader@harbor.example");
    const { metadata } = await gateway.fetch(caller, "handbook/prices.csv", 1);
    expect(metadata["result"]).toBe("r1");
    await query(caller, "shop", "SELECT id, name FROM customers");
    const joined = "SELECT name, price / 4 FROM r1 JOIN r2 ON r2.id = r1.customer WHERE price >= '100' ORDER BY price";
    expect((await query(caller, "workspace", joined)).rows).toEqual([
      ["Sid Southerner", 25],
      ["Nils North", 308.625],
    ]);
    // Codes with leading zeros are text, and compare as numbers with a column of numbers only.
    const codes = "SELECT code FROM r1 WHERE code IN ('7', '010') OR code = 100";
    expect((await query(caller, "workspace", codes)).rows).toEqual([["010"], ["100"]]);
  });

  it("names the value for which later rows are not stored, and the encoding that it was read as", async () => {
    await env.HANDBOOK.put("wide.csv", `id,text\n1,a\n2,${"x".repeat(50_000)}\n3,c\n`);
    await env.HANDBOOK.put(
      "latin.csv",
      new Uint8Array([...new TextEncoder().encode("id,name\n1,J"), 0xfc, 0x72, 0x67]),
    );
    const caller = callerAs("reader@harbor.example");
    const wide = await gateway.fetch(caller, "handbook/wide.csv", 1);
    expect(wide.metadata["cut"]).toMatch(
      /^1 of at least 2 rows are stored\. The column "text" has 50000 bytes in row 2, too many for one value\.$/,
    );
    const latin = await gateway.fetch(caller, "handbook/latin.csv", 1);
    expect(latin).toMatchObject({
      text: "id,name\n1,Jürg",
      metadata: { encoding: expect.stringContaining("Windows-1252") },
    });
  });
});

describe("a name that the source lacks", () => {
  it("is named with the source that has it", async () => {
    const caller = callerAs("reader@harbor.example");
    await expect(query(caller, "shop", "SELECT * FROM r1")).rejects.toThrow(/r1 are tables of source workspace/);
    await expect(query(caller, "shop", "SELECT * FROM warehouses")).rejects.toThrow(
      /^There is no table warehouses here.* warehouses is a table of source ops: query it there, /,
    );
    await query(caller, "shop", "SELECT id FROM customers");
    await expect(query(caller, "workspace", "SELECT * FROM r9 JOIN r1")).rejects.toThrow(/^There is no result r9\. /);
  });

  it("is not confused with a text of the same name", async () => {
    const caller = callerAs("reader@harbor.example");
    await query(caller, "shop", "SELECT id FROM customers");
    const missingColumn = "SELECT colour FROM r1 WHERE id <> 'r9'";
    await expect(query(caller, "workspace", missingColumn)).rejects.toThrow(/^There is no column colour here/);
    const missingTable = "SELECT 'r9' FROM orders";
    await expect(query(caller, "shop", missingTable)).rejects.toThrow(
      /^There is no table orders here((?!workspace).)*$/s,
    );
  });
});
