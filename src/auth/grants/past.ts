// Tokens that are over: spent refresh tokens, with the answer to give again for a while, and access tokens that expired or were
// revoked. Kept as hashes, so that a token presented too late is known for what it was.
import type { Refusal } from "./notes.ts";
import type { Tables } from "./tables.ts";

export interface Spent {
  readonly grantId: string;
  readonly spentMs: number;
  /** What was answered, sealed under the token itself; null once the time for repeats is over. */
  readonly answer: ArrayBuffer | null;
}

export interface PastToken {
  readonly grantId: string;
  readonly clientId: string;
  readonly refusal: Refusal;
}

export interface PastTokens {
  spend(hash: string, spent: Spent): void;
  spent(hash: string): Spent | undefined;
  /** Forgets the spent tokens of a grant that is over. */
  forgetSpent(grantId: string): void;
  /** Keeps an access token that is over. */
  bury(hash: string, token: PastToken, nowMs: number): void;
  /** An access token that is over, if it was not asked for before. */
  takeFirst(hash: string): PastToken | undefined;
  /** Remembers that a token that is not over was refused. False when that is remembered already. */
  markRefused(hash: string, token: PastToken, nowMs: number): boolean;
  /** Drops the answers whose time is over, and what is remembered for long enough. */
  sweep(nowMs: number): void;
  nextSweepMs(): number | undefined;
  isEmpty(): boolean;
}

export const PAST_SCHEMA = `
  CREATE TABLE IF NOT EXISTS spent (hash TEXT PRIMARY KEY, grant_id TEXT NOT NULL, spent_ms INTEGER NOT NULL, answer BLOB) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS spent_grant ON spent (grant_id, spent_ms);
  CREATE INDEX IF NOT EXISTS spent_answer ON spent (spent_ms) WHERE answer IS NOT NULL;
  CREATE TABLE IF NOT EXISTS past_token (hash TEXT PRIMARY KEY, grant_id TEXT NOT NULL, client_id TEXT NOT NULL, refusal TEXT NOT NULL, is_told INTEGER NOT NULL, until_ms INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS past_until ON past_token (until_ms);
`;

/** Spent tokens that are known of one grant: at one refresh an hour those of six weeks. */
const MAX_SPENT = 1000;
/** How long a client may go on with a token that is over and still be told from somebody who made it up. */
const REMEMBER_MS = 7 * 86_400_000;

interface PastRow extends Record<string, SqlStorageValue> {
  readonly grantId: string;
  readonly clientId: string;
  readonly refusal: Refusal;
}

export function createPastTokens(
  { existing, ensured }: Pick<Tables, "existing" | "ensured">,
  graceMs: number,
): PastTokens {
  const keep = (hash: string, { grantId, clientId, refusal }: PastToken, isTold: number, nowMs: number): boolean =>
    ensured()
      .exec(
        "INSERT OR IGNORE INTO past_token (hash, grant_id, client_id, refusal, is_told, until_ms) VALUES (?, ?, ?, ?, ?, ?) RETURNING hash",
        hash,
        grantId,
        clientId,
        refusal,
        isTold,
        nowMs + REMEMBER_MS,
      )
      .toArray().length > 0;
  return {
    spend(hash, { grantId, spentMs, answer }) {
      ensured().exec(
        "INSERT INTO spent (hash, grant_id, spent_ms, answer) VALUES (?, ?, ?, ?)",
        hash,
        grantId,
        spentMs,
        answer,
      );
      ensured().exec(
        "DELETE FROM spent WHERE grant_id = ?1 AND hash IN (SELECT hash FROM spent WHERE grant_id = ?1 ORDER BY spent_ms DESC LIMIT -1 OFFSET ?2)",
        grantId,
        MAX_SPENT,
      );
    },
    spent: (hash) =>
      existing()
        ?.exec<Spent & Record<string, SqlStorageValue>>(
          "SELECT grant_id AS grantId, spent_ms AS spentMs, answer FROM spent WHERE hash = ?",
          hash,
        )
        .toArray()[0],
    forgetSpent: (grantId) => void existing()?.exec("DELETE FROM spent WHERE grant_id = ?", grantId),
    bury: (hash, token, nowMs) => void keep(hash, token, 0, nowMs),
    takeFirst(hash) {
      const known = existing()
        ?.exec<PastRow>(
          "SELECT grant_id AS grantId, client_id AS clientId, refusal FROM past_token WHERE hash = ? AND is_told = 0",
          hash,
        )
        .toArray()[0];
      if (known !== undefined) existing()?.exec("UPDATE past_token SET is_told = 1 WHERE hash = ?", hash);
      return known;
    },
    markRefused: (hash, token, nowMs) => keep(hash, token, 1, nowMs),
    sweep(nowMs) {
      const sql = existing();
      sql?.exec("UPDATE spent SET answer = NULL WHERE answer IS NOT NULL AND spent_ms <= ?", nowMs - graceMs);
      sql?.exec("DELETE FROM past_token WHERE until_ms <= ?", nowMs);
    },
    isEmpty: () =>
      (existing()?.exec("SELECT hash FROM spent UNION ALL SELECT hash FROM past_token LIMIT 1").toArray() ?? [])
        .length === 0,
    nextSweepMs() {
      const answered = existing()
        ?.exec<{ at: number | null }>("SELECT min(spent_ms) AS at FROM spent WHERE answer IS NOT NULL")
        .one().at;
      const untilMs = existing()?.exec<{ at: number | null }>("SELECT min(until_ms) AS at FROM past_token").one().at;
      return earliest([answered == null ? undefined : answered + graceMs, untilMs ?? undefined]);
    },
  };
}

/** The smallest of the times that there are. */
export function earliest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}
