// Tests the main use over real HTTP against `npm start`: each sample account signs in with each real client, and gets exactly the data
// that it may see.
import { beforeAll, describe, expect, inject, it, afterAll } from "vitest";
import { CLIENT_KINDS, connectAs } from "../support/node/clients.ts";
import type { TestClient } from "../support/node/clients.ts";
import { generateSample } from "../../sample/generate.ts";

const resource = `${inject("origin")}/mcp`;
const ACCOUNTS = ["analyst", "support", "reviewer", "owner", "guest"] as const;
type Account = (typeof ACCOUNTS)[number];

const customers = generateSample().SHOP_DB.find((table) => table.name === "customers")?.rows ?? [];
const columnOf = (index: number, isWanted: (region: unknown) => boolean = () => true): readonly string[] =>
  customers.filter((row) => isWanted(row[6])).flatMap((row) => (row[index] === null ? [] : [String(row[index])]));
const EMAILS = columnOf(2);
const OTHER_REGIONS_EMAILS = columnOf(2, (region) => region !== "north");
const NOTES = [...new Set(columnOf(9))];

/** The first of the texts that occurs in `wire`; fast enough for thousands of texts. */
function firstFound(wire: string, texts: readonly string[]): string | undefined {
  return texts.find((text) => wire.includes(text));
}

