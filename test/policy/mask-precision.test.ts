// Property test for masks, through the governed read on a real D1: comparing, sorting and grouping masked values gives what the clear values
// give at the mask's precision, and where a mask cannot do that, its description says so.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { mask } from "../../src/config/define-gatehouse.ts";
import { describeInexactness } from "../../src/policy/masked-forms.ts";
import type { ColumnType, Disclosure, Mask } from "../../src/policy/model.ts";
import { listMaskableTypes } from "../../src/policy/masks.ts";
import { createReader } from "../support/governed.ts";
import { allow, buildPolicy } from "../support/policy-builder.ts";
import { createRandom } from "../sql/fuzz/generator.ts";

const MASKS: readonly Mask[] = [
  mask.null,
  mask.redact,
  mask.token("any"),
  ...[1, 3, 10, 5000, 2 ** 40].map(mask.bucket),
  ...[1, 3, 10, 5000, 2 ** 40].map(mask.round),
  mask.month,
  mask.year,
  ...[1, 4].map(mask.last),
  mask.email,
];
/** The column of `samples` of each declared type, with the type that its table declares. */
const COLUMNS = {
  integer: { name: "i", sql: "INTEGER" },
  real: { name: "r", sql: "REAL" },
  text: { name: "s", sql: "TEXT" },
  date: { name: "d", sql: "DATE" },
  datetime: { name: "t", sql: "DATETIME" },
  boolean: { name: "b", sql: "BOOLEAN" },
  json: { name: "j", sql: "TEXT" },
} as const satisfies Record<ColumnType, { name: string; sql: string }>;

/** One mask on the column of one type. Each is a role of its own. */
const CASES = MASKS.flatMap((applied) =>
  listMaskableTypes(applied).map((type) => ({ applied, type, role: `${nameMask(applied)}-${type}` })),
);

function nameMask(applied: Mask): string {
  return Object.values(applied).join("");
}

const column = (type: ColumnType) => ({ type, description: type });
const policy = buildPolicy({
  tables: {
    samples: {
      id: column("integer"),
      ...Object.fromEntries(Object.entries(COLUMNS).map(([type, { name }]) => [name, column(type as ColumnType)])),
    },
  },
  roles: {
    clear: [allow("shop.samples")],
    ...Object.fromEntries(
      CASES.map(({ applied, type, role }) => [
        role,
        [allow("shop.samples", { masks: { [COLUMNS[type].name]: applied } })],
      ]),
    ),
  },
});
const reader = createReader(policy);

/** SQL literals: the extremes, values next to edges, and values of a wrong type. */
const INTEGERS = split(
  "9223372036854775807 9223372036854775806 -9223372036854775808 -9223372036854775807 4611686018427387904 9007199254740993",
  "-9007199254740993 0 1 -1 2 -2 5 -5 9 10 -10 15 -15 2500 -2500 4999 5000 NULL NULL 'many' '12' 7.5 -7.5 9e18 1e19 x'31'",
);
const REALS = split(
  "0.0 -0.0 0.5 -0.5 1.5 -1.5 2.5 5e-324 -5e-324 0.49999999999999994 29.999999999999996 1.4999999999999998 -2500.0",
  "2499.9999999999995 9007199254740991.0 -9007199254740991.0 4503599627370496.5 9e999 -9e999 1e300 NULL 'many' x'31'",
);
/** The first six are whole dates. */
const DATES = split(
  "'1962-02-18' '1969-12-31' '1970-01-01' '2000-02-29' '9999-12-31' '0001-01-01'",
  "'1970' '1970-06' NULL 'soon' 19700101 '1970-13-01' '1970-1-1' x'31'",
);
const TEXTS = split("'ann@a.example' 'ANN@a.example' 'bo' '12345678' '' NULL 7 x'00ff' 'naïve…@x'");

function split(...literals: readonly string[]): readonly string[] {
  return literals.flatMap((line) => line.split(" "));
}

function generateRows(count: number): readonly string[] {
  const random = createRandom(18);
  const below = (limit: number): number => Math.floor(random() * limit);
  const two = (value: number): string => String(value).padStart(2, "0");
  const date = () => `${1950 + below(60)}-${two(1 + below(12))}-${two(1 + below(28))}`;
  // Each row has the next fixed value, then generated ones.
  const value = (fixed: readonly string[], index: number, generate: () => string) => fixed[index] ?? generate();
  return Array.from({ length: count }, (_value, index) => {
    const digits = 10 ** below(16);
    const values = [
      value(INTEGERS, index, () => String(Math.round((random() - 0.5) * digits))),
      value(REALS, index, () => `${(random() - 0.5) * digits}e0`.replace(/(e[+-]?\d+)e0$/, "$1")),
      value(TEXTS, index, () => `'u${below(9)}@${"abc".charAt(below(3))}.example'`),
      value(DATES, index, () => `'${date()}'`),
      value([], index, () => `'${date()} ${two(below(24))}:${two(below(60))}:${two(below(60))}'`),
      value(["1", "0", "NULL", "'yes'"], index, () => String(below(2))),
      value(["'{}'", "NULL", "'no json'"], index, () => `'[${below(5)}]'`),
    ];
    return `(${[index, ...values].join(", ")})`;
  });
}

