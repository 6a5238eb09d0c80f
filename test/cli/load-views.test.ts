// Views of a file: those that a query could read become datasets, and each other one is named with the reason.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { guessTables } from "../../cli/introspection/guess.ts";
import { discardLoad, readLoadRecord } from "../../cli/introspection/load-record.ts";
import { loadInto } from "../../cli/introspection/load.ts";
import { mergeTables } from "../../cli/introspection/merge.ts";
import { readDatabase } from "../../cli/introspection/schema.ts";
import { openLocalD1, saidOf } from "./local-d1.ts";
import type { LocalD1 } from "./local-d1.ts";

let d1: LocalD1;
beforeAll(async () => void (d1 = await openLocalD1()));
afterAll(async () => d1.dispose());

const TABLES = `CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, joined TEXT);
  INSERT INTO people VALUES (1, 'Ann', '2026-01-02'), (2, 'Ben', '2026-01-03');
  CREATE TABLE lines (sku TEXT, amount REAL, order_id INTEGER, PRIMARY KEY (order_id, sku)) WITHOUT ROWID;
  INSERT INTO lines VALUES ('a', 1.5, 1), ('b', 2, 1);`;

describe("a view", () => {
  it("is declared with its columns, hidden, and says what it reads", async () => {
    const loaded = await d1.loadSql(`${TABLES}
      CREATE VIEW "late" AS SELECT * FROM early;
      CREATE VIEW early (person_id, since, total, n) AS
        SELECT people.id, joined, sum(amount), count(*) FROM people JOIN lines ON order_id = people.id GROUP BY people.id;`);
    const { tables, leftOut } = await readDatabase(loaded.target);
    expect([...loaded.leftOut, ...leftOut]).toEqual([]);
    const declared = guessTables(tables);
    expect(declared["early"]).toEqual({
      hidden: true,
      guess: {
        description: "Early (a view over people, lines: it shows what its SELECT shows, whatever rules these have)",
      },
      view: true,
      columns: {
        person_id: expect.objectContaining({ type: "integer" }),
        since: expect.objectContaining({ type: "date" }),
        total: expect.objectContaining({ type: "real" }),
        n: expect.objectContaining({ type: "integer" }),
      },
    });
    expect(declared["late"]).toMatchObject({ view: true, hidden: true });
    expect(declared["lines"]).toMatchObject({ key: ["order_id", "sku"] });
    expect(declared["people"]).toMatchObject({ key: "id" });
  });

  it("hides a column that is computed from a personal one, under any name, also through other views and queries", async () => {
    const loaded =
      await d1.loadSql(`CREATE TABLE client (id INTEGER PRIMARY KEY, email TEXT, region TEXT, birth_date DATE);
      INSERT INTO client VALUES (1, 'ann@x.example', 'north', '1990-02-03');
      CREATE TABLE goods (id INTEGER PRIMARY KEY, label TEXT, email TEXT);
      CREATE VIEW a AS SELECT substr(c.email, 1, 1) AS e, count(c.email) AS n, region AS r FROM client AS c GROUP BY c.id;
      CREATE VIEW b (x, y) AS WITH w AS (SELECT hex(email) AS h, region FROM client) SELECT upper(h), region FROM w;
      CREATE VIEW c AS SELECT q.k AS t, goods.label FROM (SELECT e AS k FROM a) AS q, goods;
      CREATE VIEW d AS SELECT region AS v FROM client UNION ALL SELECT hex(email) FROM client;
      CREATE VIEW f AS SELECT (SELECT max(email) FROM client) AS top, length(email) AS size, strftime('%Y', birth_date) AS z FROM client;
      CREATE VIEW g AS SELECT * FROM b;`);
    const { tables } = await readDatabase(loaded.target);
    const declared = guessTables(tables);
    const hidden = Object.entries(declared).flatMap(([table, { view, columns }]) =>
      view === true
        ? Object.entries(columns).flatMap(([name, column]) =>
            column.hidden === true ? [`${table}.${name}: ${column.guess?.personal ?? ""}`] : [],
          )
        : [],
    );
    expect(hidden).toEqual([
      "a.e: an email address (computed from client.email)",
      "b.x: an email address (computed from client.email)",
      "c.t: an email address (computed from a.e)",
      "d.v: an email address (computed from client.email)",
      "f.top: an email address",
      "f.z: a date of birth or an age (computed from client.birth_date)",
      "g.x: an email address (computed from b.x)",
    ]);
  });

  it.each([
    ["SELECT missing FROM people", "that does not compile: no such column: missing"],
    ["SELECT * FROM gone", "that does not compile: no such table: main.gone"],
    ["SELECT no_function(name) AS n FROM people", "that does not compile: no such function: no_function"],
    ["SELECT id, name, id FROM people", "with several columns of the name id. Give each its own with AS."],
    ['SELECT id, name AS "" FROM people', "with a column that has no name. Give it one with AS."],
    ["WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n", "that is recursive"],
    ["SELECT path AS p FROM _gatehouse_load", "that reads _gatehouse_load, which belongs to"],
    ["SELECT count(*) AS n FROM _gatehouse_load", "that reads _gatehouse_load, which belongs to"],
    ["SELECT name FROM sqlite_schema", "that reads sqlite_"],
    ["SELECT name FROM pragma_table_info('people')", "that reads pragma_table_info, which belongs to"],
    ["SELECT last_insert_rowid() AS n", "that calls last_insert_rowid(), which SQL may not call here."],
    ["SELECT body FROM notes", "that reads more than ordinary tables"],
    [
      `SELECT count(*) AS n FROM ${Array.from({ length: 9 }, (_v, at) => `many AS m${at}`).join(", ")}`,
      "that takes too much work",
    ],
    ["SELECT a.n AS n FROM deep AS a, deep AS b", "that takes too much work"],
  ])("is left out where it is %s", async (select, reason) => {
    const create = `CREATE VIEW wrong AS ${select}`;
    // A virtual table is not loaded, so such a view can only be one of a database that is bound already.
    const readsVirtual = select.includes("notes");
    const loaded = await d1.loadSql(`${TABLES}
      CREATE TABLE many (n INTEGER); INSERT INTO many WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) SELECT i FROM n;
      CREATE VIEW deep AS SELECT x.n FROM many AS x, many AS y;
      ${readsVirtual ? "" : create}; CREATE VIEW right AS SELECT id FROM people;`);
    await loaded.query("CREATE VIRTUAL TABLE notes USING fts5(body)");
    if (readsVirtual) await loaded.query(create);
    const found = await readDatabase(loaded.target);
    expect([...loaded.leftOut, ...found.leftOut].filter(({ name }) => name === "wrong")).toEqual([
      { name: "wrong", reason: expect.stringContaining(`is a view ${reason}`) },
    ]);
    expect(found.tables.map(({ name }) => name)).toEqual(["deep", "lines", "many", "people", "right"]);
  });

  it("is left out where it has the prefix of Gatehouse, also in a schema that was tampered with", async () => {
    const loaded = await d1.loadSql(
      `${TABLES} CREATE VIEW _gatehouse_members AS SELECT * FROM people; CREATE VIEW plain AS SELECT 1 AS n`,
    );
    expect(saidOf(loaded, "_gatehouse_members")).toEqual(["belongs to Gatehouse, which makes its own."]);
    expect(await loaded.query("SELECT name FROM sqlite_schema WHERE type = 'view'")).toEqual([{ name: "plain" }]);
  });
});

