// Names that collide with the guard's own names or with JavaScript's. Each once leaked data or caused an error.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import sample from "../../sample/gatehouse.config.ts";
import { createReader } from "../support/governed.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";
import { seedShop } from "../support/seed.ts";

beforeAll(async () => seedShop());

describe("an undeclared table with the name of an allowed table function", () => {
  it.each([
    "SELECT * FROM json_tree",
    "SELECT * FROM 'json_tree'",
    "SELECT * FROM products WHERE 'x' IN json_tree",
    'SELECT secret FROM "JSON_TREE" t',
  ])("cannot be read by %s", async (sql) => {
    await env.SHOP_DB.prepare("CREATE TABLE json_tree (secret TEXT)").run();
    await env.SHOP_DB.prepare("INSERT INTO json_tree VALUES ('planted')").run();
    const outcome = await createReader(sample).outcome("analyst", sql);
    await env.SHOP_DB.prepare("DROP TABLE json_tree").run();
    expect(outcome).toContain("There is no table");
  });
});

describe("a column with the name of a member of every JavaScript object", () => {
  it.each(["constructor", "toString", "valueOf"])("is read like any other column: %s", async (name) => {
    await env.SHOP_DB.prepare(`CREATE TABLE racing (id INTEGER PRIMARY KEY, "${name}" TEXT)`).run();
    await env.SHOP_DB.prepare("INSERT INTO racing VALUES (1, 'Team')").run();
    const config = buildPolicy({
      tables: { racing: { id: key(NUMBER), [name]: TEXT } },
      roles: { reader: [allow("shop.racing")] },
    });
    const outcome = await createReader(config).outcome("reader", "SELECT * FROM racing");
    await env.SHOP_DB.prepare("DROP TABLE racing").run();
    expect(outcome).toBe('[[1,"Team"]]');
  });
});
