// Names that collide with the guard's own or with the language's: each once opened or broke something.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { defineGatehouse } from "../../src/config.ts";
import type { Gatehouse } from "../../src/config.ts";
import { evaluate, resolveSubject } from "../../src/policy/evaluate.ts";
import { openSources } from "../../src/sources/registry.ts";
import { parseStatement } from "../../src/sql/statement.ts";
import sample from "../../sample/gatehouse.config.ts";
import { seedShop } from "../support/seed.ts";

beforeAll(async () => seedShop());

/** Rows of the first source as JSON, or the error's message. */
async function see({ policy }: Pick<Gatehouse, "policy">, account: string, sql: string): Promise<string> {
  const [source] = openSources(policy, env, () => {});
  if (source?.kind !== "d1") throw new Error("the first source is a D1");
  const subject = resolveSubject(policy, { subjectId: account, email: `${account}@harbor.example` });
  const open = source.datasets.flatMap((dataset) => {
    const decision = evaluate(policy, subject, dataset, "read");
    return decision.allowed ? [{ dataset, decision }] : [];
  });
  const reading = source.read(open, parseStatement(sql), [], 10);
  return reading.then(
    ({ rows }) => JSON.stringify(rows),
    (error: Error) => error.message,
  );
}

describe("an undeclared table that is named like an allowed table function", () => {
  it.each([
    "SELECT * FROM json_tree",
    "SELECT * FROM 'json_tree'",
    "SELECT * FROM products WHERE 'x' IN json_tree",
    'SELECT secret FROM "JSON_TREE" t',
  ])("cannot be read by %s", async (sql) => {
    await env.SHOP_DB.prepare("CREATE TABLE json_tree (secret TEXT)").run();
    await env.SHOP_DB.prepare("INSERT INTO json_tree VALUES ('planted')").run();
    const seen = await see(sample, "analyst", sql);
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
    const seen = await see(config, "reader", "SELECT * FROM racing");
    await env.SHOP_DB.prepare("DROP TABLE racing").run();
    expect(seen).toBe('[[1,"Team"]]');
  });
});
