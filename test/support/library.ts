// Two sources of documents and the people who may read one of them, both or none; and an index of the test's own.
import { env } from "cloudflare:workers";
import { defineGatehouse } from "../../src/config.ts";
import type { GatehouseInput } from "../../src/config.ts";
import { createKvDocuments } from "../../src/sources/kv-documents.ts";
import type { SweepParts } from "../../src/sources/sweep.ts";
import { createDocumentIndex } from "../../src/storage/documents.ts";
import { createSweeps } from "../../src/storage/sweeps.ts";

/** Sources `open` and `closed`; `reader@harbor.example` reads the first, `both@` both, `none@` neither. */
export function library(limits: GatehouseInput["limits"] = {}, untrusted = false) {
  const source = { kind: "kv", title: "Documents", description: "Documents" } as const;
  return defineGatehouse({
    organisation: { name: "Test", contact: "Test" },
    limits,
    sources: {
      open: { ...source, binding: "HANDBOOK", untrusted },
      closed: { ...source, binding: "ARCHIVE" },
    },
    roles: {
      reader: { description: "r", rules: [{ action: "read", datasets: ["open"] }] },
      both: { description: "b", rules: [{ action: "read", datasets: ["open", "closed"] }] },
    },
    members: [
      { email: "reader@harbor.example", name: "R", roles: ["reader"] },
      { email: "both@harbor.example", name: "B", roles: ["both"] },
      { email: "none@harbor.example", name: "N", roles: [] },
    ],
  });
}

/** What a sweep of `open`, or of another source over the same namespace, works with. */
export function sweepParts(
  name = "open",
  database: D1Database = env.GATEHOUSE_DB,
  namespace: KVNamespace = env.HANDBOOK,
): SweepParts {
  return {
    documents: createKvDocuments(name, namespace),
    index: createDocumentIndex(database, name),
    sweeps: createSweeps(database, name),
    now: Date.now,
    sweepDocuments: 20_000,
    indexSeconds: 60,
  };
}

/** What the index has of a source: key and hash of each document, and how many rows its words have. */
export async function indexed(name = "open"): Promise<{ readonly keys: readonly string[]; readonly rows: number }> {
  const { results } = await env.GATEHOUSE_DB.prepare("SELECT key FROM document WHERE source = ? ORDER BY key")
    .bind(name)
    .all<{ key: string }>();
  const rows = await env.GATEHOUSE_DB.prepare(
    `SELECT count(*) AS rows FROM document_${name}_fts_docsize`,
  ).first<number>("rows");
  return { keys: results.map(({ key }) => key), rows: rows ?? 0 };
}
