// Serialises the requests that work on one grant; waiting requests run in order. The queue is in memory only: a crash ends all
// requests to this object with it, so no hold outlives its request. A request that hangs loses its hold at a deadline, after
// which its writes must not be committed.

/** Lets the work ask whether it still holds the mutex. */
export interface MutexHold {
  /** False once the deadline has passed, when other requests may run. */
  isHeld(): boolean;
}

interface GrantMutex {
  /** Runs the work once it holds the mutex of this name. Undefined when it waited too long, or too many requests wait. */
  runExclusive<T>(name: string, work: (hold: MutexHold) => Promise<T>): Promise<T | undefined>;
}

interface MutexLimits {
  readonly maxWaitMs: number;
  readonly maxHoldMs: number;
  /** How many requests may wait for one name. */
  readonly maxWaiting: number;
}

interface Waiter {
  readonly resume: () => void;
}

/** Creates a mutex for each name that requests use. */
export function createGrantMutex({ maxWaitMs, maxHoldMs, maxWaiting }: MutexLimits): GrantMutex {
  const queues = new Map<string, Waiter[]>();

  /** Passes the hold to the next waiter. A queue exists as long as a request holds its mutex. */
  const release = (name: string): void => {
    const queue = queues.get(name);
    const next = queue?.shift();
    if (next === undefined) queues.delete(name);
    else next.resume();
  };

  const acquire = async (name: string): Promise<boolean> => {
    const queue = queues.get(name);
    if (queue === undefined) {
      queues.set(name, []);
      return true;
    }
    if (queue.length >= maxWaiting) return false;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        queue.splice(queue.indexOf(waiter), 1);
        resolve(false);
      }, maxWaitMs);
      const waiter: Waiter = {
        resume() {
          clearTimeout(timer);
          resolve(true);
        },
      };
      queue.push(waiter);
    });
  };

  return {
    async runExclusive(name, work) {
      if (!(await acquire(name))) return undefined;
      let isHeld = true;
      const releaseOnce = (): void => {
        if (isHeld) release(name);
        isHeld = false;
      };
      const timer = setTimeout(releaseOnce, maxHoldMs);
      try {
        return await work({ isHeld: () => isHeld });
      } finally {
        clearTimeout(timer);
        releaseOnce();
      }
    },
  };
}
