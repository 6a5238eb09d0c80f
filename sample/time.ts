// The sample's calendar: all dates are relative to one fixed day, so that the data does not age.

/** The sample's current time: noon UTC on its last day. */
const TODAY_MS = Date.UTC(2026, 5, 30, 12);

/** The time, as `YYYY-MM-DD HH:MM:SS` in UTC, that many days before the sample's last day at that second of the day. */
export function daysBefore(days: number, secondOfDay = 43_200): string {
  const midnight = TODAY_MS - 43_200_000 - days * 86_400_000;
  return new Date(midnight + secondOfDay * 1000).toISOString().slice(0, 19).replace("T", " ");
}
