// The forms of an export: JSON Lines, which has everything exactly, and CSV for spreadsheets.
import { escapeInvisible } from "../../src/lib/visible-text.ts";
import { makeInert, toCsv, toCsvLines } from "../../src/results/result-csv.ts";
import { escapeJson } from "../kit/terminal.ts";
import type { NamedEntry } from "./record-line.ts";

/** How an export is written. */
export interface ExportFormat {
  /** The text before the first record. */
  readonly header: string;
  readonly write: (entries: readonly NamedEntry[]) => string;
}

/** The fields of an export, in the order of the columns. docs/audit.md explains them. */
export const EXPORT_FIELDS = [
  "id",
  "ledger",
  "seq",
  "began",
  "ended",
  "user",
  "subject",
  "owner",
  "client",
  "era",
  "session",
  "trace",
  "call",
  "action",
  "resource",
  "arguments",
  "decision",
  "outcome",
  "code",
  "roles",
  "rules",
  "denials",
  "datasets",
  "columns",
  "masked",
  "untrusted",
  "rows",
  "bytes",
  "cut",
  "result",
  "approver",
  "hash",
] as const satisfies readonly (keyof NamedEntry)[];

/** The forms by name. */
export const EXPORT_FORMATS: Readonly<Record<"jsonl" | "csv", ExportFormat>> = {
  jsonl: {
    header: "",
    write: (entries) =>
      entries
        .map(
          (entry) =>
            `${escapeJson(JSON.stringify(Object.fromEntries(EXPORT_FIELDS.map((name) => [name, entry[name]]))))}\n`,
        )
        .join(""),
  },
  csv: {
    header: toCsv(EXPORT_FIELDS, []),
    write: (entries) => toCsvLines(entries.map((entry) => EXPORT_FIELDS.map((name) => formatCell(entry[name])))),
  },
};

/** Lists are JSON. Invisible characters are code points, except line feeds and tabs. */
function formatCell(value: NamedEntry[keyof NamedEntry]): string | number | null {
  if (value === null || typeof value === "number") return value;
  if (typeof value === "boolean") return String(value);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  // Before escaping, because a carriage return would no longer be one.
  return String(makeInert(text)).replaceAll(/[^\n\t]+/g, escapeInvisible);
}
