// Twin databases: alike in every row that a user may see, and different in rows that a row rule hides. Whatever a user asks, both must
// give the same answer, the same error or the same refusal.
import { env } from "cloudflare:workers";
import { defineGatehouse } from "../../src/config.ts";
import type { GatehouseInput } from "../../src/config.ts";
import { subject } from "../../src/config.ts";
import { createReader, tableSource } from "./governed.ts";
import type { Reader } from "./governed.ts";

const TEXT = { type: "text", description: "Text" } as const;
const NUMBER = { type: "integer", description: "Number" } as const;

/** The hidden client that only the first twin has. */
export const HIDDEN_NAME = "H00001";
/** A visible client, on which an attacker makes an expression fail on purpose. */
export const VISIBLE_NAME = "Zoe";
/** The account whose row rule hides all regions but the north. */
export const NORTHERN = "northern";

const tables: GatehouseInput["sources"][string] extends infer Source
  ? Source extends { kind: "d1"; tables: infer Tables }
    ? Tables
    : never
  : never = {
  clients: {
    description: "Clients",
    key: "id",
    columns: { id: NUMBER, name: TEXT, region: TEXT, score: NUMBER, notes: TEXT },
  },
  contacts: {
    description: "The same without an index on name",
    key: "id",
    columns: { id: NUMBER, name: TEXT, region: TEXT, score: NUMBER, notes: TEXT },
  },
  words: { description: "Words that everybody may read", key: "id", columns: { id: NUMBER, word: TEXT, body: TEXT } },
};

/** The policy over the database of this binding. */
export function twinConfig(binding: string) {
  return defineGatehouse({
    organisation: { name: "Test", contact: "Test" },
    sources: { shop: { kind: "d1", binding, title: "Twin", description: "A twin", tables } },
    roles: {
      northern: {
        description: "Northern clients",
        rules: [
          {
            action: "read",
            datasets: ["shop.clients", "shop.contacts"],
            rows: { column: "region", op: "=", value: subject("region") },
          },
          { action: "read", datasets: ["shop.words"] },
        ],
      },
    },
    members: [{ email: `${NORTHERN}@harbor.example`, name: "N", roles: ["northern"], attributes: { region: "north" } }],
  });
}

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

/** Readers of the twin that has the hidden client, and of the twin that has another hidden client in its place. */
export async function createTwins(): Promise<readonly [Reader, Reader]> {
  await plant(env.SHOP_DB, HIDDEN_NAME);
  await plant(env.OPS_DB, "Gus");
  const readerOf = (binding: string): Reader => {
    const config = twinConfig(binding);
    return createReader(config, tableSource(config));
  };
  return [readerOf("SHOP_DB"), readerOf("OPS_DB")];
}
