// The database that attacks run against: secrets planted in every place that somebody must not see, and two people.
import { env } from "cloudflare:workers";
import { defineGatehouse, mask } from "../../../src/config.ts";

/** Begins every planted value, so that a leak can be recognised wherever it comes out. */
export const SECRET = "S3CRET";

const TEXT = { type: "text", description: "Text" } as const;
const NUMBER = { type: "integer", description: "Number" } as const;

/**
 * `mask` sees all people, but no notes, no address in clear, and cards as tokens; `north` sees the people of the north in clear. Nobody sees
 * `salaries`, the view, or the index of documents.
 */
const configOf = (binding: string) =>
  defineGatehouse({
    organisation: { name: "Test", contact: "Test" },
    sources: {
      shop: {
        kind: "d1",
        binding,
        title: "Attacked",
        description: "Attacked",
        tables: {
          people: {
            description: "People",
            key: "id",
            columns: { id: NUMBER, name: TEXT, region: TEXT, email: TEXT, notes: TEXT, card: TEXT },
          },
          visits: { description: "Visits", key: "id", columns: { id: NUMBER, person_id: NUMBER, page: TEXT } },
          salaries: { description: "Salaries", key: "id", columns: { id: NUMBER, amount: TEXT } },
        },
      },
    },
    roles: {
      mask: {
        description: "m",
        rules: [
          {
            action: "read",
            datasets: ["shop.people"],
            masks: { email: mask.email, card: mask.token("card") },
            hidden: ["notes"],
          },
          { action: "read", datasets: ["shop.visits"] },
        ],
      },
      north: {
        description: "n",
        rules: [
          {
            action: "read",
            datasets: ["shop.people"],
            hidden: ["notes", "card"],
            rows: {
              all: [
                { column: "region", op: "=", value: "north" },
                { column: "name", op: "!=", value: `${SECRET}-in-a-rule` },
              ],
            },
          },
        ],
      },
    },
    members: ["mask", "north"].map((role) => ({ email: `${role}@harbor.example`, name: role, roles: [role] })),
  });

export const config = configOf("SHOP_DB");
/** The same over a second database, of which only what nobody in the north may see is different. */
export const otherConfig = configOf("OPS_DB");

const STATEMENTS = [
  "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, region TEXT, email TEXT, notes TEXT DEFAULT 'S3CRET-in-the-catalogue', card TEXT)",
  "CREATE INDEX people_email ON people (email)",
  "CREATE INDEX people_notes ON people (notes)",
  "CREATE TABLE visits (id INTEGER PRIMARY KEY, person_id INTEGER, page TEXT)",
  "CREATE TABLE salaries (id INTEGER PRIMARY KEY, amount TEXT)",
  "CREATE TABLE undeclared (id INTEGER PRIMARY KEY, secret TEXT)",
  "CREATE TABLE json_tree (secret TEXT)",
  "CREATE VIEW everyone AS SELECT * FROM people",
  "CREATE VIEW totals AS SELECT group_concat(amount) AS amount FROM salaries",
  "CREATE VIRTUAL TABLE papers USING fts5(body)",
  "INSERT INTO people VALUES (1, 'Nora', 'north', 'nora@n.example', 'S3CRET-note-1', 'S3CRET-card-1'), (2, 'S3CRET-southern-name', 'south', 'S3CRET-2@s.example', 'S3CRET-note-2', 'S3CRET-card-2'), (3, 'Nils', 'north', 'nils@n.example', NULL, 'S3CRET-card-1')",
  "INSERT INTO visits VALUES (1, 1, '/home'), (2, 2, '/about'), (3, 1, '/cart')",
  "INSERT INTO salaries VALUES (1, 'S3CRET-salary')",
  "INSERT INTO undeclared VALUES (1, 'S3CRET-undeclared')",
  "INSERT INTO json_tree VALUES ('S3CRET-in-a-table-named-like-a-function')",
  "INSERT INTO papers VALUES ('S3CRET-paper')",
];

export async function plant(): Promise<void> {
  await env.SHOP_DB.batch(STATEMENTS.map((sql) => env.SHOP_DB.prepare(sql)));
}

/** Plants other secrets, of another length and order, in the second database. */
export async function plantOthers(): Promise<void> {
  await env.OPS_DB.batch(STATEMENTS.map((sql) => env.OPS_DB.prepare(sql.replaceAll(SECRET, "A-different-one"))));
}

/** Everything in the database, as one text: equal before and after when nothing was written. */
export async function fingerprint(): Promise<string> {
  const tables = ["people", "visits", "salaries", "undeclared", "json_tree", "papers", "sqlite_schema"];
  const contents = await env.SHOP_DB.batch(tables.map((table) => env.SHOP_DB.prepare(`SELECT * FROM ${table}`)));
  return JSON.stringify(contents.map(({ results }) => results));
}
