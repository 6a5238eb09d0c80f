// Which masks a kept result may have been read under for today's masks to cover it. Every relation is held against the SQL of the
// masks in real SQLite: where today's form of two values is the same, the earlier form must be the same, too.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { covers } from "../../src/policy/coverage.ts";
import { disclosureName, disclosureRank, disclosureSql } from "../../src/policy/masks.ts";
import type { Disclosure, Grant, TableDataset } from "../../src/policy/model.ts";

const HIDDEN: Disclosure = { kind: "hidden" };
const CLEAR: Disclosure = { kind: "clear" };
const NULL: Disclosure = { kind: "null" };
const REDACT: Disclosure = { kind: "redact" };
const YEAR: Disclosure = { kind: "year" };
const MONTH: Disclosure = { kind: "month" };
const EMAIL: Disclosure = { kind: "email" };
const bucket = (size: number): Disclosure => ({ kind: "bucket", size });
const round = (step: number): Disclosure => ({ kind: "round", step });
const last = (count: number): Disclosure => ({ kind: "last", count });
const token = (domain: string): Disclosure => ({ kind: "token", domain });

const DISCLOSURES: readonly Disclosure[] = [
  HIDDEN,
  NULL,
  REDACT,
  token("one"),
  token("two"),
  ...[1, 2, 3, 5, 10, 15, 20, 30, 5000].map(bucket),
  ...[1, 2, 3, 5, 10, 20, 30, 5000].map(round),
  YEAR,
  MONTH,
  ...[1, 2, 4, 12].map(last),
  EMAIL,
  CLEAR,
];

const dataset: TableDataset = {
  kind: "table",
  id: "shop.grid",
  source: "shop",
  table: "grid",
  description: "Grid",
  key: null,
  hidden: false,
  columns: [],
};

/** Whether a column that shows `now` today covers a result in which it showed `then`. */
function coversColumn(now: Disclosure, then: Disclosure): boolean {
  const grant = (c: Disclosure): Grant => ({ rule: "r", rows: null, columns: { c }, reveal: [] });
  return covers({ allowed: true, dataset, grants: [grant(now)], rules: [] }, [grant(then)]);
}

describe("a mask of today covers an earlier one", () => {
  it.each<[Disclosure, Disclosure]>([
    [CLEAR, EMAIL],
    [CLEAR, HIDDEN],
    [EMAIL, HIDDEN],
    [REDACT, NULL],
    [round(10), NULL],
    [token("one"), REDACT],
    [last(4), REDACT],
    [EMAIL, REDACT],
    [bucket(10), bucket(20)],
    [bucket(1), bucket(5000)],
    [round(10), round(30)],
    [round(1), round(3)],
    [MONTH, YEAR],
    [token("one"), token("one")],
  ])("when its form is computed from today's: %j shows at least %j", (now, then) => {
    expect(coversColumn(now, then)).toBe(true);
  });
});

describe("a mask of today does not cover an earlier one", () => {
  it.each<[Disclosure, Disclosure, string]>([
    [round(5000), bucket(10), "a rounding hides within which range a value is"],
    [last(1), token("one"), "a token shows which values are equal"],
    [bucket(10), bucket(15), "ranges that do not nest"],
    [bucket(20), bucket(10), "a finer range"],
    [round(20), round(10), "a finer rounding"],
    [round(10), round(20), "roundings whose edges are apart"],
    [bucket(10), round(20), "a rounding has its edges in the middle of ranges, and on the other side below zero"],
    [bucket(10), round(10), "a rounding of the same size"],
    [round(10), bucket(10), "a range of the same size"],
    [round(1), bucket(5000), "a range begins at zero, where a rounding has no edge"],
    [last(4), last(2), "text too short for four characters is long enough for two"],
    [last(2), last(4), "more characters"],
    [YEAR, MONTH, "a month"],
    [YEAR, REDACT, "a date that is none is null"],
    [round(10), REDACT, "a number that is none is null"],
    [token("two"), token("one"), "tokens of another domain"],
    [EMAIL, last(1), "the end of a text that is no address"],
    [EMAIL, token("one"), "a token shows which values are equal"],
    [NULL, REDACT, "whether there is a value"],
    [HIDDEN, NULL, "whether there is a column"],
    [EMAIL, CLEAR, "the value"],
  ])("%j does not show %j: %s", (now, then) => {
    expect(coversColumn(now, then)).toBe(false);
  });
});

