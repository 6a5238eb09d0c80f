// Counts requests that are refused before their user is known. No ledger can record them, and a record of each would let any program
// fill a database. An isolate counts them in memory, and adds its counts to GATEHOUSE_DB at most every ten seconds.

/** Every cause. `docs/maintaining.md` explains each; a test compares the two. */
export const REFUSAL_CAUSES = [
  "invalid_target",
  "wrong_host",
  "wrong_origin",
  "wrong_path",
  "no_access_token",
  "invalid_access_token",
  "token_request",
  "registration",
  "authorization",
  "sign_in",
  "rate_limit_pages",
  "rate_limit_registration",
  "rate_limit_token",
  "other",
] as const;

export type RefusalCause = (typeof REFUSAL_CAUSES)[number];

/** The network of the requests that are counted together because too many networks were refused at once. */
export const OTHER_NETWORKS = "other";

/** How many requests were refused in one minute for one cause, from one network. */
export interface RefusedCount {
  /** The beginning of the minute (UTC), in milliseconds since the epoch. */
  readonly minuteMs: number;
  readonly cause: RefusalCause;
  /** The /24 of an IPv4 address or the /48 of an IPv6 address, `unknown`, `local` or `other`. */
  readonly network: string;
  readonly count: number;
}

/** Where the counts are added up. */
interface RefusedRequestsStore {
  /** Adds to what is stored. */
  add(counts: readonly RefusedCount[]): Promise<void>;
}

interface RefusedRequestsOptions {
  readonly store: RefusedRequestsStore;
  /** Returns milliseconds since the epoch. */
  readonly now: () => number;
  /** Continues work after the response was sent. */
  readonly waitUntil: (work: Promise<unknown>) => void;
  readonly onError: (error: unknown) => void;
}

/** The counts of one isolate. */
export interface RefusedRequests {
  count(cause: RefusalCause, network: string): void;
  /**
   * Writes the counts if that was not done for ten seconds. Requests call it, because an isolate has no timer that outlives a
   * request. An isolate that ends before the next request loses its counts of at most ten seconds.
   */
  flushIfDue(): void;
}

const MINUTE_MS = 60_000;
const FLUSH_MS = 10_000;
/** How many counts an isolate keeps, and so writes at once. Beyond, requests are counted together: an attacker may own many networks. */
export const MAX_COUNTS = 100;

/** Creates the counts of an isolate. */
export function createRefusedRequests({ store, now, waitUntil, onError }: RefusedRequestsOptions): RefusedRequests {
  let counts = new Map<string, RefusedCount>();
  let flushedMs = -Infinity;

  function add({ count, ...refused }: RefusedCount): void {
    const key = (counted: Omit<RefusedCount, "count">): string =>
      counted.network === OTHER_NETWORKS ? OTHER_NETWORKS : `${counted.minuteMs} ${counted.cause} ${counted.network}`;
    const isFull = counts.size >= MAX_COUNTS && !counts.has(key(refused));
    const usedKey = isFull ? OTHER_NETWORKS : key(refused);
    const first = isFull ? { ...refused, cause: "other" as const, network: OTHER_NETWORKS } : refused;
    const counted = counts.get(usedKey);
    counts.set(usedKey, { ...(counted ?? first), count: (counted?.count ?? 0) + count });
  }

  async function write(written: readonly RefusedCount[]): Promise<void> {
    try {
      await store.add(written);
    } catch (error) {
      // The next flush tries again. If only the reply was lost, it counts these requests twice.
      for (const refused of written) add(refused);
      onError(error);
    }
  }

  return {
    count(cause, network) {
      add({ minuteMs: Math.floor(now() / MINUTE_MS) * MINUTE_MS, cause, network, count: 1 });
    },
    flushIfDue() {
      if (counts.size === 0 || Math.abs(now() - flushedMs) < FLUSH_MS) return;
      flushedMs = now();
      const written = [...counts.values()];
      counts = new Map();
      waitUntil(write(written));
    },
  };
}
