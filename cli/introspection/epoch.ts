// Recognises columns of numbers that hold Unix time. A name alone is a guess, and so are values alone; a name of a time whose values are
// all plausible times is taken for one.
import { writeName } from "../../src/sql/name-writer.ts";
import { wordsOf } from "./words.ts";

/** The unit of a column of Unix times. */
export type EpochUnit = "seconds" | "milliseconds";

/** Last words of names that suggest a time. */
const TIME_WORDS = new Set(
  "at ts time timestamp date datetime epoch unixtime created updated modified deleted expires zeit zeitpunkt datum heure".split(
    " ",
  ),
);
/** The years 1990 to 2100. Most other numbers, such as counts and keys, have values outside. */
const FIRST_SECOND = 631_152_000;
const LAST_SECOND = 4_102_444_800;
const MS_PER_SECOND = 1000;

/** Whether the name of a column of numbers, or its declared type, suggests a time. */
export function suggestsTime(name: string, declaredType: string): boolean {
  return TIME_WORDS.has(wordsOf(name).at(-1) ?? "") || /DATE|TIME/i.test(declaredType);
}

/** The unit in which all values between these two are plausible times; undefined if there is none. */
export function findEpochUnit(min: number, max: number): EpochUnit | undefined {
  if (min >= FIRST_SECOND && max <= LAST_SECOND) return "seconds";
  const isMilliseconds = min >= FIRST_SECOND * MS_PER_SECOND && max <= LAST_SECOND * MS_PER_SECOND;
  return isMilliseconds ? "milliseconds" : undefined;
}

/** Says how SQL reads the column: `Unix time in seconds: datetime(created_at, 'unixepoch')`. */
export function describeEpoch(name: string, unit: EpochUnit): string {
  const column = writeName(name);
  const seconds = unit === "seconds" ? column : `${column} / ${MS_PER_SECOND}`;
  return `Unix time in ${unit}: datetime(${seconds}, 'unixepoch')`;
}
