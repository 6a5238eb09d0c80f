// Reads a KV namespace as documents: keys page by page, values as text. It makes no access decisions: users reach it through
// kv-source.ts, and the index through reindex.ts.
import { AppError } from "../errors.ts";
import { byteLength } from "../lib/bytes.ts";
import type { DocumentContent } from "../read/source.ts";

export interface KeyPage {
  readonly keys: readonly string[];
  /** Null after the last page. */
  readonly cursor: string | null;
}

export interface KvDocuments {
  /** Lists keys in byte order. */
  list(options: {
    readonly limit: number;
    readonly cursor?: string | null;
    readonly prefix?: string;
  }): Promise<KeyPage>;
  /** Reads the documents under these keys, in the same order; skips keys that have no value. */
  read(keys: readonly string[]): Promise<readonly DocumentContent[]>;
}

/** KV reads at most this many keys in one bulk request. */
export const KEYS_PER_READ = 100;

/** Creates the reader of one namespace. Its errors: `source_unavailable`, with the name of the source. */
export function createKvDocuments(name: string, namespace: KVNamespace): KvDocuments {
  return {
    async list({ limit, cursor = null, prefix = "" }) {
      const listed = await wrapKvError(name, namespace.list({ limit, cursor, prefix }));
      return { keys: listed.keys.map((key) => key.name), cursor: listed.list_complete ? null : listed.cursor };
    },
    async read(keys) {
      const documents = [];
      for (let start = 0; start < keys.length; start += KEYS_PER_READ) {
        const batch = keys.slice(start, start + KEYS_PER_READ).filter(isKey);
        const values = await wrapKvError(name, readAll(namespace, batch));
        for (const key of batch) {
          const text = values.get(key) ?? null;
          if (text === null) continue;
          const documentText = isBinary(text) ? await describeBinary(namespace, key) : text;
          documents.push({ key, title: readTitle(key, documentText), text: documentText });
        }
      }
      return documents;
    },
  };
}

/** Reads values in one bulk request. KV returns at most 25 MB (else 413), so a larger batch is split in half and retried. */
async function readAll(namespace: KVNamespace, keys: readonly string[]): Promise<ReadonlyMap<string, string | null>> {
  if (keys.length === 0) return new Map();
  if (keys.length === 1) return new Map([[keys[0] ?? "", await namespace.get(keys[0] ?? "", "text")]]);
  try {
    return await namespace.get([...keys], "text");
  } catch (error) {
    if (!(error instanceof Error) || !error.message.includes("413")) throw error;
    const middle = Math.ceil(keys.length / 2);
    const first = await readAll(namespace, keys.slice(0, middle));
    return new Map([...first, ...(await readAll(namespace, keys.slice(middle)))]);
  }
}

/** A value with at least this share of replacement characters (invalid UTF-8) is binary. */
const MIN_INVALID_SHARE = 0.01;

/** Whether a value that was read as text is binary: an image, an archive, an office document. */
function isBinary(text: string): boolean {
  if (text.includes("\u0000")) return true;
  const invalid = text.split("\uFFFD").length - 1;
  return invalid > 0 && invalid >= text.length * MIN_INVALID_SHARE;
}

/** Builds the text that is shown in place of binary data. */
async function describeBinary(namespace: KVNamespace, key: string): Promise<string> {
  const bytes = (await namespace.get(key, "arrayBuffer"))?.byteLength ?? 0;
  return `This is not UTF-8 text: its ${bytes} bytes are not shown.`;
}

/** Whether KV accepts the key. KV fails on an invalid key instead of finding no value under it. */
function isKey(key: string): boolean {
  return key !== "" && key !== "." && key !== ".." && byteLength(key) <= 512;
}

async function wrapKvError<T>(name: string, answer: Promise<T>): Promise<T> {
  return answer.catch((cause: unknown) => {
    throw new AppError("source_unavailable", `The source ${name} is not responding. Try again in a minute.`, { cause });
  });
}

/** Finds the title: the first Markdown heading, or the key. In CSV and JSON, a # does not start a heading. */
function readTitle(key: string, text: string): string {
  if (/\.(?:csv|tsv|json)$/i.test(key)) return key;
  return /^#{1,3}[ \t]+(.+?)[ \t]*$/m.exec(text)?.[1] ?? key;
}
