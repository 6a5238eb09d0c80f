// Checksums of tables, computed by the same SQL in the local database and in D1, range by range of the key, so that each query is short.
// D1 has no hash function. The SQL writes a row as bytes with the type and length of each value, and their hexadecimal digits as two
// decimal texts that together determine them. It folds each text, 18 digits at a time, into a polynomial modulo a prime below 2^31, whose
// products SQLite's integers hold. Squares are added, so that rows cannot trade values.
import type { DatabaseSync } from "node:sqlite";
import { quoteIdentifier } from "../../src/sql/identifier.ts";
import type { LocalTable } from "./local-snapshot.ts";

/** The rows and the checksum of a range, or of a whole table. */
export interface Checksum {
  readonly rows: number;
  readonly sums: readonly [number, number];
}

/** A table with the conditions that divide its rows, and the local checksum of each part. */
export interface CheckedTable {
  readonly table: LocalTable;
  readonly ranges: readonly { readonly where: string; readonly checksum: Checksum }[];
}

/** A range ends at this number of rows or bytes. A query over it takes D1 about a second. */
const RANGE_ROWS = 20_000;
const RANGE_BYTES = 2_000_000;
/** No range ends at a key whose text is longer: it goes on to the next row, because D1 takes statements of 100 KB. */
const END_LENGTH = 10_000;
const PRIMES = [2_147_483_647, 2_147_483_629] as const;
const FACTORS = [1_103_515_245, 1_664_525_331] as const;
const PIECE_BYTES = 4_320;
/** Decimal digits that are folded at once, and how often in one step. */
const CHUNK_DIGITS = 18;
const CHUNKS = 8;
const TWO_TO_62 = "4611686018427387904.0";
/** Terms of one `||` chain: D1 allows expressions of depth 100. */
const CHAIN_LENGTH = 10;

/** Computes the checksum of each range of a local table. */
export function checkLocally(database: DatabaseSync, table: LocalTable): CheckedTable {
  const ranges = listRanges(database, table).map((where) => {
    const row = database.prepare(checksumSql(table, where)).get() ?? {};
    return { where, checksum: readChecksum(row) };
  });
  return { table, ranges };
}

/** Reads the row that `checksumSql` returns. */
export function readChecksum(row: Readonly<Record<string, unknown>>): Checksum {
  return { rows: Number(row["n"]), sums: [Number(row["a"] ?? 0), Number(row["b"] ?? 0)] };
}

/** Adds the checksums of ranges. */
export function addChecksums(parts: readonly Checksum[]): Checksum {
  const total = (index: 0 | 1): number => parts.reduce((sum, { sums }) => (sum + sums[index]) % PRIMES[index], 0);
  return { rows: parts.reduce((sum, { rows }) => sum + rows, 0), sums: [total(0), total(1)] };
}

/** Writes a checksum as an operator compares it. */
export function formatChecksum({ sums }: Checksum): string {
  return sums.map((sum) => sum.toString(16).padStart(8, "0")).join("");
}

/** SQL for the number of rows `n` and the sums `a` and `b` of those rows of a table that a condition selects. */
export function checksumSql({ name, columns }: LocalTable, where: string): string {
  const values = columns.map((column, index) => `${quoteIdentifier(column)} AS c${index}`);
  const cells = columns.map((_column, index) => cellSql(`c${index}`));
  const [firstPrime, secondPrime] = PRIMES;
  const first = `(hash >> 31)`;
  const second = `(hash & 2147483647)`;
  // MATERIALIZED: otherwise SQLite would build the row again for each piece.
  return (
    `WITH cells AS (SELECT ${values.join(", ")} FROM ${quoteIdentifier(name)} WHERE ${where}),
lines AS MATERIALIZED (SELECT CAST(${chain(cells)} AS BLOB) AS line FROM cells),
hashes AS MATERIALIZED (SELECT ${hashSql("line")} AS hash FROM lines)
SELECT count(*) AS n, sum(${first} * ${first} % ${firstPrime}) % ${firstPrime} AS a, ` +
    `sum(${second} * ${second} % ${secondPrime}) % ${secondPrime} AS b FROM hashes`
  );
}

/** A value with its type and length. A real is written by its parts, because engines may round its decimal text differently. */
function cellSql(c: string): string {
  const real = `'r' || ${c} || '/' || CAST(${c} AS INTEGER) || '/' || CAST((${c} - CAST(${c} AS INTEGER)) * ${TWO_TO_62} AS INTEGER) || ','`;
  return (
    `CASE typeof(${c}) WHEN 'null' THEN 'n' WHEN 'integer' THEN 'i' || ${c} || ',' WHEN 'real' THEN ${real} ` +
    `WHEN 'text' THEN 't' || length(CAST(${c} AS BLOB)) || ':' || ${c} ELSE 'b' || length(${c}) || ':' || ${c} END`
  );
}

function chain(terms: readonly string[]): string {
  if (terms.length <= CHAIN_LENGTH) return terms.join(" || ");
  const groups = Array.from(
    { length: Math.ceil(terms.length / CHAIN_LENGTH) },
    (_group, index) => `(${terms.slice(index * CHAIN_LENGTH, (index + 1) * CHAIN_LENGTH).join(" || ")})`,
  );
  return groups.join(" || ");
}

