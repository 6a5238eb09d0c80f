// Makes SQLite files from a seed: tables of many kinds, with values of every type, that the property test of loading compares.
import { DatabaseSync } from "node:sqlite";

const NAMES = [
  "id",
  "select",
  "from",
  "naïve",
  "日本",
  "a b",
  'quo"te',
  "x'y",
  "semi;colon",
  "Group",
  "[b]",
  "`t`",
  "end",
  "😀",
  "percent%",
  "rowid",
];
const TYPES = [
  "INTEGER",
  "TEXT",
  "REAL",
  "BLOB",
  "NUMERIC",
  "",
  "VARCHAR(20)",
  "DECIMAL(10, 2)",
  "BOOLEAN",
  "DATETIME",
  "unsigned big int",
  "NVARCHAR(5) ",
];
const STRICT_TYPES = ["INTEGER", "TEXT", "REAL", "BLOB", "ANY", "INT"];

/** A generator of numbers (mulberry32); the same seed gives the same file. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new TypeError("nothing to pick from");
    return item;
  }
}

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

interface GeneratedTable {
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly isStrict: boolean;
}

/** Makes a file. Returns the SQL that it ran, to be printed when a test fails. */
export function generateFile(file: string, seed: number): string {
  const random = new Random(seed);
  const database = new DatabaseSync(file, { enableForeignKeyConstraints: false });
  const log: string[] = [];
  const run = (sql: string): void => {
    log.push(sql);
    database.exec(sql);
  };
  const names = Array.from({ length: 2 + random.below(4) }, (_value, index) => `${random.pick(NAMES)} ${index}`);
  const tables = names.map((name) => createTable(random, name, names, run));
  database.exec("BEGIN");
  for (const table of tables) insertRows(random, database, table);
  database.exec("COMMIT");
  for (const [index, table] of tables.entries()) createExtras(random, table, index, run);
  database.close();
  return log.join(";\n");
}

function createTable(
  random: Random,
  name: string,
  names: readonly string[],
  run: (sql: string) => void,
): GeneratedTable {
  const isStrict = random.chance(0.25);
  const count = random.chance(0.1) ? 60 + random.below(35) : 1 + random.below(8);
  const columns = Array.from({ length: count }, (_value, index) => ({
    name: index < NAMES.length && random.chance(0.5) ? (NAMES[index] ?? "") : `c${index}`,
    type: random.pick(isStrict ? STRICT_TYPES : TYPES),
  }));
  const isWithoutRowid = random.chance(0.25);
  const lines = columns.map(({ name: column, type }) => `${quote(column)} ${type}${columnClause(random, names)}`);
  if (random.chance(0.3))
    lines.push(
      `generated ${isStrict ? "ANY" : ""} GENERATED ALWAYS AS (typeof(${quote(columns[0]?.name ?? "")})) ${random.pick(["STORED", "VIRTUAL"])}`,
    );
  // The key is a column of its own, so that generated rows cannot collide.
  lines.unshift(`key_1 ${random.pick(["INTEGER", "TEXT"])} NOT NULL`, "key_2 INTEGER");
  const key = random.pick([
    "PRIMARY KEY (key_1)",
    "PRIMARY KEY (key_1, key_2)",
    'CONSTRAINT "p k" UNIQUE (key_2, key_1)',
  ]);
  lines.push(isWithoutRowid ? "PRIMARY KEY (key_1, key_2)" : key);
  if (random.chance(0.4))
    lines.push(
      `FOREIGN KEY (key_2) REFERENCES ${quote(random.pick(names))} (${random.pick(["key_1", "key_2"])}) ON UPDATE SET NULL`,
    );
  if (random.chance(0.3)) lines.push(`CHECK (key_2 IS NOT -1)`);
  const options = [...(isWithoutRowid ? ["WITHOUT ROWID"] : []), ...(isStrict ? ["STRICT"] : [])].join(", ");
  run(`CREATE TABLE ${quote(name)} (${lines.join(", ")}) ${options}`);
  return { name, columns, isStrict };
}

function columnClause(random: Random, names: readonly string[]): string {
  if (random.chance(0.15))
    return ` REFERENCES ${quote(random.pick([...names, "gone"]))}${random.pick(["", " (key_1)", " (key_2)"])} DEFERRABLE`;
  return random.pick(["", "", "", " DEFAULT 'x;y'", " DEFAULT (1 + 2)", " COLLATE NOCASE", " /* a comment */"]);
}

