// The database that attacks run against: it has two users, and secrets in every place that one of them must not see.
import { env } from "cloudflare:workers";
import { mask } from "../../../src/config/define-gatehouse.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../../support/policy-builder.ts";

/** Prefix of every planted value, by which a test recognises a leak. */
export const SECRET = "S3CRET";

/**
 * The user `mask` sees all people, but no notes, masked addresses, and cards as masking tokens. The user `north` sees the people of the
 * north unmasked. No user sees `salaries`, the views, or the full-text table.
 */
const configOf = (binding: string) =>
  buildPolicy({
    sources: {
      shop: {
        binding,
        tables: {
          people: { id: key(NUMBER), name: TEXT, region: TEXT, email: TEXT, notes: TEXT, card: TEXT },
          visits: { id: key(NUMBER), person_id: NUMBER, page: TEXT },
          salaries: { id: key(NUMBER), amount: TEXT },
        },
      },
    },
    roles: {
      mask: [
        allow("shop.people", { masks: { email: mask.email, card: mask.token("card") }, hidden: ["notes"] }),
        allow("shop.visits"),
      ],
      north: [
        allow("shop.people", {
          hidden: ["notes", "card"],
          rows: {
            all: [
              { column: "region", op: "=", value: "north" },
              { column: "name", op: "!=", value: `${SECRET}-in-a-rule` },
            ],
          },
        }),
      ],
    },
  });

/** The configuration over the attacked database. */
export const config = configOf("SHOP_DB");
/** The same configuration over a second database, which differs only in values that the user `north` must not see. */
export const otherConfig = configOf("OPS_DB");

const STATEMENTS = [
  [
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, region TEXT, email TEXT,",
    "notes TEXT DEFAULT 'S3CRET-in-the-catalogue', card TEXT)",
  ].join(" "),
  "CREATE INDEX people_email ON people (email)",
  "CREATE INDEX people_notes ON people (notes)",
  "CREATE TABLE visits (id INTEGER PRIMARY KEY, person_id INTEGER, page TEXT)",
  "CREATE TABLE salaries (id INTEGER PRIMARY KEY, amount TEXT)",
  "CREATE TABLE undeclared (id INTEGER PRIMARY KEY, secret TEXT)",
  "CREATE TABLE json_tree (secret TEXT)",
  "CREATE VIEW everyone AS SELECT * FROM people",
  "CREATE VIEW totals AS SELECT group_concat(amount) AS amount FROM salaries",
  "CREATE VIRTUAL TABLE papers USING fts5(body)",
  [
    "INSERT INTO people VALUES (1, 'Nora', 'north', 'nora@n.example', 'S3CRET-note-1', 'S3CRET-card-1'),",
    "(2, 'S3CRET-southern-name', 'south', 'S3CRET-2@s.example', 'S3CRET-note-2', 'S3CRET-card-2'),",
    "(3, 'Nils', 'north', 'nils@n.example', NULL, 'S3CRET-card-1')",
  ].join(" "),
  "INSERT INTO visits VALUES (1, 1, '/home'), (2, 2, '/about'), (3, 1, '/cart')",
  "INSERT INTO salaries VALUES (1, 'S3CRET-salary')",
  "INSERT INTO undeclared VALUES (1, 'S3CRET-undeclared')",
  "INSERT INTO json_tree VALUES ('S3CRET-in-a-table-named-like-a-function')",
  "INSERT INTO papers VALUES ('S3CRET-paper')",
];

/** Creates the attacked database. */
export async function plant(): Promise<void> {
  await env.SHOP_DB.batch(STATEMENTS.map((sql) => env.SHOP_DB.prepare(sql)));
}

/** Creates the second database, with secrets of another length and order. */
export async function plantOthers(): Promise<void> {
  await env.OPS_DB.batch(STATEMENTS.map((sql) => env.OPS_DB.prepare(sql.replaceAll(SECRET, "A-different-one"))));
}

/** Returns the whole attacked database as one text, which is equal before and after attacks that write nothing. */
export async function fingerprint(): Promise<string> {
  const tables = ["people", "visits", "salaries", "undeclared", "json_tree", "papers", "sqlite_schema"];
  const contents = await env.SHOP_DB.batch(tables.map((table) => env.SHOP_DB.prepare(`SELECT * FROM ${table}`)));
  return JSON.stringify(contents.map(({ results }) => results));
}