const ROWS = 150;
type Row = readonly unknown[];

const MAX_ROWS = 1000;
const query = async (role: string, sql: string, values: readonly (string | number)[] = []): Promise<readonly Row[]> =>
  (await reader.read(role, sql, values, MAX_ROWS)).rows;

beforeAll(async () => {
  const definitions = Object.values(COLUMNS).map(({ name, sql }) => `${name} ${sql}`);
  await env.SHOP_DB.batch([
    env.SHOP_DB.prepare(`CREATE TABLE samples (id INTEGER PRIMARY KEY, ${definitions.join(", ")})`),
    env.SHOP_DB.prepare(`INSERT INTO samples VALUES ${generateRows(ROWS).join(", ")}`),
  ]);
});

/** A finite number as a fraction over 2^1074, which every double is; infinities as a number beyond all doubles. */
const UNIT = 1n << 1074n;
function toExact(quoted: string): bigint {
  if (/^-?\d+$/.test(quoted)) return BigInt(quoted) * UNIT;
  const value = Number(quoted);
  if (!Number.isFinite(value)) return value > 0 ? UNIT * UNIT : -UNIT * UNIT;
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  const word = bits.getBigUint64(0);
  const exponent = (word >> 52n) & 0x7ffn;
  const fraction = word & ((1n << 52n) - 1n);
  const magnitude = exponent === 0n ? fraction : (fraction | (1n << 52n)) << (exponent - 1n);
  return value < 0 ? -magnitude : magnitude;
}

/** Floors to a multiple, as an exact number. */
function floorTo(exact: bigint, width: bigint): bigint {
  return exact - (((exact % width) + width) % width);
}

/** What a mask of numbers must show, exactly. */
function computeExpected(applied: Mask, exact: bigint): bigint {
  const isInfinite = exact === UNIT * UNIT || exact === -UNIT * UNIT;
  if (isInfinite) return exact;
  if (applied.kind === "bucket") return floorTo(exact, BigInt(applied.size) * UNIT);
  if (applied.kind !== "round") throw new TypeError("no mask of numbers");
  const step = BigInt(applied.step) * UNIT;
  const magnitude = floorTo((exact < 0n ? -exact : exact) + step / 2n, step);
  return exact < 0n ? -magnitude : magnitude;
}

/** The double or the 64-bit integer nearest to an exact number. */
function isNearest(shown: string, exact: bigint): boolean {
  const isInteger = /^-?\d+$/.test(shown);
  if (isInteger) return toExact(shown) === exact;
  // Only numbers beyond 2^53 are inexact, and those are whole.
  return toExact(shown) === exact || (exact % UNIT === 0n && Number(shown) === Number(exact / UNIT));
}

const quotedColumns = (name: string) => `SELECT id, quote(${name}), typeof(${name}) FROM samples ORDER BY id`;

async function readPairs(role: string, name: string) {
  const [clear, masked] = [await query("clear", quotedColumns(name)), await query(role, quotedColumns(name))];
  return clear.map(([id, value, storage], index) => ({
    id: Number(id),
    clear: String(value),
    storage: String(storage),
    shown: String(masked[index]?.[1]),
    shownStorage: String(masked[index]?.[2]),
  }));
}

const ids = (rows: readonly Row[]): readonly number[] => rows.map(([id]) => Number(id));

const NUMBER_CASES = CASES.filter(({ applied }) => applied.kind === "bucket" || applied.kind === "round");
const DATE_CASES = CASES.filter(({ applied }) => applied.kind === "year" || applied.kind === "month");

describe.each(NUMBER_CASES)("the mask $role", ({ applied, type, role }) => {
  const { name } = COLUMNS[type];
  const width = applied.kind === "bucket" ? applied.size : applied.kind === "round" ? applied.step : 0;

  it("shows the multiple that the clear value has, as a number of the column's type", async () => {
    for (const { clear, storage, shown, shownStorage } of await readPairs(role, name)) {
      if (storage !== "integer" && storage !== "real") expect(shown).toBe("NULL");
      else {
        expect([clear, shown, isNearest(shown, computeExpected(applied, toExact(clear)))]).toEqual([
          clear,
          shown,
          true,
        ]);
        if (type === "real") expect(shownStorage).toBe("real");
        else if (storage === "integer" && clear.length < 19) expect(shownStorage).toBe("integer");
      }
    }
  });

  it("finds and sorts the rows that the clear values give at its precision", async () => {
    const pairs = (await readPairs(role, name)).filter(({ shown }) => shown !== "NULL");
    const sorted = ids(await query(role, `SELECT id FROM samples WHERE ${name} IS NOT NULL ORDER BY ${name}, id`));
    const byValue = (left: string, right: string): number => Number(toExact(left) > toExact(right)) || -1;
    const expectedOrder = pairs.toSorted((a, b) =>
      toExact(a.shown) === toExact(b.shown) ? a.id - b.id : byValue(a.shown, b.shown),
    );
    expect(sorted).toEqual(expectedOrder.map(({ id }) => id));
    for (const multiple of [-1, 0, 1, 250]) {
      const bound = multiple * width;
      if (!Number.isSafeInteger(bound)) continue;
      const expected = pairs
        .filter(({ clear }) => computeExpected(applied, toExact(clear)) < BigInt(bound) * UNIT)
        .map(({ id }) => id);
      for (const written of [String(bound), `'${bound}'`, "?"]) {
        const sql = `SELECT id FROM samples WHERE ${name} < ${written} ORDER BY id`;
        expect(ids(await query(role, sql, written === "?" ? [String(bound)] : []))).toEqual(expected);
      }
    }
  });

  it("groups the rows that have one multiple", async () => {
    const pairs = (await readPairs(role, name)).filter(({ shown }) => shown !== "NULL");
    const grouped = await query(
      role,
      `SELECT min(id), count(*) FROM samples WHERE ${name} IS NOT NULL GROUP BY ${name} ORDER BY 1`,
    );
    const expected = [...Map.groupBy(pairs, ({ shown }) => toExact(shown)).values()];
    expect(grouped).toEqual(expected.map((group) => [group[0]?.id, group.length]));
  });
});

