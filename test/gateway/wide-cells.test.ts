// When a wide cell cuts a result or leaves out a row, the answer names its column and row, in the form that the user may see.
import { env } from "cloudflare:workers";
import { beforeAll, expect, it } from "vitest";
import { mask } from "../../src/config/define-gatehouse.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { allow, buildPolicy, key, NUMBER, TEXT } from "../support/policy-builder.ts";

const LIMITS = { maxResultBytes: 10_000, storedBytes: 20_000 };
const POLICY = buildPolicy({
  limits: LIMITS,
  tables: { notes: { id: key(NUMBER), title: TEXT, body: TEXT } },
  roles: { reader: [allow("shop.notes")], masked: [allow("shop.notes", { masks: { body: mask.redact } })] },
});
const gateway = gatewayFor(POLICY);
const ask = (sql: string, email = "reader@harbor.example", rowLimit?: number) =>
  gateway.query(callerAs(email), { target: { source: "shop", sql }, params: [], rowLimit });

beforeAll(async () => {
  await env.SHOP_DB.prepare("CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT, body TEXT)").run();
  const lengths = [10, 4000, 7000, 10, 12_000, 1_200_000];
  for (const [index, length] of lengths.entries())
    await env.SHOP_DB.prepare("INSERT INTO notes VALUES (?, ?, ?)")
      .bind(index + 1, `note ${index + 1}`, "x".repeat(length))
      .run();
});

it("names the cell for which the shown rows end", async () => {
  const { cut, count } = await ask("SELECT id, title, body FROM notes WHERE id <= 4 ORDER BY id");
  expect(count).toMatchObject({ shown: 2, kept: 4, total: 4 });
  expect(cut).toContain('The column "body" has 7000 bytes in row 3: leave it out, or shorten it with substr().');
});

it("names the cell that is larger than one value may be", async () => {
  const { cut, count } = await ask("SELECT body AS text, id FROM notes WHERE id IN (1, 5) ORDER BY id");
  expect(count).toMatchObject({ shown: 1, atLeast: 2 });
  expect(cut).toContain('The column "text" has 12000 bytes in row 2');
});

it("names the widest cell when the first row does not fit", async () => {
  await expect(ask("SELECT title, body FROM notes WHERE id = 5")).rejects.toMatchObject({
    code: "limit_reached",
    publicMessage:
      'A single row is larger than 10000 bytes. The column "body" has 12000 bytes in row 1: leave it out, or shorten it with substr().',
  });
  await expect(ask("SELECT body, title, body AS again FROM notes WHERE id = 3")).rejects.toMatchObject({
    publicMessage: expect.stringContaining('The column "body" has 7000 bytes in row 1'),
  });
});

it("names the widest cell when the rows together exceed what is stored", async () => {
  const sql = "SELECT a.id, a.title, a.body FROM notes AS a JOIN notes AS b ON b.id <= 4 WHERE a.id = 3 ORDER BY b.id";
  const { cut, count } = await ask(sql);
  expect(count).toMatchObject({ shown: 1, kept: 2 });
  expect(cut).toContain('The column "body" has 7000 bytes in row 1');
});

it("names no cell when many narrow rows are cut", async () => {
  const numbers =
    "SELECT value AS n, 'some text' AS t FROM json_each('[' || substr(replace(printf('%.*c', 900, 'x'), 'x', ',1'), 2) || ']')";
  const { cut } = await ask(numbers, "reader@harbor.example", 500);
  expect(cut).toBeDefined();
  expect(cut).not.toContain("The column");
});

it("says the size of a masked cell as the user sees it", async () => {
  const { cut, rows } = await ask("SELECT id, body FROM notes ORDER BY id", "masked@harbor.example");
  expect(cut ?? "").not.toMatch(/7000|12000|1200000/);
  expect(JSON.stringify(rows)).not.toContain("xxxx");
});

it("names the cell of a row that is too large to be fetched, instead of denying that it exists", async () => {
  await expect(gateway.fetch(callerAs("reader@harbor.example"), "shop.notes/6", 1)).rejects.toMatchObject({
    code: "limit_reached",
    publicMessage: expect.stringContaining('The column "body" has 1200000 bytes'),
  });
});

it("shows no invisible characters of a column's name", async () => {
  const { message } = await ask('SELECT body AS "b\u202eo" FROM notes WHERE id = 5').catch((error: unknown) =>
    Object(error),
  );
  expect(message).toContain("has 12000 bytes in row 1");
  expect(message).not.toContain("\u202e");
});
