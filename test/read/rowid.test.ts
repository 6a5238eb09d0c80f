// `rowid` names the key column where that is the table's rowid, and reveals no more than the key column itself.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { createReader } from "../support/governed.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";

const people = { id: key(NUMBER), name: TEXT, team_id: NUMBER };
const reader = createReader(
  buildPolicy({
    tables: {
      people,
      teams: { team_id: key(NUMBER), title: TEXT },
      codes: { code: key(TEXT), label: TEXT },
      descending: { id: key(NUMBER), label: TEXT },
      named: { id: key(NUMBER), rowid: TEXT },
    },
    roles: {
      full: [allow("shop.*")],
      hidden: [allow("shop.people", { hidden: ["id"] }), allow("shop.teams")],
      masked: [allow("shop.people", { masks: { id: { kind: "redact" } } })],
      some: [allow("shop.people", { rows: { column: "team_id", op: "=", value: 20 } }), allow("shop.teams")],
    },
  }),
);
const outcome = (sql: string, account = "full", values: readonly string[] = []) => reader.outcome(account, sql, values);

beforeAll(async () => {
  const statements = [
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, team_id INTEGER)",
    "CREATE TABLE teams (team_id INTEGER PRIMARY KEY, title TEXT)",
    "CREATE TABLE codes (code TEXT PRIMARY KEY, label TEXT)",
    "CREATE TABLE descending (id INTEGER PRIMARY KEY DESC, label TEXT)",
    "CREATE TABLE named (id INTEGER PRIMARY KEY, rowid TEXT)",
    "INSERT INTO people VALUES (7, 'Ann', 10), (3, 'Ben', 20), (5, 'Cid', 20)",
    "INSERT INTO teams VALUES (10, 'Sales'), (20, 'Ops')",
    "INSERT INTO codes VALUES ('a', 'A')",
    "INSERT INTO descending VALUES (9, 'nine')",
    "INSERT INTO named VALUES (1, 'own column')",
  ];
  for (const statement of statements) await env.SHOP_DB.exec(statement);
});

describe("rowid", () => {
  it.each([
    "SELECT rowid, name FROM people WHERE rowid > 3 ORDER BY rowid DESC",
    'SELECT RowId, oid, _rowid_, "rowid", [oid], `_ROWID_` FROM people ORDER BY 1',
    "SELECT p.rowid, t.rowid FROM people p JOIN teams AS t ON t.oid = p.team_id ORDER BY p.rowid",
    "SELECT people.rowid FROM people, teams WHERE teams.rowid = people.team_id ORDER BY 1",
    "SELECT max(rowid) AS greatest, count(DISTINCT rowid) FROM people GROUP BY team_id HAVING min(rowid) < 7 ORDER BY 1",
    "SELECT title, (SELECT count(rowid) FROM people p WHERE p.team_id = t.rowid) FROM teams t ORDER BY rowid",
    "SELECT name FROM people WHERE team_id IN (SELECT rowid FROM teams WHERE title = 'Ops') ORDER BY rowid",
    "SELECT rowid FROM people UNION ALL SELECT rowid FROM teams ORDER BY 1",
    "WITH x AS (SELECT rowid AS n FROM people) SELECT n, t.rowid FROM x, teams t ORDER BY 1, 2",
    "SELECT row_number() OVER (ORDER BY rowid), rowid FROM people WINDOW w AS (PARTITION BY oid) ORDER BY 1",
    "SELECT t.rowid, s.n FROM teams t LEFT JOIN (SELECT team_id, count(rowid) AS n FROM people GROUP BY 1) AS s USING (team_id) ORDER BY rowid",
    "SELECT 'rowid', rowid -- rowid\n/* rowid */ FROM people ORDER BY 2",
    "SELECT rowid FROM 'people' ORDER BY 1",
    "SELECT CASE WHEN rowid BETWEEN 4 AND 6 THEN rowid ELSE -rowid END FROM people ORDER BY rowid",
  ])("reads the key column in place of rowid in %s", async (sql) => {
    const { results } = await env.SHOP_DB.prepare(sql).all();
    const rows = await env.SHOP_DB.prepare(sql).raw();
    expect(results.length).toBeGreaterThan(0);
    expect(await outcome(sql)).toBe(JSON.stringify(rows));
  });

  it("is named like the key in the result", async () => {
    expect((await reader.read("full", "SELECT oid, max(oid) + 1 FROM people")).columns).toEqual(["id", "max(oid) + 1"]);
    expect((await reader.read("full", "SELECT t.rowid, p.rowid FROM people p, teams t")).columns).toEqual([
      "team_id",
      "id",
    ]);
  });

  it("remains an alias, a WITH column and a column of that name", async () => {
    expect(await outcome("SELECT name AS rowid FROM people WHERE rowid = 'Ann'")).toBe('[["Ann"]]');
    expect(await outcome("SELECT name rowid FROM people ORDER BY rowid DESC LIMIT 1")).toBe('[["Cid"]]');
    expect(await outcome("WITH x(rowid) AS (SELECT title FROM teams) SELECT rowid FROM x ORDER BY rowid")).toBe(
      '[["Ops"],["Sales"]]',
    );
    expect(await outcome("SELECT rowid FROM named")).toBe('[["own column"]]');
    expect(await outcome("SELECT name FROM people WHERE name = 'rowid' OR name = ?", "full", ["rowid"])).toBe("[]");
    expect(await outcome("SELECT 'rowid' FROM people LIMIT 1")).toBe('[["rowid"]]');
  });

  it("keeps the positions of errors", async () => {
    const sql = "SELECT rowid, oid, nosuch FROM people";
    expect(await outcome(sql)).toContain(`(At character ${sql.indexOf("nosuch") + 1} of the SQL.)`);
  });
});