describe.each(DATE_CASES)("the mask $role", ({ applied, type, role }) => {
  const { name } = COLUMNS[type];
  const format = applied.kind === "year" ? "%Y" : "%Y-%m";

  it("shows a date of the same year or month, in the form of the value", async () => {
    const sql = `SELECT id, strftime('${format}', ${name}), ${name}, typeof(${name}) FROM samples ORDER BY id`;
    const [clear, masked] = [await query("clear", sql), await query(role, sql)];
    for (const [index, [, period, value, storage]] of clear.entries()) {
      const [, shownPeriod, shown, shownStorage] = masked[index] ?? [];
      if (typeof value !== "string" || !/^\d{4}-(0[1-9]|1[0-2])-\d\d/.test(value)) continue;
      expect([value, shownPeriod, shownStorage]).toEqual([value, period, storage]);
      expect(shown).toBe(`${String(period)}-01-01`.slice(0, 10) + (value.length > 10 ? " 00:00:00" : ""));
    }
    expect(
      masked.filter(([, , shown]) => typeof shown === "string" && !/^\d{4}-\d\d-01( 00:00:00)?$/.test(shown)),
    ).toEqual([]);
  });

  it("finds, sorts and groups the rows that the clear values give at its precision", async () => {
    const valid = `(id < 6 OR id >= ${DATES.length})`;
    for (const bound of ["1900-01-01", "1970-01-01", "1999-01-01", "2005-01-01"])
      for (const comparison of ["<", ">="]) {
        const sql = `SELECT id FROM samples WHERE ${valid} AND ${name} ${comparison} '${bound}' ORDER BY id`;
        expect([bound, ids(await query(role, sql))]).toEqual([bound, ids(await query("clear", sql))]);
      }
    const period = `substr(${name}, 1, ${format === "%Y" ? 4 : 7})`;
    const sorted = (term: string) => `SELECT ${period} AS p FROM samples WHERE ${valid} ORDER BY ${term}, id`;
    expect(await query(role, sorted(name))).toEqual(await query("clear", sorted("p")));
    const grouped = (term: string) =>
      `SELECT ${period} AS p, count(*) FROM samples WHERE ${valid} GROUP BY ${term} ORDER BY 1`;
    expect(await query(role, grouped(name))).toEqual(await query("clear", grouped("p")));
  });
});

describe.each(CASES)("the mask $role", ({ applied, type, role }) => {
  const { name } = COLUMNS[type];

  it("says how exact the column is", () => {
    expect(describeInexactness(name, [applied as Disclosure])).toMatch(new RegExp(`^${name} is .{10,}[^.]$`));
  });

  it("shows values of one storage class, and orders them by the type that it declares", async () => {
    const isNumber = applied.kind === "bucket" || applied.kind === "round";
    const rows = await query(role, `SELECT DISTINCT typeof(${name}) FROM samples WHERE ${name} IS NOT NULL`);
    for (const [storage] of rows) expect(isNumber ? ["integer", "real"] : ["text"]).toContain(storage);
    expect(rows.length === 0).toBe(applied.kind === "null");
    // Without a declared type, every number would be smaller than any text.
    const differing = `SELECT id FROM samples WHERE (${name} < 5) IS NOT (${name} < '5')`;
    expect(await query(role, differing)).toEqual([]);
  });
});

it("finds equal values in equal masking tokens", async () => {
  const grouped = "SELECT count(*) FROM samples WHERE typeof(s) = 'text' GROUP BY s ORDER BY 1";
  const tokenRole = CASES.find(({ applied, type }) => applied.kind === "token" && type === "text")?.role ?? "";
  const clear = await query("clear", grouped.replace("typeof(s) = 'text'", "typeof(s) <> 'blob' AND s IS NOT NULL"));
  const masked = await query(tokenRole, grouped.replace("typeof(s) = 'text'", "s <> '[redacted]'"));
  expect(masked).toEqual(clear);
});
