// What statements read and show must not depend on how it is found out: over the tables or over views, by the statement or by its tables.
import { describe, expect, test } from "vitest";
import { openEngine } from "../../src/sql/engine/sqlite.ts";
import { findReads } from "../../src/sql/statement-reads.ts";
import { findShape, findTableComparisons } from "../../src/sql/result-shape.ts";
import { copySchema } from "../../src/sql/schema-copy.ts";
import type { SchemaCopy } from "../../src/sql/schema-copy.ts";
import { parseStatement } from "../../src/sql/statement.ts";
import type { Statement } from "../../src/sql/statement.ts";
import { frameQuery, guardQuery } from "../../src/sql/statement-guard.ts";
import type { GuardView } from "../../src/sql/statement-guard.ts";
import { TABLES as RANDOM_COLUMNS, createRandom, generateSelect } from "./fuzz/generator.ts";

const TABLES = {
  people:
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, code COLLATE RTRIM, age INT, score REAL, " +
    "price NUMERIC, raw BLOB, secret TEXT, twice INT AS (age * 2))",
  pets: "CREATE TABLE pets (owner TEXT PRIMARY KEY, name TEXT, secret TEXT, n) WITHOUT ROWID",
};
const copyTables = (tables: Readonly<Record<string, string>>): SchemaCopy =>
  copySchema(
    {
      objects: Object.entries(tables).map(([name, sql], index) => {
        return { type: "table", name, table: name, rootPage: index + 2, sql };
      }),
      statistics: [],
      rowCounts: new Map(),
    },
    Object.keys(tables),
    openEngine(),
  );
const copy = copyTables(TABLES);

function createView(name: string, columns: readonly string[]): GuardView {
  return {
    name,
    columns,
    readColumns: columns,
    clearColumns: columns,
    isDatabaseView: false,
    pinnedByRule: [],
    isMasked: false,
    computedMasks: [],
    readsClear: true,
    isRowRestricted: false,
    ruleColumns: [],
    estimateShownShare: () => 1,
    fallibleColumns: [],
    lookup: null,
    buildSelect: () => `SELECT ${columns.join(", ") || "NULL"} FROM main.${name}`,
    narrow: (used) =>
      createView(
        name,
        columns.filter((column) => used.has(column)),
      ),
  };
}

const ALL = [
  createView("people", ["id", "name", "code", "age", "score", "price", "raw", "secret", "twice"]),
  createView("pets", ["owner", "name", "secret", "n"]),
];
/** One column of each table is hidden. */
const SOME = [
  createView("people", ["id", "name", "code", "age", "score", "price", "raw", "twice"]),
  createView("pets", ["owner", "name", "secret"]),
];
const REORDERED = [createView("people", ["name", "id"]), createView("pets", ["n", "owner"])];

const STATEMENTS = [
  "SELECT * FROM people",
  "SELECT p.*, pets.name FROM people AS p JOIN pets ON pets.owner = p.name",
  "SELECT id, name, code, age, score, price, raw, twice FROM people WHERE age > 1 ORDER BY score",
  "SELECT count(*) FROM people",
  "SELECT count(*), 'people' FROM people AS pets",
  "SELECT 1 FROM people, pets",
  "SELECT name FROM people NATURAL JOIN pets",
  "SELECT 1 FROM people RIGHT JOIN pets ON people.name = pets.name",
  "SELECT pets.n FROM people FULL JOIN pets ON 1",
  "SELECT sum(1) FILTER (WHERE EXISTS (SELECT 1 FROM pets)) FROM people HAVING count(*) > 1",
  "SELECT count(*) OVER () FROM people, (SELECT 1 FROM pets)",
  "SELECT name FROM (SELECT id, name, code FROM people) WHERE id = 1",
  "SELECT a FROM (SELECT name AS a, (SELECT count(*) FROM pets) AS b FROM people UNION ALL SELECT code, age FROM people)",
  "SELECT owner FROM people JOIN pets USING (name)",
  "SELECT owner FROM people JOIN pets USING (secret)",
  "SELECT secret FROM people",
  "SELECT secret FROM people, pets",
  "SELECT p.name, (SELECT secret FROM pets) FROM people p",
  "SELECT (SELECT secret FROM people WHERE people.id = pets.n LIMIT 1) FROM pets",
  "SELECT owner AS secret FROM pets ORDER BY secret",
  "SELECT name AS secret FROM people WHERE secret = 'x'",
  "SELECT (SELECT name FROM people LIMIT 1), (SELECT code FROM people LIMIT 1)",
  "SELECT x FROM (SELECT (SELECT name FROM people LIMIT 1) AS x)",
  "SELECT x FROM pets, (SELECT code AS x FROM people)",
  "SELECT name COLLATE BINARY, +code, (raw), age FROM people",
  "SELECT CAST(name AS INT), upper(name), name || code FROM people",
  "SELECT max(age), name, code FROM people GROUP BY raw",
  "SELECT DISTINCT name, code, twice FROM people",
  "SELECT name FROM people UNION SELECT owner FROM pets",
  "WITH people AS (SELECT 1 AS name) SELECT count(*) FROM people",
  "WITH pets AS (SELECT name, code FROM people) SELECT name, code FROM pets",
  "WITH older(n, c) AS MATERIALIZED (SELECT name, code FROM people WHERE age > 1) SELECT n, c FROM older LEFT JOIN pets ON n = owner",
  "SELECT name FROM people WHERE id IN (SELECT n FROM pets)",
  "SELECT name FROM people WHERE id IN pets",
  "SELECT rowid, name FROM people",
  "SELECT NAME, Code FROM People ORDER BY 1",
  "SELECT name, row_number() OVER (PARTITION BY code ORDER BY age) FROM people",
  "SELECT people.name FROM people LEFT JOIN pets ON pets.owner = people.name WHERE pets.owner IS NULL",
  "SELECT missing FROM people",
  "VALUES (1, 'a')",
];

