// When a session was last used, and whether it may be ended to make room for another. In memory this is exact; storage and hub
// know it to the minute, so they never take a session for used later than it was.
import type { IdleReply } from "../hub/protocol.ts";
import type { Residency } from "./residency.ts";
import type { Streams } from "./streams.ts";

/** Storage and hub hear of a use at most this often. */
const REPORT_INTERVAL_MS = 60_000;
/** How long a stream that was promised may take until its socket arrives. */
const ATTACH_MS = 10_000;

export interface Usage {
  /** Does the work of a request. While it goes on, the session is in use. One that marks no use, of another caller, counts as none. */
  during<T>(work: () => Promise<T>): Promise<T>;
  /** The session is used now. Whether storage and hub must hear of it, which know of `storedMs`. */
  mark(storedMs: number): boolean;
  /** A place is held for a stream that a client is about to attach. */
  promiseStream(): void;
  /** The stream of a promise has attached, or none comes of it. */
  settleStream(): void;
  /** Streams that are promised and have not attached. A promise whose Worker died runs out. */
  promisedStreams(): number;
  /** The last use, where storage knows of `storedMs`. */
  lastUsedMs(storedMs: number): number;
  /** The refusal to be ended for another session; undefined when nothing protects this one. */
  protection(storedMs: number): IdleReply | undefined;
}

export interface UsageDependencies {
  readonly streams: Pick<Streams, "count" | "probe">;
  readonly residency: Pick<Residency, "activity">;
  readonly limits: { readonly idleSeconds: number; readonly keepAliveMs: number };
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export function createUsage({ streams, residency, limits, now }: UsageDependencies): Usage {
  let lastMs = 0;
  let uses = 0;
  let requests = 0;
  /** When each promise runs out, in order. */
  let promisedUntilMs: readonly number[] = [];
  const promisedStreams = (): number => (promisedUntilMs = promisedUntilMs.filter((untilMs) => now() < untilMs)).length;
  return {
    async during(work) {
      requests += 1;
      const before = uses;
      try {
        return await work();
      } finally {
        requests -= 1;
        if (uses > before) lastMs = now();
      }
    },
    mark(storedMs) {
      uses += 1;
      lastMs = now();
      return lastMs - storedMs > REPORT_INTERVAL_MS;
    },
    promiseStream: () => void (promisedUntilMs = [...promisedUntilMs, now() + ATTACH_MS]),
    settleStream: () => void (promisedUntilMs = promisedUntilMs.slice(1)),
    promisedStreams,
    lastUsedMs: (storedMs) => Math.max(storedMs, lastMs),
    protection(storedMs) {
      // Streams whose clients have left close after this, so the next one who asks finds out.
      streams.probe();
      const isBusy = requests > 0 || streams.count() > 0 || promisedStreams() > 0;
      const activity = isBusy ? "running" : residency.activity();
      if (activity === "none") return undefined;
      // A call or a stream may end at any moment; it shows by then. A question ends by itself only with the session.
      const expiresMs = Math.max(0, storedMs + limits.idleSeconds * 1000 - now());
      return { kind: "protected", retryMs: activity === "asking" ? expiresMs : limits.keepAliveMs };
    },
  };
}
