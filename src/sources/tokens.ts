// Tokens of one D1 source: makes them with the deployment's key, keeps them beside the data, and finds the value behind
// one. Equal values of a domain have equal tokens in every source; without the key nobody can tell a value's token.
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { TOKEN_TABLE, hasToken } from "../policy/masks.ts";
import type { TokenColumn } from "../policy/tokens.ts";
import { quoteIdentifier } from "../sql/identifier.ts";

/** The deployment's secret for tokens, parsed. */
export interface TokenKey {
  readonly bytes: Uint8Array;
  /** Tells keys apart and nothing of them: a new key begins anew with tokens of its own. */
  readonly id: string;
}

export interface TokenStore {
  /** The name under which tokens of a domain are kept. */
  readonly domainOf: (domain: string) => string;
  /** The masking token of a value, whether it is kept or not. */
  readonly tokenOf: (domain: string, value: string) => string;
  /** Makes missing tokens of these columns, at most so many. `isComplete` when none can be missing now. */
  fill(
    columns: readonly TokenColumn[],
    maxTokens: number,
  ): Promise<{ readonly filled: number; readonly isComplete: boolean }>;
  /** The value behind a token. It is not governed: only a read under a decision may let it out. */
  valueOf(domain: string, token: string): Promise<string | undefined>;
  /** Removes what other keys made. */
  removeStale(): Promise<void>;
}

/** Tokens that one statement adds. A value has at most 1,000 bytes, a bound parameter 2,000,000. */
const TOKENS_AT_ONCE = 500;
const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
const TOKEN_LENGTH = 16;

/** Reads the secret; null when it is not set. Throws `TypeError` naming the setting when it is too short to be one. */
export function parseTokenKey(text: unknown): TokenKey | null {
  if (text === undefined || text === "") return null;
  if (typeof text !== "string" || text.length < 32)
    throw new TypeError(
      "GATEHOUSE_TOKEN_KEY is too short. It takes at least 32 random characters, such as of `openssl rand -hex 32`.",
    );
  const bytes = utf8ToBytes(text);
  return { bytes, id: bytesToHex(hmac(sha256, bytes, utf8ToBytes("key id"))).slice(0, 8) };
}

/** Whether a text has the form of a token. */
export function isToken(text: string): boolean {
  return /^tok_[a-z2-7]{16}$/.test(text);
}

/** 80 bits of HMAC-SHA-256 over domain and value, in base 32. */
export function tokenOf({ bytes }: TokenKey, domain: string, value: string): string {
  const digest = hmac(sha256, bytes, utf8ToBytes(JSON.stringify([domain, value])));
  const bits = [...digest].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const letters = Array.from(
    { length: TOKEN_LENGTH },
    (_value, index) => ALPHABET[Number.parseInt(bits.slice(index * 5, index * 5 + 5), 2)],
  );
  return `tok_${letters.join("")}`;
}

export function createTokenStore(database: D1Database, key: TokenKey): TokenStore {
  const suffix = `#${key.id}`;
  const domainOf = (domain: string): string => `${domain}${suffix}`;

  async function missing({ dataset, column, domain }: TokenColumn, limit: number): Promise<readonly string[]> {
    const name = `d.${quoteIdentifier(column)}`;
    const { results } = await database
      .prepare(
        // The column's collation reaches through CAST: of values that differ by case alone, one would get its token now.
        `SELECT DISTINCT CAST(${name} AS TEXT) COLLATE BINARY AS value FROM main.${quoteIdentifier(dataset.table)} AS d WHERE ${hasToken(name)} ` +
          `AND NOT EXISTS (SELECT 1 FROM ${TOKEN_TABLE} AS t WHERE t.domain = ?1 AND t.value = CAST(${name} AS TEXT)) LIMIT ?2`,
      )
      .bind(domainOf(domain), limit)
      .all<{ value: string }>();
    return results.map(({ value }) => value);
  }

  function adding(domain: string, values: readonly string[]): D1PreparedStatement {
    const pairs = values.map((value) => [value, tokenOf(key, domain, value)]);
    return database
      .prepare(`INSERT OR IGNORE INTO ${TOKEN_TABLE} SELECT ?1, value ->> 0, value ->> 1 FROM json_each(?2)`)
      .bind(domainOf(domain), JSON.stringify(pairs));
  }

  return {
    domainOf,
    tokenOf: (domain, value) => tokenOf(key, domain, value),
    async fill(columns, maxTokens) {
      let filled = 0;
      for (const column of columns) {
        const left = maxTokens - filled;
        const values = left > 0 ? await missing(column, left) : [];
        const parts = Array.from({ length: Math.ceil(values.length / TOKENS_AT_ONCE) }, (_value, index) =>
          adding(column.domain, values.slice(index * TOKENS_AT_ONCE, (index + 1) * TOKENS_AT_ONCE)),
        );
        if (parts.length > 0) await database.batch(parts);
        filled += values.length;
      }
      return { filled, isComplete: filled < maxTokens };
    },
    async valueOf(domain, token) {
      const row = await database
        .prepare(`SELECT value FROM ${TOKEN_TABLE} WHERE domain = ? AND token = ?`)
        .bind(domainOf(domain), token)
        .first<{ value: string }>();
      return row?.value;
    },
    async removeStale() {
      await database
        .prepare(`DELETE FROM ${TOKEN_TABLE} WHERE substr(domain, ?) <> ?`)
        .bind(-suffix.length, suffix)
        .run();
    },
  };
}
