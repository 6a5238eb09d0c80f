// Shows how far a load is: on a terminal one line that changes, elsewhere a line every few seconds.
import { printStatus } from "../kit/terminal.ts";

/** Receives progress; `finish` removes the changing line. */
export interface Progress {
  /** Adds rows that were copied of a table. */
  add(table: string, rows: number): void;
  finish(): void;
}

const TERMINAL_INTERVAL_MS = 200;
const LOG_INTERVAL_MS = 5_000;

/** Counts rows up to `total`. The first line appears after one interval, so a short load shows none. */
export function createProgress(
  total: number,
  now: () => number = Date.now,
  isTerminal = process.stderr.isTTY,
): Progress {
  const interval = isTerminal ? TERMINAL_INTERVAL_MS : LOG_INTERVAL_MS;
  const started = now();
  let [shown, copied] = [started, 0];
  return {
    add: (table, rows) => {
      copied += rows;
      if (now() - shown < interval) return;
      shown = now();
      printStatus(describeProgress(table, copied, total, shown - started), isTerminal);
    },
    finish: () => {
      if (isTerminal && shown !== started) printStatus("", isTerminal);
    },
  };
}

/** Writes progress in words: `Loading orders: 20,000 of 80,000 rows, about 1 min left`. */
export function describeProgress(table: string, rows: number, total: number, elapsedMs: number): string {
  const seconds = Math.ceil(((total - rows) * elapsedMs) / Math.max(rows, 1) / 1_000);
  const left = seconds < 60 ? `${Math.max(seconds, 1)} s` : `${Math.ceil(seconds / 60)} min`;
  const count = `${rows.toLocaleString("en")} of ${total.toLocaleString("en")} rows`;
  return rows >= total ? `Loading ${table}: ${count}` : `Loading ${table}: ${count}, about ${left} left`;
}
