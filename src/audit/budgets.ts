// What one owner may use: rows, bytes, calls and reveals in five minutes and in a UTC day. Running calls count with the rows and reveals
// that they have reserved, so that calls at the same time cannot pass these limits together. Bytes are known at the end. The functions do
// not open a transaction.
import { BUDGET_KINDS } from "./budget-limits.ts";
import type { BudgetKind, BudgetLimits, BudgetState, Usage } from "./budget-limits.ts";

/** What a call is told about the limits before it begins. */
export interface BudgetCheck {
  /** The limit that it would pass; undefined when it may begin. */
  readonly spent: BudgetState | undefined;
  /** The limits of the day of which at least 80 percent are used. */
  readonly near: readonly BudgetState[];
}

/** The budgets of one owner. */
export interface Budgets {
  /** Compares a call's reservation with the limits. */
  check(reserved: Usage, nowMs: number): BudgetCheck;
  /** Counts what a call used. */
  add(used: Usage, nowMs: number): void;
}

/** The length of the short window. Windows begin at the full hour and every five minutes after it. */
export const BURST_MS = 300_000;
const DAY_MS = 86_400_000;
const NEAR_SHARE = 0.8;

/** Creates the budgets over the tables `usage` and `lease` of a ledger. */
export function createBudgets(sql: SqlStorage, limits: BudgetLimits): Budgets {
  const windows = [
    // A limit of the day is named first, because it lasts longer.
    { name: "Day", lengthMs: DAY_MS },
    { name: "Burst", lengthMs: BURST_MS },
  ] as const;

  /** Reads what was used in a window. What was used later, before the clock moved back, counts in its own window. */
  const readUsed = (startMs: number, lengthMs: number): Usage =>
    sql
      .exec<Record<BudgetKind, number>>(
        `SELECT coalesce(sum(rows), 0) AS rows, coalesce(sum(bytes), 0) AS bytes, coalesce(sum(calls), 0) AS calls,
          coalesce(sum(reveals), 0) AS reveals FROM usage WHERE slice_ms >= ? AND slice_ms < ?`,
        startMs,
        startMs + lengthMs,
      )
      .one();
  const readReserved = (): Pick<Usage, "rows" | "calls" | "reveals"> =>
    sql
      .exec<{ rows: number; calls: number; reveals: number }>(
        "SELECT coalesce(sum(rows), 0) AS rows, count(*) AS calls, coalesce(sum(reveals), 0) AS reveals FROM lease",
      )
      .one();

  function listStates(nowMs: number): readonly (BudgetState & { readonly kind: BudgetKind })[] {
    const reserved: Usage = { bytes: 0, ...readReserved() };
    return windows.flatMap(({ name, lengthMs }) => {
      const startMs = Math.floor(nowMs / lengthMs) * lengthMs;
      const used = readUsed(startMs, lengthMs);
      return BUDGET_KINDS.map((kind) => {
        const limit = `${kind}Per${name}` as const;
        return { kind, limit, used: used[kind] + reserved[kind], most: limits[limit], resetMs: startMs + lengthMs };
      });
    });
  }

  return {
    check(reserved, nowMs) {
      const states = listStates(nowMs);
      return {
        spent: states.find(({ kind, used, most }) => reserved[kind] > 0 && used + reserved[kind] > most),
        near: states.filter(
          ({ kind, limit, used, most }) =>
            limit.endsWith("PerDay") && reserved[kind] > 0 && used + reserved[kind] >= most * NEAR_SHARE,
        ),
      };
    },
    add({ rows, bytes, calls, reveals }, nowMs) {
      const sliceMs = Math.floor(nowMs / BURST_MS) * BURST_MS;
      sql.exec(
        `INSERT INTO usage (slice_ms, rows, bytes, calls, reveals) VALUES (?1, ?2, ?3, ?4, ?5)
          ON CONFLICT (slice_ms) DO UPDATE SET
            rows = rows + ?2, bytes = bytes + ?3, calls = calls + ?4, reveals = reveals + ?5`,
        sliceMs,
        rows,
        bytes,
        calls,
        reveals,
      );
      sql.exec("DELETE FROM usage WHERE slice_ms < ?", Math.floor(nowMs / DAY_MS) * DAY_MS - DAY_MS);
    },
  };
}