describe("a reload", () => {
  it("takes a table in place of a view and a view in place of a table, and hides both again", async () => {
    const first = await d1.loadSql(
      `${TABLES} CREATE VIEW one AS SELECT id FROM people; CREATE TABLE two (id INTEGER PRIMARY KEY)`,
    );
    await first.query("CREATE VIEW mine AS SELECT 1 AS n");
    const declared = guessTables((await readDatabase(first.target)).tables);
    const opened = Object.fromEntries(
      Object.entries(declared).map(([name, { hidden: _hidden, ...table }]) => [name, table]),
    );
    const record = await readLoadRecord(first.target);
    if (record === undefined) throw new Error("the load has no record");
    await discardLoad(first.target, record);
    expect(
      await first.query(
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT GLOB '_cf_*' AND name NOT GLOB 'sqlite*'",
      ),
    ).toEqual([{ name: "_gatehouse_load" }, { name: "mine" }]);
    const second = await d1.loadSql(
      `${TABLES} CREATE TABLE one (id INTEGER PRIMARY KEY); CREATE VIEW two AS SELECT id FROM people`,
    );
    await loadInto(first.target, second.opened, { path: "/a file", fingerprint: "g" });
    const merged = mergeTables(opened, guessTables((await readDatabase(first.target)).tables));
    expect(merged.tables).toMatchObject({ one: { hidden: true, key: "id" }, two: { hidden: true, view: true } });
    expect(merged.tables["one"]).not.toHaveProperty("view");
    expect(merged.tables["people"]).not.toHaveProperty("hidden");
    expect([merged.added, merged.vanished]).toEqual([
      ["one", "two"],
      ["one", "two"],
    ]);
  });
});
