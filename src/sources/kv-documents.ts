// What lies in a KV namespace, as documents: keys page by page, values as text. It decides nothing: people reach it through
// kv.ts, the upkeep through sweep.ts.
import { AppError } from "../errors.ts";
import { byteLength } from "../lib/bytes.ts";
import type { DocumentContent } from "./source.ts";

export interface KeyPage {
  readonly keys: readonly string[];
  /** Null behind the last page. */
  readonly cursor: string | null;
}

export interface KvDocuments {
  /** Keys in the order of their bytes. */
  list(options: {
    readonly limit: number;
    readonly cursor?: string | null;
    readonly prefix?: string;
  }): Promise<KeyPage>;
  /** The documents of these keys in the same order; keys without a value are left out. */
  read(keys: readonly string[]): Promise<readonly DocumentContent[]>;
}

/** KV answers at most this many keys in one bulk read. */
export const KEYS_PER_READ = 100;

/** Errors: `source_unavailable`, naming the source. */
export function createKvDocuments(name: string, namespace: KVNamespace): KvDocuments {
  return {
    async list({ limit, cursor = null, prefix = "" }) {
      const listed = await answeredBy(name, namespace.list({ limit, cursor, prefix }));
      return { keys: listed.keys.map((key) => key.name), cursor: listed.list_complete ? null : listed.cursor };
    },
    async read(keys) {
      const documents = [];
      for (let start = 0; start < keys.length; start += KEYS_PER_READ) {
        const batch = keys.slice(start, start + KEYS_PER_READ).filter(isKey);
        const values = await answeredBy(name, readAll(namespace, batch));
        for (const key of batch) {
          const text = values.get(key) ?? null;
          if (text === null) continue;
          const shown = isBinary(text) ? await nameBinary(namespace, key) : text;
          documents.push({ key, title: titleOf(key, shown), text: shown });
        }
      }
      return documents;
    },
  };
}

/** KV gives at most 25 MB at once: where that is passed, half of the keys at a time. */
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

/** Share of characters that are no UTF-8 in a value that is no text. */
const MIN_ILLEGIBLE = 0.01;

/** Whether a value that was read as text is none: an image, an archive, a document of an office program. */
function isBinary(text: string): boolean {
  if (text.includes("\u0000")) return true;
  const illegible = text.split("\uFFFD").length - 1;
  return illegible > 0 && illegible >= text.length * MIN_ILLEGIBLE;
}

/** What stands for bytes that nobody could read. */
async function nameBinary(namespace: KVNamespace, key: string): Promise<string> {
  const bytes = (await namespace.get(key, "arrayBuffer"))?.byteLength ?? 0;
  return `This is no text: ${bytes} bytes, which are not shown.`;
}

/** KV refuses others instead of having nothing under them. */
function isKey(key: string): boolean {
  return key !== "" && key !== "." && key !== ".." && byteLength(key) <= 512;
}

async function answeredBy<T>(name: string, answer: Promise<T>): Promise<T> {
  return answer.catch((cause: unknown) => {
    throw new AppError(
      "source_unavailable",
      `The source ${name} does not answer at the moment. Try again in a minute.`,
      { cause },
    );
  });
}

/** The first Markdown heading, else the key: in tables and data a # means something else. */
function titleOf(key: string, text: string): string {
  if (/\.(?:csv|tsv|json)$/i.test(key)) return key;
  return /^#{1,3}[ \t]+(.+?)[ \t]*$/m.exec(text)?.[1] ?? key;
}
