// Rows of tables whose key has several columns: each value round-trips through the id and the URI that fetch returns.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { formatRowKey, parseRowKey } from "../../src/answers/row-key.ts";
import { mask } from "../../src/config/define-gatehouse.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";

const POLICY = buildPolicy({
  tables: {
    lines: { order_id: key(NUMBER), sku: key(TEXT), amount: NUMBER },
    singles: { id: key(NUMBER), amount: NUMBER },
    names: { name: key(TEXT), amount: NUMBER },
    unkeyed: { amount: NUMBER },
  },
  roles: {
    reader: [allow("shop.*")],
    masked: [allow("shop.lines", { masks: { sku: mask.redact } })],
    hidden: [allow("shop.lines", { hidden: ["order_id"] })],
  },
});
const gateway = gatewayFor(POLICY);
const READER = callerAs("reader@harbor.example");
const SKUS = [
  "a",
  "",
  "a,b",
  ",",
  "a/b",
  "/",
  "100%",
  "%2C",
  "%",
  "a%2Fb",
  "a b",
  "a'b",
  "ä",
  "🦀",
  "..",
  ".",
  "a?b#c",
  "A",
  "lines/1",
];

beforeAll(async () => {
  await env.SHOP_DB.batch([
    env.SHOP_DB.prepare(
      "CREATE TABLE lines (amount INTEGER, sku TEXT COLLATE NOCASE, order_id INTEGER, PRIMARY KEY (order_id, sku COLLATE BINARY)) WITHOUT ROWID",
    ),
    env.SHOP_DB.prepare("CREATE TABLE singles (id INTEGER PRIMARY KEY, amount INTEGER)"),
    env.SHOP_DB.prepare("CREATE TABLE names (name TEXT PRIMARY KEY, amount INTEGER)"),
    env.SHOP_DB.prepare("CREATE TABLE unkeyed (amount INTEGER)"),
    env.SHOP_DB.prepare("INSERT INTO singles VALUES (1, 10)"),
    env.SHOP_DB.prepare("INSERT INTO names VALUES ('a,b%2C', 20)"),
    ...SKUS.map((sku, index) =>
      env.SHOP_DB.prepare("INSERT INTO lines VALUES (?, ?, ?)").bind(
        index,
        sku,
        index % 2 === 0 ? 17 : "-9007199254740993",
      ),
    ),
  ]);
});

describe("fetch of a row by several columns", () => {
  it.each(SKUS.map((sku, index) => [sku, index] as const))(
    "returns the row of %j by its id and its URI",
    async (sku, index) => {
      const order = index % 2 === 0 ? "17" : "-9007199254740993";
      const id = `shop.lines/${formatRowKey([order, sku])}`;
      const answer = await gateway.fetch(READER, id, 1);
      expect(JSON.parse(answer.text)).toMatchObject({ sku, amount: index });
      expect(answer.id).toBe(id);
      expect((await gateway.fetch(READER, answer.url, 1)).text).toBe(answer.text);
      expect((await gateway.fetch(READER, `shop.lines/${order},${encodeURIComponent(sku)}`, 1)).id).toBe(id);
    },
  );

  it("says how to write the id when it has another number of values, and nothing when the row does not exist", async () => {
    const form = "shop.lines/<order_id>,<sku>. In a value, write a comma as %2C and a percent sign as %25.";
    for (const wrong of ["17", "17,a,b", "17,%", "", "17,%zz"])
      await expect(gateway.fetch(READER, `shop.lines/${wrong}`, 1)).rejects.toMatchObject({
        code: "invalid_input",
        publicMessage: `${JSON.stringify(`shop.lines/${wrong}`)} does not have the form of an id of this table: ${form}`,
      });
    for (const missing of ["17,b", "18,a", "x,a", "17.0,a", "17,a "])
      await expect(gateway.fetch(READER, `shop.lines/${missing}`, 1)).rejects.toMatchObject({ code: "not_found" });
    expect((await gateway.fetch(READER, "shop.lines", 1)).text).toContain(`Key: order_id, sku. Fetch a row as ${form}`);
    expect(await gateway.describe(READER, "shop.lines")).toMatchObject({ key: ["order_id", "sku"] });
    expect(await gateway.describe(READER, "shop.singles")).toMatchObject({ key: "id" });
  });

  it("takes the key of one column as it is", async () => {
    expect((await gateway.fetch(READER, "shop.names/a,b%2C", 1)).id).toBe("shop.names/a,b%2C");
    await expect(gateway.fetch(READER, "shop.singles/1,2", 1)).rejects.toMatchObject({
      code: "invalid_input",
      publicMessage: '"shop.singles/1,2" does not have the form of an id of this table: shop.singles/<id>.',
    });
    await expect(gateway.fetch(READER, "shop.unkeyed/1,2", 1)).rejects.toMatchObject({ code: "not_found" });
  });

  it.each(["masked", "hidden"])("reveals no key of which a column is %s", async (role) => {
    const caller = callerAs(`${role}@harbor.example`);
    for (const id of ["shop.lines/17,a", "shop.lines/17"])
      await expect(gateway.fetch(caller, id, 1)).rejects.toMatchObject({
        code: "not_found",
        publicMessage: expect.not.stringMatching(/sku|order_id/),
      });
    expect((await gateway.fetch(caller, "shop.lines", 1)).text).not.toContain("Fetch a row as");
  });
});

describe("a key of several columns", () => {
  it("is read from its text as it was written", () => {
    for (const first of SKUS)
      for (const second of SKUS) expect(parseRowKey(formatRowKey([first, second]), 2)).toEqual([first, second]);
  });
});
