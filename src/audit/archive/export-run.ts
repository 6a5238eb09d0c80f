// One run of an export: sends the audit records that were not exported, in the order in which they arrived and in parts of bounded size.
// A part is planned before it is sent, so a run that follows a crash sends exactly the same records again and none is left out.
import { nameExported } from "../export-fields.ts";
import type { NamedEntry } from "../export-fields.ts";
import { readEntryForList } from "../record-entry.ts";
import type { ExportName, ExportStore, RecordSize } from "./export-store.ts";

/** Names change, and an archive does not. */
const UNNAMED = { user: null, clientName: null };

/** A part of the records, by `audit_record.id`. Some of its ids may have no record. */
export interface ExportRange {
  readonly firstId: number;
  readonly lastId: number;
}

/** Where records are exported to. */
export interface ExportTarget {
  readonly name: ExportName;
  /** Sends the records of a part. Repeating it must do no harm. */
  send(range: ExportRange, entries: readonly NamedEntry[]): Promise<void>;
}

/** What a run needs. */
export interface ExportDependencies {
  readonly store: ExportStore;
  readonly target: ExportTarget;
  /** Called when records could not be sent. */
  readonly onError: (error: unknown) => void;
  /** Called with the number of ids that were not exported, when a run failed or could not keep up. */
  readonly onBehind: (count: number) => void;
}

/** The most records, bytes of records, and days of one part. The Worker has 128 MB, and each day is an object of its own. */
const MAX_PART_RECORDS = 5000;
const MAX_PART_BYTES = 4_000_000;
const MAX_PART_DAYS = 31;
/** The most parts of one run. The upkeep may use 30 s of CPU time for all of its tasks. */
const MAX_PARTS = 20;
/** So many records may wait without a warning: the next run sends them. */
const MAX_BEHIND = 10_000;
const DAY_MS = 86_400_000;

/** Exports what waits, as far as one run may. Throws only when GATEHOUSE_DB does not answer; what was sent until then is stored. */
export async function runExport({ store, target, onError, onBehind }: ExportDependencies): Promise<void> {
  let hasFailed = false;
  for (let part = 0; part < MAX_PARTS; part += 1) {
    const range = await planPart(store, target.name);
    if (range === null) break;
    const records = await store.listRange(range.firstId - 1, range.lastId);
    // An address may change, and a user may ask for its erasure. Texts that name a user stay as they were recorded.
    const entries = records.map((record) => nameExported(readEntryForList(record.ledger, record), UNNAMED));
    try {
      await target.send(range, entries);
    } catch (error) {
      onError(error);
      hasFailed = true;
      break;
    }
    await store.finish(target.name, range.lastId);
  }
  const { exportedId } = await store.readProgress(target.name);
  const behind = (await store.readNewestId()) - exportedId;
  if (hasFailed || behind > MAX_BEHIND) onBehind(behind);
}

/** Finds the part that is planned, or plans the next one. Returns null when no record waits. */
async function planPart(store: ExportStore, name: ExportName): Promise<ExportRange | null> {
  const { exportedId, plannedId } = await store.readProgress(name);
  if (plannedId !== null) return { firstId: exportedId + 1, lastId: plannedId };
  const lastId = findPartEnd(await store.listSizes(exportedId, MAX_PART_RECORDS));
  if (lastId === null) return null;
  await store.plan(name, exportedId, lastId);
  // Another run may have planned a part first, and then that one counts.
  const planned = await store.readProgress(name);
  return planned.plannedId === null ? null : { firstId: planned.exportedId + 1, lastId: planned.plannedId };
}

/** Finds the last record of a part; null when there are none. */
function findPartEnd(sizes: readonly RecordSize[]): number | null {
  const days = new Set<number>();
  let bytes = 0;
  let lastId: number | null = null;
  for (const size of sizes) {
    bytes += size.bytes;
    days.add(Math.floor(size.endedMs / DAY_MS));
    if (lastId !== null && (bytes > MAX_PART_BYTES || days.size > MAX_PART_DAYS)) break;
    lastId = size.id;
  }
  return lastId;
}
