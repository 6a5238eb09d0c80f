// Statements that grow: each shape takes a size, and SQLite expands it to more than its text. They read `people` and `visits` of the
// attacked database.

/** A family of statements. */
export interface Shape {
  readonly name: string;
  readonly sql: (size: number) => string;
  /** A size that a user may need, and that must run; 0 if there is none. */
  readonly modest: number;
  /** A size that must be refused although its text is short enough. */
  readonly excessive: number;
  /** Whether it is planned quickly over fenced views, so that the excessive size still runs for a user with a row rule. */
  readonly isQuickFenced?: true;
}

const list = (size: number, item: (index: number) => string, between = ", "): string =>
  Array.from({ length: size }, (_value, index) => item(index)).join(between);

/** Joins expressions by an operator in a balanced tree, because SQLite limits depth, not size. */
function tree(items: readonly string[], operator: string): string {
  const [first = "1"] = items;
  if (items.length <= 1) return first;
  const middle = items.length >> 1;
  return `(${tree(items.slice(0, middle), operator)} ${operator} ${tree(items.slice(middle), operator)})`;
}
const treeOf = (size: number, operator: string, item: (index: number) => string): string =>
  tree(
    Array.from({ length: size }, (_value, index) => item(index)),
    operator,
  );

/** WITH queries that each name the previous one twice. */
const chain = (size: number, first: string, next: (before: string) => string, end = "SELECT count(*) FROM"): string =>
  `WITH c0 AS (${first}), ${list(size, (i) => `c${i + 1} AS (${next(`c${i}`)})`)} ${end} c${size}`;

/** Queries nested in queries. */
const nest = (size: number, first: string, next: (inner: string) => string): string =>
  Array.from({ length: size }).reduce<string>((inner) => next(inner), first);

const PEOPLE = "SELECT id FROM people";

