// Tests that the sample organisation's data is complete, consistent and deterministic, and that loading it again changes nothing.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { generateSample } from "../../sample/generate.ts";
import { loadTables } from "../../sample/load.ts";

const data = generateSample();

describe("the generated sample data", () => {
  it("is the same each time it is generated", () => {
    expect(JSON.stringify(generateSample())).toBe(JSON.stringify(data));
  });

  it("has the documented number of rows in each table", () => {
    const sizes = Object.fromEntries([...data.SHOP_DB, ...data.OPS_DB].map(({ name, rows }) => [name, rows.length]));
    expect(sizes).toMatchObject({
      customers: 2000,
      products: 200,
      orders: 12_000,
      tickets: 1500,
      warehouses: 4,
      stock: 800,
    });
    expect(sizes["order_items"]).toBeGreaterThan(29_000);
    expect(sizes["refunds"]).toBeGreaterThan(500);
    expect(sizes["shipments"]).toBeGreaterThan(10_000);
  });

  it("has its last date on 30 June 2026", () => {
    const text = JSON.stringify(data);
    const dates = [...text.matchAll(/"(20[0-9]{2}-[0-9]{2}-[0-9]{2})[ "]/g)].map((match) => match[1] ?? "");
    expect(dates.length).toBeGreaterThan(10_000);
    expect(dates.toSorted().at(-1)).toBe("2026-06-30");
  });

  it("satisfies foreign keys and checks, also when it is loaded twice", async () => {
    for (let round = 0; round < 2; round += 1) {
      await loadTables(env.SHOP_DB, data.SHOP_DB);
      await loadTables(env.OPS_DB, data.OPS_DB);
    }
    const firstValue = async (database: D1Database, sql: string) =>
      Object.values((await database.prepare(sql).first()) ?? {})[0];
    expect(await firstValue(env.SHOP_DB, "SELECT count(*) FROM orders")).toBe(12_000);
    expect(
      await firstValue(
        env.SHOP_DB,
        `SELECT count(*) FROM orders o
          WHERE total_cents <> (SELECT sum(quantity * unit_price_cents) FROM order_items WHERE order_id = o.id)`,
      ),
    ).toBe(0);
    expect(
      await firstValue(
        env.SHOP_DB,
        "SELECT count(*) FROM tickets JOIN customers c ON c.id = customer_id WHERE tickets.region <> c.region",
      ),
    ).toBe(0);
    expect(await firstValue(env.SHOP_DB, "SELECT count(*) FROM tickets WHERE closed_at < opened_at")).toBe(0);
    expect(await firstValue(env.OPS_DB, "SELECT count(*) FROM shipments WHERE delivered_at < shipped_at")).toBe(0);
    expect(await env.SHOP_DB.prepare("PRAGMA foreign_key_check").first()).toBeNull();
  });
});
