// Decides when to restart a server that does not answer, and how long to wait before. Pure: callers pass all times in.

/** One health check. Times are from a monotonic clock, except `wallMs`. */
export interface HealthCheck {
  readonly beganMs: number;
  readonly endedMs: number;
  /** The wall clock at the end of the check. */
  readonly wallMs: number;
  readonly isAnswered: boolean;
  /** Whether a debugger is attached, which may have paused the server on purpose. */
  readonly isDebugged: boolean;
}

/** Decides from successive checks whether the server is stuck. */
export interface HealthWatch {
  /** The time between two checks, and the time that a check waits for an answer. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Takes the next check, and says whether the server is stuck and must be restarted. */
  isStuck(check: HealthCheck): boolean;
  /** Notes that a call has ended, which breaks the silence: a thread that is stuck ends no call. */
  noteCallEnd(endedMs: number): void;
  /** Forgets all checks, because the server was restarted. */
  reset(): void;
}

/** Checks that must fail in a row: a garbage collection or a busy machine can fail a single one. */
const MISSED_CHECKS = 3;
const MIN_TIMEOUT_MS = 500;
const MIN_INTERVAL_MS = 100;
const MAX_INTERVAL_MS = 2000;
/** A check that is later than planned by more than this means that the machine was suspended, not the server stuck. */
const SUSPENDED_MS = 2000;

/** Creates a watch that finds a server stuck after `querySeconds` of silence, the longest allowed time of a query. */
export function watchHealth(querySeconds: number): HealthWatch {
  const intervalMs = Math.min(Math.max(querySeconds * 100, MIN_INTERVAL_MS), MAX_INTERVAL_MS);
  const timeoutMs = Math.max(intervalMs, MIN_TIMEOUT_MS);
  let missed = 0;
  let silentSinceMs = 0;
  let callEndedMs = 0;
  let last: HealthCheck | undefined;
  /** On Linux the monotonic clock stops while the machine is suspended; on other systems it goes on, and the check is late. */
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
    noteCallEnd(endedMs) {
      missed = 0;
      callEndedMs = endedMs;
    },
    isStuck(check) {
      const isExcused = check.isAnswered || check.isDebugged || wasSuspended(check);
      last = check;
      if (isExcused) {
        missed = 0;
        return false;
      }
      if (missed === 0) silentSinceMs = Math.max(check.beganMs, callEndedMs);
      missed += 1;
      return missed >= MISSED_CHECKS && check.endedMs - silentSinceMs > querySeconds * 1000;
    },
  };
}

/** Limits how often the supervisor restarts the server. */
interface RestartBudget {
  /** Takes one restart. Returns the milliseconds to wait before it, or undefined when the budget is used up. */
  take(nowMs: number): number | undefined;
}

const WINDOW_MS = 60_000;
/** Milliseconds to wait before the first, second and third restart within a minute. */
const BACK_OFF_MS = [250, 1000, 4000];

/** Creates a budget of three restarts a minute: a problem that needs more is not solved by another restart. */
export function createRestartBudget(): RestartBudget {
  let takenMs: readonly number[] = [];
  return {
    take(nowMs) {
      takenMs = takenMs.filter((atMs) => nowMs - atMs < WINDOW_MS);
      const backOffMs = BACK_OFF_MS[takenMs.length];
      if (backOffMs !== undefined) takenMs = [...takenMs, nowMs];
      return backOffMs;
    },
  };
}
