// RIGHT and FULL joins of tables run as LEFT joins where SQLite cannot search their right side, and return the same rows. Each statement
// runs over the guard views, in the planner's form and as LEFT joins, and over plain tables with the rows that the user sees.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { mask } from "../../src/config/define-gatehouse.ts";
import { createGovernedMiddleware } from "../../src/read/governed-middleware.ts";
import type { Middleware } from "../../src/read/read-pipeline.ts";
import { toJsonCell } from "../../src/sql/result-encoding.ts";
import type { SqlValue } from "../../src/sql/parameters.ts";
import { createReader } from "../support/governed.ts";
import type { Reader } from "../support/governed.ts";
import { listenedReader } from "../support/listened.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";

const VISIBLE = { column: "region", op: "in", value: ["north", "east"] } as const;
const TABLES = {
  people: "id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, region TEXT, email TEXT, code INTEGER",
  visits: "id INTEGER PRIMARY KEY, person_id INTEGER, region TEXT, email TEXT, code TEXT",
  notes: "id INTEGER, person_id INTEGER, region TEXT",
  flags: "code TEXT PRIMARY KEY, region TEXT",
} as const;

const config = buildPolicy({
  tables: {
    people: { id: key(NUMBER), name: TEXT, region: TEXT, email: TEXT, code: NUMBER },
    visits: { id: key(NUMBER), person_id: NUMBER, region: TEXT, email: TEXT, code: TEXT },
    notes: { id: NUMBER, person_id: NUMBER, region: TEXT },
    flags: { code: key(TEXT), region: TEXT },
  },
  roles: {
    owner: ["people", "visits", "notes", "flags"].map((table) => allow(`shop.${table}`)),
    ruled: ["people", "visits", "notes", "flags"].map((table) => allow(`shop.${table}`, { rows: VISIBLE })),
    masked: [
      allow("shop.people", { rows: VISIBLE, masks: { email: mask.email }, hidden: ["id"] }),
      allow("shop.visits", { masks: { email: mask.email } }),
      allow("shop.notes"),
      allow("shop.flags"),
    ],
  },
});

const ROLES = ["owner", "ruled", "masked"] as const;
type Role = (typeof ROLES)[number];

beforeAll(async () => {
  for (const [table, columns] of Object.entries(TABLES))
    await env.SHOP_DB.prepare(`CREATE TABLE ${table} (${columns}) ${table === "flags" ? "WITHOUT ROWID" : ""}`).run();
  for (const sql of [
    "CREATE INDEX visits_person ON visits (person_id)",
    "CREATE INDEX visits_email ON visits (email)",
    "CREATE INDEX people_region ON people (region)",
    `INSERT INTO people WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
     SELECT i, CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN 'ann' ELSE 'ANN' || i END,
       CASE i % 4 WHEN 0 THEN 'west' WHEN 1 THEN 'north' WHEN 2 THEN 'east' ELSE NULL END,
       CASE i % 5 WHEN 0 THEN NULL ELSE 'p' || (i % 7) || '@x.example' END, i % 9 FROM n`,
    `INSERT INTO visits WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
     SELECT i, CASE WHEN i % 11 = 0 THEN NULL ELSE i % 50 END, CASE i % 3 WHEN 0 THEN 'west' WHEN 1 THEN 'north' ELSE 'east' END,
       CASE i % 6 WHEN 0 THEN NULL ELSE 'p' || (i % 10) || '@x.example' END, CASE i % 2 WHEN 0 THEN '0' || i % 9 ELSE i % 9 END FROM n`,
    `INSERT INTO notes SELECT id % 7, person_id, region FROM visits WHERE id < 30`,
    "INSERT INTO flags VALUES ('1', 'north'), ('02', 'west'), ('3', 'east')",
  ])
    await env.SHOP_DB.prepare(sql).run();
});

/** Creates plain tables in the other database, with the rows as a role sees them. */
async function createPlainTables(role: Role): Promise<void> {
  const { read } = createReader(config);
  for (const [table, columns] of Object.entries(TABLES)) {
    const result = await read(role, `SELECT * FROM ${table}`, [], 1000);
    const shown = columns.split(", ").filter((column) => result.columns.includes(column.replace(/ .*/, "")));
    await env.OPS_DB.prepare(`DROP TABLE IF EXISTS ${table}`).run();
    await env.OPS_DB.prepare(`CREATE TABLE ${table} (${shown.join(", ")})`).run();
    const insert = env.OPS_DB.prepare(`INSERT INTO ${table} VALUES (${shown.map(() => "?").join(", ")})`);
    await env.OPS_DB.batch(result.rows.map((row) => insert.bind(...row.map(toJsonCell))));
  }
}

/** Runs every statement as LEFT joins. */
let sentBody = "";
const leftJoined: Middleware = (next) => (context) =>
  next({ ...context, request: { ...context.request, form: { ...context.request.form, leftJoined: true } } });
const noteBody: Middleware = (next) => (context) => {
  sentBody = context.query.body;
  return next(context);
};

