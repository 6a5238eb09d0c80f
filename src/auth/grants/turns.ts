// Who works on a grant: one request at a time, the others wait in order. Both holder and waiting are in memory: they are
// requests to this very object, so what a crash takes away is nobody's any more, and the next one begins at once. A holder
// that hangs loses its turn at a deadline, and what it does later is not kept.

export interface Turn {
  /** False once the deadline has passed: others have gone on. */
  isCurrent(): boolean;
}

export interface Turns {
  /** Runs the work when its turn has come. Undefined when that took too long, or too many wait. */
  run<T>(name: string, work: (turn: Turn) => Promise<T>): Promise<T | undefined>;
}

export interface TurnLimits {
  readonly waitMs: number;
  readonly holdMs: number;
  /** Those that may wait for one name. */
  readonly maxWaiting: number;
}

interface Waiting {
  readonly enter: () => void;
}

export function createTurns({ waitMs, holdMs, maxWaiting }: TurnLimits): Turns {
  const queues = new Map<string, Waiting[]>();

  /** The first of a queue holds the turn; the queue is there as long as somebody does. */
  const leave = (name: string): void => {
    const queue = queues.get(name);
    const next = queue?.shift();
    if (next === undefined) queues.delete(name);
    else next.enter();
  };

  const enter = async (name: string): Promise<boolean> => {
    const queue = queues.get(name);
    if (queue === undefined) {
      queues.set(name, []);
      return true;
    }
    if (queue.length >= maxWaiting) return false;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        queue.splice(queue.indexOf(waiting), 1);
        resolve(false);
      }, waitMs);
      const waiting: Waiting = {
        enter() {
          clearTimeout(timer);
          resolve(true);
        },
      };
      queue.push(waiting);
    });
  };

  return {
    async run(name, work) {
      if (!(await enter(name))) return undefined;
      let isCurrent = true;
      const end = (): void => {
        if (isCurrent) leave(name);
        isCurrent = false;
      };
      const timer = setTimeout(end, holdMs);
      try {
        return await work({ isCurrent: () => isCurrent });
      } finally {
        clearTimeout(timer);
        end();
      }
    },
  };
}