/** A statement with a name of the rowid, be it only in a text, is compiled over views. */
function compileOverViews(statement: Statement): Statement {
  return { ...statement, names: new Map([...statement.names, ["rowid", "rowid"]]) };
}

function guardStatement(text: string, views: readonly GuardView[]) {
  const statement = parseStatement(text);
  const framed = frameQuery(statement, [], { maxReadRows: 10 });
  const usedViews = views.filter(({ name }) => statement.names.has(name));
  const query = guardQuery(statement, framed, views, {
    nonce: "x",
    maxReadRows: 10,
    findStorageOrder: () => undefined,
    ruleIndexed: true,
    materialized: false,
    fenced: false,
    leftJoined: false,
    masksOnce: false,
    ordering: "free",
    orderSafe: [],
  });
  return { statement, body: framed.body, usedViews, query };
}

describe.each([
  ["all columns", ALL],
  ["some columns", SOME],
  ["columns in another order", REORDERED],
])("over views of %s", (_name, views) => {
  test.each(STATEMENTS)("finds the reads that SQLite reports over views in: %s", (text) => {
    const { statement, body, usedViews } = guardStatement(text, views);
    expect(findReads(copy, statement, body, usedViews)).toEqual(
      findReads(copy, compileOverViews(statement), body, usedViews),
    );
  });

  test.each(STATEMENTS)("finds the comparisons that SQLite makes in: %s", (text) => {
    const { statement, body, usedViews, query } = guardStatement(text, views);
    const reads = findReads(copy, statement, body, usedViews);
    if (reads === undefined) return;
    const { length } = reads.origins;
    const byTable = findShape(copy, statement, query, reads, length, (table) => findTableComparisons(copy, table));
    const byStatement = findShape(copy, statement, query, reads, length, () => new Map());
    expect(byTable).toEqual(byStatement);
  });
});

const RANDOM_TABLES = {
  people:
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, region TEXT, email, born TEXT, notes TEXT)",
  visits:
    "CREATE TABLE visits (id INTEGER PRIMARY KEY, person_id INT, page TEXT, seconds REAL, day TEXT COLLATE RTRIM, agent)",
};
const RANDOM_VIEWS = Object.entries(RANDOM_COLUMNS).map(([name, columns]) =>
  createView(
    name,
    columns.map((column) => column.name),
  ),
);

test("finds the same reads and comparisons of random statements in both ways", () => {
  const randomCopy = copyTables(RANDOM_TABLES);
  const random = createRandom(19);
  let count = 0;
  for (let number = 0; number < 1500; number += 1) {
    const text = generateSelect(random);
    const { statement, body, usedViews, query } = guardStatement(text, RANDOM_VIEWS);
    const reads = findReads(randomCopy, statement, body, usedViews);
    expect(reads, text).toEqual(findReads(randomCopy, compileOverViews(statement), body, usedViews));
    if (reads === undefined) continue;
    count += 1;
    const { length } = reads.origins;
    const byTable = findShape(randomCopy, statement, query, reads, length, (table) =>
      findTableComparisons(randomCopy, table),
    );
    expect(byTable, text).toEqual(findShape(randomCopy, statement, query, reads, length, () => new Map()));
  }
  expect(count).toBeGreaterThan(1000);
});

test("finds the affinities and collations of a table", () => {
  expect(Object.fromEntries(findTableComparisons(copy, "people"))).toMatchObject({
    id: { affinity: "INTEGER", collation: "BINARY" },
    name: { affinity: "TEXT", collation: "NOCASE" },
    code: { affinity: "BLOB", collation: "RTRIM" },
    age: { affinity: "INTEGER", collation: "BINARY" },
    score: { affinity: "REAL", collation: "BINARY" },
    price: { affinity: "NUMERIC", collation: "BINARY" },
  });
});