/** SQL literals of values of every kind, at the edges of masks and where arithmetic of doubles goes wrong. */
const VALUES: readonly string[] = [
  "NULL",
  ...[0, 1, 2, 4, 5, 7, 9, 10, 14, 15, 19, 20, 25, 29, 30, 2490, 2499, 2500, 4999, 5000, 7500, 12500].flatMap(
    (value) => [`${value}`, `-${value}`, `${value}.0`, `-${value}.0`, `${value}.5`, `-${value}.5`],
  ),
  ...words("1.4999999999999998 4.999999999999999 29.999999999999996 0.49999999999999994 5e-324 -5e-324 9e15 1e18 1e19"),
  ...words(
    "1e20 1.5e20 1e300 -1e300 9e999 -9e999 9007199254740991 9007199254740993 36028797018963970 72000000000000000",
  ),
  ...words("71999999999999994 2305843009213693952 2305843009213693953 9223372036854775807"),
  "-9223372036854775807 - 1",
  ...words("1 12 123 1234 12345 12345678 92345678 x1234 a@b.c ab@b.c a@b.c.d ab@b.c.d @ @b.c a@ 1.0 01").map(quoted),
  ...words("1980 1980-0 1980-05 1980-05-17 1980-06-17 1981-05-17 1980-05x x1980-05 19800517 [redacted]").map(quoted),
  ...words("…4 Ann ANN ann é 🙂 🙂🙂").map(quoted),
  ...["", " ", "Ann ", "a@b c", "long".repeat(60), "long".repeat(70), "long".repeat(80)].map(quoted),
  ...["over twenty characters, and 1234", "more than twenty of these and 1234"].map(quoted),
  "'a' || char(0) || 'b'",
  "'a' || char(0) || 'c'",
  "x''",
  "x'00'",
  "x'616263'",
];

function words(text: string): readonly string[] {
  return text.split(" ");
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** What each disclosure shows of each value, as text that says the type, too. */
const shown = new Map<Disclosure, readonly string[]>();

beforeAll(async () => {
  const table = VALUES.map((value, index) => `INSERT INTO things SELECT ${index}, ${value}`);
  const tokens = ["one", "two"].map(
    (domain) =>
      `INSERT INTO _gatehouse_token SELECT '${domain}', value, '${domain}' || row_number() OVER () FROM (SELECT DISTINCT CAST(c AS TEXT) AS value FROM things WHERE c IS NOT NULL)`,
  );
  await env.SHOP_DB.batch(
    ["CREATE TABLE things (n INTEGER PRIMARY KEY, c)", ...table, ...tokens].map((sql) => env.SHOP_DB.prepare(sql)),
  );
  for (const disclosure of DISCLOSURES) {
    const expression = disclosureSql(disclosure, '"c"', (domain) => `'${domain}'`);
    const sql = `SELECT typeof(v) || ' ' || quote(v) || ' ' || hex(v) AS v FROM (SELECT n, ${expression} AS v FROM things LIMIT -1) ORDER BY n`;
    const { results } = await env.SHOP_DB.prepare(sql).all<{ v: string }>();
    shown.set(
      disclosure,
      results.map(({ v }) => v),
    );
  }
});

/** Two values that look the same as `finer` and different as `coarser`. */
function counterexample(finer: Disclosure, coarser: Disclosure): string | undefined {
  const [fine = [], coarse = []] = [shown.get(finer), shown.get(coarser)];
  const seen = new Map<string, number>();
  for (const [index, form] of fine.entries()) {
    const first = seen.get(form) ?? index;
    seen.set(form, first);
    if (coarse[first] !== coarse[index])
      return `${VALUES[first]} and ${VALUES[index]} are ${form}, then ${coarse[first]} and ${coarse[index]}`;
  }
  return undefined;
}

/** What determines others on paper alone: a hidden column is not there, and nobody computes with a masking token without the key. */
function isOnPaper({ kind }: Disclosure): boolean {
  return kind === "hidden" || kind === "token";
}

describe("in real SQLite", () => {
  const pairs = DISCLOSURES.flatMap((finer) => DISCLOSURES.map((coarser) => [finer, coarser] as const));

  it("a covered mask is a function of the one that covers it", () => {
    expect([...shown.values()].map((forms) => forms.length)).toEqual(DISCLOSURES.map(() => VALUES.length));
    const wrong = pairs
      .filter(([finer, coarser]) => coversColumn(finer, coarser))
      .flatMap(([finer, coarser]) => {
        const found = counterexample(finer, coarser);
        return found === undefined ? [] : [`${disclosureName(finer)} over ${disclosureName(coarser)}: ${found}`];
      });
    expect(wrong).toEqual([]);
  });

  it("a mask that is a function of another is covered by it", () => {
    const missed = pairs
      .filter(([finer, coarser]) => !isOnPaper(finer) && !coversColumn(finer, coarser))
      .filter(([finer, coarser]) => counterexample(finer, coarser) === undefined)
      .map(([finer, coarser]) => `${disclosureName(finer)} over ${disclosureName(coarser)}`);
    expect(missed).toEqual([]);
  });

  it("a mask that covers another ranks above it, so that a row shows the one that tells more", () => {
    const wrong = pairs
      .filter(([finer, coarser]) => coversColumn(finer, coarser) && disclosureRank(finer) < disclosureRank(coarser))
      .map(([finer, coarser]) => `${disclosureName(finer)} over ${disclosureName(coarser)}`);
    expect(wrong).toEqual([]);
  });
});
