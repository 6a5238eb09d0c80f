// A KV namespace as a source of text documents. Keys name documents; Markdown headings give them titles.
import type { DocumentDataset, SourceDeclaration } from "../policy/model.ts";
import { governDocument } from "./source.ts";
import type { DocumentSource } from "./source.ts";

/** KV answers at most this many keys in one bulk read. */
const KEYS_PER_READ = 100;

/** Builds the source of one declared KV binding. */
export function createKvSource(
  declaration: SourceDeclaration,
  dataset: DocumentDataset,
  namespace: KVNamespace,
): DocumentSource {
  return {
    kind: "kv",
    declaration,
    dataset,
    async keys(_decision, maxKeys) {
      const listed = await namespace.list({ limit: Math.min(maxKeys, 1000) });
      return { keys: listed.keys.map((key) => key.name), more: !listed.list_complete };
    },
    async read(_decision, keys) {
      const documents = [];
      for (let start = 0; start < keys.length; start += KEYS_PER_READ) {
        const batch = keys.slice(start, start + KEYS_PER_READ);
        const values = await namespace.get(batch, "text");
        for (const key of batch) {
          const text = values.get(key) ?? null;
          if (text !== null) documents.push(governDocument({ key, title: titleOf(key, text), text }));
        }
      }
      return documents;
    },
  };
}

/** The first Markdown heading, else the key. */
function titleOf(key: string, text: string): string {
  return /^#{1,3}[ \t]+(.+?)[ \t]*$/m.exec(text)?.[1] ?? key;
}
