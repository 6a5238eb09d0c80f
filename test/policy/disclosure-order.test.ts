// Tests which masks of a stored result today's masks cover. Compares every relation with the SQL of the masks in real SQLite: values that
// look equal under today's mask must also look equal under the earlier one.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { covers } from "../../src/results/grant-coverage.ts";
import { formatDisclosure, rankDisclosure, buildDisclosureSql } from "../../src/policy/masks.ts";
import type { Disclosure, Grant, TableDataset } from "../../src/policy/model.ts";
import { TOKEN_SQL } from "../support/plain-view.ts";

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
  isView: false,
  recordKeys: false,
  key: [],
  hidden: false,
  columns: [],
};

/** Whether a column that shows `now` today covers a result in which it showed `then`. */
function coversColumn(now: Disclosure, then: Disclosure): boolean {
  const grant = (c: Disclosure): Grant => ({ rule: "r", rows: null, columns: { c }, reveal: [] });
  return covers({ allowed: true, dataset, grants: [grant(now)], rules: [] }, [grant(then)]);
}

describe("covers, for a mask that determines the earlier one", () => {
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
  ])("returns true for %j today and %j then", (now, then) => {
    expect(coversColumn(now, then)).toBe(true);
  });
});

describe("covers, for a mask that does not determine the earlier one", () => {
  it.each<[Disclosure, Disclosure, string]>([
    [round(5000), bucket(10), "a rounding hides which range contains a value"],
    [last(1), token("one"), "a masking token shows which values are equal"],
    [bucket(10), bucket(15), "the ranges do not nest"],
    [bucket(20), bucket(10), "the range is finer"],
    [round(20), round(10), "the rounding is finer"],
    [round(10), round(20), "the roundings have different edges"],
    [bucket(10), round(20), "a rounding has its edges in the middle of ranges, and below zero on their other side"],
    [bucket(10), round(10), "a rounding of the same size has other edges"],
    [round(10), bucket(10), "a range of the same size has other edges"],
    [round(1), bucket(5000), "a range begins at zero, where a rounding has no edge"],
    [last(4), last(2), "text that is too short for four characters can be long enough for two"],
    [last(2), last(4), "it shows more characters"],
    [YEAR, MONTH, "a year does not show the month"],
    [YEAR, REDACT, "a malformed date is null, not redacted"],
    [round(10), REDACT, "a malformed number is null, not redacted"],
    [token("two"), token("one"), "the masking tokens are of another domain"],
    [EMAIL, last(1), "the last character of text that is not an address is redacted"],
    [EMAIL, token("one"), "a masking token shows which values are equal"],
    [NULL, REDACT, "null does not show whether there is a value"],
    [HIDDEN, NULL, "a hidden column does not show that it exists"],
    [EMAIL, CLEAR, "email does not show the value"],
  ])("returns false for %j today and %j then: %s", (now, then) => {
    expect(coversColumn(now, then)).toBe(false);
  });
});

/** SQL literals of every type, at the edges of masks and where arithmetic of doubles is inexact. */
const VALUES: readonly string[] = [
  "NULL",
  ...[0, 1, 2, 4, 5, 7, 9, 10, 14, 15, 19, 20, 25, 29, 30, 2490, 2499, 2500, 4999, 5000, 7500, 12500].flatMap(
    (value) => [`${value}`, `-${value}`, `${value}.0`, `-${value}.0`, `${value}.5`, `-${value}.5`],
  ),
  ...splitWords(
    "1.4999999999999998 4.999999999999999 29.999999999999996 0.49999999999999994 5e-324 -5e-324 9e15 1e18 1e19",
  ),
  ...splitWords(
    "1e20 1.5e20 1e300 -1e300 9e999 -9e999 9007199254740991 9007199254740993 36028797018963970 72000000000000000",
  ),
  ...splitWords("71999999999999994 2305843009213693952 2305843009213693953 9223372036854775807"),
  "-9223372036854775807 - 1",
  ...splitWords(
    "-9223372036854775807 9223372036854775806 9223372036854775800 9223372036854775799 -9223372036854775799",
  ),
  ...splitWords("4611686018427387904 -4611686018427387905 9.3e18 -9.3e18 1e17 -1e17 1.7976931348623157e308"),
  ...splitWords("1 12 123 1234 12345 12345678 92345678 x1234 a@b.c ab@b.c a@b.c.d ab@b.c.d @ @b.c a@ 1.0 01").map(
    quoteLiteral,
  ),
  ...splitWords("1980 1980-0 1980-05 1980-05-17 1980-06-17 1981-05-17 1980-05x x1980-05 19800517 [redacted]").map(
    quoteLiteral,
  ),
  ...splitWords(
    "1980-00-00 1980-13-01 1980-12-31 1981-01-01 1981 19800 1980-5-17 1980-05-17T10:00 1980-05-17T10:00Z",
  ).map(quoteLiteral),
  ...["1980-05-17 10:00", "1980-05-18 11:01", "1980-06-18 11:01", "1981-05-17 10:00:00", "1980-05-17 10:00:00"].map(
    quoteLiteral,
  ),
  ...splitWords("1980-05-17T10:00:00.123Z 1980-05-17T10:00:00.5Z 1980-07-17T10:00:00+02:00 1980-05-17T10:00:00Z").map(
    quoteLiteral,
  ),
  ...["1980-05-17 25:00:00", "1980-05-17 10:00:00 or later", "1980-05-17, call 555-0100"].map(quoteLiteral),
  ...splitWords("…4 Ann ANN ann é 🙂 🙂🙂").map(quoteLiteral),
  ...["", " ", "Ann ", "a@b c", "long".repeat(60), "long".repeat(70), "long".repeat(80)].map(quoteLiteral),
  ...["over twenty characters, and 1234", "more than twenty of these and 1234"].map(quoteLiteral),
  "'a' || char(0) || 'b'",
  "'a' || char(0) || 'c'",
  "x''",
  "x'00'",
  "x'616263'",
];

