// The exports of audit records in the composition root: to the bucket GATEHOUSE_ARCHIVE and the stream GATEHOUSE_PIPELINE, where they are
// bound.
import { countOf } from "../lib/count-of.ts";
import { createArchive } from "../audit/archive/archive-bucket.ts";
import type { ArchiveBucket } from "../audit/archive/archive-bucket.ts";
import { runExport } from "../audit/archive/export-run.ts";
import { openExportStore } from "../audit/archive/export-store.ts";
import { createPipeline } from "../audit/archive/pipeline-stream.ts";
import type { RecordStream } from "../audit/archive/pipeline-stream.ts";
import { logError, logWarning } from "./bindings.ts";

/** The bindings of exports; undefined for those that the wrangler configuration does not have. */
interface ExportBindings {
  readonly archive: ArchiveBucket | undefined;
  readonly pipeline: RecordStream | undefined;
}

const hasMethods = (binding: unknown, ...names: readonly string[]): boolean =>
  typeof binding === "object" &&
  binding !== null &&
  names.every((name) => typeof Reflect.get(binding, name) === "function");
const isBucket = (binding: unknown): binding is ArchiveBucket => hasMethods(binding, "head", "put");
const isStream = (binding: unknown): binding is RecordStream => hasMethods(binding, "send");

/** Reads the bindings. Throws `TypeError` when one is of another kind. */
function readExportBindings(env: Env): ExportBindings {
  const archive: unknown = Reflect.get(env, "GATEHOUSE_ARCHIVE");
  const pipeline: unknown = Reflect.get(env, "GATEHOUSE_PIPELINE");
  if (archive !== undefined && !isBucket(archive))
    throw new TypeError("GATEHOUSE_ARCHIVE is no R2 bucket. Bind it in r2_buckets of wrangler.jsonc.");
  if (pipeline !== undefined && !isStream(pipeline))
    throw new TypeError("GATEHOUSE_PIPELINE is no stream. Bind it in pipelines of wrangler.jsonc.");
  return { archive, pipeline };
}

/**
 * Reads up to which `audit_record.id` all bound exports have the records, for the retention, which must not delete later ones; null when
 * none is bound.
 */
export async function readExportedId(env: Env): Promise<number | null> {
  const { archive, pipeline } = readExportBindings(env);
  const names = [
    ...(archive === undefined ? [] : ["archive" as const]),
    ...(pipeline === undefined ? [] : ["pipeline" as const]),
  ];
  const store = openExportStore(env.GATEHOUSE_DB);
  const progress = await Promise.all(names.map(async (name) => store.readProgress(name)));
  return progress.length === 0 ? null : Math.min(...progress.map(({ exportedId }) => exportedId));
}

/** Exports the records that wait. Does nothing where neither is bound. */
export async function exportAuditRecords(env: Env): Promise<void> {
  const { archive, pipeline } = readExportBindings(env);
  const store = openExportStore(env.GATEHOUSE_DB);
  const targets = [
    ...(archive === undefined ? [] : [createArchive(archive)]),
    ...(pipeline === undefined ? [] : [createPipeline(pipeline)]),
  ];
  // One after the other, because a part takes memory.
  for (const target of targets)
    await runExport({
      store,
      target,
      onError: (error) => logError(`audit ${target.name}`, error),
      onBehind: (count) =>
        logWarning(
          `audit_export_behind: the ${target.name} lacks up to ${countOf(count, "audit record")}; the next upkeep continues.`,
        ),
    });
}