/** All shapes. The names complete the sentence "a statement that …". */
export const SHAPES: readonly Shape[] = [
  {
    name: "joins a WITH query to itself",
    sql: (n) => chain(n, PEOPLE, (c) => `SELECT x.id FROM ${c} x JOIN ${c} y ON x.id = y.id`),
    modest: 4,
    excessive: 14,
  },
  {
    name: "joins a WITH query without a table to itself",
    sql: (n) => chain(n, "SELECT 1 AS id", (c) => `SELECT x.id FROM ${c} x, ${c} y`),
    modest: 4,
    excessive: 14,
  },
  {
    name: "unites a WITH query with itself",
    sql: (n) => chain(n, PEOPLE, (c) => `SELECT id FROM ${c} UNION ALL SELECT id FROM ${c}`),
    modest: 5,
    excessive: 18,
  },
  {
    name: "names a WITH query in IN without parentheses",
    sql: (n) => chain(n, PEOPLE, (c) => `SELECT id FROM ${c} WHERE id IN ${c}`),
    modest: 5,
    excessive: 14,
  },
  {
    name: "names a WITH query in a subquery of the select list",
    sql: (n) => chain(n, PEOPLE, (c) => `SELECT (SELECT max(id) FROM ${c}) AS id FROM ${c}`),
    modest: 4,
    excessive: 14,
  },
  {
    name: "names a MATERIALIZED query twice",
    sql: (n) =>
      chain(n, PEOPLE, (c) => `SELECT x.id FROM ${c} x JOIN ${c} y ON x.id = y.id`).replaceAll(
        " AS (",
        " AS MATERIALIZED (",
      ),
    modest: 4,
    excessive: 14,
  },
  {
    name: "quotes WITH names in four ways",
    sql: (n) =>
      `WITH c0(id) AS NOT MATERIALIZED (${PEOPLE}), ${list(n, (i) =>
        [
          `"C${i + 1}"(id) AS (SELECT x.id FROM [c${i}] AS x, /* , */ 'c${i}' AS y`,
          `JOIN \`C${i}\` z ON x.id = y.id AND y.id = z.id)`,
        ].join(" "),
      )} SELECT count(*) FROM c${n}`,
    modest: 2,
    excessive: 10,
  },
  {
    name: "defines WITH queries inside each other",
    sql: (n) => nest(n, PEOPLE, (inner) => `WITH c AS (${inner}) SELECT x.id FROM c x JOIN c y ON x.id = y.id`),
    modest: 4,
    excessive: 14,
  },
  {
    name: "names WITH queries that come later",
    sql: (n) =>
      [
        `WITH ${list(n, (i) => `c${i} AS (SELECT x.id FROM c${i + 1} x JOIN c${i + 1} y ON x.id = y.id)`)},`,
        `c${n} AS (${PEOPLE}) SELECT count(*) FROM c0`,
      ].join(" "),
    modest: 4,
    excessive: 14,
  },
  {
    name: "doubles a column in each subquery",
    sql: (n) => nest(n, "SELECT id AS x FROM people", (inner) => `SELECT x + x AS x FROM (${inner})`),
    modest: 6,
    excessive: 20,
  },
  {
    name: "doubles a column without a table",
    sql: (n) => nest(n, "SELECT 1 AS x", (inner) => `SELECT x || x AS x FROM (${inner})`),
    modest: 6,
    excessive: 20,
  },
  {
    name: "doubles a column in each WITH query",
    sql: (n) => chain(n, "SELECT id AS x FROM people", (c) => `SELECT x + x AS x FROM ${c}`, "SELECT x FROM"),
    modest: 6,
    excessive: 20,
  },
  {
    name: "compares rows of a column in each subquery",
    sql: (n) => nest(n, "SELECT id AS x FROM people", (inner) => `SELECT (x, x) = (x, x) AS x FROM (${inner})`),
    modest: 3,
    excessive: 10,
  },
  {
    name: "quotes a masked column in each subquery",
    sql: (n) => nest(n, "SELECT email AS x FROM people", (inner) => `SELECT x || x AS x FROM (${inner})`),
    modest: 4,
    excessive: 18,
  },
  {
    name: "repeats a grouping alias",
    sql: (n) =>
      [
        `SELECT x AS y FROM (${nest(n, "SELECT id AS x FROM people", (inner) => `SELECT max(x, x) AS x FROM (${inner})`)})`,
        "GROUP BY y ORDER BY y",
      ].join(" "),
    modest: 5,
    excessive: 20,
  },
  {
    name: "joins unions",
    sql: (n) =>
      [
        `SELECT 1 FROM ${list(n, (i) => `(${list(5, () => PEOPLE, " UNION ALL ")}) u${i}`)}`,
        `WHERE ${list(n - 1, (i) => `u${i}.id = u${i + 1}.id`, " AND ")}`,
      ].join(" "),
    modest: 2,
    excessive: 12,
  },
  {
    name: "selects every column of a join again and again",
    sql: (n) => `SELECT count(*) FROM (SELECT ${list(n, () => "*")} FROM ${list(40, (i) => `people p${i}`)})`,
    modest: 0,
    excessive: 6000,
  },
  {
    name: "has many scalar subqueries",
    sql: (n) =>
      `SELECT ${treeOf(n, "+", (i) => `(SELECT count(*) FROM people q WHERE q.id = p.id AND q.id > ${i})`)} FROM people p`,
    modest: 30,
    excessive: 240,
  },
  {
    name: "pushes conditions into a union",
    sql: (n) =>
      [
        `SELECT * FROM (${list(5, () => "SELECT * FROM people", " UNION ALL ")})`,
        `WHERE ${treeOf(n, "AND", (i) => `email = ${i} AND id = ${i}`)}`,
      ].join(" "),
    modest: 10,
    excessive: 600,
  },
  {
    name: "has many equal columns to choose from",
    sql: (n) =>
      `SELECT 1 FROM ${list(8, (i) => `people p${i}`)} WHERE ${treeOf(n, "AND", (i) => `p${i % 8}.email = p${(i + 1) % 8}.email`)}`,
    modest: 8,
    excessive: 700,
    isQuickFenced: true,
  },
  {
    name: "compares with many rows of subqueries",
    sql: (n) => `SELECT 1 FROM people WHERE ${treeOf(n, "AND", () => "(id, email) IN (SELECT id, email FROM people)")}`,
    modest: 5,
    excessive: 380,
  },
  {
    name: "has windows of many kinds",
    sql: (n) =>
      `SELECT ${list(n, (i) => `sum(id) OVER (PARTITION BY ${list(20, (j) => `id + ${i * j}`)} ORDER BY id + ${i})`)} FROM people`,
    modest: 8,
    excessive: 60,
  },
];

/** Statements that are long but do not expand; all of them must run. */
export const LONG: Readonly<Record<string, string>> = {
  "a list of 2,000 numbers": `SELECT count(*) FROM visits WHERE id IN (${list(2000, String)})`,
  "a CASE of 400 branches": `SELECT CASE ${list(400, (i) => `WHEN id = ${i} THEN 'branch ${i}'`, " ")} END FROM visits`,
  "a join of 20 tables": [
    `SELECT count(*) FROM ${list(20, (i) => `visits v${i}`)}`,
    `WHERE ${list(19, (i) => `v${i}.id = v${i + 1}.id`, " AND ")}`,
  ].join(" "),
  "60 computed columns": `SELECT ${list(60, (i) => `sum(CASE WHEN id = ${i} THEN 1 ELSE 0 END) AS c${i}`)} FROM visits`,
  "a chain of 30 WITH queries": [
    `WITH c0 AS (SELECT id FROM visits), ${list(29, (i) => `c${i + 1} AS (SELECT id FROM c${i} WHERE id > ${i})`)}`,
    "SELECT count(*) FROM c29",
  ].join(" "),
  "30 independent WITH queries": [
    `WITH ${list(30, (i) => `c${i} AS (SELECT count(*) AS n FROM visits WHERE id > ${i})`)}`,
    `SELECT ${list(30, (i) => `(SELECT n FROM c${i})`, " + ")}`,
  ].join(" "),
  "120 conditions joined by OR": `SELECT count(*) FROM visits WHERE ${treeOf(120, "OR", (i) => `(id = ${i} AND page LIKE '/p${i}%')`)}`,
};
