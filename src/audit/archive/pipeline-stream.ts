// Sends audit records to the stream of a pipeline, which writes them to a table. A record may arrive twice: after a crash, its part is
// sent again.
import { byteLength } from "../../lib/bytes.ts";
import { EXPORT_FIELDS } from "../export-fields.ts";
import type { NamedEntry } from "../export-fields.ts";
import type { ExportTarget } from "./export-run.ts";

/** A record without fields that are null. Lists are JSON text. docs/audit-stream.json is its schema. */
export type StreamRecord = Readonly<Record<string, string | number | boolean>>;

/** What is used of a binding to a stream. */
export interface RecordStream {
  /** Resolves when the stream has stored the records. */
  send(records: StreamRecord[]): Promise<void>;
}

/** The most bytes of one call of `send`. The platform has published limits of 1 MB and of 5 MB. */
const MAX_SEND_BYTES = 900_000;

/** Creates the export to a stream. */
export function createPipeline(stream: RecordStream): ExportTarget {
  return {
    name: "pipeline",
    async send(_range, entries) {
      for (const batch of listBatches(entries.map(flatten))) await stream.send(batch);
    },
  };
}

function flatten(entry: NamedEntry): StreamRecord {
  return Object.fromEntries(
    EXPORT_FIELDS.flatMap((name) => {
      const value = entry[name];
      if (value === null) return [];
      return [[name, typeof value === "object" ? JSON.stringify(value) : value]];
    }),
  );
}

function listBatches(records: readonly StreamRecord[]): readonly StreamRecord[][] {
  const batches: StreamRecord[][] = [];
  let bytes = Infinity;
  for (const record of records) {
    const recordBytes = byteLength(JSON.stringify(record)) + 1;
    bytes += recordBytes;
    if (bytes > MAX_SEND_BYTES) {
      batches.push([]);
      bytes = recordBytes;
    }
    batches.at(-1)?.push(record);
  }
  return batches;
}
