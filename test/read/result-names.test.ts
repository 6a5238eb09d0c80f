// Names of result columns: as the table declares them, and expressions by readable text that a later query can use.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";

const gateway = gatewayFor(
  buildPolicy({
    tables: {
      races: { raceId: key(NUMBER), result: TEXT, Points: NUMBER },
      drivers: { driverId: key(NUMBER), raceId: NUMBER, points: NUMBER },
    },
    roles: { reader: [allow("shop.*")] },
  }),
);
const caller = callerAs("reader@harbor.example");

async function columnsOf(sql: string, source = "shop", params: readonly (string | number)[] = []) {
  const { columns, result } = await gateway.query(caller, { target: { source, sql }, params, rowLimit: undefined });
  return { columns, result };
}

beforeAll(async () => {
  await env.SHOP_DB.exec("CREATE TABLE races (raceId INTEGER PRIMARY KEY, result TEXT, Points INTEGER)");
  await env.SHOP_DB.exec("CREATE TABLE drivers (driverId INTEGER PRIMARY KEY, raceId INTEGER, points INTEGER)");
  await env.SHOP_DB.exec("INSERT INTO races VALUES (1, 'won', 10)");
  await env.SHOP_DB.exec("INSERT INTO drivers VALUES (1, 1, 10)");
});

describe("the name of a result column", () => {
  it.each<[string, readonly string[]]>([
    ["SELECT RESULT FROM races", ["result"]],
    ["SELECT r.RESULT, r.RACEID FROM races r", ["result", "raceId"]],
    ['SELECT "RESULT", [RACEID], `points` FROM races', ["result", "raceId", "Points"]],
    ["SELECT (RESULT) FROM races", ["result"]],
    ["SELECT result, RESULT, Result FROM races", ["result", "result_1", "result_2"]],
    ["WITH x AS (SELECT RESULT FROM races) SELECT x.Result FROM x", ["result"]],
    ["SELECT * FROM (SELECT RACEID FROM races)", ["raceId"]],
    ["SELECT RESULT FROM races UNION SELECT 'x' ORDER BY 1", ["result"]],
    ["SELECT RESULT FROM races GROUP BY RESULT ORDER BY RESULT", ["result"]],
    ["SELECT DRIVERID, d.RACEID FROM drivers d JOIN races USING (raceid)", ["driverId", "raceId"]],
  ])("names a result column as its table declares it in %s", async (sql, columns) => {
    expect((await columnsOf(sql)).columns).toEqual(columns);
  });

  it.each<[string, readonly string[]]>([
    ["SELECT result AS RESULT FROM races", ["RESULT"]],
    ["SELECT result RESULT FROM races", ["RESULT"]],
    ['SELECT 1 + 1 AS "Result", raceId RACEID FROM races', ["Result", "RACEID"]],
    ["WITH x(RESULT) AS (SELECT raceId FROM races) SELECT RESULT FROM x", ["RESULT"]],
    ["SELECT RESULT FROM (SELECT count(*) AS RESULT FROM races)", ["RESULT"]],
    ["SELECT POINTS FROM races WHERE raceId IN (SELECT raceId FROM drivers)", ["POINTS"]],
    ["SELECT ÉTAT FROM (SELECT 1 AS ÉTAT)", ["ÉTAT"]],
  ])("names a result column by the user's own alias or spelling in %s", async (sql, columns) => {
    expect((await columnsOf(sql)).columns).toEqual(columns);
  });
});

describe("the name of an expression", () => {
  const LONG = `sum(CASE ${Array.from({ length: 20 }, (_value, index) => `WHEN Points = ${index} THEN ${index}`).join("\n  ")} ELSE 0 END)`;

  it.each<[string, string, (readonly (string | number)[])?]>([
    ["count(*)", "count(*)"],
    ["count( * )\n  + -- all of them\n 1", "count( * ) + 1"],
    ["max(/* greatest */points)", "max( points)"],
    ["? + 1", "? + 1", [5]],
    ["CAST(? AS INTEGER)", "CAST(? AS INTEGER)", [5]],
    ["'a  b' || result", "'a  b' || result"],
    ['"Points" * 2', '"Points" * 2'],
    [`'${"😀".repeat(70)}'`, `'${"😀".repeat(29)}…`],
  ])("names a column of the expression %j readably: %j", async (expression, name, params = []) => {
    const { columns, result } = await columnsOf(`SELECT ${expression} FROM races`, "shop", params);
    expect(columns).toEqual([name]);
    expect((await columnsOf(`SELECT "${name.replaceAll('"', '""')}" FROM ${result}`, "workspace")).columns).toEqual([
      name,
    ]);
  });

  it("is cut, unique and usable in a later query when it is long", async () => {
    const { columns, result } = await columnsOf(`SELECT ${LONG}, ${LONG} FROM races`);
    const name = "sum(CASE WHEN Points = 0 THEN 0 WHEN Points = 1 THEN 1 WHEN…";
    expect(columns).toEqual([name, `${name}_2`]);
    const later = await columnsOf(`SELECT "${name}", "${name}_2" FROM ${result}`, "workspace");
    expect(later.columns).toEqual(columns);
  });

  it("keeps an alias of up to 100 characters", async () => {
    const alias = "a".repeat(100);
    expect((await columnsOf(`SELECT count(*) AS ${alias} FROM races`)).columns).toEqual([alias]);
    expect((await columnsOf(`SELECT count(*) AS ${alias}b FROM races`)).columns).toEqual(["column_1"]);
  });

  it("has no invisible character", async () => {
    expect((await columnsOf("SELECT 'a\u200bb', 'x\ny' FROM races")).columns).toEqual(["column_1", "column_2"]);
  });
});
