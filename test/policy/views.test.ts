// Guard views and masks, run on a real D1: what a decision shows is what its SELECT returns.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { disclosureRank, disclosureSql } from "../../src/policy/masks.ts";
import type { Disclosure, Grant, TableDataset } from "../../src/policy/model.ts";
import { guardViewOf, guardViewSql, visibleColumns } from "../../src/policy/views.ts";
import { createParameters } from "../../src/sql/parameters.ts";

const CLEAR = { kind: "clear" } as const;
const HIDDEN = { kind: "hidden" } as const;
const EMAIL = { kind: "email" } as const;
const REDACT = { kind: "redact" } as const;

const COLUMN = { kind: "column", column: "region" } as const;
const BOUND = { kind: "value", value: "north" } as const;
const text = (written: string) => ({ kind: "text", text: written }) as const;

const people: TableDataset = {
  kind: "table",
  id: "x.people",
  source: "x",
  table: "people",
  description: "People",
  key: "id",
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

async function see(grants: readonly Grant[]): Promise<unknown[]> {
  const decision = { allowed: true, dataset: people, grants, rules: [] } as const;
  const parameters = createParameters();
  const sql = guardViewSql(decision, people, { parameters, tokenDomain: String }, "free");
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
  it("show all rows and columns of an unconditional grant", async () => {
    expect(await see([grant({})])).toHaveLength(3);
  });

  it("leave out hidden columns and other rows", async () => {
    expect(await see([grant({ email: HIDDEN }, north)])).toEqual([{ id: 1, region: "north" }]);
  });

  it("a column missing from a grant is hidden", async () => {
    const bare: Grant = { rule: "r", rows: null, columns: { id: CLEAR }, reveal: [] };
    expect(await see([bare])).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
  });

  it("each row shows the least masked form that some role grants for that row", async () => {
    expect(await see([grant({ email: EMAIL }), grant({}, north)])).toEqual([
      { id: 1, email: "anna@a.example", region: "north" },
      { id: 2, email: "b…@b.example", region: "south" },
      { id: 3, email: "c…@c.example", region: null },
    ]);
  });

  it("each row shows the form of a grant that reaches it, also where two forms have one rank", async () => {
    const [one, other] = [9007199254740990, 9007199254740991].map((size): Disclosure => ({ kind: "bucket", size }));
    if (one === undefined || other === undefined) throw new Error("no forms");
    expect(disclosureRank(one)).toBe(disclosureRank(other));
    expect(await see([grant({ id: one }, north), grant({ id: other }, south)])).toMatchObject([
      { id: "0–<9007199254740990", region: "north" },
      { id: "0–<9007199254740991", region: "south" },
    ]);
  });

  it("a column hidden by one grant and shown by another is null on the first one's rows", async () => {
    expect(await see([grant({ email: HIDDEN }, north), grant({ email: EMAIL }, south)])).toEqual([
      { id: 1, email: null, region: "north" },
      { id: 2, email: "b…@b.example", region: "south" },
    ]);
  });

  it("rows that match no grant stay out, also when a comparison is with NULL", async () => {
    expect(await see([grant({}, { column: "region", op: "!=", value: "north" })])).toEqual([
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
  ] as const)("row rule %j", async (rows, expected) => {
    expect((await see([grant({}, rows)])).map((row) => Reflect.get(Object(row), "id"))).toEqual(expected);
  });

  it("a dataset whose every column is hidden can only be counted", async () => {
    expect(await see([grant({ id: HIDDEN, email: HIDDEN, region: HIDDEN })])).toEqual(
      Array.from({ length: 3 }, () => ({ "(no visible columns)": null })),
    );
    expect(
      visibleColumns(
        { allowed: true, dataset: people, grants: [grant({ id: HIDDEN, email: HIDDEN, region: HIDDEN })], rules: [] },
        people,
      ),
    ).toEqual([]);
  });

  it.each([
    ["one rule", [grant({}, north)], ["region"]],
    ["a rule in a list", [grant({ region: HIDDEN }, { column: "region", op: "in", value: ["north"] })], ["region"]],
    [
      "the same in two roles",
      [grant({ region: HIDDEN }, north), grant({ region: HIDDEN }, { all: [north] })],
      ["region"],
    ],
    ["another in two roles", [grant({ region: HIDDEN }, north), grant({ region: HIDDEN }, south)], []],
    ["a role without a rule", [grant({ region: HIDDEN }, north), grant({ region: HIDDEN })], []],
    ["two values", [grant({ region: HIDDEN }, { column: "region", op: "in", value: ["north", "south"] })], []],
    ["a rule in SQL", [grant({ region: HIDDEN }, { parts: [COLUMN, text("="), BOUND] })], ["region"]],
    [
      "a rule in SQL with others",
      [grant({ region: HIDDEN }, { parts: [COLUMN, text("="), BOUND, text("AND"), COLUMN, text("="), BOUND] })],
      ["region"],
    ],
    [
      "a rule in SQL with another way in",
      [grant({ region: HIDDEN }, { parts: [COLUMN, text("="), BOUND, text("OR"), COLUMN, text("="), BOUND] })],
      [],
    ],
    ["a rule in SQL that compares otherwise", [grant({ region: HIDDEN }, { parts: [COLUMN, text(">"), BOUND] })], []],
    [
      "a rule in SQL that goes on",
      [grant({ region: HIDDEN }, { parts: [COLUMN, text("="), BOUND, text("COLLATE"), text("NOCASE")] })],
      [],
    ],
    ["one of two rules", [grant({ region: HIDDEN }, { any: [north, south] })], []],
  ] as const)("a column tells nothing by its order where rules leave it one value: %s", (_name, grants, expected) => {
    const { settled } = guardViewOf({ allowed: true, dataset: people, grants, rules: [] }, people, String);
    expect(settled.map(({ name }) => name)).toEqual(expected);
  });

  it("share equal values as one parameter", () => {
    const parameters = createParameters();
    guardViewSql(
      { allowed: true, dataset: people, grants: [grant({ email: EMAIL }, north), grant({}, north)], rules: [] },
      people,
      { parameters, tokenDomain: String },
      "free",
    );
    expect(parameters.values).toEqual(["north"]);
  });
});

describe("masks", () => {
  const masked = async (disclosure: Disclosure, value: unknown): Promise<unknown> => {
    const sql = `WITH t(c) AS (SELECT ${typeof value === "string" && value.startsWith("x'") ? value : "?1"}) SELECT ${disclosureSql(disclosure, '"c"', String)} AS v FROM t`;
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
    [{ kind: "bucket", size: 10 }, 0, "0–<10"],
    [{ kind: "bucket", size: 10 }, 9, "0–<10"],
    [{ kind: "bucket", size: 10 }, 29.99, "20–<30"],
    [{ kind: "bucket", size: 10 }, -1, "-10–<0"],
    [{ kind: "bucket", size: 10 }, "29", null],
    [{ kind: "bucket", size: 10 }, null, null],
    [{ kind: "bucket", size: 10 }, 1e300, null],
    [{ kind: "bucket", size: 3 }, 29.999999999999996, "27–<30"],
    [{ kind: "round", step: 1 }, 0.49999999999999994, 0],
    [{ kind: "round", step: 3 }, 1.4999999999999998, 0],
    [{ kind: "round", step: 100 }, -150, -200],
    [{ kind: "round", step: 100 }, 1e300, null],
    [{ kind: "round", step: 100 }, 149, 100],
    [{ kind: "round", step: 100 }, 150, 200],
    [{ kind: "round", step: 100 }, -149.9, -100],
    [{ kind: "round", step: 100 }, "149", null],
    [{ kind: "round", step: 100 }, "x'31'", null],
    [{ kind: "month" }, "1980-05-17 10:00:00", "1980-05"],
    [{ kind: "month" }, "May 1980", null],
    [{ kind: "month" }, 19800517, null],
    [{ kind: "year" }, "1980-05-17", 1980],
    [{ kind: "year" }, "1980-05-17 10:00:00", 1980],
    [{ kind: "year" }, "17 May 1980", null],
    [{ kind: "year" }, 19800517, null],
    [{ kind: "year" }, null, null],
    [REDACT, "anything", "[redacted]"],
    [REDACT, 17, "[redacted]"],
    [REDACT, null, null],
    [CLEAR, "anything", "anything"],
    [HIDDEN, "anything", null],
  ] as const)("%j of %j is %j", async (disclosure, value, expected) => {
    expect(await masked(disclosure, value)).toBe(expected);
  });

  it("have one total order, hidden least and clear most", () => {
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
    const ranks = order.map(disclosureRank);
    expect(ranks).toEqual(ranks.toSorted((a, b) => a - b));
    expect(new Set(ranks).size).toBe(order.length);
  });
});