function splitWords(text: string): readonly string[] {
  return text.split(" ");
}

function quoteLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** How each disclosure shows each value, as text that includes the type. */
const shownForms = new Map<Disclosure, readonly string[]>();

beforeAll(async () => {
  const inserts = VALUES.map((value, index) => `INSERT INTO things SELECT ${index}, ${value}`);
  const maskingTokens = ["one", "two"].map(
    (domain) =>
      `INSERT INTO _gatehouse_masking_token SELECT '${domain}', value, '${domain}' || row_number() OVER () FROM (
        SELECT DISTINCT CAST(c AS TEXT) AS value FROM things WHERE c IS NOT NULL
      )`,
  );
  await env.SHOP_DB.batch(
    ["CREATE TABLE things (n INTEGER PRIMARY KEY, c)", ...inserts, ...maskingTokens].map((sql) =>
      env.SHOP_DB.prepare(sql),
    ),
  );
  for (const disclosure of DISCLOSURES) {
    const expression = buildDisclosureSql(disclosure, '"c"', TOKEN_SQL);
    const sql = `SELECT typeof(v) || ' ' || quote(v) || ' ' || hex(v) AS v
      FROM (SELECT n, ${expression} AS v FROM things LIMIT -1) ORDER BY n`;
    const { results } = await env.SHOP_DB.prepare(sql).all<{ v: string }>();
    shownForms.set(
      disclosure,
      results.map(({ v }) => v),
    );
  }
});

/** Finds two values that look equal under `finer` and different under `coarser`. */
function findCounterexample(finer: Disclosure, coarser: Disclosure): string | undefined {
  const [finerForms = [], coarserForms = []] = [shownForms.get(finer), shownForms.get(coarser)];
  const firstIndexes = new Map<string, number>();
  for (const [index, form] of finerForms.entries()) {
    const first = firstIndexes.get(form) ?? index;
    firstIndexes.set(form, first);
    if (coarserForms[first] !== coarserForms[index])
      return `${VALUES[first]} and ${VALUES[index]} are ${form}, then ${coarserForms[first]} and ${coarserForms[index]}`;
  }
  return undefined;
}

/**
 * Whether the order of a disclosure cannot be checked by its values: a hidden column does not exist, and without the key nothing can be
 * computed from a masking token.
 */
function isUncomputable({ kind }: Disclosure): boolean {
  return kind === "hidden" || kind === "token";
}

describe("coverage in real SQLite", () => {
  const pairs = DISCLOSURES.flatMap((finer) => DISCLOSURES.map((coarser) => [finer, coarser] as const));

  it("implies that the covered mask is a function of the covering one", () => {
    expect([...shownForms.values()].map((forms) => forms.length)).toEqual(DISCLOSURES.map(() => VALUES.length));
    const violations = pairs
      .filter(([finer, coarser]) => coversColumn(finer, coarser))
      .flatMap(([finer, coarser]) => {
        const counterexample = findCounterexample(finer, coarser);
        return counterexample === undefined
          ? []
          : [`${formatDisclosure(finer)} over ${formatDisclosure(coarser)}: ${counterexample}`];
      });
    expect(violations).toEqual([]);
  });

  it("exists whenever a mask is a function of another", () => {
    const missingCoverage = pairs
      .filter(([finer, coarser]) => !isUncomputable(finer) && !coversColumn(finer, coarser))
      .filter(([finer, coarser]) => findCounterexample(finer, coarser) === undefined)
      .map(([finer, coarser]) => `${formatDisclosure(finer)} over ${formatDisclosure(coarser)}`);
    expect(missingCoverage).toEqual([]);
  });

  it("implies that the covering mask ranks at least as high, so that a row shows it", () => {
    const violations = pairs
      .filter(([finer, coarser]) => coversColumn(finer, coarser) && rankDisclosure(finer) < rankDisclosure(coarser))
      .map(([finer, coarser]) => `${formatDisclosure(finer)} over ${formatDisclosure(coarser)}`);
    expect(violations).toEqual([]);
  });
});
