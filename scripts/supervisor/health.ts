// Decides when a server that does not answer is to be started again, and how long to wait before. Pure: times come from outside.

/** One health check, with times of a monotonic clock but for `wallMs`. */
export interface HealthCheck {
  readonly beganMs: number;
  readonly endedMs: number;
  /** The time of day at its end. */
  readonly wallMs: number;
  readonly isAnswered: boolean;
  /** Whether a debugger is attached, in which a person may have stopped the server on purpose. */
  readonly isDebugged: boolean;
}

export interface HealthWatch {
  /** Milliseconds between two checks, and those that one waits for an answer. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Takes the next check; whether the server is stuck and is to be ended. */
  isStuck(check: HealthCheck): boolean;
  /** Begins anew: the server was started again. */
  reset(): void;
}

/** A single check is lost to a garbage collection or a busy machine. */
const MISSED_CHECKS = 3;
const MIN_TIMEOUT_MS = 500;
const MIN_INTERVAL_MS = 100;
const MAX_INTERVAL_MS = 2000;
/** How much later than planned a check may come before the machine, and not the server, is taken to have stood still. */
const SUSPENDED_MS = 2000;

/** Watches a server whose longest allowed query takes `querySeconds`. */
export function watchHealth(querySeconds: number): HealthWatch {
  const intervalMs = Math.min(Math.max(querySeconds * 100, MIN_INTERVAL_MS), MAX_INTERVAL_MS);
  const timeoutMs = Math.max(intervalMs, MIN_TIMEOUT_MS);
  let missed = 0;
  let silentSinceMs = 0;
  let last: HealthCheck | undefined;
  /** A suspended machine stands still: on Linux the monotonic clock with it, elsewhere the clock goes on and checks are late. */
  const wasSuspended = (check: HealthCheck): boolean => {
    if (last === undefined) return false;
    const passedMs = check.endedMs - last.endedMs;
    const wallPassedMs = check.wallMs - last.wallMs;
    return passedMs > 2 * (intervalMs + timeoutMs) + SUSPENDED_MS || wallPassedMs - passedMs > SUSPENDED_MS;
  };
  const reset = (): void => {
    missed = 0;
    last = undefined;
  };
  return {
    intervalMs,
    timeoutMs,
    reset,
    isStuck(check) {
      const isAnew = check.isAnswered || check.isDebugged || wasSuspended(check);
      last = check;
      if (isAnew) {
        missed = 0;
        return false;
      }
      if (missed === 0) silentSinceMs = check.beganMs;
      missed += 1;
      return missed >= MISSED_CHECKS && check.endedMs - silentSinceMs > querySeconds * 1000;
    },
  };
}

export interface RestartBudget {
  /** Takes one restart: the milliseconds to wait before it, or undefined when there were too many and the supervisor stops. */
  take(nowMs: number): number | undefined;
}

const WINDOW_MS = 60_000;
/** The wait before the first, second and third restart within a minute. */
const BACK_OFF_MS = [250, 1000, 4000];

/** Three restarts in a minute: what needs more of them is not mended by another one. */
export function createRestartBudget(): RestartBudget {
  let takenMs: readonly number[] = [];
  return {
    take(nowMs) {
      takenMs = takenMs.filter((at) => nowMs - at < WINDOW_MS);
      const backOffMs = BACK_OFF_MS[takenMs.length];
      if (backOffMs !== undefined) takenMs = [...takenMs, nowMs];
      return backOffMs;
    },
  };
}
