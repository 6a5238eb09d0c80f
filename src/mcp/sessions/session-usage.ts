// Tracks when a session was last used, and whether it may be ended to make room for another. The time in memory is exact;
// storage and hub lag behind by up to a minute, and never show a later use than the real one.
import type { IdleReply } from "../subscriptions/hub-protocol.ts";
import type { ServerLifecycle } from "./server-lifecycle.ts";
import type { Streams } from "./streams.ts";

/** Minimum interval between reports of a use to storage and hub. */
const REPORT_INTERVAL_MS = 60_000;
/** How long a promised stream keeps its place before its socket attaches. */
const ATTACH_MS = 10_000;

/** The dependencies of `SessionUsage`. */
interface SessionUsageOptions {
  readonly streams: Pick<Streams, "count" | "probe">;
  readonly lifecycle: Pick<ServerLifecycle, "activity">;
  readonly limits: { readonly idleSeconds: number; readonly keepAliveMs: number };
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** The usage of one session. */
export class SessionUsage {
  readonly #options: SessionUsageOptions;
  #lastMs = 0;
  #useCount = 0;
  #runningRequests = 0;
  /** When each reserved place expires, in ascending order. */
  #promisedUntilMs: readonly number[] = [];

  constructor(options: SessionUsageOptions) {
    this.#options = options;
  }

  /** Runs the work of a request; the session is protected meanwhile. Updates the last use only if the work called `mark`. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#runningRequests += 1;
    const usesBefore = this.#useCount;
    try {
      return await work();
    } finally {
      this.#runningRequests -= 1;
      if (this.#useCount > usesBefore) this.#lastMs = this.#options.now();
    }
  }

  /** Marks the session as used now. Returns whether the time in storage, `storedMs`, is so old that it must be updated. */
  mark(storedMs: number): boolean {
    this.#useCount += 1;
    this.#lastMs = this.#options.now();
    return this.#lastMs - storedMs > REPORT_INTERVAL_MS;
  }

  /** Reserves a place for a stream that a client is about to attach. */
  promiseStream(): void {
    this.#promisedUntilMs = [...this.#promisedUntilMs, this.#options.now() + ATTACH_MS];
  }

  /** Releases a reserved place because its stream has attached or will not attach. */
  settleStream(): void {
    this.#promisedUntilMs = this.#promisedUntilMs.slice(1);
  }

  /** Counts reserved places. A place expires if the Worker that should attach the stream dies. */
  promisedStreams(): number {
    this.#promisedUntilMs = this.#promisedUntilMs.filter((untilMs) => this.#options.now() < untilMs);
    return this.#promisedUntilMs.length;
  }

  /** Returns the last use: the later of memory and `storedMs`. */
  lastUsedMs(storedMs: number): number {
    return Math.max(storedMs, this.#lastMs);
  }

  /** Returns the reason not to end this session for another; undefined when the session is idle. */
  protection(storedMs: number): IdleReply | undefined {
    const { streams, lifecycle, limits, now } = this.#options;
    // The probe closes streams whose clients have left, so the next check sees them closed.
    streams.probe();
    const isBusy = this.#runningRequests > 0 || streams.count() > 0 || this.promisedStreams() > 0;
    const activity = isBusy ? "running" : lifecycle.activity();
    if (activity === "none") return undefined;
    // A call or stream may end at any time, which shows within a keep-alive interval. A question can last as long as the session.
    const expiresMs = Math.max(0, storedMs + limits.idleSeconds * 1000 - now());
    return { kind: "protected", retryMs: activity === "asking" ? expiresMs : limits.keepAliveMs };
  }
}
