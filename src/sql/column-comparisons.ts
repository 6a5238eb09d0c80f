// Finds how SQLite compares the columns of a statement, from the program that SQLite compiles for a comparison with all of them.
import type { Engine } from "./engine/sqlite.ts";

/**
 * How SQLite converts the other operand of a comparison with a column. A column with `BLOB` converts nothing. An expression with `NONE`
 * does not either, but a text column that it is compared with converts it.
 */
export type Affinity = "TEXT" | "NUMERIC" | "INTEGER" | "REAL" | "BLOB" | "NONE";

/** The order in which SQLite compares texts. */
export type Collation = "BINARY" | "NOCASE" | "RTRIM";

/** How SQLite compares a column. */
export interface Comparison {
  readonly affinity: Affinity;
  readonly collation: Collation;
}

/** The letters by which SQLite's programs name affinities. */
const AFFINITIES: ReadonlyMap<string, Affinity> = new Map([
  ["@", "NONE"],
  ["A", "BLOB"],
  ["B", "TEXT"],
  ["C", "NUMERIC"],
  ["D", "INTEGER"],
  ["E", "REAL"],
  ["F", "NUMERIC"],
]);

/**
 * Finds how SQLite compares the columns of a statement. In `(?1, ?1) IN (SELECT a, b …)` the parameters have neither affinity nor
 * collation, so the program of this expression has those of the columns: the affinities where it converts the parameters, and the
 * collations where it opens the set.
 */
export function findComparisons(engine: Engine, sql: string, columnCount: number): readonly Comparison[] {
  const parameters = Array.from({ length: columnCount }, () => "?1").join(", ");
  const instructions = engine
    .listInstructions(`SELECT (${parameters}) IN (${sql})`, ["OpenEphemeral", "Affinity"])
    .filter(({ p2 }) => p2 === columnCount);
  const set = instructions.find(({ opcode }) => opcode === "OpenEphemeral");
  const letters = instructions.findLast(({ opcode }) => opcode === "Affinity")?.p4 ?? "";
  // Such as `k(2,NOCASE,B)`: the number of columns, and the collation of each.
  const collations = set?.p4.slice(0, -1).split(",").slice(1) ?? [];
  return Array.from({ length: columnCount }, (_value, index) => ({
    affinity: AFFINITIES.get(letters.charAt(index)) ?? "NONE",
    collation: toCollation(collations[index]),
  }));
}

function toCollation(name: string | undefined): Collation {
  return name === "NOCASE" || name === "RTRIM" ? name : "BINARY";
}
