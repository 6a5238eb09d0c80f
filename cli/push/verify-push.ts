// Compares every table of the target with the local one: the number of rows, and a checksum that the same SQL computes on both sides.
import { createProgress } from "../kit/progress.ts";
import { addChecksums, checksumSql, formatChecksum, readChecksum } from "./checksum.ts";
import type { CheckedTable, Checksum } from "./checksum.ts";
import { readTarget } from "./push-record.ts";
import type { Target } from "./push-record.ts";

/** A compared table. */
export interface VerifiedTable {
  readonly table: string;
  readonly rows: number;
  readonly rowsInD1: number;
  readonly checksum: string;
  readonly checksumInD1: string;
  readonly same: boolean;
}

/** Compares tables. A table that the target does not have counts as empty. */
export async function verifyTables(
  target: Target,
  checked: readonly CheckedTable[],
): Promise<readonly VerifiedTable[]> {
  const total = checked.reduce((sum, { table }) => sum + table.rows, 0);
  const progress = createProgress({ verb: "Verifying", total });
  const present = await readTarget(target, "SELECT name FROM sqlite_schema WHERE type = 'table'");
  const names = new Set(present.map(({ name }) => String(name)));
  const verified: VerifiedTable[] = [];
  try {
    for (const { table, ranges } of checked) {
      const parts: Checksum[] = [];
      for (const { where, checksum } of names.has(table.name) ? ranges : []) {
        const [row = {}] = await readTarget(target, checksumSql(table, where));
        parts.push(readChecksum(row));
        progress.add(table.name, checksum.rows);
      }
      const [local, remote] = [addChecksums(ranges.map(({ checksum }) => checksum)), addChecksums(parts)];
      const [checksum, checksumInD1] = [formatChecksum(local), formatChecksum(remote)];
      const same =
        names.has(table.name) && ranges.every(({ checksum: here }, index) => isSame(here, parts[index] ?? EMPTY));
      verified.push({ table: table.name, rows: local.rows, rowsInD1: remote.rows, checksum, checksumInD1, same });
    }
  } finally {
    progress.finish();
  }
  return verified;
}

const EMPTY: Checksum = { rows: 0, sums: [0, 0] };

function isSame(one: Checksum, other: Checksum): boolean {
  return one.rows === other.rows && one.sums[0] === other.sums[0] && one.sums[1] === other.sums[1];
}

/** A table of the result, with a line for each table. */
export function describeVerified(source: string, verified: readonly VerifiedTable[]): readonly string[] {
  const lines = verified.map(({ table, rows, rowsInD1, checksum, checksumInD1, same }) => [
    `${source}.${table}`,
    same ? rows.toLocaleString("en") : `${rows.toLocaleString("en")} here, ${rowsInD1.toLocaleString("en")} in D1`,
    same ? checksum : `${checksum} here, ${checksumInD1} in D1`,
    same ? "same" : "DIFFERENT",
  ]);
  const all = [["table", "rows", "checksum", "result"], ...lines];
  const widths = all[0]?.map((_cell, index) => Math.max(...all.map((line) => line[index]?.length ?? 0))) ?? [];
  return all.map((line) =>
    line
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
