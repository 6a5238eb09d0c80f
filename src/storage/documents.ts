// The document index in GATEHOUSE_DB: which words stand in which document of one source. It holds no text: what is found is
// read again where it lies. Every step can be repeated and leaves the index whole; sweeps.ts has how far it is.
import { byteLength } from "../lib/bytes.ts";

/** What is indexed of a document. */
export interface IndexedDocument {
  readonly key: string;
  readonly hash: string;
  readonly title: string;
  readonly body: string;
}

export interface IndexHit {
  readonly key: string;
  /** Of the text that was indexed. */
  readonly hash: string;
}

export interface IndexFound {
  /** When the last whole sweep began; null when there was none, and then there are no hits. */
  readonly sweptMs: number | null;
  readonly isDue: boolean;
  /** Best first. */
  readonly hits: readonly IndexHit[];
}

export interface DocumentIndex {
  /** Documents that hold words which begin with these: those with all of them before the others, each by rank. */
  find(words: readonly string[], maxHits: number, nowMs: number): Promise<IndexFound>;
  hashesOf(keys: readonly string[]): Promise<ReadonlyMap<string, string>>;
  put(documents: readonly IndexedDocument[]): Promise<void>;
  remove(keys: readonly string[]): Promise<void>;
}

/** What the title weighs against the body. */
const TITLE_WEIGHT = 10;
/** Shorter words are looked for as they are: nearly every document has a word that begins with one letter. */
const MIN_PREFIX_LENGTH = 3;
/** Words of a search that count. */
const MAX_WORDS = 16;
/** Bytes of JSON that one statement takes: D1 binds 2 MB at most. */
const MAX_BATCH_BYTES = 700_000;

/**
 * Documents of one question that are ranked at most, of which so many for a word in their title: ranking is what takes time,
 * and a word that stands in more tells little.
 */
const MAX_RANKED = 8000;
const MAX_RANKED_TITLES = 2000;

/** What FTS5 takes for a word: quoted, so that nothing in it is syntax. */
function phraseOf(word: string): string {
  return `"${word.replaceAll('"', '""')}"${word.length < MIN_PREFIX_LENGTH ? "" : "*"}`;
}

/** The FTS5 table of a source. Its name ends in no name of FTS5's own tables, so that no other source's can meet it. */
export function textTableOf(source: string): string {
  if (!/^[a-z][a-z0-9_]*$/.test(source)) throw new TypeError(`${source} is no name of a source`);
  return `document_${source}_fts`;
}

