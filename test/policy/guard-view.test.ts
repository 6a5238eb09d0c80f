// Guard views and masks on a real D1: a guard view's SELECT returns exactly what the decision shows.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { rankDisclosure, buildDisclosureSql } from "../../src/policy/masks.ts";
import type { Disclosure, Grant, TableDataset } from "../../src/policy/model.ts";
import { createGuardView, buildGuardViewSql, listVisibleColumns } from "../../src/policy/guard-view.ts";
import { createParameters } from "../../src/sql/parameters.ts";
import { PLAIN_VIEW, TOKEN_SQL } from "../support/plain-view.ts";

const CLEAR = { kind: "clear" } as const;
const HIDDEN = { kind: "hidden" } as const;
const EMAIL = { kind: "email" } as const;
const REDACT = { kind: "redact" } as const;

const COLUMN = { kind: "column", column: "region" } as const;
const BOUND = { kind: "value", value: "north" } as const;
const text = (sqlText: string) => ({ kind: "text", text: sqlText }) as const;

const people: TableDataset = {
  kind: "table",
  id: "x.people",
  source: "x",
  table: "people",
  description: "People",
  isView: false,
  recordKeys: false,
  key: ["id"],
  hidden: false,
  columns: ["id", "email", "region"].map((name) => ({
    name,
    type: name === "id" ? "integer" : "text",
    description: name,
    untrusted: false,
    hidden: false,
    references: null,
    examples: [],
  })),
};

beforeAll(async () => {
  await env.SHOP_DB.batch([
    env.SHOP_DB.prepare("CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT, region TEXT)"),
    env.SHOP_DB.prepare(
      "INSERT INTO people VALUES (1, 'anna@a.example', 'north'), (2, 'bert@b.example', 'south'), (3, 'cleo@c.example', NULL)",
    ),
  ]);
});

/** The rows of the guard view under these grants. */
async function readView(grants: readonly Grant[]): Promise<unknown[]> {
  const decision = { allowed: true, dataset: people, grants, rules: [] } as const;
  const parameters = createParameters();
  const sql = buildGuardViewSql(decision, people, { parameters, qualifyDomain: String }, PLAIN_VIEW);
  return (
    await env.SHOP_DB.prepare(`SELECT * FROM (${sql}) ORDER BY 1`)
      .bind(...parameters.values)
      .all()
  ).results;
}

function grant(columns: Record<string, Disclosure>, rows: Grant["rows"] = null): Grant {
  return { rule: "r", rows, reveal: [], columns: { id: CLEAR, email: CLEAR, region: CLEAR, ...columns } };
}

const north = { column: "region", op: "=", value: "north" } as const;
const south = { column: "region", op: "=", value: "south" } as const;

