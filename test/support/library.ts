// A policy with two sources of documents and users who may read one, both or neither, and the parts of a document index.
import { env } from "cloudflare:workers";
import { createKvDocuments } from "../../src/documents/kv-documents.ts";
import type { ReindexParts } from "../../src/documents/reindex.ts";
import { createDocumentIndex } from "../../src/documents/document-index-store.ts";
import { createReindexStore } from "../../src/documents/reindex-store.ts";
import { allow, buildPolicy } from "./policy-builder.ts";
import type { PolicyParts } from "./policy-builder.ts";

/** A policy with the sources `open` and `closed`. `reader@harbor.example` reads the first, `both@` both, `none@` neither. */
export function library(limits: PolicyParts["limits"] = {}, untrusted = false) {
  return buildPolicy({
    limits,
    sources: { open: { binding: "HANDBOOK", untrusted }, closed: { binding: "ARCHIVE" } },
    roles: { reader: [allow("open")], both: [allow(["open", "closed"])] },
    members: { reader: ["reader"], both: ["both"], none: [] },
  });
}

/** The dependencies for reindexing `open`, or another source over the same namespace. */
export function sweepParts(
  name = "open",
  database: D1Database = env.GATEHOUSE_DB,
  namespace: KVNamespace = env.HANDBOOK,
): ReindexParts {
  return {
    documents: createKvDocuments(name, namespace),
    index: createDocumentIndex(database, name),
    reindexStore: createReindexStore(database, name),
    now: Date.now,
    reindexDocuments: 20_000,
    indexSeconds: 60,
  };
}

/** Reads what the index contains of a source: the keys of its documents, and the number of rows in the full-text index. */
export async function indexed(name = "open"): Promise<{ readonly keys: readonly string[]; readonly rows: number }> {
  const { results } = await env.GATEHOUSE_DB.prepare("SELECT key FROM document WHERE source = ? ORDER BY key")
    .bind(name)
    .all<{ key: string }>();
  const rows = await env.GATEHOUSE_DB.prepare(
    `SELECT count(*) AS rows FROM document_${name}_fts_docsize`,
  ).first<number>("rows");
  return { keys: results.map(({ key }) => key), rows: rows ?? 0 };
}
