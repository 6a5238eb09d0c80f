// The sample's calendar: everything is told from one fixed day, so that the data never ages.

/** The sample's today, noon UTC. */
const TODAY_MS = Date.UTC(2026, 5, 30, 12);

/** `YYYY-MM-DD HH:MM:SS` UTC of a moment so many whole days before the sample's today, at this second of that day. */
export function daysBefore(days: number, secondOfDay = 43_200): string {
  const midnight = TODAY_MS - 43_200_000 - days * 86_400_000;
  return new Date(midnight + secondOfDay * 1000).toISOString().slice(0, 19).replace("T", " ");
}
