// The requests for heads of ledgers and the signed daily lists, in GATEHOUSE_DB.
import type { DailyList, LedgerHead } from "./head-signature.ts";

/** A request of the command line for the head of a ledger. */
export interface HeadRequest {
  readonly nonce: string;
  readonly ledger: string;
}

/** A head with the Worker's signature. */
export interface SignedHead extends LedgerHead {
  readonly signature: string;
  /** The public key that verifies the signature. */
  readonly key: string;
}

/** A daily list with the Worker's signature. */
export interface SignedList extends DailyList {
  readonly signature: string;
  /** The public key that verifies the signature. */
  readonly key: string;
}

/** Stores requests and lists. */
export interface AuditHeadStore {
  /** Requests the heads of these ledgers under one nonce. Deletes requests that are older than an hour. */
  request(nonce: string, ledgers: readonly string[], nowMs: number): Promise<void>;
  /** Lists at most `limit` requests without an answer. */
  listOpen(limit: number): Promise<readonly HeadRequest[]>;
  answer(nonce: string, heads: readonly SignedHead[]): Promise<void>;
  /** Lists the answers under a nonce. */
  listAnswers(nonce: string): Promise<readonly SignedHead[]>;
  deleteRequests(nonce: string): Promise<void>;
  /** Finds the newest list; null when there is none. */
  findNewestList(): Promise<SignedList | null>;
  /** Lists the lists of a span of days, both included, oldest first. */
  listLists(firstDay: string, lastDay: string): Promise<readonly SignedList[]>;
  /** Lists the heads of a list, in the order of the ledgers' ids. */
  listHeads(day: string): Promise<readonly LedgerHead[]>;
  /** Lists the heads of a list whose records are not stored, or are stored with another hash. */
  listContradicted(day: string): Promise<readonly LedgerHead[]>;
  /** Stores heads of a list that is being made. Repeating it changes nothing. */
  addHeads(day: string, heads: readonly LedgerHead[]): Promise<void>;
  /** Completes a list; keeps the first when two runs complete it. */
  addList(list: SignedList): Promise<void>;
  /** Lists at most `limit` ledgers with stored records that a list does not have yet, in the order of their ids. */
  listMissingLedgers(day: string, limit: number): Promise<readonly string[]>;
}

const REQUEST_MS = 3_600_000;
const LIST_COLUMNS = "day, made_ms AS madeMs, ledgers, records, digest, signature, key";

/** Opens the store over GATEHOUSE_DB. */
export function openAuditHeadStore(database: D1Database): AuditHeadStore {
  const all = async <Row>(sql: string, ...values: readonly unknown[]): Promise<readonly Row[]> =>
    (
      await database
        .prepare(sql)
        .bind(...values)
        .all<Row>()
    ).results;
  const run = async (sql: string, ...values: readonly unknown[]): Promise<void> =>
    void (await database
      .prepare(sql)
      .bind(...values)
      .run());
  return {
    async request(nonce, ledgers, nowMs) {
      await database.batch([
        database.prepare("DELETE FROM audit_head_request WHERE asked_ms < ?").bind(nowMs - REQUEST_MS),
        database
          .prepare("INSERT INTO audit_head_request (nonce, ledger, asked_ms) SELECT ?, value, ? FROM json_each(?)")
          .bind(nonce, nowMs, JSON.stringify(ledgers)),
      ]);
    },
    listOpen: async (limit) => all("SELECT nonce, ledger FROM audit_head_request WHERE hash IS NULL LIMIT ?", limit),
    answer: async (nonce, heads) =>
      run(
        `UPDATE audit_head_request SET seq = value ->> 'seq', hash = value ->> 'hash',
            signature = value ->> 'signature', key = value ->> 'key'
          FROM json_each(?2) WHERE nonce = ?1 AND ledger = value ->> 'ledger'`,
        nonce,
        JSON.stringify(heads),
      ),
    listAnswers: async (nonce) =>
      all(
        "SELECT ledger, seq, hash, signature, key FROM audit_head_request WHERE nonce = ? AND hash IS NOT NULL ORDER BY ledger",
        nonce,
      ),
    deleteRequests: async (nonce) => run("DELETE FROM audit_head_request WHERE nonce = ?", nonce),
    findNewestList: async () =>
      database.prepare(`SELECT ${LIST_COLUMNS} FROM audit_list ORDER BY day DESC LIMIT 1`).first<SignedList>(),
    listLists: async (firstDay, lastDay) =>
      all(`SELECT ${LIST_COLUMNS} FROM audit_list WHERE day BETWEEN ? AND ? ORDER BY day`, firstDay, lastDay),
    listHeads: async (day) => all("SELECT ledger, seq, hash FROM audit_list_head WHERE day = ? ORDER BY ledger", day),
    listContradicted: async (day) =>
      all(
        `SELECT h.ledger, h.seq, h.hash FROM audit_list_head AS h
          LEFT JOIN audit_record AS r ON r.ledger = h.ledger AND r.seq = h.seq
          WHERE h.day = ? AND h.seq > 0 AND (r.hash IS NULL OR r.hash <> h.hash) ORDER BY h.ledger`,
        day,
      ),
    addHeads: async (day, heads) =>
      run(
        `INSERT INTO audit_list_head (day, ledger, seq, hash)
          SELECT ?1, value ->> 'ledger', value ->> 'seq', value ->> 'hash' FROM json_each(?2) WHERE true
          ON CONFLICT (day, ledger) DO NOTHING`,
        day,
        JSON.stringify(heads),
      ),
    addList: async ({ day, madeMs, ledgers, records, digest, signature, key }) =>
      run(
        `INSERT INTO audit_list (day, made_ms, ledgers, records, digest, signature, key) VALUES (?, ?, ?, ?, ?, ?, ?)
          ON CONFLICT (day) DO NOTHING`,
        day,
        madeMs,
        ledgers,
        records,
        digest,
        signature,
        key,
      ),
    async listMissingLedgers(day, limit) {
      // The next ledger of the unique index, one at a time: a DISTINCT over all records would read every one of them.
      const rows = await all<{ ledger: string }>(
        `WITH RECURSIVE known (ledger) AS (
            SELECT min(ledger) FROM audit_record
            UNION ALL
            SELECT (SELECT min(ledger) FROM audit_record WHERE ledger > known.ledger) FROM known WHERE known.ledger IS NOT NULL)
          SELECT ledger FROM known WHERE ledger IS NOT NULL
            AND ledger NOT IN (SELECT ledger FROM audit_list_head WHERE day = ?) LIMIT ?`,
        day,
        limit,
      );
      return rows.map(({ ledger }) => ledger);
    },
  };
}
