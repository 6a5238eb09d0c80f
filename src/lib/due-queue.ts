// The tasks that a Durable Object still has to run, behind its single alarm. A task stays stored until it has succeeded, so a task may run
// twice, and a crash only delays it.

/** The tasks of one object, by name. */
export interface DueQueue {
  /** Makes a task due at `dueMs`, unless it is due earlier or waits after a failure. Sets the alarm. */
  enqueue(task: string, dueMs: number): void;
  /** Sets the alarm again if tasks wait: the platform gives an alarm up after several failures. */
  resume(): void;
  /**
   * Runs the due tasks one after the other and sets the alarm for the next one. A task returns when it is due again; undefined when it is
   * done. A task that throws is retried with exponential backoff.
   */
  runDue(tasks: Readonly<Record<string, () => Promise<number | undefined>>>): Promise<void>;
}

/** What the queue needs besides its table `due_task`: `task`, `due_ms`, `tries`. */
interface DueQueueOptions {
  readonly now: () => number;
  readonly onError: (task: string, error: unknown) => void;
}

const FIRST_RETRY_MS = 2000;
const MAX_RETRY_MS = 600_000;

/** Creates the queue over the table `due_task` of an object. */
export function createDueQueue(storage: DurableObjectStorage, { now, onError }: DueQueueOptions): DueQueue {
  const { sql } = storage;
  const store = (task: string, dueMs: number, tries: number): void =>
    void sql.exec(
      `INSERT INTO due_task (task, due_ms, tries) VALUES (?1, ?2, ?3)
        ON CONFLICT (task) DO UPDATE SET due_ms = ?2, tries = ?3`,
      task,
      dueMs,
      tries,
    );
  const read = (task: string): { readonly dueMs: number; readonly tries: number } | undefined =>
    sql
      .exec<{ dueMs: number; tries: number }>("SELECT due_ms AS dueMs, tries FROM due_task WHERE task = ?", task)
      .toArray()[0];
  const readNextDueMs = (): number | null =>
    sql.exec<{ next: number | null }>("SELECT min(due_ms) AS next FROM due_task").one().next;

  /** The platform writes the alarm together with the SQL before it, and reports a failure by resetting the object. */
  const setAlarm = (): void => {
    const nextMs = readNextDueMs();
    if (nextMs !== null) void storage.setAlarm(nextMs);
    else void storage.deleteAlarm();
  };

  /** The running tasks, with the earliest time for which each was enqueued meanwhile. If the process dies, they run again anyway. */
  const enqueuedMsByTask = new Map<string, number>();

  async function run(task: string, work: () => Promise<number | undefined>): Promise<void> {
    const { tries } = sql.exec<{ tries: number }>("SELECT tries FROM due_task WHERE task = ?", task).one();
    const retryMs = Math.min(FIRST_RETRY_MS * 2 ** tries, MAX_RETRY_MS);
    store(task, now() + retryMs, tries + 1);
    // If the process dies while the task runs, its alarm may have been delivered already.
    setAlarm();
    enqueuedMsByTask.set(task, Infinity);
    try {
      const dueMs = Math.min((await work()) ?? Infinity, enqueuedMsByTask.get(task) ?? Infinity);
      if (dueMs === Infinity) sql.exec("DELETE FROM due_task WHERE task = ?", task);
      else store(task, dueMs, 0);
    } catch (error) {
      // A task that took long would be due again at once.
      store(task, now() + retryMs, tries + 1);
      onError(task, error);
    } finally {
      enqueuedMsByTask.delete(task);
    }
  }

  return {
    enqueue(task, dueMs) {
      const enqueuedMs = enqueuedMsByTask.get(task);
      if (enqueuedMs !== undefined) {
        enqueuedMsByTask.set(task, Math.min(enqueuedMs, dueMs));
        return;
      }
      const waiting = read(task);
      // A failed task waits for its turn, whatever comes: otherwise new work would retry it at once. No turn is further away than the
      // longest backoff, unless the clock has moved back.
      const isBackingOff = waiting !== undefined && waiting.tries > 0 && waiting.dueMs <= now() + MAX_RETRY_MS;
      if (waiting !== undefined && (waiting.dueMs <= dueMs || isBackingOff)) {
        // The platform gives an alarm up after several failures, for example while another version runs.
        if (waiting.dueMs <= now()) setAlarm();
        return;
      }
      store(task, dueMs, 0);
      setAlarm();
    },
    resume: setAlarm,
    async runDue(tasks) {
      const due = sql
        .exec<{ task: string }>("SELECT task FROM due_task WHERE due_ms <= ? ORDER BY due_ms", now())
        .toArray();
      for (const { task } of due) {
        const work = tasks[task];
        // A later version may have stored a task that this one does not know.
        if (work !== undefined) await run(task, work);
        else store(task, now() + MAX_RETRY_MS, 0);
      }
      setAlarm();
    },
  };
}