function createLeftJoinedReader(): Reader {
  const [planning, guard, ...others] = createGovernedMiddleware({ allowsRecursion: true, maxSteps: 1e9 });
  if (planning === undefined || guard === undefined) throw new Error("no layers");
  return listenedReader(config, env.SHOP_DB, [planning, leftJoined, guard, noteBody, ...others]).reader;
}
const plannedReader = createReader(config);
const leftJoinedReader = createLeftJoinedReader();

const sorted = (rows: readonly (readonly unknown[])[]): readonly string[] =>
  rows.map((row) => JSON.stringify(row)).toSorted();

/** Runs a statement over the plain tables. */
async function runPlain(sql: string, values: readonly SqlValue[]): Promise<readonly string[]> {
  const [, ...rows] = await env.OPS_DB.prepare(`SELECT * FROM (\n${sql}\n)`)
    .bind(...values)
    .raw({ columnNames: true });
  return sorted(rows);
}

async function runGoverned(role: Role, reader: Reader, sql: string, values: readonly SqlValue[]) {
  const { rows, columns } = await reader.read(role, sql, values, 5000);
  return { rows: sorted(rows.map((row) => row.map(toJsonCell))), columns };
}

const REWRITTEN: readonly (readonly [sql: string, ...values: SqlValue[]])[] = [
  ["SELECT p.name, v.id FROM people p FULL OUTER JOIN visits v ON v.person_id = p.code"],
  ["SELECT count(*), count(p.name), count(v.id) FROM people AS p FULL JOIN visits AS v ON p.email = v.email"],
  ["SELECT people.name, visits.id FROM people FULL JOIN visits ON people.region = visits.region AND visits.id > 30"],
  ["SELECT name, person_id FROM people FULL JOIN visits ON name = 'Ann' AND person_id < 5"],
  ["SELECT * FROM people p FULL JOIN visits v ON v.person_id = p.code"],
  [
    "SELECT p.*, v.id AS visit, v.* FROM people p FULL JOIN visits v ON v.person_id = p.code WHERE v.id IS NULL OR p.name IS NULL",
  ],
  ["SELECT a.code, b.code FROM people a FULL JOIN people b ON a.name = b.name AND a.code < b.code"],
  ["SELECT a.id, b.id FROM notes a FULL JOIN notes b ON b.id = a.id + 5"],
  ["SELECT p.code, v.code FROM people p FULL JOIN visits v ON v.code = p.code"],
  ["SELECT p.code, v.code FROM people p FULL JOIN visits v ON 0"],
  ["SELECT p.code, v.code FROM people p FULL JOIN visits v ON coalesce(p.email, '') = coalesce(v.email, '')"],
  [
    "SELECT p.code, v.id FROM people p FULL JOIN visits v ON (v.person_id = p.code OR v.email = p.email) AND v.code IN ('1', '2', '07')",
  ],
  [
    "SELECT ? AS a, p.code, v.id, ? AS b FROM people p FULL JOIN visits v ON v.person_id = p.code AND v.region = ? WHERE p.code IS NULL OR p.code <> ?",
    "x",
    "y",
    "north",
    "q",
  ],
  [
    "SELECT p.region, count(*) AS n, count(v.id) FROM people p FULL JOIN visits v ON v.person_id = p.code GROUP BY p.region HAVING count(*) > 1",
  ],
  [
    "SELECT DISTINCT p.region, v.region, rank() OVER (ORDER BY p.region) FROM people p FULL JOIN visits v ON v.person_id = p.code",
  ],
  [
    "WITH j AS (SELECT p.name, v.id FROM people p FULL JOIN visits v ON v.person_id = p.code) SELECT a.name, count(*) FROM j a JOIN j b ON a.id = b.id GROUP BY a.name",
  ],
  ["SELECT name, id FROM (SELECT * FROM people p FULL JOIN visits v ON v.person_id = p.code) WHERE name IS NOT NULL"],
  [
    "SELECT p.code FROM people p FULL JOIN visits v ON v.person_id = p.code UNION ALL SELECT n.id FROM notes n FULL JOIN visits v ON v.id = n.id",
  ],
  [
    "SELECT p.code, v.id, n.id FROM people p FULL JOIN visits v ON v.person_id = p.code LEFT JOIN notes n ON n.person_id = v.person_id",
  ],
  ["SELECT * FROM people p FULL JOIN visits v ON v.person_id = p.code JOIN notes n ON n.person_id = v.person_id"],
  ["SELECT p.code, v.id, n.id FROM people p FULL JOIN visits v ON v.person_id = p.code, notes n WHERE n.id = 3"],
  [
    "SELECT p.code, v.id FROM people p FULL JOIN visits v ON v.person_id = p.code -- a comment\nORDER BY p.code, v.id LIMIT 7",
  ],
  ["SELECT v.id, v.code FROM people p RIGHT JOIN visits v ON v.person_id = p.code"],
  ["SELECT * FROM people p RIGHT OUTER JOIN visits v ON v.person_id = p.code AND p.region = ?", "north"],
  ["SELECT p.*, v.* FROM people p RIGHT JOIN visits v ON v.person_id = p.code"],
  [
    "SELECT * FROM (SELECT code, count(*) AS n FROM people GROUP BY code HAVING count(*) > ?) s RIGHT JOIN visits v ON v.person_id = s.code WHERE v.id > ?",
    2,
    3,
  ],
  [
    "WITH s AS (SELECT code, count(*) AS n FROM people GROUP BY code) SELECT s.n, v.id FROM s RIGHT JOIN visits v ON v.person_id = s.code",
  ],
  ["SELECT f.code, v.id FROM flags f RIGHT JOIN visits v ON v.code = f.code"],
  [
    "SELECT s.code, t.id FROM (SELECT p.code FROM people p RIGHT JOIN visits v ON v.person_id = p.code) s LEFT JOIN (SELECT v.* FROM people p FULL JOIN visits v ON v.id = p.code) t ON t.code = s.code WHERE s.code < 4",
  ],
  ['SELECT * FROM people "visits" FULL JOIN visits "people" ON "visits".code = "people".person_id'],
];

