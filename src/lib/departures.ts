// Waits for sockets to close. A limit on open sockets uses it: it asks the holders whether their clients are still there, and
// gives those that are not a moment to say so.

/** How long a client that left is waited for after its stream was probed. */
export const PROBE_MS = 1000;

export interface Departures {
  /** A socket closed. */
  note(): void;
  /** Whether `isMet` holds now, or after one of the sockets that close within `maxMs`. */
  until(isMet: () => boolean, maxMs: number): Promise<boolean>;
}

export function createDepartures(): Departures {
  const waiting = new Set<() => void>();
  return {
    note: () => waiting.forEach((look) => look()),
    async until(isMet, maxMs) {
      if (isMet()) return true;
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const look = (): void => {
        if (isMet()) resolve(true);
      };
      const timer = setTimeout(() => resolve(isMet()), maxMs);
      waiting.add(look);
      try {
        return await promise;
      } finally {
        clearTimeout(timer);
        waiting.delete(look);
      }
    },
  };
}
