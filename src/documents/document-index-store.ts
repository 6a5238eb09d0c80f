// The document index of one source in GATEHOUSE_DB: which words occur in which document. It holds no text that could be shown: each hit
// is read again from its source. Every step can be repeated and leaves the index consistent; reindex-store.ts stores its progress.
import { byteLength } from "../lib/bytes.ts";
import { listSequences } from "../lib/search-words.ts";

/** The indexed content of a document. */
export interface IndexedDocument {
  readonly key: string;
  /** Begins with `INDEX_FORM`. */
  readonly hash: string;
  /** Title and body as `toIndexText` writes them. */
  readonly title: string;
  readonly body: string;
}

/**
 * The form of the indexed text, with which every hash begins. Raise it with each change of `toIndexText` or of
 * the titles: entries in another form are then stale, and the next run of reindexing renews all of them.
 */
export const INDEX_FORM = "2:";

/** A document that matches a search. */
interface IndexHit {
  readonly key: string;
  /** The hash of the indexed text. */
  readonly hash: string;
}

/** The result of a search, with the state of the index. */
export interface IndexSearchResult {
  /** When the last complete reindexing began; null when there was none, and then there are no hits. */
  readonly indexedMs: number | null;
  /** Whether reindexing should begin or continue now. */
  readonly isDue: boolean;
  /** Best first. */
  readonly hits: readonly IndexHit[];
}

/** Searches and updates the index of one source. */
export interface DocumentIndex {
  /**
   * Finds documents with words that begin with `words`: first those that match all of them, then the others, each by rank. `words` come
   * from `extractWords`, which bounds their number.
   */
  find(words: readonly string[], maxHits: number, nowMs: number): Promise<IndexSearchResult>;
  readHashes(keys: readonly string[]): Promise<ReadonlyMap<string, string>>;
  put(documents: readonly IndexedDocument[]): Promise<void>;
  remove(keys: readonly string[]): Promise<void>;
}

/** The weight of a word in the title; in the body it is 1. */
const TITLE_WEIGHT = 10;
/** The most bytes of JSON in one statement: D1 binds at most 2 MB. */
const MAX_BATCH_BYTES = 700_000;

/** The most documents that one search ranks: ranking takes most of the time, and a word in more documents distinguishes little. */
const MAX_RANKED = 8000;
/** The most documents that one search ranks for a word in their title. */
const MAX_RANKED_TITLE_HITS = 2000;

/** Builds the FTS5 expression of a word: its sequences as phrases. They are quoted, so that nothing in them is syntax. */
function buildPhrase(word: string): string {
  const phrases = listSequences(word).map(
    ({ words, isPrefix }) => `"${words.join(" ").replaceAll('"', '""')}"${isPrefix ? "*" : ""}`,
  );
  return phrases.length === 1 ? (phrases[0] ?? "") : `(${phrases.join(" OR ")})`;
}

/**
 * Returns the name of a source's FTS5 table. FTS5 names its own tables by appending `_data` and others; `_fts` is none of these suffixes,
 * so the tables of two sources never collide.
 */
export function nameTextTable(source: string): string {
  if (!/^[a-z][a-z0-9_]*$/.test(source)) throw new TypeError(`${source} is not a source name`);
  return `document_${source}_fts`;
}

/** Builds the SQL that says whether a source has an entry that a version with another form wrote. */
export function buildOtherFormCondition(source: string): string {
  return `EXISTS (SELECT 1 FROM document WHERE source = ${source} AND substr(hash, 1, ${INDEX_FORM.length}) <> '${INDEX_FORM}')`;
}

