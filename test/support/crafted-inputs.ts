// Generates crafted arguments of the tool `change` from a seed: names and literals as an attacker writes them, which look for hidden rows,
// hidden columns and masked values.

/** Values that only one of the twin databases has, where the attacker does not see them. */
export const HIDDEN_VALUES = {
  rows: ["Abe Hidden", "Gus Hidden"],
  columns: ["secret of the first", "secret of the second"],
  masked: ["anna.real@north.example", "abel.other@north.example"],
  amounts: [111_111, 222_222],
} as const;

const NAMES = [
  "id",
  "name",
  "state",
  "joined",
  "score",
  "active",
  "amount",
  "email",
  "secret",
  "region",
  "ID",
  "Name",
  "EMAIL",
  "Secret",
  "nаme",
  "name ",
  " name",
  "name\u200b",
  "rowid",
  "_rowid_",
  "oid",
  "*",
  "",
  "1",
  "people.name",
  "shop.people.name",
  "main.people.secret",
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "length",
  "and",
  "or",
  "$or",
  'name" OR 1=1 --',
  "name'; DROP TABLE people; --",
  "secret IS NOT NULL OR name",
  "(SELECT secret FROM people)",
  "n".repeat(5000),
];

const LITERALS: readonly unknown[] = [
  1,
  2,
  3,
  4,
  100,
  0,
  -1,
  -0,
  1.5,
  1e308,
  5e-324,
  2 ** 53,
  2 ** 53 + 2,
  -(2 ** 63),
  2 ** 53 + 4,
  "1",
  "01",
  "1.0",
  "9223372036854775807",
  "9223372036854775808",
  "-0",
  "0x1",
  "1e3",
  " 1",
  "NaN",
  "Infinity",
  "",
  null,
  true,
  false,
  [],
  [[]],
  [null],
  [1, null],
  [1, [2]],
  {},
  { id: 1 },
  [{}],
  { $ne: null },
  { op: "!=", value: 1 },
  { ">": 0 },
  { like: "%" },
  { toString: "1" },
  { __proto__: null, a: 1 },
  "Ann",
  "ANN",
  "ann",
  "Ann ",
  "Ann\0",
  "A%",
  "_nn",
  "Bob",
  "Cleo",
  "open",
  "closed",
  "OPEN",
  "%",
  "*",
  "' OR '1'='1",
  "1; DROP TABLE people",
  "x' UNION SELECT secret FROM people --",
  "(SELECT secret)",
  "2026-01-01",
  "2026-02-30",
  "2026-01-01T00:00:00Z",
  "0000-00-00",
  "now",
  "CURRENT_TIMESTAMP",
  "tok_abcdefghijklmnop",
  "TOK_ABCDEFGHIJKLMNOP",
  "see tok_abcdefghijklmnop",
  "[redacted]",
  "a***@north.example",
  "\ud800",
  "\u202eevil",
  "ﬁ",
  "é",
  "e\u0301",
  "🦀",
  "x".repeat(10_000),
  "\0",
  ...Object.values(HIDDEN_VALUES).flat(),
];

/** Literals of the right type by column, so that a proposal reaches the database. */
const PLAUSIBLE: Readonly<Record<string, readonly unknown[]>> = {
  id: [1, 2, 3, 4, "1", "2", 100, 101, 140],
  name: ["Ann", "Bob", "Cleo", "Ida", "ann", ...HIDDEN_VALUES.rows.map((name) => `${name} 0`)],
  state: ["open", "closed"],
  joined: ["2026-01-01", "2026-01-02", "2026-01-04"],
  score: [0.5, 1.5, "2.5", 3.5],
  active: [true, false],
  amount: [502, 503, ...HIDDEN_VALUES.amounts],
};

/** A generator of numbers between 0 and 1, equal for equal seeds (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Chooses one of a list. */
export function pick<T>(random: () => number, list: readonly T[]): T {
  const chosen = list[Math.floor(random() * list.length)];
  if (chosen === undefined && list.length === 0) throw new TypeError("nothing to choose from");
  return chosen as T;
}

/** Crafts the object of `where` or `values`, as it comes out of JSON: also `__proto__` is a property of its own. */
export function craftRecord(random: () => number): Record<string, unknown> {
  const count = 1 + Math.floor(random() * 3);
  // Half of the names are plausible ones, so that most literals reach the database.
  const craftName = (): string => pick(random, random() < 0.6 ? NAMES.slice(0, 8) : NAMES);
  const craftLiteral = (name: string): unknown => {
    const plausible = Object.hasOwn(PLAUSIBLE, name) && random() < 0.35 ? PLAUSIBLE[name] : undefined;
    const literals = plausible ?? LITERALS;
    return random() < 0.25
      ? Array.from({ length: 1 + Math.floor(random() * 4) }, () => pick(random, literals))
      : pick(random, literals);
  };
  const members = Array.from({ length: count }, () => {
    const name = craftName();
    return `${JSON.stringify(name)}:${JSON.stringify(craftLiteral(name))}`;
  });
  return JSON.parse(`{${members.join(",")}}`) as Record<string, unknown>;
}
