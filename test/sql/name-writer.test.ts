// Names in messages are written so that SQLite reads each as one name.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { quoteIdentifier } from "../../src/sql/identifier.ts";
import { writeName } from "../../src/sql/name-writer.ts";

/** The keywords of SQLite, from its documentation, and other words that are not plain. */
const NAMES = [
  "abort action add after all alter always analyze and as asc attach autoincrement before begin between by cascade case cast check",
  "collate column commit conflict constraint create cross current current_date current_time current_timestamp database default",
  "deferrable deferred delete desc detach distinct do drop each else end escape except exclude exclusive exists explain fail filter",
  "first following for foreign from full generated glob group groups having if ignore immediate in index indexed initially inner",
  "insert instead intersect into is isnull join key last left like limit match materialized natural no not nothing notnull null",
  "nulls of offset on or order others outer over partition plan pragma preceding primary query raise range recursive references",
  "regexp reindex release rename replace restrict returning right rollback row rows savepoint select set table temp temporary then",
  "ties to transaction trigger unbounded union unique update using vacuum values view virtual when where window with without",
]
  .flatMap((words) => words.split(" "))
  .concat("first name", "2nd", "a-b", "a.b", 'a"b', "a$", "prüfer", "Straße", "日付", "_x", "it's", "[x]", "x;--", "");

describe("a name in a message", () => {
  it("is read by SQLite as that name, whether it is a keyword or has other characters", async () => {
    const wrong: string[] = [];
    for (const name of NAMES) {
      const create = `CREATE TABLE ${quoteIdentifier("words")} (${quoteIdentifier(name)} TEXT, other TEXT DEFAULT 'o')`;
      const insert = `INSERT INTO words (${quoteIdentifier(name)}) VALUES ('the value')`;
      const select = `SELECT ${writeName(name)} AS one, t.${writeName(name)} AS two FROM words t WHERE ${writeName(name)} <> ''`;
      const results = await env.SHOP_DB.batch([create, insert, select].map((sql) => env.SHOP_DB.prepare(sql))).catch(
        (error: unknown) => [String(error)],
      );
      const last = results.at(-1);
      const rows = typeof last === "object" ? last.results : last;
      if (JSON.stringify(rows) !== '[{"one":"the value","two":"the value"}]')
        wrong.push(`${name}: ${JSON.stringify(rows)}`);
      await env.SHOP_DB.exec("DROP TABLE IF EXISTS words");
    }
    expect(wrong).toEqual([]);
  });

  it.each(["orders", "customer_id", "Straße", "desc", "key"])("stays as it is when it is plain: %s", (name) => {
    expect(writeName(name)).toBe(name);
  });
});
