// The index of one workspace: which results it has, which of them are pending, and which numbers may still be used. Pure functions over
// stored data; workspace-object.ts stores it.

/** What every call needs to know about all usable results. Oldest first. */
export interface ResultIndex {
  /** The highest number of a result, so that no id is used twice. */
  readonly counter: number;
  readonly entries: readonly IndexEntry[];
}

/** A stored result. */
export interface IndexEntry {
  readonly id: string;
  readonly call: string;
  readonly bytes: number;
  /** The number of parts in which the rows are stored. */
  readonly parts: number;
  readonly expiresAtMs: number;
}

/** What is not settled yet. Stored beside the index, so that an earlier version, after a rollback, sees no pending result. */
export interface PendingIndex {
  /** Oldest first. */
  readonly entries: readonly PendingEntry[];
  /** Numbers below the counter whose calls may still keep a result. */
  readonly skipped: readonly SkippedNumber[];
}

/** A result that no call can use yet, because its own call may not be committed. */
export interface PendingEntry extends IndexEntry {
  /** The subject whose ledger commits the call. */
  readonly ownerId: string;
  /** When the lease of the call has ended, so that its ledger can say for good whether it was committed. */
  readonly settleAtMs: number;
}

interface SkippedNumber {
  readonly number: number;
  /** When the lease of every call that could hold the number has ended. */
  readonly untilMs: number;
}

/** The index and the pending index, which change together. */
export interface WorkspaceIndex {
  readonly index: ResultIndex;
  readonly pending: PendingIndex;
}

/** The most skipped numbers that are remembered: more calls of one subject than ever run at a time. */
const MAX_SKIPPED = 100;

/** Uses up a number. Undefined when another result has had it: calls may keep their results in another order than they began. */
export function takeNumber(
  { index, pending }: WorkspaceIndex,
  number: number,
  times: { readonly nowMs: number; readonly leaseEndMs: number },
): WorkspaceIndex | undefined {
  const skipped = pending.skipped.filter(({ untilMs }) => untilMs > times.nowMs);
  if (number <= index.counter) {
    const others = skipped.filter((candidate) => candidate.number !== number);
    return others.length === skipped.length ? undefined : { index, pending: { ...pending, skipped: others } };
  }
  const first = Math.max(index.counter + 1, number - MAX_SKIPPED);
  const newlySkipped = Array.from({ length: number - first }, (_value, offset) => ({
    number: first + offset,
    untilMs: times.leaseEndMs,
  }));
  return {
    index: { ...index, counter: number },
    pending: { ...pending, skipped: [...skipped, ...newlySkipped].slice(-MAX_SKIPPED) },
  };
}

/** Removes all results, and uses up every number to `lastNumber`. */
export function useUpNumbers({ index }: WorkspaceIndex, lastNumber: number): WorkspaceIndex {
  const counter = Math.max(index.counter, lastNumber);
  return { index: { counter, entries: [] }, pending: { entries: [], skipped: [] } };
}

/** Makes the pending results of these calls usable. */
export function promote({ index, pending }: WorkspaceIndex, calls: readonly string[]): WorkspaceIndex {
  const promoted = pending.entries.filter(({ call }) => calls.includes(call));
  if (promoted.length === 0) return { index, pending };
  const entries = promoted.map(({ ownerId: _ownerId, settleAtMs: _settleAtMs, ...entry }) => entry);
  return {
    index: {
      ...index,
      entries: [...index.entries, ...entries].toSorted((left, right) => left.expiresAtMs - right.expiresAtMs),
    },
    pending: { ...pending, entries: pending.entries.filter((entry) => !promoted.includes(entry)) },
  };
}

/** Asks again about the results of these calls at another time. */
export function postpone(
  { index, pending }: WorkspaceIndex,
  calls: readonly string[],
  settleAtMs: number,
): WorkspaceIndex {
  const entries = pending.entries.map((entry) => (calls.includes(entry.call) ? { ...entry, settleAtMs } : entry));
  return { index, pending: { ...pending, entries } };
}

/** How much some results may take. */
interface RoomLimits {
  readonly maxResults: number;
  readonly maxBytes: number;
}

/** Lists the oldest of these results, in their order, that must go so that the others and `newBytes` of one more fit. */
export function listOverflow<E extends IndexEntry>(
  entries: readonly E[],
  { maxResults, maxBytes }: RoomLimits,
  newBytes: number,
): readonly E[] {
  let bytes = entries.reduce((sum, entry) => sum + entry.bytes, newBytes);
  return entries.filter((entry, index) => {
    const isOverflow = entries.length - index >= maxResults || bytes > maxBytes;
    if (isOverflow) bytes -= entry.bytes;
    return isOverflow;
  });
}

/** Removes results. */
export function removeEntries({ index, pending }: WorkspaceIndex, ids: readonly string[]): WorkspaceIndex {
  const isLeft = ({ id }: IndexEntry): boolean => !ids.includes(id);
  return {
    index: { ...index, entries: index.entries.filter(isLeft) },
    pending: { ...pending, entries: pending.entries.filter(isLeft) },
  };
}

/** Lists all results, usable and pending, oldest first. */
export function listEntries({ index, pending }: WorkspaceIndex): readonly IndexEntry[] {
  return [...index.entries, ...pending.entries].toSorted((left, right) => left.expiresAtMs - right.expiresAtMs);
}

/** Removes pending results whose calls may be committed yet: a call that stores its result once more may have its number again. */
export function removePending(workspaceIndex: WorkspaceIndex, removed: readonly PendingEntry[]): WorkspaceIndex {
  const { index, pending } = removeEntries(
    workspaceIndex,
    removed.map(({ id }) => id),
  );
  const numbers = removed.map(({ id, settleAtMs }) => ({ number: Number(id.slice(1)), untilMs: settleAtMs }));
  return { index, pending: { ...pending, skipped: [...pending.skipped, ...numbers].slice(-MAX_SKIPPED) } };
}

/** When the workspace has something to do next; undefined when it is empty. */
export function nextDueMs(workspaceIndex: WorkspaceIndex): number | undefined {
  const times = [
    ...listEntries(workspaceIndex).map(({ expiresAtMs }) => expiresAtMs),
    ...workspaceIndex.pending.entries.map(({ settleAtMs }) => settleAtMs),
  ];
  return times.length === 0 ? undefined : Math.min(...times);
}
