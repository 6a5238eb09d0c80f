// Gives tests of `push` a local database of every kind of table, targets to push it to, and a comparison of both sides byte by byte.
import path from "node:path";
import type { DatabaseSync } from "node:sqlite";
import type { BoundStatement, StatementAnswer } from "../../cli/cloudflare-api/platform.ts";
import type { TargetDatabase } from "../../cli/introspection/copy-rows.ts";
import { localDatabaseFile } from "../../cli/local-server/local.ts";
import { openSnapshot } from "../../cli/push/local-snapshot.ts";
import type { LocalSnapshot } from "../../cli/push/local-snapshot.ts";
import type { RunBatch } from "../../cli/push/push-record.ts";
import type { PushTarget } from "../../cli/push/push.ts";
import type { LocalD1 } from "./local-d1.ts";

const WIDE = Array.from({ length: 100 }, (_column, index) => `w${index}`).join(", ");

/** Tables, indexes and views of every kind. Triggers would fire during a push; they stay behind. */
export const EVERY_KIND = `
CREATE TABLE customers (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT COLLATE NOCASE, code TEXT, "quo""te" NUMERIC DEFAULT 'a; b');
INSERT INTO customers VALUES (1, 'ann@x.example', 'A', 1), (7, 'Ben@x.example', 'B', '1.50'), (9, NULL, '', x'');
DELETE FROM customers WHERE id = 9;
CREATE UNIQUE INDEX customers_code ON customers (code);
CREATE INDEX customers_domain ON customers (lower(email)) WHERE email IS NOT NULL;
CREATE TABLE orders (number TEXT PRIMARY KEY, customer REFERENCES customers (id) ON DELETE CASCADE, code TEXT REFERENCES customers (code),
  net REAL, gross REAL GENERATED ALWAYS AS (net * 1.19) STORED, label TEXT AS (number || '!') VIRTUAL);
INSERT INTO orders (rowid, number, customer, code, net) VALUES (5, 'o-1', 1, 'A', 0.1), (3, 'o-2', 7, NULL, 1e300), (8, 'o-3', NULL, 'B', -5e-324);
CREATE TABLE employees (id INTEGER PRIMARY KEY, boss INTEGER REFERENCES employees (id), team TEXT REFERENCES teams (name));
CREATE TABLE teams (name TEXT PRIMARY KEY, lead INTEGER NOT NULL REFERENCES employees (id)) WITHOUT ROWID;
PRAGMA defer_foreign_keys = on;
INSERT INTO employees VALUES (1, 2, 'north'), (2, 2, 'south'), (3, 1, NULL);
INSERT INTO teams VALUES ('south', 1), ('north', 3);
CREATE TABLE visits (day TEXT, place BLOB, n INT, PRIMARY KEY (place, day DESC)) WITHOUT ROWID, STRICT;
INSERT INTO visits VALUES ('2026-01-01', x'00ff', 1), ('2026-01-02', x'00ff', 9007199254740993), ('', x'', -9223372036854775808);
CREATE TABLE anything (rowid TEXT, v);
INSERT INTO anything VALUES ('a', NULL), ('b', ''), ('c', x''), ('d', 0), ('e', 0.0), ('f', '0'), ('g', 9223372036854775807), ('h', 9e999),
  ('i', 0.1 + 0.2), ('j', CAST(x'ff00fe' AS TEXT)), ('k', 'nul' || char(0) || 'inside'), ('l', x'27223b00'), ('m', 1.7976931348623157e308),
  ('n', '[1,{"t":"00"}]'), ('o', char(55357) || '😀'), ('p', 5e-324), ('q', 123456789012345678), ('r', 'line' || char(10) || '''"');
CREATE TABLE "semi;colon 'x'" (id INTEGER PRIMARY KEY DESC, a ANY) STRICT;
INSERT INTO "semi;colon 'x'" VALUES (3, 'x'), (1, 2.0), (2, x'01');
CREATE TABLE wide (${WIDE});
INSERT INTO wide (w0, w99) VALUES (1, 'last'), (2, NULL);
CREATE TABLE large (id INTEGER PRIMARY KEY, v, w);
CREATE TABLE empty (id INTEGER PRIMARY KEY AUTOINCREMENT);
CREATE VIEW totals AS SELECT customer, sum(net) AS net FROM orders GROUP BY customer;
CREATE VIEW top_totals AS SELECT * FROM totals WHERE net > 0;`;