describe("a rowid that no key column can replace", () => {
  it.each([
    ["SELECT rowid FROM people, teams", "people.id, teams.team_id"],
    ["SELECT rowid FROM codes", "codes.code"],
    ["SELECT rowid FROM descending", "descending.id"],
    ["SELECT rowid FROM (SELECT * FROM people)", "people.id"],
    ["WITH people AS (SELECT 1 AS id) SELECT rowid FROM people", "people.id"],
    ["SELECT j.rowid FROM people, json_each('[1]') j", "people.id"],
    ["SELECT rowid FROM people, json_each('[1]')", "people.id"],
    ["SELECT x.rowid FROM people", "people.id"],
  ])("refuses a rowid that no key column can replace, with the key to use: %s", async (sql, keys) => {
    const refusal = await outcome(sql);
    if (sql.includes("json_each")) expect(refusal).not.toMatch(/^\[\[[357]\]/);
    else
      expect(refusal).toMatch(
        new RegExp(`^query_failed: There is no column (?:x\\.)?rowid .* Use the key column: ${keys}\\.`),
      );
  });
});

describe("a key that the user does not see", () => {
  const hidden = /\b(?:id|Use the key)\b(?! here)/;

  it.each([
    "SELECT rowid FROM people",
    "SELECT p.oid FROM people p",
    "SELECT name FROM people ORDER BY rowid",
    "SELECT name FROM people WHERE rowid = 7",
    'SELECT name FROM people WHERE "rowid" > 3',
    "SELECT max(people._rowid_) FROM people",
    "SELECT * FROM (SELECT rowid FROM people)",
    "SELECT (SELECT rowid FROM people LIMIT 1)",
    "SELECT count(*) FROM people a JOIN people b ON a.rowid < b.rowid",
    "WITH x AS (SELECT * FROM people) SELECT x.rowid FROM x",
  ])("neither reads nor names a hidden key through rowid: %s", async (sql) => {
    const refusal = await outcome(sql, "hidden");
    expect(refusal).toMatch(/^query_failed: There is no column /);
    expect(refusal).not.toMatch(hidden);
  });

  it("is not replaced by the visible key of another table", async () => {
    expect(await outcome("SELECT (SELECT rowid FROM people LIMIT 1) FROM teams", "hidden")).toMatch(/^query_failed/);
    expect(await outcome("SELECT rowid FROM people, teams", "hidden")).toMatch(/^query_failed/);
  });

  it("stays masked", async () => {
    expect(await outcome("SELECT DISTINCT rowid FROM people", "masked")).toBe(
      await outcome("SELECT DISTINCT id FROM people", "masked"),
    );
    expect(await outcome("SELECT DISTINCT rowid FROM people", "masked")).not.toMatch(/[357]/);
    expect(await outcome("SELECT count(*) FROM people WHERE rowid IN (3, 5, 7)", "masked")).toBe("[[0]]");
    expect(await outcome("SELECT name FROM people ORDER BY rowid, name", "masked")).toBe('[["Ann"],["Ben"],["Cid"]]');
  });

  it("does not reveal the keys of hidden rows", async () => {
    expect(await outcome("SELECT max(rowid), count(rowid) FROM people", "some")).toBe("[[5,2]]");
    expect(await outcome("SELECT count(*) FROM people WHERE rowid = 7", "some")).toBe("[[0]]");
  });
});

it("answers a statement with thousands of rowids and subqueries", async () => {
  const many = `SELECT ${Array(2000).fill("rowid").join("+")} FROM people`;
  expect(await outcome(many)).toMatch(/^query_/);
  const deep = `${"SELECT rowid+(".repeat(900)}1${")".repeat(900)}`;
  expect(await outcome(deep)).toMatch(/^query_/);
});
