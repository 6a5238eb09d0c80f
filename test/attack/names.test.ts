// Names that collide with the guard's own or with the language's: each once opened or broke something.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { defineGatehouse } from "../../src/config.ts";
import sample from "../../sample/gatehouse.config.ts";
import { createReader } from "../support/governed.ts";
import { seedShop } from "../support/seed.ts";

beforeAll(async () => seedShop());

describe("an undeclared table that is named like an allowed table function", () => {
  it.each([
    "SELECT * FROM json_tree",
    "SELECT * FROM 'json_tree'",
    "SELECT * FROM products WHERE 'x' IN json_tree",
    'SELECT secret FROM "JSON_TREE" t',
  ])("cannot be read by %s", async (sql) => {
    await env.SHOP_DB.prepare("CREATE TABLE json_tree (secret TEXT)").run();
    await env.SHOP_DB.prepare("INSERT INTO json_tree VALUES ('planted')").run();
    const seen = await createReader(sample).outcome("analyst", sql);
    await env.SHOP_DB.prepare("DROP TABLE json_tree").run();
    expect(seen).toContain("There is no table");
  });
});

describe("a column that is named like a member of every object", () => {
  it.each(["constructor", "toString", "valueOf"])("%s is a column like any other", async (name) => {
    await env.SHOP_DB.prepare(`CREATE TABLE racing (id INTEGER PRIMARY KEY, "${name}" TEXT)`).run();
    await env.SHOP_DB.prepare("INSERT INTO racing VALUES (1, 'Team')").run();
    const columns = {
      id: { type: "integer", description: "Number" } as const,
      [name]: { type: "text", description: "Text" } as const,
    };
    const racing = { description: "Racing", key: "id", columns };
    const config = defineGatehouse({
      organisation: { name: "Test", contact: "Test" },
      sources: { shop: { kind: "d1", binding: "SHOP_DB", title: "Shop", description: "Shop", tables: { racing } } },
      roles: { reader: { description: "r", rules: [{ action: "read", datasets: ["shop.racing"] }] } },
      members: [{ email: "reader@harbor.example", name: "R", roles: ["reader"] }],
    });
    const seen = await createReader(config).outcome("reader", "SELECT * FROM racing");
    await env.SHOP_DB.prepare("DROP TABLE racing").run();
    expect(seen).toBe('[[1,"Team"]]');
  });
});
