// The requests for heads of ledgers and the signed daily lists, in GATEHOUSE_DB.
import { openStatements } from "../lib/statement-store.ts";
import { KNOWN_LEDGERS_SQL } from "./audit-record-store.ts";
import type { DailyList, LedgerHead } from "./head-signature.ts";
import { OPERATOR_LEDGER } from "./operator-ledger.ts";

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

/** A ledger whose last sent records are not stored. */
export interface LostEnd {
  readonly ledger: string;
  /** The last record that is stored; 0 when there is none. */
  readonly storedSeq: number;
}

/** Stores requests and lists. */
export interface AuditHeadStore {
  /** Requests the heads of these ledgers under one nonce. Deletes requests that are older than an hour. */
  request(nonce: string, ledgers: readonly string[], nowMs: number): Promise<void>;
  /** Lists at most `limit` requests without an answer. */
  listOpen(limit: number): Promise<readonly HeadRequest[]>;
  /** Lists those of these heads whose records are not stored, each with the last stored or removed record of its ledger. */
  listLost(heads: readonly LedgerHead[]): Promise<readonly LostEnd[]>;
  answer(nonce: string, heads: readonly SignedHead[]): Promise<void>;
  /** Lists the answers under a nonce. */
  listAnswers(nonce: string): Promise<readonly SignedHead[]>;
  deleteRequests(nonce: string): Promise<void>;
  /** Finds the newest list; null when there is none. */
  findNewestList(): Promise<SignedList | null>;
  /** Lists all lists, by day. */
  listLists(): Promise<readonly SignedList[]>;
  /** Lists the heads of a list, in the order of the ledgers' ids. */
  listHeads(day: string): Promise<readonly LedgerHead[]>;
  /** Lists the heads of a list whose records are not stored, or are stored with another hash, and were not removed by the retention. */
  listContradicted(day: string): Promise<readonly LedgerHead[]>;
  /** Finds the list of a day; null when there is none. */
  findList(day: string): Promise<SignedList | null>;
  /** Stores a list with its heads in place of what is stored for its day. */
  replaceList(list: SignedList, heads: readonly LedgerHead[]): Promise<void>;
  /** Lists the ledgers of all users who have signed in, of all stored and removed records, and of the newest list. */
  listLedgers(): Promise<readonly string[]>;
}

const REQUEST_MS = 3_600_000;
/** The longest that a record may have waited in its ledger, for example because GATEHOUSE_DB did not answer, when a list was made. */
export const LATE_MS = 3 * 86_400_000;
/** How many heads are sent as one value: D1 takes at most 2 MB. */
const HEADS_PER_VALUE = 5000;
const LIST_COLUMNS = "day, made_ms AS madeMs, ledgers, records, digest, signature, key";

/** Opens the store over GATEHOUSE_DB. */
export function openAuditHeadStore(database: D1Database): AuditHeadStore {
  const statements = openStatements(database);
  const { prepare, all } = statements;
  const run = async (sql: string, ...values: readonly unknown[]): Promise<void> =>
    void (await statements.run(sql, ...values));
  const listLostOf = async (heads: readonly LedgerHead[]): Promise<readonly LostEnd[]> =>
    all(
      `SELECT value ->> 'ledger' AS ledger, max(
            coalesce((SELECT max(seq) FROM audit_record WHERE ledger = value ->> 'ledger'), 0),
            coalesce((SELECT seq FROM audit_checkpoint WHERE ledger = value ->> 'ledger'), 0)) AS storedSeq
          FROM json_each(?) WHERE value ->> 'seq' > storedSeq`,
      JSON.stringify(heads),
    );
  return {
    async request(nonce, ledgers, nowMs) {
      await database.batch([
        prepare("DELETE FROM audit_head_request WHERE asked_ms < ?", nowMs - REQUEST_MS),
        prepare(
          "INSERT INTO audit_head_request (nonce, ledger, asked_ms) SELECT ?, value, ? FROM json_each(?)",
          nonce,
          nowMs,
          JSON.stringify(ledgers),
        ),
      ]);
    },
    listOpen: async (limit) => all("SELECT nonce, ledger FROM audit_head_request WHERE hash IS NULL LIMIT ?", limit),
    async listLost(heads) {
      const lost: LostEnd[] = [];
      for (let at = 0; at < heads.length; at += HEADS_PER_VALUE)
        lost.push(...(await listLostOf(heads.slice(at, at + HEADS_PER_VALUE))));
      return lost;
    },
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
      prepare(`SELECT ${LIST_COLUMNS} FROM audit_list ORDER BY day DESC LIMIT 1`).first<SignedList>(),
    listLists: async () => all(`SELECT ${LIST_COLUMNS} FROM audit_list ORDER BY day`),
    listHeads: async (day) => all("SELECT ledger, seq, hash FROM audit_list_head WHERE day = ? ORDER BY ledger", day),
    listContradicted: async (day) =>
      all(
        // A checkpoint says nothing about the records before its own, but those after a list were too new to be removed.
        `SELECT h.ledger, h.seq, h.hash FROM audit_list_head AS h
          LEFT JOIN audit_record AS r ON r.ledger = h.ledger AND r.seq = h.seq
          JOIN audit_list AS l ON l.day = h.day
          LEFT JOIN audit_checkpoint AS c ON c.ledger = h.ledger AND c.seq >= h.seq
          WHERE h.day = ? AND CASE WHEN c.seq > h.seq
            THEN l.made_ms > c.until_ms + ${LATE_MS} ELSE h.seq > 0 AND coalesce(c.hash, r.hash) IS NOT h.hash END
          ORDER BY h.ledger`,
        day,
      ),
    findList: async (day) => prepare(`SELECT ${LIST_COLUMNS} FROM audit_list WHERE day = ?`, day).first<SignedList>(),
    async replaceList({ day, madeMs, ledgers, records, digest, signature, key }, heads) {
      const parts = Array.from({ length: Math.ceil(heads.length / HEADS_PER_VALUE) }, (_, index) =>
        heads.slice(index * HEADS_PER_VALUE, (index + 1) * HEADS_PER_VALUE),
      );
      await database.batch([
        prepare("DELETE FROM audit_list_head WHERE day = ?", day),
        ...parts.map((part) =>
          prepare(
            `INSERT INTO audit_list_head (day, ledger, seq, hash)
                SELECT ?1, value ->> 'ledger', value ->> 'seq', value ->> 'hash' FROM json_each(?2)`,
            day,
            JSON.stringify(part),
          ),
        ),
        prepare(
          `INSERT OR REPLACE INTO audit_list (day, made_ms, ledgers, records, digest, signature, key)
              VALUES (?, ?, ?, ?, ?, ?, ?)`,
          day,
          madeMs,
          ledgers,
          records,
          digest,
          signature,
          key,
        ),
      ]);
    },
    async listLedgers() {
      const rows = await all<{ ledger: string }>(
        `WITH RECURSIVE known (ledger) AS (${KNOWN_LEDGERS_SQL})
          SELECT ledger FROM known WHERE ledger IS NOT NULL
          UNION SELECT subject_id FROM subject WHERE owner_id IS NULL
          UNION SELECT ledger FROM audit_checkpoint
          UNION SELECT '${OPERATOR_LEDGER}'
          UNION SELECT ledger FROM audit_list_head WHERE day = (SELECT max(day) FROM audit_list)`,
      );
      return rows.map(({ ledger }) => ledger);
    },
  };
}
