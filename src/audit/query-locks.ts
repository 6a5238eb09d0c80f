// The query locks of one ledger: the owner and their personal access tokens run one query at a time on each source, and the others wait
// in order. Locks are stored and expire; waiting calls are in memory, and a crash ends them with their calls. Also stores, for each
// source, the D1 bookmark of the last read.

/** The limits of the query locks. */
interface QueryLockLimits {
  /** How long a call waits for the lock. */
  readonly queueSeconds: number;
  /** How long a lock is held at most. Must be longer than any database works on one query. */
  readonly maxHoldSeconds: number;
}

/** Locks sources for calls. */
export interface QueryLocks {
  /** Resolves with true when the call holds the lock, and with false when it did not get it in time or too many calls wait. */
  acquire(source: string, call: string): Promise<boolean>;
  /** Releases the locks of a call, and gives each to the call that has waited longest. */
  release(call: string): void;
  /** Releases the locks that were acquired before a time, by calls of a process that has ended. Only valid while no call waits. */
  releaseHeldBefore(takenMs: number): void;
  /** Returns the D1 bookmark of the owner's last read of a source; null when there was none. */
  readBookmark(source: string): string | null;
  /** Stores a bookmark for the source whose lock the call holds. */
  storeBookmark(call: string, bookmark: string): void;
}

/** How many calls may wait for one source. */
const MAX_WAITING = 20;

interface Waiter {
  readonly call: string;
  readonly resume: () => void;
}

/** Creates the query locks in the SQLite database of a ledger. `now` returns milliseconds since the epoch. */
export function createQueryLocks(sql: SqlStorage, limits: QueryLockLimits, now: () => number): QueryLocks {
  const queues = new Map<string, Waiter[]>();

  function findHeldUntilMs(source: string): number | undefined {
    const [nowMs, maxHoldMs] = [now(), limits.maxHoldSeconds * 1000];
    sql.exec("DELETE FROM query_lock WHERE until_ms <= ?", nowMs);
    // A lock that ends later is from before the clock moved back.
    sql.exec("UPDATE query_lock SET until_ms = ?1 WHERE until_ms > ?1", nowMs + maxHoldMs);
    return sql.exec<{ until: number }>("SELECT until_ms AS until FROM query_lock WHERE source = ?", source).toArray()[0]
      ?.until;
  }

  function insertLock(source: string, call: string): void {
    const untilMs = now() + limits.maxHoldSeconds * 1000;
    sql.exec("INSERT INTO query_lock (source, call, until_ms) VALUES (?, ?, ?)", source, call, untilMs);
  }

  /** Gives the lock to the first waiting call if the lock is free. */
  function grantNext(source: string): void {
    const queue = queues.get(source) ?? [];
    const untilMs = findHeldUntilMs(source);
    const [next] = queue;
    if (next === undefined) return void queues.delete(source);
    if (untilMs !== undefined) return;
    queue.shift();
    insertLock(source, next.call);
    next.resume();
  }

  return {
    async acquire(source, call) {
      const queue = queues.get(source) ?? [];
      if (queue.length === 0 && findHeldUntilMs(source) === undefined) {
        insertLock(source, call);
        return true;
      }
      if (queue.length >= MAX_WAITING) return false;
      queues.set(source, queue);
      return new Promise((resolve) => {
        const timer = setTimeout(() => {
          queue.splice(queue.indexOf(waiter), 1);
          resolve(false);
        }, limits.queueSeconds * 1000);
        const waiter: Waiter = {
          call,
          resume() {
            clearTimeout(timer);
            resolve(true);
          },
        };
        queue.push(waiter);
        // A crashed call never releases its lock, so the queue also continues at the lock's deadline.
        const untilMs = findHeldUntilMs(source);
        if (untilMs !== undefined) setTimeout(() => grantNext(source), untilMs - now());
      });
    },
    release(call) {
      const freed = sql
        .exec<{ source: string }>("DELETE FROM query_lock WHERE call = ? RETURNING source", call)
        .toArray();
      for (const { source } of freed) grantNext(source);
    },
    releaseHeldBefore: (takenMs) =>
      void sql.exec("DELETE FROM query_lock WHERE until_ms < ?", takenMs + limits.maxHoldSeconds * 1000),
    readBookmark: (source) =>
      sql.exec<{ bookmark: string }>("SELECT bookmark FROM bookmark WHERE source = ?", source).toArray()[0]?.bookmark ??
      null,
    storeBookmark: (call, bookmark) =>
      void sql.exec(
        `INSERT INTO bookmark (source, bookmark) SELECT source, ? FROM query_lock WHERE call = ?
          ON CONFLICT (source) DO UPDATE SET bookmark = excluded.bookmark`,
        bookmark,
        call,
      ),
  };
}
