// The forms of an export: JSON Lines, which has everything exactly, and CSV for spreadsheets.
import { EXPORT_FIELDS, formatExportLine } from "../audit/export-fields.ts";
import type { NamedEntry } from "../audit/export-fields.ts";
import { escapeInvisible } from "../lib/visible-text.ts";
import { makeInert, toCsv, toCsvLines } from "../results/result-csv.ts";

/** How an export is written. */
export interface ExportFormat {
  /** The text before the first record. */
  readonly header: string;
  readonly write: (entries: readonly NamedEntry[]) => string;
}

/** The forms by name. */
export const EXPORT_FORMATS: Readonly<Record<"jsonl" | "csv", ExportFormat>> = {
  jsonl: {
    header: "",
    write: (entries) => entries.map(formatExportLine).join(""),
  },
  csv: {
    header: toCsv(EXPORT_FIELDS, []),
    write: (entries) => toCsvLines(entries.map((entry) => EXPORT_FIELDS.map((name) => formatCell(entry[name])))),
  },
};

/** Lists and keys are JSON. Invisible characters are code points, except line feeds and tabs. */
function formatCell(value: NamedEntry[keyof NamedEntry]): string | number | null {
  if (value === null || typeof value === "number") return value;
  if (typeof value === "boolean") return String(value);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  // Before escaping, because a carriage return would no longer be one.
  return String(makeInert(text)).replaceAll(/[^\n\t]+/g, escapeInvisible);
}
