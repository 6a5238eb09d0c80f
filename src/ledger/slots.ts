// Who of one subject runs a query on which source, and what the last one saw: one at a time, the others wait in order. The holder is durable and lets
// go by a deadline at the latest; those who wait are in memory, and a crash sends them away with their calls.

export interface SlotLimits {
  /** How long a call waits for its turn. */
  readonly queueSeconds: number;
  /** How long a slot is held at most: longer than any database works on one query. */
  readonly holdSeconds: number;
}

export interface Slots {
  /** Resolves with true when the slot is this call's, false when its turn did not come in time or too many wait. */
  take(slot: string, call: string): Promise<boolean>;
  /** Gives the slots of a call to those who wait longest. */
  release(call: string): void;
  /** Frees what was taken before: by calls of a process that has ended. No call waits yet. */
  releaseBefore(takenMs: number): void;
  /** How new the source was when the subject last read it through this slot. */
  bookmark(slot: string): string | null;
  /** Keeps that for the slot that the call holds. */
  keepBookmark(call: string, bookmark: string): void;
}

/** Calls of one subject that wait for one source. */
const MAX_WAITING = 20;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS slot (slot TEXT PRIMARY KEY, call TEXT NOT NULL, until_ms INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS bookmark (slot TEXT PRIMARY KEY, bookmark TEXT NOT NULL);
`;

interface Waiting {
  readonly call: string;
  readonly enter: () => void;
}

export function createSlots(sql: SqlStorage, limits: SlotLimits, now: () => number): Slots {
  sql.exec(SCHEMA);
  const queues = new Map<string, Waiting[]>();

  function holderUntilMs(slot: string): number | undefined {
    sql.exec("DELETE FROM slot WHERE until_ms <= ?", now());
    return sql.exec<{ until: number }>("SELECT until_ms AS until FROM slot WHERE slot = ?", slot).toArray()[0]?.until;
  }

  function hold(slot: string, call: string): void {
    const untilMs = now() + limits.holdSeconds * 1000;
    sql.exec("INSERT INTO slot (slot, call, until_ms) VALUES (?, ?, ?)", slot, call, untilMs);
  }

  /** Lets the first of the queue in, if the slot is free. */
  function advance(slot: string): void {
    const queue = queues.get(slot) ?? [];
    const untilMs = holderUntilMs(slot);
    const [next] = queue;
    if (next === undefined) return void queues.delete(slot);
    if (untilMs !== undefined) return;
    queue.shift();
    hold(slot, next.call);
    next.enter();
  }

  return {
    async take(slot, call) {
      const queue = queues.get(slot) ?? [];
      if (queue.length === 0 && holderUntilMs(slot) === undefined) {
        hold(slot, call);
        return true;
      }
      if (queue.length >= MAX_WAITING) return false;
      queues.set(slot, queue);
      return new Promise((resolve) => {
        const timer = setTimeout(() => {
          queue.splice(queue.indexOf(waiting), 1);
          resolve(false);
        }, limits.queueSeconds * 1000);
        const waiting: Waiting = {
          call,
          enter() {
            clearTimeout(timer);
            resolve(true);
          },
        };
        queue.push(waiting);
        // Nobody releases what a crashed call holds: its deadline does.
        const untilMs = holderUntilMs(slot);
        if (untilMs !== undefined) setTimeout(() => advance(slot), untilMs - now());
      });
    },
    release(call) {
      const freed = sql.exec<{ slot: string }>("DELETE FROM slot WHERE call = ? RETURNING slot", call).toArray();
      for (const { slot } of freed) advance(slot);
    },
    releaseBefore: (takenMs) =>
      void sql.exec("DELETE FROM slot WHERE until_ms < ?", takenMs + limits.holdSeconds * 1000),
    bookmark: (slot) =>
      sql.exec<{ bookmark: string }>("SELECT bookmark FROM bookmark WHERE slot = ?", slot).toArray()[0]?.bookmark ??
      null,
    keepBookmark: (call, bookmark) =>
      void sql.exec(
        "INSERT INTO bookmark (slot, bookmark) SELECT slot, ? FROM slot WHERE call = ? ON CONFLICT (slot) DO UPDATE SET bookmark = excluded.bookmark",
        bookmark,
        call,
      ),
  };
}