describe.each(CLIENT_KINDS)("%s", (kind) => {
  const clients = new Map<Account, TestClient>();

  beforeAll(async () => {
    for (const account of ACCOUNTS) clients.set(account, await connectAs(kind, resource, `${account}@harbor.example`));
  });

  afterAll(async () => {
    for (const client of clients.values()) await client.close();
  });

  const as = (account: Account): TestClient => {
    const client = clients.get(account);
    if (client === undefined) throw new Error(`${account} is not connected`);
    return client;
  };

  /** Reads the whole customers table as the account sees it, page by page. */
  async function readCustomers(account: Account): Promise<string> {
    let wire = "";
    for (let page = 0; page < 8; page += 1) {
      const answer = await as(account).call("query", {
        source: "shop",
        sql: "SELECT * FROM customers ORDER BY id LIMIT 250 OFFSET ?",
        params: [page * 250],
        limit: 250,
      });
      expect(answer.structured, answer.text).not.toHaveProperty("cut");
      wire += answer.wire;
    }
    return wire;
  }

  it.each(ACCOUNTS)("gives %s the instructions and the same six tools", async (account) => {
    expect(as(account).instructions()).toContain("Harbor Supply");
    expect(await as(account).toolNames()).toEqual(["search", "fetch", "describe", "query", "change", "undo"]);
  });

  it("never gives the analyst an unmasked email address, through any tool", async () => {
    const client = as("analyst");
    const wires = [
      await readCustomers("analyst"),
      ...(
        await Promise.all([
          client.call("query", {
            source: "shop",
            sql: "SELECT group_concat(email) FROM (SELECT email FROM customers LIMIT 100)",
          }),
          client.call("query", { source: "shop", sql: "SELECT json_group_array(email) FROM customers WHERE id < 200" }),
          client.call("query", { source: "shop", sql: `SELECT * FROM customers WHERE email = '${EMAILS[0]}'` }),
          client.call("fetch", { id: "shop.customers/1" }),
          client.call("search", { query: EMAILS[0] ?? "" }),
          client.call("describe", { dataset: "shop.customers" }),
        ])
      ).map((answer) => answer.wire.replaceAll(EMAILS[0] ?? "", "")),
      await client.read("gatehouse://dataset/shop/customers"),
    ];
    expect(wires[0]).toContain("…@");
    expect(firstFound(wires.join("\n"), EMAILS)).toBeUndefined();
    expect(firstFound(wires.join("\n"), NOTES)).toBeUndefined();
  });

  it("gives support its own region unmasked, and no row of another region", async () => {
    const wire = await readCustomers("support");
    const northEmails = columnOf(2, (region) => region === "north");
    expect(northEmails.filter((email) => !wire.includes(email))).toEqual([]);
    expect(firstFound(wire, OTHER_REGIONS_EMAILS)).toBeUndefined();
    expect(firstFound(wire, NOTES)).toBeUndefined();
    const tickets = await as("support").call("query", { source: "shop", sql: "SELECT DISTINCT region FROM tickets" });
    expect(tickets.structured).toMatchObject({ rows: [["north"]] });
    expect((await as("support").call("query", { source: "shop", sql: "SELECT * FROM orders" })).text).toContain(
      "query_failed",
    );
  });

  it("gives the guest no dataset", async () => {
    const overview = await as("guest").call("describe", {});
    expect(overview.structured).toMatchObject({ sources: [] });
    expect(await as("guest").resourceUris()).toEqual([]);
    expect((await as("guest").call("query", { source: "shop", sql: "SELECT 1" })).text).toContain("not_found");
  });

  it("shows a forbidden column nowhere, not even in errors", async () => {
    for (const account of ["analyst", "support", "reviewer"] as const) {
      const described = await as(account).call("describe", { dataset: "shop.customers" });
      expect(described.wire).not.toContain("notes");
      const wrong = await as(account).call("query", { source: "shop", sql: "SELECT nots FROM customers" });
      expect(wrong.wire).not.toContain("notes");
      expect((await as(account).call("search", { query: "free text staff" })).wire).not.toContain("shop.customers");
    }
    expect((await as("owner").call("describe", { dataset: "shop.customers" })).wire).toContain("notes");
  });

  it("answers an aggregate query with the correct numbers", async () => {
    const answer = await as("reviewer").call("query", {
      source: "shop",
      sql: "SELECT region, count(*) FROM customers GROUP BY region ORDER BY region",
    });
    const expected = ["east", "north", "south", "west"].map((region) => [
      region,
      columnOf(0, (customerRegion) => customerRegion === region).length,
    ]);
    expect(answer.structured).toMatchObject({ rows: expected, count: { shown: 4, total: 4 } });
  });

  it("gives the analyst addresses as masking tokens, the same token for equal addresses", async () => {
    const sql = "SELECT count(*), count(DISTINCT address) FROM customers WHERE address GLOB 'tok_*'";
    const { structured } = await as("analyst").call("query", { source: "shop", sql });
    const addresses = columnOf(5);
    expect(structured).toMatchObject({ rows: [[addresses.length, new Set(addresses).size]] });
  });

  it("joins results from two databases and reads the join as CSV", async () => {
    const client = as("reviewer");
    const store = async (source: string, sql: string): Promise<string> =>
      String(Reflect.get(Object((await client.call("query", { source, sql })).structured), "result"));
    const products = await store("shop", "SELECT sku, name FROM products WHERE active = 1");
    const stock = await store("ops", "SELECT sku, sum(on_hand) AS pieces FROM stock GROUP BY sku");
    const joined = await client.call("query", {
      source: "workspace",
      sql: `SELECT name, pieces FROM ${products} JOIN ${stock} USING (sku) ORDER BY pieces DESC, name LIMIT 3`,
    });
    const { result, rows } = joined.structured as { result: string; rows: readonly (readonly unknown[])[] };
    expect(rows).toHaveLength(3);
    const lines = rows.map((row) => row.join(","));
    expect((await client.call("fetch", { id: result })).structured).toMatchObject({
      text: ["name,pieces", ...lines, ""].join("\n"),
    });
    expect(await client.read(`gatehouse://result/${result}`)).toContain(lines[0]);
    expect(await client.resourceUris()).toContain(`gatehouse://result/${result}`);
    expect((await as("analyst").call("fetch", { id: result })).wire).not.toContain(lines[0] ?? "");
  });

  it("finds documents, fetches them and reads them as resources", async () => {
    const searched = await as("support").call("search", { query: "return window days" });
    expect(searched.wire).toContain("handbook/policies/returns.md");
    expect(JSON.parse(searched.text)).toEqual(searched.structured);
    const fetched = await as("support").call("fetch", { id: "handbook/policies/returns.md" });
    expect(JSON.parse(fetched.text)).toMatchObject({
      id: "handbook/policies/returns.md",
      title: "Returns",
      url: "gatehouse://document/handbook/policies/returns.md",
    });
    expect(await as("support").read("gatehouse://document/handbook/policies/returns.md")).toContain("# Returns");
    expect((await as("support").resourceUris()).filter((uri) => uri.startsWith("gatehouse://document/"))).toHaveLength(
      37,
    );
  });
});
