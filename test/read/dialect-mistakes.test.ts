// Typical mistakes of assistants: each message names the correction, and the corrected statement is answered.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { OTHER_FORMS, OTHER_FUNCTIONS } from "../../src/sql/other-dialects.ts";
import { createReader } from "../support/governed.ts";
import { DATE, NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";

const { outcome } = createReader(
  buildPolicy({
    tables: {
      sales: { id: key(NUMBER), buyer_id: NUMBER, total: NUMBER, placed: DATE, note: TEXT },
      buyers: { id: key(NUMBER), name: TEXT, city: TEXT },
    },
    roles: { reader: [allow("shop.*")] },
  }),
);

beforeAll(async () => {
  for (const sql of [
    "CREATE TABLE sales (id INTEGER PRIMARY KEY, buyer_id INTEGER, total INTEGER, placed TEXT, note TEXT)",
    "CREATE TABLE buyers (id INTEGER PRIMARY KEY, name TEXT, city TEXT)",
    "INSERT INTO sales VALUES (1, 1, 10, '2026-01-15', 'red,blue'), (2, 1, 20, '2026-02-10', 'green'), (3, 2, 60, '2026-02-28', NULL)",
    "INSERT INTO buyers VALUES (1, 'Ann', 'Oslo'), (2, 'Bob', 'Rome')",
  ])
    await env.SHOP_DB.exec(sql);
});

/** The statement, what its message says, the statement that an assistant makes of it, and its rows. */
type Mistake = readonly [sql: string, advice: string, corrected: string, rows: string];

const ONE = "FROM sales WHERE id = 1";
const repeat = (count: number, text: string, between: string): string =>
  Array.from({ length: count }, () => text).join(between);

const CASTS: readonly Mistake[] = [
  [`SELECT total::int ${ONE}`, "CAST(total AS INTEGER)", `SELECT CAST(total AS INTEGER) ${ONE}`, "[[10]]"],
  [
    `SELECT sales.total::text ${ONE}`,
    "CAST(sales.total AS TEXT)",
    `SELECT CAST(sales.total AS TEXT) ${ONE}`,
    '[["10"]]',
  ],
  [
    `SELECT round(total::numeric, 2) ${ONE}`,
    "CAST(total AS REAL)",
    `SELECT round(CAST(total AS REAL), 2) ${ONE}`,
    "[[10]]",
  ],
  [
    `SELECT sum(total)::float8 FROM sales`,
    "CAST(sum(total) AS REAL)",
    "SELECT CAST(sum(total) AS REAL) FROM sales",
    "[[90]]",
  ],
  [
    `SELECT '2026-01-15T10:00:00'::date`,
    "date('2026-01-15T10:00:00')",
    "SELECT date('2026-01-15T10:00:00')",
    '[["2026-01-15"]]',
  ],
  [
    `SELECT (total + 1)::varchar(10) ${ONE}`,
    "CAST((total + 1) AS TEXT)",
    `SELECT CAST((total + 1) AS TEXT) ${ONE}`,
    '[["11"]]',
  ],
  [
    `SELECT placed::timestamp ${ONE}`,
    "datetime(placed)",
    `SELECT datetime(placed) ${ONE}`,
    '[["2026-01-15 00:00:00"]]',
  ],
  [`SELECT TRY_CAST(note AS INT) ${ONE}`, "CAST(x AS INTEGER)", `SELECT CAST(note AS INTEGER) ${ONE}`, "[[0]]"],
  [`SELECT CONVERT(VARCHAR, total) ${ONE}`, "AS TEXT", `SELECT CAST(total AS TEXT) ${ONE}`, '[["10"]]'],
];

const CLAUSES: readonly Mistake[] = [
  ["SELECT TOP 2 id FROM sales", "LIMIT", "SELECT id FROM sales LIMIT 2", "[[1],[2]]"],
  ["SELECT DISTINCT TOP 1 buyer_id FROM sales", "LIMIT", "SELECT DISTINCT buyer_id FROM sales LIMIT 1", "[[1]]"],
  ["SELECT TOP (1) id FROM sales", "LIMIT", "SELECT id FROM sales LIMIT 1", "[[1]]"],
  ["SELECT id FROM sales FETCH FIRST 1 ROWS ONLY", "LIMIT", "SELECT id FROM sales LIMIT 1", "[[1]]"],
  [
    "SELECT id FROM sales ORDER BY id OFFSET 1 ROWS FETCH NEXT 1 ROWS ONLY",
    "LIMIT 10 OFFSET 5",
    "SELECT id FROM sales ORDER BY id LIMIT 1 OFFSET 1",
    "[[2]]",
  ],
  ["SELECT id FROM sales WHERE ROWNUM <= 1", "LIMIT", "SELECT id FROM sales LIMIT 1", "[[1]]"],
  [
    "SELECT name FROM buyers WHERE name ILIKE 'an%'",
    "write LIKE",
    "SELECT name FROM buyers WHERE name LIKE 'an%'",
    '[["Ann"]]',
  ],
  [
    "SELECT name FROM buyers WHERE name NOT ILIKE 'an%'",
    "write LIKE",
    "SELECT name FROM buyers WHERE name NOT LIKE 'an%'",
    '[["Bob"]]',
  ],
  [
    "SELECT name FROM buyers WHERE name SIMILAR TO '(A|C)%'",
    "GLOB",
    "SELECT name FROM buyers WHERE name GLOB '[AC]*'",
    '[["Ann"]]',
  ],
  [
    "SELECT name FROM buyers WHERE name REGEXP '^A'",
    "LIKE",
    "SELECT name FROM buyers WHERE name LIKE 'A%'",
    '[["Ann"]]',
  ],
  [
    "SELECT name FROM buyers WHERE name RLIKE '^A'",
    "LIKE",
    "SELECT name FROM buyers WHERE name LIKE 'A%'",
    '[["Ann"]]',
  ],
  ["SELECT name FROM buyers WHERE name ~ '^A'", "LIKE", "SELECT name FROM buyers WHERE name LIKE 'A%'", '[["Ann"]]'],
  ["SELECT id FROM sales WHERE note <=> NULL", "write IS", "SELECT id FROM sales WHERE note IS NULL", "[[3]]"],
  [
    "SELECT id FROM sales WHERE buyer_id = ANY(SELECT id FROM buyers WHERE city = 'Rome')",
    "IN (",
    "SELECT id FROM sales WHERE buyer_id IN (SELECT id FROM buyers WHERE city = 'Rome')",
    "[[3]]",
  ],
  [
    "SELECT id FROM sales WHERE total >= ALL (SELECT total FROM sales)",
    "(SELECT max(x)",
    "SELECT id FROM sales WHERE total >= (SELECT max(total) FROM sales)",
    "[[3]]",
  ],
  [
    "SELECT id FROM sales WHERE total BETWEEN SYMMETRIC 20 AND 10",
    "BETWEEN min(a, b) AND max(a, b)",
    "SELECT id FROM sales WHERE total BETWEEN min(20, 10) AND max(20, 10)",
    "[[1],[2]]",
  ],
  [
    "SELECT * EXCEPT (note) FROM sales",
    "columns that you need",
    "SELECT id, buyer_id, total, placed FROM sales WHERE id = 1",
    '[[1,1,10,"2026-01-15"]]',
  ],
  [
    "SELECT DISTINCT ON (buyer_id) buyer_id, id FROM sales ORDER BY buyer_id, placed",
    "row_number() OVER (PARTITION BY",
    "SELECT buyer_id, id FROM (SELECT *, row_number() OVER (PARTITION BY buyer_id ORDER BY placed) AS r FROM sales) WHERE r = 1",
    "[[1,1],[2,3]]",
  ],
  [
    "SELECT id FROM sales QUALIFY row_number() OVER (PARTITION BY buyer_id ORDER BY placed) = 1",
    "WHERE r = 1",
    "SELECT id FROM (SELECT *, row_number() OVER (PARTITION BY buyer_id ORDER BY placed) AS r FROM sales) WHERE r = 1",
    "[[1],[3]]",
  ],
  [
    "SELECT c.name, x.total FROM buyers c CROSS JOIN LATERAL (SELECT max(total) AS total FROM sales o WHERE o.buyer_id = c.id) x",
    "subquery in the SELECT list",
    "SELECT c.name, (SELECT max(total) FROM sales o WHERE o.buyer_id = c.id) FROM buyers c",
    '[["Ann",20],["Bob",60]]',
  ],
  [
    "SELECT c.name FROM buyers c CROSS APPLY (SELECT 1) x",
    "subquery in the SELECT list",
    "SELECT c.name, (SELECT 1) FROM buyers c",
    '[["Ann",1],["Bob",1]]',
  ],
  [
    "SELECT buyer_id, sum(total) FROM sales GROUP BY ROLLUP(buyer_id)",
    "UNION ALL",
    "SELECT buyer_id, sum(total) FROM sales GROUP BY buyer_id UNION ALL SELECT NULL, sum(total) FROM sales",
    "[[1,30],[2,60],[null,90]]",
  ],
  [
    "SELECT buyer_id, sum(total) FROM sales GROUP BY buyer_id WITH ROLLUP",
    "UNION ALL",
    "SELECT buyer_id, sum(total) FROM sales GROUP BY buyer_id UNION ALL SELECT NULL, sum(total) FROM sales",
    "[[1,30],[2,60],[null,90]]",
  ],
  [
    "SELECT buyer_id, sum(total) FROM sales GROUP BY GROUPING SETS ((buyer_id), ())",
    "UNION ALL",
    "SELECT buyer_id, sum(total) FROM sales GROUP BY buyer_id UNION ALL SELECT NULL, sum(total) FROM sales",
    "[[1,30],[2,60],[null,90]]",
  ],
  [
    "SELECT buyer_id, sum(total) FROM sales GROUP BY ALL",
    "GROUP BY a, b",
    "SELECT buyer_id, sum(total) FROM sales GROUP BY buyer_id",
    "[[1,30],[2,60]]",
  ],
  [
    "SELECT * FROM sales PIVOT (sum(total) FOR buyer_id IN (1, 2))",
    "FILTER (WHERE",
    "SELECT sum(total) FILTER (WHERE buyer_id = 1) AS c1, sum(total) FILTER (WHERE buyer_id = 2) AS c2 FROM sales",
    "[[30,60]]",
  ],
  ["SELECT id FROM sales MINUS SELECT 1", "write EXCEPT", "SELECT id FROM sales EXCEPT SELECT 1", "[[2],[3]]"],
  ["SELECT id FROM sales EXCEPT ALL SELECT 1", "write EXCEPT", "SELECT id FROM sales EXCEPT SELECT 1", "[[2],[3]]"],
  ["SELECT id INTO big FROM sales", "source workspace", "SELECT id FROM sales", "[[1],[2],[3]]"],
  ["SELECT id FROM sales FOR UPDATE", "write nothing", "SELECT id FROM sales", "[[1],[2],[3]]"],
  ["SELECT id FROM sales WITH (NOLOCK)", "write nothing", "SELECT id FROM sales", "[[1],[2],[3]]"],
  [
    "SELECT count(*) FROM sales TABLESAMPLE (10)",
    "random() LIMIT",
    "SELECT count(*) FROM (SELECT * FROM sales ORDER BY random() LIMIT 100)",
    "[[3]]",
  ],
  ["SELECT 1 FROM dual", "without FROM", "SELECT 1", "[[1]]"],
  [
    "SELECT v.x FROM (VALUES (1), (2)) AS v(x)",
    "WITH v(a, b) AS",
    "WITH v(x) AS (VALUES (1), (2)) SELECT x FROM v",
    "[[1],[2]]",
  ],
  ["VALUES 1, 2", "VALUES (1), (2)", "VALUES (1), (2)", "[[1],[2]]"],
  [
    "SELECT * FROM generate_series(1, 3)",
    "json_each('[1,2,3]')",
    "SELECT g.value FROM json_each('[1,2,3]') AS g",
    "[[1],[2],[3]]",
  ],
  [
    "SELECT x FROM UNNEST(ARRAY[1, 2]) AS x",
    "json_each(x)",
    "SELECT x.value FROM json_each(json_array(1, 2)) AS x",
    "[[1],[2]]",
  ],
  [
    "SELECT lag(total) IGNORE NULLS OVER (ORDER BY id) FROM sales",
    "leaves NULL out",
    "SELECT lag(total) OVER (ORDER BY id) FROM (SELECT * FROM sales WHERE total IS NOT NULL)",
    "[[null],[10],[20]]",
  ],
  ["SELECT id AS order FROM sales", "double quotes", 'SELECT id AS "order" FROM sales', "[[1],[2],[3]]"],
  ["SELECT id, FROM sales", "Remove the comma", "SELECT id FROM sales", "[[1],[2],[3]]"],
  [
    "SELECT CASE WHEN total > 10 THEN 1 ELSE 0 FROM sales",
    "no END",
    "SELECT CASE WHEN total > 10 THEN 1 ELSE 0 END FROM sales",
    "[[0],[1],[1]]",
  ],
  [
    "SELECT IF total > 10 THEN 1 ELSE 0 END FROM sales",
    "CASE WHEN",
    "SELECT CASE WHEN total > 10 THEN 1 ELSE 0 END FROM sales",
    "[[0],[1],[1]]",
  ],
  ["SELECT id FROM sales HAVING total > 10", "WHERE", "SELECT id FROM sales WHERE total > 10", "[[2],[3]]"],
  [
    "SELECT id FROM sales WHERE sum(total) > 10",
    "HAVING",
    "SELECT buyer_id FROM sales GROUP BY buyer_id HAVING sum(total) > 30",
    "[[2]]",
  ],
  [
    "SELECT id FROM sales WHERE row_number() OVER (ORDER BY id) = 1",
    "outer query",
    "SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) AS r FROM sales) WHERE r = 1",
    "[[1]]",
  ],
  [
    "SELECT id FROM sales LIMIT 1 UNION ALL SELECT 9",
    "SELECT * FROM (SELECT … LIMIT 5)",
    "SELECT * FROM (SELECT id FROM sales LIMIT 1) UNION ALL SELECT 9",
    "[[1],[9]]",
  ],
  [
    "SELECT id FROM sales UNION SELECT 9 ORDER BY total",
    "column's number",
    "SELECT id FROM sales UNION SELECT 9 ORDER BY 1",
    "[[1],[2],[3],[9]]",
  ],
  ["SELECT id FROM sales ORDER BY 4", "number of a column", "SELECT id FROM sales ORDER BY 1", "[[1],[2],[3]]"],
  [
    "SELECT group_concat(DISTINCT buyer_id, ';') FROM sales",
    "DISTINCT in a subquery",
    "SELECT group_concat(buyer_id, ';') FROM (SELECT DISTINCT buyer_id FROM sales)",
    '[["1;2"]]',
  ],
  [
    "SELECT id FROM sales ORDER BY note COLLATE utf8_general_ci",
    "NOCASE",
    "SELECT id FROM sales ORDER BY note COLLATE NOCASE DESC",
    "[[1],[2],[3]]",
  ],
  [
    "SELECT sum(total) OVER w FROM sales",
    "WINDOW w AS",
    "SELECT sum(total) OVER w FROM sales WINDOW w AS (ORDER BY id)",
    "[[10],[30],[90]]",
  ],
  ["SELECT id FROM sales WHERE note = 'it's'", "'it''s'", "SELECT id FROM sales WHERE note = 'it''s'", "[]"],
  ["SELECT id FROM sales # all of them", "--", "SELECT id FROM sales -- all of them", "[[1],[2],[3]]"],
  ["SELECT id FROM sales WHERE id = {{id}}", "plain ?", "SELECT id FROM sales WHERE id = 1", "[[1]]"],
  ["SELECT id FROM sales WHERE id = :id", "plain ?", "SELECT id FROM sales WHERE id = 1", "[[1]]"],
  ["(SELECT 1) UNION ALL (SELECT 2)", "Leave out the parentheses", "SELECT 1 UNION ALL SELECT 2", "[[1],[2]]"],
  ["FROM sales", "SELECT * FROM", "SELECT id FROM sales", "[[1],[2],[3]]"],
  ["SELECT id FROM sales WHERE total >", "at the end of the SQL", "SELECT id FROM sales WHERE total > 20", "[[3]]"],
];

const FUNCTIONS: readonly Mistake[] = [
  ["SELECT NOW() > '2026'", "datetime('now')", "SELECT datetime('now') > '2026'", "[[1]]"],
  ["SELECT CURDATE() > '2026'", "date('now')", "SELECT date('now') > '2026'", "[[1]]"],
  ["SELECT CURRENT_TIMESTAMP() > '2026'", "without parentheses", "SELECT CURRENT_TIMESTAMP > '2026'", "[[1]]"],
  ["SELECT SYSDATE > '2026' FROM sales LIMIT 1", "datetime('now')", "SELECT datetime('now') > '2026'", "[[1]]"],
  [
    "SELECT count(*) FROM sales WHERE placed > CURRENT_DATE - INTERVAL '7 days'",
    "date('now', '-7 days')",
    "SELECT count(*) FROM sales WHERE placed > date('now', '+7000 days')",
    "[[0]]",
  ],
  [
    "SELECT count(*) FROM sales WHERE placed > NOW() - INTERVAL 7 DAY",
    "date('now', '-7 days')",
    "SELECT count(*) FROM sales WHERE placed > date('now', '+7000 days')",
    "[[0]]",
  ],
  [
    `SELECT DATE_ADD(placed, INTERVAL 1 MONTH) ${ONE}`,
    "date(x, '+1 day'), with month",
    `SELECT date(placed, '+1 month') ${ONE}`,
    '[["2026-02-15"]]',
  ],
  [
    `SELECT DATEADD(month, 1, placed) ${ONE}`,
    "date(x, '+1 day'), with month",
    `SELECT date(placed, '+1 month') ${ONE}`,
    '[["2026-02-15"]]',
  ],
  [
    "SELECT DATEDIFF(day, '2026-01-01', '2026-01-31')",
    "julianday(end) - julianday(start)",
    "SELECT CAST(julianday('2026-01-31') - julianday('2026-01-01') AS INTEGER)",
    "[[30]]",
  ],
  [
    `SELECT DATE_TRUNC('month', placed) ${ONE}`,
    "date(x, 'start of month')",
    `SELECT date(placed, 'start of month') ${ONE}`,
    '[["2026-01-01"]]',
  ],
  [
    `SELECT DATE_TRUNC('week', placed) ${ONE}`,
    "date(x, '-6 days', 'weekday 1')",
    `SELECT date(placed, '-6 days', 'weekday 1') ${ONE}`,
    '[["2026-01-12"]]',
  ],
  [
    `SELECT EXTRACT(YEAR FROM placed) ${ONE}`,
    "strftime('%Y', x)",
    `SELECT CAST(strftime('%Y', placed) AS INTEGER) ${ONE}`,
    "[[2026]]",
  ],
  [
    `SELECT YEAR(placed) ${ONE}`,
    "CAST(strftime('%Y', x) AS INTEGER)",
    `SELECT CAST(strftime('%Y', placed) AS INTEGER) ${ONE}`,
    "[[2026]]",
  ],
  [
    `SELECT MONTH(placed) ${ONE}`,
    "CAST(strftime('%m', x) AS INTEGER)",
    `SELECT CAST(strftime('%m', placed) AS INTEGER) ${ONE}`,
    "[[1]]",
  ],
  [
    `SELECT DAY(placed) ${ONE}`,
    "CAST(strftime('%d', x) AS INTEGER)",
    `SELECT CAST(strftime('%d', placed) AS INTEGER) ${ONE}`,
    "[[15]]",
  ],
  [
    `SELECT HOUR(placed) ${ONE}`,
    "CAST(strftime('%H', x) AS INTEGER)",
    `SELECT CAST(strftime('%H', placed) AS INTEGER) ${ONE}`,
    "[[0]]",
  ],
  [
    `SELECT WEEK(placed) ${ONE}`,
    "CAST(strftime('%V', x) AS INTEGER)",
    `SELECT CAST(strftime('%V', placed) AS INTEGER) ${ONE}`,
    "[[3]]",
  ],
  [
    `SELECT QUARTER(placed) ${ONE}`,
    "+ 2) / 3",
    `SELECT (CAST(strftime('%m', placed) AS INTEGER) + 2) / 3 ${ONE}`,
    "[[1]]",
  ],
  [
    `SELECT DAYOFWEEK(placed) ${ONE}`,
    "strftime('%w', x)",
    `SELECT CAST(strftime('%w', placed) AS INTEGER) ${ONE}`,
    "[[4]]",
  ],
  [
    `SELECT TO_CHAR(placed, 'YYYY-MM') ${ONE}`,
    "strftime('%Y-%m', x)",
    `SELECT strftime('%Y-%m', placed) ${ONE}`,
    '[["2026-01"]]',
  ],
  [
    `SELECT DATE_FORMAT(placed, '%Y-%m') ${ONE}`,
    "strftime('%Y-%m', x)",
    `SELECT strftime('%Y-%m', placed) ${ONE}`,
    '[["2026-01"]]',
  ],
  [
    `SELECT LAST_DAY(placed) ${ONE}`,
    "'-1 day'",
    `SELECT date(placed, 'start of month', '+1 month', '-1 day') ${ONE}`,
    '[["2026-01-31"]]',
  ],
  [
    "SELECT FROM_UNIXTIME(0)",
    "datetime(x, 'unixepoch')",
    "SELECT datetime(0, 'unixepoch')",
    '[["1970-01-01 00:00:00"]]',
  ],
  [`SELECT UNIX_TIMESTAMP(placed) ${ONE}`, "unixepoch(x)", `SELECT unixepoch(placed) ${ONE}`, "[[1768435200]]"],
  [
    "SELECT count(*) FROM sales WHERE placed >= DATE '2026-02-01'",
    "the text alone",
    "SELECT count(*) FROM sales WHERE placed >= '2026-02-01'",
    "[[2]]",
  ],
  ["SELECT LEFT(name, 1) FROM buyers", "substr(x, 1, n)", "SELECT substr(name, 1, 1) FROM buyers", '[["A"],["B"]]'],
  ["SELECT RIGHT(name, 1) FROM buyers", "substr(x, -n)", "SELECT substr(name, -1) FROM buyers", '[["n"],["b"]]'],
  [
    "SELECT SUBSTRING(name FROM 1 FOR 2) FROM buyers",
    "substr(x, start, length)",
    "SELECT substr(name, 1, 2) FROM buyers",
    '[["An"],["Bo"]]',
  ],
  ["SELECT POSITION('n' IN name) FROM buyers", "instr(text, part)", "SELECT instr(name, 'n') FROM buyers", "[[2],[0]]"],
  ["SELECT CHARINDEX('n', name) FROM buyers", "instr(text, part)", "SELECT instr(name, 'n') FROM buyers", "[[2],[0]]"],
  [
    "SELECT TRIM(BOTH 'A' FROM name) FROM buyers",
    "trim(x, '-')",
    "SELECT trim(name, 'A') FROM buyers",
    '[["nn"],["Bob"]]',
  ],
  ["SELECT LEN(name) FROM buyers", "length(x)", "SELECT length(name) FROM buyers", "[[3],[3]]"],
  [
    "SELECT SPLIT_PART(note, ',', 1) FROM sales WHERE id = 1",
    "json_extract('[\"'",
    `SELECT json_extract('["' || replace(note, ',', '","') || '"]', '$[0]') FROM sales WHERE id = 1`,
    '[["red"]]',
  ],
  [
    "SELECT LPAD(id, 3, '0') FROM buyers",
    "printf('%05d', x)",
    "SELECT printf('%03d', id) FROM buyers",
    '[["001"],["002"]]',
  ],
  [
    "SELECT INITCAP(city) FROM buyers",
    "upper(substr(x, 1, 1))",
    "SELECT upper(substr(city, 1, 1)) || lower(substr(city, 2)) FROM buyers",
    '[["Oslo"],["Rome"]]',
  ],
  [
    "SELECT REPEAT('ab', 2)",
    "replace(printf('%.*c', n, 'x'), 'x', text)",
    "SELECT replace(printf('%.*c', 2, 'x'), 'x', 'ab')",
    '[["abab"]]',
  ],
  [
    "SELECT REGEXP_REPLACE(note, ',', ';') FROM sales",
    "replace()",
    "SELECT replace(note, ',', ';') FROM sales WHERE id = 1",
    '[["red;blue"]]',
  ],
  ["SELECT STARTS_WITH(name, 'A') FROM buyers", "LIKE 'part%'", "SELECT name LIKE 'A%' FROM buyers", "[[1],[0]]"],
  ["SELECT GREATEST(total, 20) FROM sales", "max(a, b)", "SELECT max(total, 20) FROM sales", "[[20],[20],[60]]"],
  ["SELECT LEAST(total, 20) FROM sales", "min(a, b)", "SELECT min(total, 20) FROM sales", "[[10],[20],[20]]"],
  [
    "SELECT NVL(note, '-') FROM sales WHERE id = 3",
    "ifnull(x, y)",
    "SELECT ifnull(note, '-') FROM sales WHERE id = 3",
    '[["-"]]',
  ],
  [
    "SELECT ISNULL(note, '-') FROM sales WHERE id = 3",
    "ifnull(x, y)",
    "SELECT ifnull(note, '-') FROM sales WHERE id = 3",
    '[["-"]]',
  ],
  [
    "SELECT IF(total > 10, 'a', 'b') FROM sales",
    "iif(condition, a, b)",
    "SELECT iif(total > 10, 'a', 'b') FROM sales",
    '[["b"],["a"],["a"]]',
  ],
  [
    "SELECT DECODE(id, 1, 'a', 'b') FROM buyers",
    "CASE x WHEN 1",
    "SELECT CASE id WHEN 1 THEN 'a' ELSE 'b' END FROM buyers",
    '[["a"],["b"]]',
  ],
  [
    "SELECT SAFE_DIVIDE(total, 0) FROM sales WHERE id = 1",
    "nullif(b, 0)",
    "SELECT total / nullif(0, 0) FROM sales WHERE id = 1",
    "[[null]]",
  ],
  ["SELECT 7 DIV 2", "CAST(a / b AS INTEGER)", "SELECT CAST(7 / 2 AS INTEGER)", "[[3]]"],
  [
    "SELECT median(total) FROM sales",
    "(n + 1) / 2",
    "SELECT avg(x) FROM (SELECT total AS x, row_number() OVER (ORDER BY total) AS r, count(*) OVER () AS n FROM sales) WHERE r IN ((n + 1) / 2, (n + 2) / 2)",
    "[[20]]",
  ],
  [
    "SELECT percentile_cont(0.9) WITHIN GROUP (ORDER BY total) FROM sales",
    "cume_dist()",
    "SELECT min(x) FROM (SELECT total AS x, cume_dist() OVER (ORDER BY total) AS share FROM sales) WHERE share >= 0.9",
    "[[60]]",
  ],
  [
    "SELECT stddev(total) FROM sales",
    "sqrt(avg(x * x) - avg(x) * avg(x))",
    "SELECT round(sqrt(avg(total * total) - avg(total) * avg(total)), 2) FROM sales",
    "[[21.6]]",
  ],
  [
    "SELECT var_samp(total) FROM sales",
    "/ (count(x) - 1)",
    "SELECT (sum(total * total) - sum(total) * avg(total)) / (count(total) - 1) FROM sales",
    "[[700]]",
  ],
  [
    "SELECT mode() WITHIN GROUP (ORDER BY buyer_id) FROM sales",
    "ORDER BY count(*) DESC LIMIT 1",
    "SELECT buyer_id FROM sales GROUP BY buyer_id ORDER BY count(*) DESC LIMIT 1",
    "[[1]]",
  ],
  [
    "SELECT COUNT_IF(total > 10) FROM sales",
    "FILTER (WHERE condition)",
    "SELECT count(*) FILTER (WHERE total > 10) FROM sales",
    "[[2]]",
  ],
  ["SELECT BOOL_OR(total > 50) FROM sales", "max(condition)", "SELECT max(total > 50) FROM sales", "[[1]]"],
  ["SELECT ANY_VALUE(name) FROM buyers", "min(x)", "SELECT min(name) FROM buyers", '[["Ann"]]'],
  [
    "SELECT APPROX_COUNT_DISTINCT(buyer_id) FROM sales",
    "count(DISTINCT x)",
    "SELECT count(DISTINCT buyer_id) FROM sales",
    "[[2]]",
  ],
  [
    "SELECT LISTAGG(name, ',') WITHIN GROUP (ORDER BY name) FROM buyers",
    "group_concat(x, ',' ORDER BY y)",
    "SELECT group_concat(name, ',' ORDER BY name) FROM buyers",
    '[["Ann,Bob"]]',
  ],
  [
    "SELECT GROUP_CONCAT(name SEPARATOR ';') FROM buyers",
    "group_concat(x, ',')",
    "SELECT group_concat(name, ';') FROM buyers",
    '[["Ann;Bob"]]',
  ],
  [
    "SELECT ARRAY_AGG(name) FROM buyers",
    "json_group_array(x)",
    "SELECT json_group_array(name) FROM buyers",
    '[["[\\"Ann\\",\\"Bob\\"]"]]',
  ],
  ["SELECT JSON_BUILD_OBJECT('a', 1)", "json_object(", "SELECT json_object('a', 1)", '[["{\\"a\\":1}"]]'],
  [
    "SELECT JSON_VALUE('{\"a\":1}', '$.a')",
    "json_extract(x, '$.name')",
    "SELECT json_extract('{\"a\":1}', '$.a')",
    "[[1]]",
  ],
  ["SELECT CHR(65)", "char(x)", "SELECT char(65)", '[["A"]]'],
  ["SELECT lenght(name) FROM buyers", "Did you mean length?", "SELECT length(name) FROM buyers", "[[3],[3]]"],
];

const DESCRIBED = "call the describe tool";
const NAMES: readonly Mistake[] = [
  ...[
    "SHOW TABLES",
    "DESCRIBE sales",
    "DESC sales",
    "PRAGMA table_info(sales)",
    "\\d sales",
    "SELECT * FROM sqlite_master",
    "SELECT name FROM sqlite_schema",
    "SELECT * FROM pragma_table_info('sales')",
    "SELECT * FROM information_schema.columns",
    "SELECT table_name FROM INFORMATION_SCHEMA.TABLES",
    "SELECT * FROM pg_tables",
    "SELECT * FROM sys.tables",
  ].map((sql): Mistake => [sql, DESCRIBED, "SELECT id FROM buyers", "[[1],[2]]"]),
  ["EXPLAIN SELECT id FROM buyers", "send the SELECT itself", "SELECT id FROM buyers", "[[1],[2]]"],
  ["DELETE FROM buyers", "cannot be changed", "SELECT id FROM buyers", "[[1],[2]]"],
  ["SELECT id FROM public.buyers", "without the source before it: buyers", "SELECT id FROM buyers", "[[1],[2]]"],
  ["SELECT id FROM buyer", "Did you mean buyers?", "SELECT id FROM buyers", "[[1],[2]]"],
  ["SELECT c.nam FROM buyers c", "Did you mean c.name?", "SELECT c.name FROM buyers c", '[["Ann"],["Bob"]]'],
  [
    "SELECT o.name FROM sales o JOIN buyers c ON c.id = o.buyer_id WHERE o.id = 1",
    "Did you mean c.name?",
    "SELECT c.name FROM sales o JOIN buyers c ON c.id = o.buyer_id WHERE o.id = 1",
    '[["Ann"]]',
  ],
  [
    "SELECT buyers.name FROM buyers c",
    "buyers has the alias c here. Did you mean c.name?",
    "SELECT c.name FROM buyers c",
    '[["Ann"],["Bob"]]',
  ],
  [
    "SELECT u.name FROM buyers c",
    "no table or alias u here. Did you mean c.name?",
    "SELECT c.name FROM buyers c",
    '[["Ann"],["Bob"]]',
  ],
  [
    "WITH spending AS (SELECT buyer_id AS who, sum(total) AS spent FROM sales GROUP BY 1) SELECT s.spend FROM spending s",
    "Did you mean s.spent?",
    "WITH spending AS (SELECT buyer_id AS who, sum(total) AS spent FROM sales GROUP BY 1) SELECT s.spent FROM spending s",
    "[[30],[60]]",
  ],
  [
    "WITH spending AS (SELECT sum(total) AS spent FROM sales) SELECT spent FROM spendings",
    "Did you mean spending?",
    "WITH spending AS (SELECT sum(total) AS spent FROM sales) SELECT spent FROM spending",
    "[[90]]",
  ],
  ['SELECT id FROM buyers WHERE city = "Oslo"', "single quotes", "SELECT id FROM buyers WHERE city = 'Oslo'", "[[1]]"],
];

const LIMITS: readonly Mistake[] = [
  [
    `WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL ${repeat(6, "SELECT x FROM n WHERE 0", " UNION ALL ")}) SELECT x FROM n`,
    "at most 5 SELECTs",
    "SELECT * FROM (SELECT 1 UNION ALL SELECT 2) UNION ALL SELECT * FROM (SELECT 3 UNION ALL SELECT 4)",
    "[[1],[2],[3],[4]]",
  ],
  [`SELECT ${repeat(101, "1", ", ")}`, "more than 100 columns", "SELECT 1, 1", "[[1,1]]"],
  [
    `SELECT id FROM sales WHERE ${repeat(120, "id = 1", " OR ")}`,
    "x IN (…)",
    `SELECT id FROM sales WHERE id IN (${repeat(120, "1", ", ")})`,
    "[[1]]",
  ],
  [`SELECT ${"abs(".repeat(120)}1${")".repeat(120)}`, "more than 100 levels", "SELECT abs(abs(1))", "[[1]]"],
  [
    `SELECT max(${repeat(40, "1", ", ")})`,
    "at most 32 arguments",
    `SELECT max(max(${repeat(30, "1", ", ")}), ${repeat(10, "1", ", ")})`,
    "[[1]]",
  ],
  [
    `SELECT count(*) FROM ${repeat(65, "buyers", ", ")}`,
    "at most 64 tables",
    "SELECT count(*) FROM buyers, sales",
    "[[6]]",
  ],
  [
    `SELECT id FROM sales ORDER BY ${repeat(101, "id", ", ")}`,
    "at most 100 terms",
    "SELECT id FROM sales ORDER BY id",
    "[[1],[2],[3]]",
  ],
];

const MISTAKES = [...CASTS, ...CLAUSES, ...FUNCTIONS, ...NAMES, ...LIMITS];

describe("the message about a typical mistake", () => {
  it("is tested for at least 90 of them", () => {
    expect(MISTAKES.length).toBeGreaterThanOrEqual(90);
  });

  it.each(MISTAKES)("says how to correct %s: %s", async (sql, advice, corrected, rows) => {
    const refusal = await outcome("reader", sql);
    expect(refusal).toMatch(/^query_(?:refused|failed): /);
    expect(refusal).toContain(advice);
    expect(refusal.length).toBeLessThan(520);
    expect(await outcome("reader", corrected)).toBe(rows);
  });
});

describe("what the message has of other dialects", () => {
  it("is at most three hints, without the general advice", async () => {
    const sql = "SELECT NOW(), YEAR(placed), MONTH(placed), DAY(placed), LEFT(note, 1) FROM sales";
    const refusal = await outcome("reader", sql);
    expect(refusal.match(/for \w+\(\) write/g)).toEqual(["for NOW() write", "for YEAR() write", "for MONTH() write"]);
    expect(refusal).not.toContain("The dialect is SQLite");
  });

  it("does not follow from a text, a comment or a name in quotes", async () => {
    const refusal = await outcome("reader", `SELECT nosuch, 'ILIKE NOW()', "now", [left] FROM sales /* YEAR(x) */`);
    expect(refusal).not.toContain("In SQLite");
  });

  it("lists no function that can be called here", async () => {
    for (const name of OTHER_FUNCTIONS.flatMap(([names]) => names.split(" ")))
      expect(await outcome("reader", `SELECT ${name}(1)`), name).toMatch(/^query_(?:failed|refused): /);
  });

  it("has one entry for each name and pattern", () => {
    const names = OTHER_FUNCTIONS.flatMap(([functions]) => functions.split(" "));
    const patterns = OTHER_FORMS.map(([pattern]) => pattern);
    expect([names.length, patterns.length]).toEqual([new Set(names).size, new Set(patterns).size]);
  });

  it("does not touch a statement that SQLite accepts", async () => {
    const sql =
      "SELECT id, `note`, [placed], total != 5, TRUE, CAST(total AS VARCHAR(5)) FROM sales ORDER BY id LIMIT 1, 1";
    expect(await outcome("reader", sql)).toBe('[[2,"green","2026-02-10",1,1,"20"]]');
  });
});
