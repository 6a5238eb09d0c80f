// Loads the sample organisation into local state on the first start, and again when the sample's data has changed.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Miniflare } from "miniflare";
import { generateSample } from "../../sample/generate.ts";
import type { Table } from "../../sample/table.ts";
import { loadDocuments, loadTables } from "../../sample/load.ts";
import { root } from "../project/tools.ts";
import { PRIVATE_FILE } from "../project/private-files.ts";

const HANDBOOK_DIR = path.join(root, "sample", "handbook");

/** Reads the handbook's documents by key, which is the path below the handbook's folder. */
function readHandbook(): ReadonlyMap<string, string> {
  const files = readdirSync(HANDBOOK_DIR, { recursive: true, encoding: "utf8" }).filter((file) =>
    /\.(?:md|csv)$/.test(file),
  );
  return new Map(
    files
      .toSorted()
      .map((file) => [file.replaceAll(path.sep, "/"), readFileSync(path.join(HANDBOOK_DIR, file), "utf8")]),
  );
}

/** Loads the sample unless this version of it is loaded. After an interrupted load, the next call loads it again. */
export async function loadSample(miniflare: Miniflare, stateDir: string, say: (text: string) => void): Promise<void> {
  const data = generateSample();
  const documents = readHandbook();
  const fingerprint = createHash("sha256")
    .update(JSON.stringify([data, [...documents]]))
    .digest("hex");
  const marker = path.join(stateDir, "sample-loaded");
  if (existsSync(marker) && readFileSync(marker, "utf8") === fingerprint) return;
  say("Loading the sample organisation …");
  for (const [binding, tables] of Object.entries<readonly Table[]>({ ...data })) {
    const database = await miniflare.getD1Database(binding);
    await database.batch(tables.toReversed().map(({ name }) => database.prepare(`DELETE FROM ${name}`)));
    await loadTables(database, tables);
    await database.prepare("ANALYZE").run();
  }
  const handbook = await miniflare.getKVNamespace("HANDBOOK");
  const { keys } = await handbook.list();
  for (const { name } of keys) if (!documents.has(name)) await handbook.delete(name);
  await loadDocuments(handbook, documents);
  writeFileSync(`${marker}.new`, fingerprint, { mode: PRIVATE_FILE });
  renameSync(`${marker}.new`, marker);
}
