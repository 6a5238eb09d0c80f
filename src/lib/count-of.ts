// Writes a number with its noun in messages.

/** Writes `1 record`, `12,000 records`. The plural takes an s. */
export function countOf(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}
