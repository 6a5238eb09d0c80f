// The archive of audit records: JSON Lines in a bucket, one object for each part and each day on which its calls ended. An object is never
// replaced, so the bucket may be locked against changes, and a database that was set back cannot overwrite what was archived before.
import { sha256Hex } from "../../lib/crypto.ts";
import { formatExportLine } from "../export-fields.ts";
import type { NamedEntry } from "../export-fields.ts";
import { readEndedMs } from "../record-entry.ts";
import type { ExportRange, ExportTarget } from "./export-run.ts";

/** What the archive uses of an R2 bucket. */
export interface ArchiveBucket {
  head(key: string): Promise<{ readonly checksums: Pick<R2Checksums, "toJSON"> } | null>;
  put(key: string, content: string, options: R2PutOptions): Promise<unknown>;
}

const ID_DIGITS = 12;
/** How many digits of the content's digest a second object of the same part has in its name. */
const DIGEST_DIGITS = 16;

/** Creates the archive over a bucket. */
export function createArchive(bucket: ArchiveBucket): ExportTarget {
  return {
    name: "archive",
    async send(range, entries) {
      for (const [day, ofDay] of Map.groupBy(entries, readEndedDay))
        await putOnce(bucket, formatObjectName(day, range), ofDay.map(formatExportLine).join(""));
    },
  };
}

/**
 * Stores an object that is not there yet. When another one has its name, because a record of the part was changed since a run that died,
 * the new one gets the digest of its content in its name.
 */
async function putOnce(bucket: ArchiveBucket, name: string, content: string): Promise<void> {
  const sha256 = await sha256Hex(content);
  for (const key of [`${name}.jsonl`, `${name}-${sha256.slice(0, DIGEST_DIGITS)}.jsonl`]) {
    const stored = await bucket.head(key);
    if (stored?.checksums.toJSON().sha256 === sha256) return;
    if (stored !== null) continue;
    await bucket.put(key, content, { sha256, httpMetadata: { contentType: "application/x-ndjson" } });
    return;
  }
  throw new Error(`the archive has other content under the name ${name}`);
}

/** Reads the UTC day on which the call ended; `1970-01-01` when the record does not say. */
function readEndedDay(entry: NamedEntry): string {
  return new Date(readEndedMs(entry)).toISOString().slice(0, 10);
}

/** `day=` is what readers of partitioned files look for. */
function formatObjectName(day: string, { firstId, lastId }: ExportRange): string {
  const [first, last] = [firstId, lastId].map((id) => String(id).padStart(ID_DIGITS, "0"));
  return `audit/day=${day}/${first}-${last}`;
}