describe("guard views", () => {
  it("show all rows and columns under an unconditional grant", async () => {
    expect(await readView([grant({})])).toHaveLength(3);
  });

  it("omit hidden columns and rows that the rule excludes", async () => {
    expect(await readView([grant({ email: HIDDEN }, north)])).toEqual([{ id: 1, region: "north" }]);
  });

  it("hide a column that the grant does not name", async () => {
    const partialGrant: Grant = { rule: "r", rows: null, columns: { id: CLEAR }, reveal: [] };
    expect(await readView([partialGrant])).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
  });

  it("show each row in the least masked form that a grant gives for it", async () => {
    expect(await readView([grant({ email: EMAIL }), grant({}, north)])).toEqual([
      { id: 1, email: "anna@a.example", region: "north" },
      { id: 2, email: "b…@b.example", region: "south" },
      { id: 3, email: "c…@c.example", region: null },
    ]);
  });

  it("show each row in the form of the grant that reaches it when two forms have equal ranks", async () => {
    const northForm: Disclosure = { kind: "round", step: 9007199254740990 };
    const southForm: Disclosure = { kind: "round", step: 9007199254740991 };
    expect(rankDisclosure(northForm)).toBe(rankDisclosure(southForm));
    const value = "9007199254740000";
    await env.SHOP_DB.prepare(
      `INSERT INTO people VALUES (${value}, NULL, 'north'), (${value} + 1, NULL, 'south')`,
    ).run();
    const shown = await readView([grant({ id: northForm }, north), grant({ id: southForm }, south)]);
    await env.SHOP_DB.prepare("DELETE FROM people WHERE id > 3").run();
    expect(shown.slice(2)).toMatchObject([
      { id: 9007199254740990, region: "north" },
      { id: 9007199254740991, region: "south" },
    ]);
  });

  it("show NULL on the rows of a grant that hides a column which another grant shows", async () => {
    expect(await readView([grant({ email: HIDDEN }, north), grant({ email: EMAIL }, south)])).toEqual([
      { id: 1, email: null, region: "north" },
      { id: 2, email: "b…@b.example", region: "south" },
    ]);
  });

  it("omit rows that match no grant, including rows with NULL in the compared column", async () => {
    expect(await readView([grant({}, { column: "region", op: "!=", value: "north" })])).toEqual([
      { id: 2, email: "bert@b.example", region: "south" },
    ]);
  });

  it.each([
    [{ column: "region", op: "in", value: [] }, []],
    [{ column: "region", op: "in", value: ["north", "south"] }, [1, 2]],
    [{ column: "region", op: "is null" }, [3]],
    [{ column: "region", op: "is not null" }, [1, 2]],
    [{ column: "id", op: ">=", value: 2 }, [2, 3]],
    [{ column: "id", op: "<", value: 2 }, [1]],
    [{ any: [north, { column: "region", op: "is null" }] }, [1, 3]],
    [{ all: [{ column: "id", op: ">", value: 1 }, south] }, [2]],
    [{ column: "email", op: "=", value: "x' OR '1'='1" }, []],
  ] as const)("apply the row rule %j and show the ids %j", async (rows, expected) => {
    expect((await readView([grant({}, rows)])).map((row) => Reflect.get(Object(row), "id"))).toEqual(expected);
  });

  it("show only the number of rows when every column is hidden", async () => {
    expect(await readView([grant({ id: HIDDEN, email: HIDDEN, region: HIDDEN })])).toEqual(
      Array.from({ length: 3 }, () => ({ "(no visible columns)": null })),
    );
    expect(
      listVisibleColumns(
        { allowed: true, dataset: people, grants: [grant({ id: HIDDEN, email: HIDDEN, region: HIDDEN })], rules: [] },
        people,
      ),
    ).toEqual([]);
  });

  it.each([
    ["one equality", [grant({}, north)], ["region"]],
    ["IN with one item", [grant({ region: HIDDEN }, { column: "region", op: "in", value: ["north"] })], ["region"]],
    [
      "the same equality in two roles",
      [grant({ region: HIDDEN }, north), grant({ region: HIDDEN }, { all: [north] })],
      ["region"],
    ],
    ["different equalities in two roles", [grant({ region: HIDDEN }, north), grant({ region: HIDDEN }, south)], []],
    ["a second role without a row rule", [grant({ region: HIDDEN }, north), grant({ region: HIDDEN })], []],
    ["IN with two items", [grant({ region: HIDDEN }, { column: "region", op: "in", value: ["north", "south"] })], []],
    ["an equality in SQL", [grant({ region: HIDDEN }, { parts: [COLUMN, text("="), BOUND] })], ["region"]],
    [
      "equalities in SQL joined by AND",
      [grant({ region: HIDDEN }, { parts: [COLUMN, text("="), BOUND, text("AND"), COLUMN, text("="), BOUND] })],
      ["region"],
    ],
    [
      "equalities in SQL joined by OR",
      [grant({ region: HIDDEN }, { parts: [COLUMN, text("="), BOUND, text("OR"), COLUMN, text("="), BOUND] })],
      [],
    ],
    ["another comparison in SQL", [grant({ region: HIDDEN }, { parts: [COLUMN, text(">"), BOUND] })], []],
    [
      "an equality in SQL with a collation",
      [grant({ region: HIDDEN }, { parts: [COLUMN, text("="), BOUND, text("COLLATE"), text("NOCASE")] })],
      [],
    ],
    ["any of two equalities", [grant({ region: HIDDEN }, { any: [north, south] })], []],
  ] as const)("pin the columns to which the row rules leave one value, for %s", (_case, grants, expected) => {
    const { pinnedByRule } = createGuardView({ allowed: true, dataset: people, grants, rules: [] }, people, String);
    expect(pinnedByRule.map(({ name }) => name)).toEqual(expected);
  });

  it("bind equal values as one parameter", () => {
    const parameters = createParameters();
    buildGuardViewSql(
      { allowed: true, dataset: people, grants: [grant({ email: EMAIL }, north), grant({}, north)], rules: [] },
      people,
      { parameters, qualifyDomain: String },
      PLAIN_VIEW,
    );
    expect(parameters.values).toEqual(["north"]);
  });
});

