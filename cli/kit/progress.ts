// Shows how far a long command is: on a terminal one line that changes, elsewhere a line every few seconds.
import { SingleBar } from "cli-progress";
import type { Params } from "cli-progress";
import { escapeInvisible } from "../../src/lib/visible-text.ts";

/** Receives progress; `finish` removes the changing line. */
export interface Progress {
  /** Adds rows of a table. */
  add(table: string, rows: number): void;
  finish(): void;
}

/** What to count, and where to show it. */
interface ProgressOptions {
  /** What is done to the rows, such as `Loading`. */
  readonly verb: string;
  /** All rows; null when they are not counted before. */
  readonly total: number | null;
  /** What is counted; `rows` unless given. */
  readonly unit?: string;
  /** Rows that an earlier run has done. */
  readonly done?: number;
  readonly stream?: NodeJS.WriteStream;
  /** Work that takes less time shows nothing. */
  readonly startAfterMs?: number;
}

const START_AFTER_MS = 1_000;
const LOG_INTERVAL_MS = 5_000;
const FRAMES_PER_SECOND = 5;
/** Updates over which the time left is averaged. */
const ETA_UPDATES = 100;

/** Counts rows up to a total. Call `finish` in any case: until then a timer keeps the process alive. */
export function createProgress({
  verb,
  total,
  unit = "rows",
  done = 0,
  stream = process.stderr,
  startAfterMs = START_AFTER_MS,
}: ProgressOptions): Progress {
  const bar = new SingleBar({
    // The names of tables come from files, and could act on the terminal.
    format: (_options: unknown, params: Params, { table = "" }: { readonly table?: string }) =>
      describeProgress(`${verb} ${escapeInvisible(table)}`, total === null ? { ...params, total } : params, unit),
    stream,
    fps: FRAMES_PER_SECOND,
    etaBuffer: ETA_UPDATES,
    noTTYOutput: true,
    notTTYSchedule: LOG_INTERVAL_MS,
    clearOnComplete: true,
    linewrap: true,
  });
  const createdMs = performance.now();
  let [count, isStarted] = [done, false];
  return {
    add: (table, rows) => {
      if (!isStarted && performance.now() - createdMs >= startAfterMs) {
        bar.start(total ?? 0, count, { table });
        isStarted = true;
      }
      count += rows;
      // Before its start the bar ignores this.
      bar.update(count, { table });
    },
    finish: () => bar.stop(),
  };
}

/** How far the work is. */
interface Position extends Pick<Params, "value" | "eta"> {
  readonly total: number | null;
}

/** Writes progress in words: `Loading orders: 20,000 of 80,000 rows, about 1 min left`. `eta` is in seconds. */
export function describeProgress(what: string, { value, total, eta }: Position, unit = "rows"): string {
  const of = total === null ? "" : ` of ${total.toLocaleString("en")}`;
  const count = `${what}: ${value.toLocaleString("en")}${of} ${unit}`;
  if (total === null || value >= total || !Number.isFinite(eta) || eta <= 0) return count;
  return `${count}, about ${eta < 60 ? `${Math.ceil(eta)} s` : `${Math.ceil(eta / 60)} min`} left`;
}