/** The index of one source. */
export function createDocumentIndex(database: D1Database, source: string): DocumentIndex {
  const table = textTableOf(source);
  const stateSql =
    "SELECT swept_ms AS sweptMs, due_ms AS dueMs, began_ms AS beganMs, lease_ms AS leaseMs FROM document_source WHERE source = ?";
  const ranked = (match: string, limit: string): string =>
    `SELECT * FROM (SELECT rowid AS id, bm25(${table}, ${TITLE_WEIGHT}, 1) AS score FROM ${table} WHERE ${table} MATCH ${match} LIMIT ${limit})`;
  const findSql =
    `SELECT d.key, d.hash FROM (SELECT id, min(score) AS score FROM (${ranked("'{title} : (' || ?1 || ')'", "?4")} UNION ALL ${ranked("?1", "?3")}) GROUP BY id ORDER BY score, id LIMIT ?2) AS f ` +
    "JOIN document AS d ON d.id = f.id ORDER BY f.score, d.id";
  const countSql = `SELECT w.value AS phrase, (SELECT count(*) FROM (SELECT 1 FROM ${table} WHERE ${table} MATCH w.value LIMIT ?2)) AS count FROM json_each(?1) AS w ORDER BY count`;
  const among = "source = ?1 AND key IN (SELECT value FROM json_each(?2))";
  /** Whether the source was swept once: then its table is there, and state and hits are one question. */
  let isSwept = false;

  async function readState(nowMs: number): Promise<Omit<IndexFound, "hits">> {
    return toState(await database.prepare(stateSql).bind(source).first<StateRow>(), nowMs);
  }

  const finding = (match: string, maxHits: number): D1PreparedStatement =>
    database.prepare(findSql).bind(match, maxHits, MAX_RANKED, MAX_RANKED_TITLES);

  /** Documents with some of the words: with the rarer ones, as many as can be ranked. */
  async function findSome(counts: readonly PhraseCount[], maxHits: number): Promise<readonly IndexHit[]> {
    let sum = 0;
    const rare = counts.filter(({ count }, index) => (sum += count) <= MAX_RANKED || index === 0);
    const { results } = await finding(rare.map(({ phrase }) => phrase).join(" OR "), maxHits).all<IndexHit>();
    return results;
  }

  return {
    async find(given, maxHits, nowMs) {
      const phrases = given.slice(0, MAX_WORDS).map(phraseOf);
      const known = isSwept ? undefined : await readState(nowMs);
      if (known?.sweptMs === null || phrases.length === 0) return { ...(known ?? (await readState(nowMs))), hits: [] };
      isSwept = true;
      const [states, withAll, counted] = await database.batch<StateRow | IndexHit | PhraseCount>([
        database.prepare(stateSql).bind(source),
        finding(phrases.join(" AND "), maxHits),
        ...(phrases.length > 1 ? [database.prepare(countSql).bind(JSON.stringify(phrases), MAX_RANKED)] : []),
      ]);
      const state = toState((states?.results[0] as StateRow | undefined) ?? null, nowMs);
      const all = (withAll?.results ?? []) as readonly IndexHit[];
      if (all.length >= maxHits || counted === undefined) return { ...state, hits: all };
      const some = await findSome(counted.results as readonly PhraseCount[], maxHits);
      const hits = new Map([...all, ...some].map((hit) => [hit.key, hit]));
      return { ...state, hits: [...hits.values()].slice(0, maxHits) };
    },
    async hashesOf(keys) {
      const { results } = await database
        .prepare(`SELECT key, hash FROM document WHERE ${among}`)
        .bind(source, JSON.stringify(keys))
        .all<IndexHit>();
      return new Map(results.map(({ key, hash }) => [key, hash]));
    },
    async put(documents) {
      for (const rows of batchesOf(documents)) {
        const json = `[${rows.join(",")}]`;
        // One transaction: a document is indexed as it was read, or as it was before.
        await database.batch([
          database
            .prepare(
              "INSERT INTO document (source, key, hash) SELECT ?1, value ->> 0, value ->> 1 FROM json_each(?2) WHERE true ON CONFLICT (source, key) DO UPDATE SET hash = excluded.hash",
            )
            .bind(source, json),
          database
            .prepare(
              `DELETE FROM ${table} WHERE rowid IN (SELECT d.id FROM json_each(?2) AS new CROSS JOIN document AS d ON d.source = ?1 AND d.key = new.value ->> 0)`,
            )
            .bind(source, json),
          database
            .prepare(
              `INSERT INTO ${table} (rowid, title, body) SELECT d.id, new.value ->> 2, new.value ->> 3 FROM json_each(?2) AS new CROSS JOIN document AS d ON d.source = ?1 AND d.key = new.value ->> 0`,
            )
            .bind(source, json),
        ]);
      }
    },
    async remove(keys) {
      const json = JSON.stringify(keys);
      await database.batch([
        database
          .prepare(`DELETE FROM ${table} WHERE rowid IN (SELECT id FROM document WHERE ${among})`)
          .bind(source, json),
        database.prepare(`DELETE FROM document WHERE ${among}`).bind(source, json),
      ]);
    },
  };
}

interface PhraseCount {
  readonly phrase: string;
  /** Documents that hold it, counted to `MAX_RANKED`. */
  readonly count: number;
}

interface StateRow {
  readonly sweptMs: number | null;
  readonly dueMs: number;
  readonly beganMs: number | null;
  readonly leaseMs: number;
}

function toState(row: StateRow | null, nowMs: number): Omit<IndexFound, "hits"> {
  if (row === null) return { sweptMs: null, isDue: true };
  const { sweptMs, dueMs, beganMs, leaseMs } = row;
  return { sweptMs, isDue: leaseMs <= nowMs && (beganMs !== null || dueMs <= nowMs) };
}

/** The documents as JSON, in portions that one statement takes. */
function batchesOf(documents: readonly IndexedDocument[]): readonly (readonly string[])[] {
  const batches: string[][] = [];
  let bytes = Infinity;
  for (const { key, hash, title, body } of documents) {
    const row = JSON.stringify([key, hash, title, body]);
    const length = byteLength(row);
    if (bytes + length > MAX_BATCH_BYTES) {
      batches.push([]);
      bytes = 0;
    }
    bytes += length;
    batches.at(-1)?.push(row);
  }
  return batches;
}
