// Waits for sockets to close. A limit on open sockets probes the clients that hold places and then waits here, so that the
// socket of a client that has left can close and free its place.

/** How long to wait for the socket of a departed client to close after its stream was probed. */
export const PROBE_MS = 1000;

/** Connects the code that sees sockets close with the requests that wait for a free place. */
export interface Departures {
  /** Reports that a socket closed. */
  note(): void;
  /**
   * Calls `take` now, and again after each socket that closes within `maxMs`, until it returns true. Resolves to whether it
   * did. `take` must check for a free place and take it in one step: the waiters are called in order, so each gets its own
   * place.
   */
  until(take: () => boolean, maxMs: number): Promise<boolean>;
}

/** Creates the waiting list, in memory only. */
export function createDepartures(): Departures {
  const waiting = new Set<() => void>();
  return {
    note: () => waiting.forEach((tryToTake) => tryToTake()),
    async until(take, maxMs) {
      if (take()) return true;
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const tryToTake = (): void => {
        if (!take()) return;
        waiting.delete(tryToTake);
        resolve(true);
      };
      const timer = setTimeout(() => resolve(false), maxMs);
      waiting.add(tryToTake);
      try {
        return await promise;
      } finally {
        clearTimeout(timer);
        waiting.delete(tryToTake);
      }
    },
  };
}