/** Runs the statements of `EVERY_KIND` in a local D1, in one transaction. */
export async function fillWithEveryKind(database: TargetDatabase): Promise<void> {
  // A statement ends at the end of its line; the next line of the same statement is indented.
  const statements = EVERY_KIND.split(/;\n(?! )/).map((sql) => sql.trim());
  await database.batch(statements.filter((sql) => sql !== "").map((sql) => database.prepare(sql)) as never[]);
}

/** Opens the file of the `index`th database of a local D1. */
export function openCreated(d1: LocalD1, index: number): LocalSnapshot {
  return openSnapshot(localDatabaseFile(path.join(d1.dir, "state"), `t${index}`), "crm");
}

/** Runs batches in a D1 database of this machine, which has the engine and the limits of a deployed one. */
export function runLocally(database: TargetDatabase): RunBatch {
  return async (batch: readonly BoundStatement[]): Promise<readonly StatementAnswer[]> => {
    const statements = batch.map(({ sql, params }) => database.prepare(sql).bind(...params));
    const answers = (await database.batch(statements as never[])) as readonly {
      readonly results: Record<string, unknown>[];
    }[];
    return answers.map(({ results }) => ({ results, meta: { changes: 0, last_row_id: 0 } }));
  };
}

/** Runs batches in a database of this process, which takes text in double quotes as D1 does. */
export function runInProcess(database: DatabaseSync): RunBatch {
  return async (batch) => {
    database.exec("BEGIN");
    try {
      const answers = batch.map(({ sql, params }) => ({
        results: database.prepare(sql).all(...(params as string[])),
        meta: { changes: 0, last_row_id: 0 },
      }));
      database.exec("COMMIT");
      return answers;
    } catch (error) {
      database.exec("ROLLBACK");
      throw error;
    }
  };
}

/** A target that keeps what the push says. */
export function targetOf(run: RunBatch, said: string[] = []): PushTarget {
  return {
    source: "crm",
    name: "crm",
    run,
    bookmark: async () => "0000-before",
    say: (line) => void said.push(line),
    delayMs: 1,
  };
}

type Read = (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/** Reads from an engine in this process. */
export function readFrom(database: DatabaseSync): Read {
  return async (sql) => database.prepare(sql).all();
}

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** Everything that a push copies, as text that keeps types and bytes, by table; and names of indexes, views and what is left of a push. */
export async function describeContent(read: Read): Promise<Readonly<Record<string, readonly string[]>>> {
  const tables = await read(
    "SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' AND name NOT IN ('_gatehouse_push', '_gatehouse_load') ORDER BY name",
  );
  const content: Record<string, readonly string[]> = {};
  for (const { name, type } of tables) {
    const all = await read(`SELECT name FROM pragma_table_xinfo('${String(name).replaceAll("'", "''")}') ORDER BY cid`);
    const lines: string[] = [];
    // A D1 result has 100 columns at most.
    for (let start = 0; start < all.length; start += 50) {
      const columns = all.slice(start, start + 50).map((column) => quote(String(column["name"])));
      const values = columns.map(
        (c, index) =>
          `typeof(${c}) || CASE typeof(${c}) WHEN 'real' THEN quote(${c}) ELSE length(${c}) || ':' || substr(hex(substr(CAST(${c} AS BLOB), 1, 500000)), 1, 4000) || hex(substr(CAST(${c} AS BLOB), -500)) END AS c${index}`,
      );
      const rows = await read(`SELECT ${values.join(", ")} FROM ${quote(String(name))}`);
      lines.push(
        ...rows.map((row) =>
          Object.values(row)
            .map((value) => (typeof value === "string" ? value : "-"))
            .join("|"),
        ),
      );
    }
    content[`${String(type)} ${String(name)}`] = lines.toSorted();
  }
  const sql =
    "SELECT type || ' ' || name AS line FROM sqlite_schema WHERE type IN ('index', 'view') AND sql IS NOT NULL ORDER BY 1";
  content["objects"] = (await read(sql)).map(({ line }) => String(line));
  const hasSequence = (await read("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'")).length > 0;
  content["sequence"] = !hasSequence
    ? []
    : (
        await read(
          "SELECT name || ' ' || seq AS line FROM sqlite_sequence WHERE name NOT LIKE '\\_gatehouse%' ESCAPE '\\' ORDER BY 1",
        )
      ).map(({ line }) => String(line));
  return content;
}
