// `audit export`: the records that match filters, oldest first, page by page.
import { countOf } from "../../src/lib/count-of.ts";
import { createWriteStream, existsSync } from "node:fs";
import { link, rm } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { EXPORT_FORMATS } from "../../src/audit-reading/export-format.ts";
import type { ExportFormat } from "../../src/audit-reading/export-format.ts";
import { nameEntry } from "../../src/audit-reading/named-entry.ts";
import { readNames } from "../../src/audit-reading/record-names.ts";
import type { RecordNames } from "../../src/audit-reading/record-names.ts";
import type { AuditRecordStore, RecordCursor, RecordFilter } from "../../src/audit/audit-record-store.ts";
import { createFilter } from "../../src/audit/record-filter.ts";
import { newId } from "../../src/lib/ids.ts";
import { CliError, usageError } from "../kit/cli-error.ts";
import { createProgress } from "../kit/progress.ts";
import type { Progress } from "../kit/progress.ts";
import { printAside, printPieces } from "../kit/terminal.ts";
import type { OwnDatabase } from "../own-database/own-database.ts";
import { PRIVATE_FILE } from "../project/private-files.ts";
import { describeNothing } from "./list-records.ts";
import { beginRead } from "./recorded-read.ts";
import type { RecordedRead } from "./recorded-read.ts";
import { describeFilters, readSearch } from "./search-options.ts";
import type { SearchOptions } from "./search-options.ts";

/** The options of the command. */
export interface ExportOptions extends SearchOptions {
  readonly format: string;
  /** The file to write; standard output without it. */
  readonly output?: string;
}

const PAGE_RECORDS = 500;

/**
 * Writes all matching records, and says on standard error how many. Throws the error for wrong usage for an option of another form, and
 * `CliError` when the file exists or cannot be written.
 */
export async function exportAuditRecords(database: OwnDatabase, options: ExportOptions, nowMs: number): Promise<void> {
  const { format: formatName, output } = options;
  const format = formatName === "jsonl" || formatName === "csv" ? EXPORT_FORMATS[formatName] : undefined;
  if (format === undefined) throw usageError(`--format is ${formatName}. It takes jsonl or csv.`);
  const file = output === undefined ? undefined : path.resolve(process.env["INIT_CWD"] ?? process.cwd(), output);
  if (file !== undefined && existsSync(file))
    throw new CliError(`${output} exists already. Give the name of a new file.`);
  const names = await readNames(database);
  const filter = createFilter(await readSearch(database, names, options, nowMs));
  const read = await beginRead(database, "export", { ...describeFilters(options), format: formatName });
  const progress = createProgress({ verb: "Exporting", unit: "records", total: null });
  let count = 0;
  const counted: Progress = {
    add: (table, records) => {
      count += records;
      progress.add(table, records);
    },
    finish: () => progress.finish(),
  };
  try {
    const pieces = writePages(database.auditRecords, filter, { format, names, read, progress: counted });
    await (file === undefined ? printPieces(pieces) : writeFile(file, pieces));
  } finally {
    counted.finish();
    // Also when the reader of the output wanted no more of it.
    await read.end();
  }
  printAside(count === 0 ? await describeNothing(database) : `Exported ${countOf(count, "record")}.`);
}

interface PageWriting {
  readonly format: ExportFormat;
  readonly names: RecordNames;
  readonly read: RecordedRead;
  readonly progress: Progress;
}

async function* writePages(
  store: AuditRecordStore,
  filter: RecordFilter,
  { format, names, read, progress }: PageWriting,
): AsyncGenerator<string> {
  yield format.header;
  let cursor: RecordCursor | null = null;
  do {
    const page = await store.list(filter, { order: "oldest first", cursor, limit: PAGE_RECORDS });
    // Before the page leaves, so that none leaves unrecorded.
    await read.add(page.records.length);
    yield format.write(page.records.map((record) => nameEntry(record, names)));
    progress.add("records", page.records.length);
    cursor = page.next;
  } while (cursor !== null);
}

/** Writes a private file. It gets its name when it is complete, and replaces no other file. */
async function writeFile(output: string, pieces: AsyncIterable<string>): Promise<void> {
  const partial = `${output}.${newId()}.part`;
  try {
    await pipeline(Readable.from(pieces), createWriteStream(partial, { mode: PRIVATE_FILE, flags: "wx" }));
    // A link fails where a rename would replace a file that was made meanwhile.
    await link(partial, output);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR" || code === "EISDIR")
      throw new CliError(`${output} cannot be written: its folder does not exist, or it is a folder.`, {
        cause: error,
      });
    if (code === "EEXIST")
      throw new CliError(`${output} exists already. Give the name of a new file.`, { cause: error });
    throw error;
  } finally {
    await rm(partial, { force: true });
  }
}