const UNCHANGED: readonly (readonly [reason: string, sql: string])[] = [
  ["merges columns with USING", "SELECT region, p.name FROM people p FULL JOIN visits v USING (region)"],
  ["merges columns with NATURAL", "SELECT v.id FROM people p NATURAL FULL JOIN visits v"],
  ["reads a table without rowids", "SELECT f.code, v.id FROM flags f FULL JOIN visits v ON v.code = f.code"],
  [
    "reads a WITH query",
    "WITH people AS (SELECT 1 AS code) SELECT p.code, v.id FROM people p FULL JOIN visits v ON v.person_id = p.code",
  ],
  ["reads a subquery", "SELECT v.id FROM (SELECT code FROM people) p FULL JOIN visits v ON v.person_id = p.code"],
  [
    "has a subquery as its condition",
    "SELECT v.id FROM people p FULL JOIN visits v ON v.person_id IN (SELECT id FROM notes)",
  ],
  [
    "has a condition that can fail",
    "SELECT v.id FROM people p FULL JOIN visits v ON v.person_id = json_extract('[1]', '$[0]') + abs(p.code)",
  ],
  [
    "follows another join",
    "SELECT v.id FROM notes n JOIN people p ON p.code = n.id FULL JOIN visits v ON v.person_id = p.code",
  ],
  [
    "is followed by another one",
    "SELECT v.id, n.id FROM people p FULL JOIN visits v ON v.person_id = p.code FULL JOIN notes n ON n.id = v.id",
  ],
  [
    "is in a subquery that may be correlated",
    "SELECT n.id, (SELECT count(*) FROM people p FULL JOIN visits v ON v.person_id = p.code AND p.code = n.id) FROM notes n",
  ],
];

describe.each(ROLES)("for the role %s", (role) => {
  beforeAll(() => createPlainTables(role));

  it.each(REWRITTEN.map(([sql, ...values]) => ({ sql, values })))(
    "an outer join returns the same rows as LEFT joins: $sql",
    async ({ sql, values }) => {
      const expected = await runPlain(sql, values);
      const planned = await runGoverned(role, plannedReader, sql, values);
      expect(planned.rows).toEqual(expected);
      expect(await runGoverned(role, leftJoinedReader, sql, values)).toEqual(planned);
      expect(sentBody).not.toMatch(/\b(?:FULL|RIGHT)\b/);
    },
  );

  it.each(UNCHANGED)("a join stays as it is where it %s", async (_reason, sql) => {
    expect((await runGoverned(role, leftJoinedReader, sql, [])).rows).toEqual(await runPlain(sql, []));
    expect(sentBody).toBe(sql);
  });
});

it.each(ROLES)("a column of an expression with a parameter has the same name in every form, for %s", async (role) => {
  for (const value of ["x", 7]) {
    const sql = "SELECT coalesce(p.code, ?), '?1' FROM people p RIGHT JOIN visits v ON v.person_id = p.code";
    const { columns } = await runGoverned(role, leftJoinedReader, sql, [value]);
    expect(columns).toEqual(["coalesce(p.code, ?)", "'?1'"]);
    expect((await runGoverned(role, plannedReader, sql, [value])).columns).toEqual(columns);
  }
});

describe("the key of an outer join", () => {
  it("appears neither in the columns of a star nor in an error", async () => {
    const { columns } = await leftJoinedReader.read(
      "owner",
      "SELECT * FROM people FULL JOIN notes ON notes.id = people.code",
    );
    expect(columns).toEqual(["id", "name", "region", "email", "code", "id_1", "person_id", "region_1"]);
    const sql =
      "SELECT sum(p.code * 9e18) + abs(-9223372036854775807 - 1) FROM people p FULL JOIN notes n ON n.id = p.code";
    expect(await leftJoinedReader.outcome("owner", sql)).not.toMatch(/key_|pairs_|guard_/);
  });

  it("cannot be read by a name of the user's text", async () => {
    for (const name of ["key_", "left_", "right_", "p.rowid", "p.key_"])
      expect(
        await leftJoinedReader.outcome("masked", `SELECT ${name} FROM people p FULL JOIN notes n ON n.id = p.code`),
      ).toContain("There is no column");
  });
});
