// Durations as people write them: a whole number of minutes, hours or days.

const UNITS_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };
const DURATION = /^(?<count>\d{1,6})(?<unit>[mhd])$/;

/** Parses a duration such as `90m`, `24h` or `7d`. Returns milliseconds; null for any other text. */
export function parseDuration(text: string): number | null {
  const { count = "", unit = "" } = DURATION.exec(text)?.groups ?? {};
  return count === "" ? null : Number(count) * (UNITS_MS[unit] ?? 0);
}