describe("masks", () => {
  const applyMask = async (disclosure: Disclosure, value: unknown): Promise<unknown> => {
    const valueSql = typeof value === "string" && value.startsWith("x'") ? value : "?1";
    const sql = `WITH t(c) AS (SELECT ${valueSql}) SELECT ${buildDisclosureSql(disclosure, '"c"', TOKEN_SQL)} AS v FROM t`;
    const statement = env.SHOP_DB.prepare(sql);
    return (await (sql.includes("?1") ? statement.bind(value) : statement).first())?.["v"];
  };

  it.each([
    [EMAIL, "anna@a.example", "a…@a.example"],
    [EMAIL, "no address", "[redacted]"],
    [EMAIL, "@a.example", "[redacted]"],
    [EMAIL, "anna@", "[redacted]"],
    [EMAIL, "bob@a.example, call 555-0100", "[redacted]"],
    [EMAIL, '"x@y"@a.example', "[redacted]"],
    [EMAIL, 5, "[redacted]"],
    [EMAIL, "x'616263'", "[redacted]"],
    [EMAIL, null, null],
    [{ kind: "last", count: 3 }, "+49 150 1234567", "…567"],
    [{ kind: "last", count: 3 }, "12345", "[redacted]"],
    [{ kind: "last", count: 3 }, "123456", "…456"],
    [{ kind: "last", count: 3 }, 1234567890, "[redacted]"],
    [{ kind: "last", count: 3 }, null, null],
    [{ kind: "null" }, "anything", null],
    [{ kind: "null" }, null, null],
    [{ kind: "bucket", size: 10 }, 0, 0],
    [{ kind: "bucket", size: 10 }, 9, 0],
    [{ kind: "bucket", size: 10 }, 29.99, 20],
    [{ kind: "bucket", size: 10 }, -1, -10],
    [{ kind: "bucket", size: 10 }, -10, -10],
    [{ kind: "bucket", size: 10 }, -10.5, -20],
    [{ kind: "bucket", size: 10 }, "29", null],
    [{ kind: "bucket", size: 10 }, "x'31'", null],
    [{ kind: "bucket", size: 10 }, null, null],
    [{ kind: "bucket", size: 10 }, 1e300, 1e300],
    [{ kind: "bucket", size: 3 }, 29.999999999999996, 27],
    [{ kind: "round", step: 1 }, 0.49999999999999994, 0],
    [{ kind: "round", step: 3 }, 1.4999999999999998, 0],
    [{ kind: "round", step: 100 }, -150, -200],
    [{ kind: "round", step: 100 }, 1e300, 1e300],
    [{ kind: "round", step: 100 }, 149, 100],
    [{ kind: "round", step: 100 }, 150, 200],
    [{ kind: "round", step: 100 }, -149.9, -100],
    [{ kind: "round", step: 100 }, "149", null],
    [{ kind: "round", step: 100 }, "x'31'", null],
    [{ kind: "month" }, "1980-05-17", "1980-05-01"],
    [{ kind: "month" }, "1980-05-17 10:00:00", "1980-05-01 00:00:00"],
    [{ kind: "month" }, "1980-05", "1980-05-01"],
    [{ kind: "month" }, "1980", "1980-01-01"],
    [{ kind: "month" }, "1980-13-01", null],
    [{ kind: "month" }, "May 1980", null],
    [{ kind: "month" }, 19800517, null],
    [{ kind: "year" }, "1980-05-17", "1980-01-01"],
    [{ kind: "year" }, "1980-05", "1980-01-01"],
    [{ kind: "year" }, "1980", "1980-01-01"],
    [{ kind: "year" }, "1980-05-17 10:23", "1980-01-01 00:00"],
    [{ kind: "year" }, "1980-05-17 10:23:45", "1980-01-01 00:00:00"],
    [{ kind: "year" }, "1980-05-17T10:23:45Z", "1980-01-01T00:00:00Z"],
    [{ kind: "year" }, "1980-05-17T10:23:45.678Z", "1980-01-01T00:00:00.000Z"],
    [{ kind: "year" }, "1980-05-17T10:23:45+02:00", "1980-01-01T00:00:00"],
    [{ kind: "year" }, "1980-05-17 10:23:45, call 555-0100", "1980-01-01 00:00:00"],
    [{ kind: "year" }, "1980-05-17, call 555-0100", "1980-01-01"],
    [{ kind: "year" }, "17 May 1980", null],
    [{ kind: "year" }, "1980 or 1981", null],
    [{ kind: "year" }, 19800517, null],
    [{ kind: "year" }, null, null],
    [REDACT, "anything", "[redacted]"],
    [REDACT, 17, "[redacted]"],
    [REDACT, null, null],
    [CLEAR, "anything", "anything"],
    [HIDDEN, "anything", null],
  ] as const)("apply %j to %j with the result %j", async (disclosure, value, expected) => {
    expect(await applyMask(disclosure, value)).toBe(expected);
  });

  it("have a total order from hidden to clear", () => {
    const order: Disclosure[] = [
      HIDDEN,
      { kind: "null" },
      REDACT,
      { kind: "bucket", size: 1000 },
      { kind: "bucket", size: 1 },
      { kind: "round", step: 1000 },
      { kind: "round", step: 1 },
      { kind: "year" },
      { kind: "month" },
      { kind: "last", count: 1 },
      { kind: "last", count: 12 },
      EMAIL,
      CLEAR,
    ];
    const ranks = order.map(rankDisclosure);
    expect(ranks).toEqual(ranks.toSorted((a, b) => a - b));
    expect(new Set(ranks).size).toBe(order.length);
  });
});
