// A statement that runs as it is written is never refused because a form that the planner tries makes it too long.
import { env } from "cloudflare:workers";
import { beforeAll, expect, it } from "vitest";
import { createReader } from "../support/governed.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";

const config = buildPolicy({
  tables: {
    people: { id: key(NUMBER), name: TEXT, code: NUMBER },
    visits: { id: key(NUMBER), person_id: NUMBER, name: TEXT },
  },
  roles: { owner: [allow("shop.people"), allow("shop.visits")] },
});

beforeAll(async () => {
  const numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)";
  for (const sql of [
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, code INTEGER)",
    "CREATE TABLE visits (id INTEGER PRIMARY KEY, person_id INTEGER, name TEXT)",
    `${numbers} INSERT INTO people SELECT i, 'n' || i, i FROM n`,
    `${numbers} INSERT INTO visits SELECT i, i, 'n' || i FROM n`,
  ])
    await env.SHOP_DB.prepare(sql).run();
});

// Each text could be a name, and so has a deny-CTE; 1,195 of them nearly reach the limit of a statement.
it.each([
  ["FULL", 10],
  ["FULL", 1000],
  ["FULL", 1190],
  ["FULL", 1195],
  ["RIGHT", 1195],
])("runs a %s join with a list of %i texts", async (join, length) => {
  const texts = Array.from({ length }, (_value, index) => `'x${index}'`).join(", ");
  const sql = `SELECT count(*) FROM people p ${join} JOIN visits v ON v.person_id = p.code WHERE coalesce(p.name, '') NOT IN (${texts})`;
  expect(await createReader(config).outcome("owner", sql)).toBe("[[2000]]");
});
