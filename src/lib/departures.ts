// Waits for sockets to close. A limit on open sockets uses it: it asks the holders whether their clients are still there, and
// gives those that are not a moment to say so.

/** How long a client that left is waited for after its stream was probed. */
export const PROBE_MS = 1000;

export interface Departures {
  /** A socket closed. */
  note(): void;
  /**
   * Whether `take` took a place now, or after one of the sockets that close within `maxMs`. It takes a place and says so in one step, so
   * that of those who wait each gets one of its own, in order; it is not called again once it has.
   */
  until(take: () => boolean, maxMs: number): Promise<boolean>;
}

export function createDepartures(): Departures {
  const waiting = new Set<() => void>();
  return {
    note: () => waiting.forEach((look) => look()),
    async until(take, maxMs) {
      if (take()) return true;
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const look = (): void => {
        if (!take()) return;
        waiting.delete(look);
        resolve(true);
      };
      const timer = setTimeout(() => resolve(false), maxMs);
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