/** Both hashes of a line in one integer: the first above 2^31. A long line is folded in pieces, so that SQLite copies it rarely. */
function hashSql(line: string): string {
  const pieceAt = (position: string): string => `substr(${line}, ${position}, ${PIECE_BYTES})`;
  return (
    `CASE WHEN length(${line}) <= ${PIECE_BYTES} THEN ${foldSql(line, "7")} ELSE ` +
    `(WITH RECURSIVE pieces(k, x, piece) AS (SELECT 1, 7, ${pieceAt("1")} UNION ALL ` +
    `SELECT k + 1, ${foldSql("piece", "x")}, ${pieceAt(`k * ${PIECE_BYTES} + 1`)} FROM pieces WHERE length(piece) > 0) ` +
    `SELECT x FROM pieces WHERE length(piece) = 0) END`
  );
}

/** Folds the bytes of a piece into both hashes. */
function foldSql(piece: string, start: string): string {
  const step = CHUNK_DIGITS * CHUNKS;
  const fold = (hash: string, digits: string, index: 0 | 1): string =>
    Array.from({ length: CHUNKS }, (_chunk, chunk) => chunk * CHUNK_DIGITS).reduce(
      (folded, offset) =>
        `(${folded} * ${FACTORS[index]} + CAST(substr(${digits}, i + ${offset}, ${CHUNK_DIGITS}) AS INTEGER)) % ${PRIMES[index]}`,
      hash,
    );
  return (
    `(WITH RECURSIVE steps(i, h, g, s, t) AS (` +
    `SELECT 1, ${start} >> 31, ${start} & 2147483647, ${digitsSql(piece, 0)}, ${digitsSql(piece, 1)} UNION ALL ` +
    `SELECT i + ${step}, ${fold("h", "s", 0)}, ${fold("g", "t", 1)}, s, t FROM steps WHERE i <= length(s)) ` +
    `SELECT (h << 31) | g FROM steps WHERE i > length(s))`
  );
}

/**
 * The hexadecimal digits of bytes as decimal ones, in bytes, which SQLite cuts faster than text. A becomes 0 in the first text and 1 in
 * the second, B becomes 1 and 2, and so on to F; 0 to 9 stay in both. So a difference between bytes is one in at least one text.
 */
function digitsSql(bytes: string, shift: 0 | 1): string {
  const text = Array.from("ABCDEF").reduce(
    (digits, letter, index) => `replace(${digits}, '${letter}', '${index + shift}')`,
    `hex(${bytes})`,
  );
  return `CAST(${text} AS BLOB)`;
}

/** Divides the rows of a table by its key. The conditions are the same text on both sides, and each row meets exactly one. */
function listRanges(database: DatabaseSync, { name, columns, key, rows }: LocalTable): readonly string[] {
  if (key.length === 0 || rows === 0) return ["1"];
  const keys = key.map(quoteIdentifier);
  const size = columns.map((column) => `coalesce(length(CAST(${quoteIdentifier(column)} AS BLOB)), 0)`);
  const groups = Array.from(
    { length: Math.ceil(size.length / CHAIN_LENGTH) },
    (_group, index) => `(${size.slice(index * CHAIN_LENGTH, (index + 1) * CHAIN_LENGTH).join(" + ")})`,
  );
  const statement = database.prepare(
    `SELECT ${groups.join(" + ")}, ${key.map((column) => literalSql(quoteIdentifier(column))).join(", ")} ` +
      `FROM main.${quoteIdentifier(name)} ORDER BY ${keys.join(", ")}`,
  );
  statement.setReturnArrays(true);
  const ends: string[] = [];
  let [count, bytes] = [0, 0];
  for (const row of statement.iterate() as Iterable<unknown> as Iterable<readonly unknown[]>) {
    const [length, ...literals] = row;
    count += 1;
    bytes += Number(length);
    if (count < RANGE_ROWS && bytes < RANGE_BYTES) continue;
    const end = `(${literals.map(String).join(", ")})`;
    if (end.length > END_LENGTH) continue;
    ends.push(end);
    [count, bytes] = [0, 0];
  }
  const list = `(${keys.join(", ")})`;
  const parts = ends.map((end, index) => {
    const start = ends[index - 1];
    return start === undefined ? `${list} <= ${end}` : `${list} > ${start} AND ${list} <= ${end}`;
  });
  const last = ends.at(-1);
  return [...parts, last === undefined ? "1" : `${list} > ${last}`];
}

/**
 * SQL that writes a value as an SQL literal. The literal of a real may be rounded: it only has to be the same text on both sides. An
 * infinite one has no digits, so it is written as a number beyond the range.
 */
function literalSql(column: string): string {
  return (
    `CASE typeof(${column}) WHEN 'text' THEN 'CAST(x''' || hex(${column}) || ''' AS TEXT)' ` +
    `WHEN 'blob' THEN 'x''' || hex(${column}) || '''' WHEN 'real' THEN CASE ${column} ` +
    `WHEN 9e999 THEN '9e999' WHEN -9e999 THEN '-9e999' ELSE CAST(${column} AS TEXT) END ELSE CAST(${column} AS TEXT) END`
  );
}
