// Reads a KV namespace as documents: keys page by page, values as text, which text-encoding.ts decodes. It makes no access decisions:
// users reach it through kv-source.ts, and the index through reindex.ts.
import { AppError } from "../errors.ts";
import { byteLength } from "../lib/bytes.ts";
import type { DocumentContent } from "../read/source.ts";
import { findTitle } from "./document-title.ts";
import { decodeText } from "./text-encoding.ts";

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
/** A Worker has at most six open requests to KV at a time. */
const MAX_PARALLEL_READS = 6;

type Content = Omit<DocumentContent, "key" | "title">;

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
        const otherKeys = batch.filter((key) => !isUtf8(values.get(key) ?? ""));
        const others = await readEncoded(name, namespace, otherKeys);
        for (const key of batch) {
          const text = values.get(key) ?? null;
          if (text === null) continue;
          const content = isUtf8(text) ? { text: text.replace(/^\ufeff/, "") } : others.get(key);
          if (content !== undefined) documents.push({ key, title: findTitle(key, content.text), ...content });
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

/** Whether a value that was read as text is surely UTF-8. KV replaces invalid bytes, so only the bytes show what the value is. */
function isUtf8(text: string): boolean {
  return !text.includes("\u0000") && !text.includes("\ufffd");
}

/** Reads values as bytes, which no bulk request can, and decodes them. Skips those that have been deleted meanwhile. */
async function readEncoded(
  name: string,
  namespace: KVNamespace,
  keys: readonly string[],
): Promise<ReadonlyMap<string, Content>> {
  const contents = new Map<string, Content>();
  const readOne = async (key: string): Promise<void> => {
    const bytes = await namespace.get(key, "arrayBuffer");
    if (bytes === null) return;
    const { kind: _kind, ...content } = decodeText(new Uint8Array(bytes));
    contents.set(key, content);
  };
  for (let start = 0; start < keys.length; start += MAX_PARALLEL_READS)
    await wrapKvError(name, Promise.all(keys.slice(start, start + MAX_PARALLEL_READS).map(readOne)));
  return contents;
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
