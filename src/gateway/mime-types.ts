// The MIME types of resources. No type here makes a client run or render what a document holds.
import type { DocumentDataset } from "../policy/model.ts";

export const ROW_MIME_TYPE = "application/json";
export const RESULT_MIME_TYPE = "text/csv";

/** The types of documents by the extension of their key. */
const DOCUMENT_MIME_TYPES: Readonly<Record<string, string>> = {
  csv: "text/csv",
  tsv: "text/tab-separated-values",
  tab: "text/tab-separated-values",
  json: "application/json",
  jsonl: "application/jsonl",
  ndjson: "application/x-ndjson",
  md: "text/markdown",
  markdown: "text/markdown",
};

/** Gives the type of a document's text. The fence around an untrusted text is neither JSON nor CSV, so such a text is plain. */
export function getDocumentMimeType({ untrusted }: DocumentDataset, key: string): string {
  const extension = /\.([a-z]+)$/i.exec(key)?.[1]?.toLowerCase() ?? "";
  return !untrusted && Object.hasOwn(DOCUMENT_MIME_TYPES, extension)
    ? (DOCUMENT_MIME_TYPES[extension] ?? "text/plain")
    : "text/plain";
}