function insertRows(random: Random, database: DatabaseSync, { name, columns, isStrict }: GeneratedTable): void {
  const names = ["key_1", "key_2", ...columns.map((column) => column.name)];
  const insert = database.prepare(
    `INSERT INTO ${quote(name)} (${names.map(quote).join(", ")}) VALUES (?, ?, ${columns.map(() => "?").join(", ")})`,
  );
  const count = random.pick([0, 1, 7, 60, 400]);
  for (let row = 0; row < count; row += 1)
    insert.run(row, row % 5, ...columns.map(({ type }) => (isStrict ? strictValue(random, type) : anyValue(random))));
}

type Value = null | number | bigint | string | Uint8Array;

function anyValue(random: Random): Value {
  const kind = random.pick(["null", "integer", "big", "real", "odd", "text", "numeric", "blob"]);
  switch (kind) {
    case "null":
      return null;
    case "integer":
      return BigInt(random.below(2_000) - 1_000);
    case "big":
      return random.pick([2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n, -(2n ** 53n) - 1n]);
    case "real":
      return (random.next() - 0.5) * 10 ** (random.below(40) - 20);
    case "odd":
      return random.pick([Infinity, -Infinity, -0, 5e-324, 1.7976931348623157e308, 1e15, 0.1, 9007199254740994]);
    case "text":
      return text(random);
    case "numeric":
      return random.pick(["12", "1.50", "0x10", "1e3", " 5 ", "9223372036854775808", "-0", "1_000", "nan"]);
    default:
      return blob(random);
  }
}

function strictValue(random: Random, type: string): Value {
  if (random.chance(0.2)) return null;
  if (type === "TEXT") return text(random);
  if (type === "REAL") return random.next() * 1_000;
  if (type === "BLOB") return blob(random);
  return type === "ANY" ? anyValue(random) : BigInt(random.below(1_000_000));
}

function text(random: Random): string {
  const parts = [
    "",
    "a",
    "'",
    '"',
    "\0",
    "\n",
    "é",
    "日本",
    "😀",
    "\u2028",
    "\ufffd",
    "\u202e",
    ";",
    "--",
    '{"t":1}',
    "[1]",
  ];
  const length = random.chance(0.02) ? 20_000 : random.below(6);
  return Array.from({ length }, () => random.pick(parts)).join("");
}

function blob(random: Random): Uint8Array {
  const length = random.chance(0.02) ? 150_000 : random.below(20);
  return Uint8Array.from({ length }, () => random.below(256));
}

function createExtras(
  random: Random,
  { name, columns }: GeneratedTable,
  index: number,
  run: (sql: string) => void,
): void {
  const column = quote(random.pick(columns).name);
  if (random.chance(0.6))
    run(
      `CREATE INDEX "index;${index}" ON ${quote(name)} (${column}${random.pick(["", " DESC", " COLLATE RTRIM"])}, key_2)`,
    );
  if (random.chance(0.3))
    run(`CREATE UNIQUE INDEX "unique ${index}" ON ${quote(name)} (key_1, key_2) WHERE key_2 > ${random.below(4)}`);
  if (random.chance(0.3)) run(`CREATE INDEX "expression ${index}" ON ${quote(name)} (lower(${column}))`);
  if (random.chance(0.3)) createViews(index, name, column, run);
  if (random.chance(0.3))
    run(
      `CREATE TRIGGER "trigger ${index}" AFTER INSERT ON ${quote(name)} BEGIN DELETE FROM ${quote(name)}; SELECT CASE WHEN 1 THEN 2 END; END`,
    );
}

/** Views that refer to one that comes later, with names that SQLite gives and takes, and some that no dataset can be. */
function createViews(index: number, table: string, column: string, run: (sql: string) => void): void {
  run(`CREATE VIEW "over;${index}" AS SELECT * FROM "view ${index}" AS v WHERE v.kind <> 'blob'`);
  run(`CREATE VIEW "view ${index}" AS SELECT typeof(${column}) AS kind, count(*) FROM ${quote(table)} GROUP BY 1`);
  run(
    `CREATE VIEW "rows ${index}" ("key ""2""", [key 1], value) AS SELECT key_2, key_1, ${column} FROM ${quote(table)} -- all`,
  );
  run(`CREATE VIEW "twice ${index}" AS SELECT key_1, key_2, key_1 FROM ${quote(table)}`);
  run(`CREATE VIEW "broken ${index}" AS SELECT missing_1 FROM ${quote(table)}`);
  run(`CREATE VIEW "over broken ${index}" AS SELECT * FROM "broken ${index}"`);
}
