// Twin databases for leak tests: they have the same rows that a user may see and different rows that a row rule hides. Both must give the
// same answer, error or refusal to any statement of the user.
import { env } from "cloudflare:workers";
import { subject } from "../../src/config/define-gatehouse.ts";
import { createReader, tableSource } from "./governed.ts";
import type { Reader } from "./governed.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "./policy-builder.ts";

/** A hidden client that only the first twin has. */
export const HIDDEN_NAME = "H00001";
/** A visible client, on whose row an attacker makes an expression fail on purpose. */
export const VISIBLE_NAME = "Zoe";
/** The account whose row rule hides every region except the north. */
export const NORTHERN = "northern";

/** Builds the policy over the database of this binding. `contacts` has the rows of `clients`, without an index on name. */
export const twinConfig = (binding: string) =>
  buildPolicy({
    sources: {
      shop: {
        binding,
        tables: {
          clients: { id: key(NUMBER), name: TEXT, region: TEXT, score: NUMBER, notes: TEXT },
          contacts: { id: key(NUMBER), name: TEXT, region: TEXT, score: NUMBER, notes: TEXT },
          words: { id: key(NUMBER), word: TEXT, body: TEXT },
        },
      },
    },
    roles: {
      northern: [
        allow(["shop.clients", "shop.contacts"], {
          rows: { column: "region", op: "=", value: subject("region") },
        }),
        allow("shop.words"),
      ],
    },
    members: { [NORTHERN]: { roles: ["northern"], attributes: { region: "north" } } },
  });

const SCHEMA = [
  "CREATE TABLE clients (id INTEGER PRIMARY KEY, name TEXT, region TEXT, score INTEGER, notes TEXT)",
  "CREATE INDEX clients_name ON clients (name)",
  "CREATE INDEX clients_score ON clients (score)",
  "CREATE TABLE contacts (id INTEGER PRIMARY KEY, name TEXT, region TEXT, score INTEGER, notes TEXT)",
  "CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT, body TEXT)",
];

async function plant(database: D1Database, hiddenName: string): Promise<void> {
  const visible = ["Ann", "Bob", "Cleo", "Ida", "Max", VISIBLE_NAME].map((name, index) => [
    2 * index + 2,
    name,
    "north",
  ]);
  const hidden = ["Abe", hiddenName, "Kim", "Zack"].map((name, index) => [2 * index + 3, name, "south"]);
  const rows = [...visible, ...hidden];
  await database.batch([
    ...SCHEMA.map((sql) => database.prepare(sql)),
    ...["clients", "contacts"].flatMap((table) =>
      rows.map(([id, name, region]) =>
        database
          .prepare(`INSERT INTO ${table} VALUES (?, ?, ?, ?, ?)`)
          .bind(id, name, region, region === "north" ? id : 1000 + Number(id), `Notes on ${name}`),
      ),
    ),
    ...["Ann", "Bob", VISIBLE_NAME].map((word, id) =>
      database.prepare("INSERT INTO words VALUES (?, ?, ?)").bind(id, word, "x".repeat(100_000)),
    ),
  ]);
}

/** Creates readers of the twin with the hidden client, and of the twin with another hidden client in its place. */
export async function createTwins(): Promise<readonly [Reader, Reader]> {
  await plant(env.SHOP_DB, HIDDEN_NAME);
  await plant(env.OPS_DB, "Gus");
  const createTwinReader = (binding: string): Reader => {
    const config = twinConfig(binding);
    return createReader(config, tableSource(config));
  };
  return [createTwinReader("SHOP_DB"), createTwinReader("OPS_DB")];
}