/** Creates the index of one source. */
export function createDocumentIndex(database: D1Database, source: string): DocumentIndex {
  const table = nameTextTable(source);
  const stateSql = `SELECT reindexed_ms AS reindexedMs, due_ms AS dueMs, began_ms AS beganMs, lease_ms AS leaseMs
    FROM document_source WHERE source = ?`;
  const buildRankedSql = (match: string, limit: string): string =>
    `SELECT * FROM (
      SELECT rowid AS id, bm25(${table}, ${TITLE_WEIGHT}, 1) AS score FROM ${table} WHERE ${table} MATCH ${match} LIMIT ${limit}
    )`;
  const findSql = `SELECT d.key, d.hash
    FROM (
      SELECT id, min(score) AS score
      FROM (${buildRankedSql("'{title} : (' || ?1 || ')'", "?4")} UNION ALL ${buildRankedSql("?1", "?3")})
      GROUP BY id ORDER BY score, id LIMIT ?2
    ) AS f
    JOIN document AS d ON d.id = f.id
    ORDER BY f.score, d.id`;
  const countSql = `SELECT w.value AS phrase, (SELECT count(*) FROM (SELECT 1 FROM ${table} WHERE ${table} MATCH w.value LIMIT ?2)) AS count
    FROM json_each(?1) AS w ORDER BY count`;
  const keyCondition = "source = ?1 AND key IN (SELECT value FROM json_each(?2))";
  /** Whether the source was reindexed once. Its table then exists, so one batch can read state and hits. */
  let isIndexed = false;
  /** Whether all entries have this version's form. Until then, reindexing is due, whatever the time. */
  let isCurrentForm = false;

  /** Reads every entry of the source, so it is asked only until the answer was yes. */
  async function checkForm(): Promise<boolean> {
    const row = await database
      .prepare(`SELECT ${buildOtherFormCondition("?1")} AS hasOther`)
      .bind(source)
      .first<number>("hasOther");
    return row === 0;
  }

  async function readState(nowMs: number): Promise<Omit<IndexSearchResult, "hits">> {
    return toState(await database.prepare(stateSql).bind(source).first<StateRow>(), nowMs);
  }

  const prepareFind = (match: string, maxHits: number): D1PreparedStatement =>
    database.prepare(findSql).bind(match, maxHits, MAX_RANKED, MAX_RANKED_TITLE_HITS);

  /** Finds documents with some of the words. Drops the most frequent words when there are too many documents to rank. */
  async function findSome(counts: readonly PhraseCount[], maxHits: number): Promise<readonly IndexHit[]> {
    let documentCount = 0;
    const rarePhrases = counts.filter(({ count }, index) => (documentCount += count) <= MAX_RANKED || index === 0);
    const { results } = await prepareFind(
      rarePhrases.map(({ phrase }) => phrase).join(" OR "),
      maxHits,
    ).all<IndexHit>();
    return results;
  }

  return {
    async find(words, maxHits, nowMs) {
      const phrases = words.map(buildPhrase);
      const initialState = isIndexed ? undefined : await readState(nowMs);
      if (initialState?.indexedMs === null || phrases.length === 0)
        return { ...(initialState ?? (await readState(nowMs))), hits: [] };
      isIndexed = true;
      const [states, withAll, counted] = await database.batch<StateRow | IndexHit | PhraseCount>([
        database.prepare(stateSql).bind(source),
        prepareFind(phrases.join(" AND "), maxHits),
        ...(phrases.length > 1 ? [database.prepare(countSql).bind(JSON.stringify(phrases), MAX_RANKED)] : []),
      ]);
      isCurrentForm ||= await checkForm();
      const state = toState((states?.results[0] as StateRow | undefined) ?? null, nowMs, !isCurrentForm);
      const allWordHits = (withAll?.results ?? []) as readonly IndexHit[];
      if (allWordHits.length >= maxHits || counted === undefined) return { ...state, hits: allWordHits };
      const someWordHits = await findSome(counted.results as readonly PhraseCount[], maxHits);
      const hits = new Map([...allWordHits, ...someWordHits].map((hit) => [hit.key, hit]));
      return { ...state, hits: [...hits.values()].slice(0, maxHits) };
    },
    async readHashes(keys) {
      const { results } = await database
        .prepare(`SELECT key, hash FROM document WHERE ${keyCondition}`)
        .bind(source, JSON.stringify(keys))
        .all<IndexHit>();
      return new Map(results.map(({ key, hash }) => [key, hash]));
    },
    async put(documents) {
      for (const rows of splitIntoBatches(documents)) {
        const json = `[${rows.join(",")}]`;
        // One transaction, so that hash and words of a document always belong to the same text.
        await database.batch([
          database
            .prepare(
              `INSERT INTO document (source, key, hash) SELECT ?1, value ->> 0, value ->> 1 FROM json_each(?2) WHERE true
                ON CONFLICT (source, key) DO UPDATE SET hash = excluded.hash`,
            )
            .bind(source, json),
          database
            .prepare(
              `DELETE FROM ${table} WHERE rowid IN (
                SELECT d.id FROM json_each(?2) AS new CROSS JOIN document AS d ON d.source = ?1 AND d.key = new.value ->> 0
              )`,
            )
            .bind(source, json),
          database
            .prepare(
              `INSERT INTO ${table} (rowid, title, body)
                SELECT d.id, new.value ->> 2, new.value ->> 3
                FROM json_each(?2) AS new CROSS JOIN document AS d ON d.source = ?1 AND d.key = new.value ->> 0`,
            )
            .bind(source, json),
        ]);
      }
    },
    async remove(keys) {
      const json = JSON.stringify(keys);
      await database.batch([
        database
          .prepare(`DELETE FROM ${table} WHERE rowid IN (SELECT id FROM document WHERE ${keyCondition})`)
          .bind(source, json),
        database.prepare(`DELETE FROM document WHERE ${keyCondition}`).bind(source, json),
      ]);
    },
  };
}

interface PhraseCount {
  readonly phrase: string;
  /** The number of documents that match it, counted up to `MAX_RANKED`. */
  readonly count: number;
}

interface StateRow {
  readonly reindexedMs: number | null;
  readonly dueMs: number;
  readonly beganMs: number | null;
  readonly leaseMs: number;
}

function toState(row: StateRow | null, nowMs: number, isOtherForm = false): Omit<IndexSearchResult, "hits"> {
  if (row === null) return { indexedMs: null, isDue: true };
  const { reindexedMs, dueMs, beganMs, leaseMs } = row;
  return { indexedMs: reindexedMs, isDue: leaseMs <= nowMs && (beganMs !== null || dueMs <= nowMs || isOtherForm) };
}

/** Encodes documents as JSON rows, in batches that fit one statement. */
function splitIntoBatches(documents: readonly IndexedDocument[]): readonly (readonly string[])[] {
  const batches: string[][] = [];
  let batchBytes = Infinity;
  for (const { key, hash, title, body } of documents) {
    const row = JSON.stringify([key, hash, title, body]);
    const rowBytes = byteLength(row);
    if (batchBytes + rowBytes > MAX_BATCH_BYTES) {
      batches.push([]);
      batchBytes = 0;
    }
    batchBytes += rowBytes;
    batches.at(-1)?.push(row);
  }
  return batches;
}
