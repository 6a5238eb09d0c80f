// The masking tokens of one D1 source: derives them with the deployment's key, stores them beside the data, and finds the value behind
// one. Equal values of a domain have equal masking tokens in every source, and only the key's holder can compute the one of a value.
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { MASKING_TOKEN_TABLE, buildTokenizableSql } from "../policy/masks.ts";
import type { MaskingTokenColumn } from "./masking-token-columns.ts";
import { SOURCE_LAYOUT_NUMBER, SOURCE_LAYOUT_TABLE } from "./masking-token-table.ts";
import { quoteIdentifier } from "../sql/identifier.ts";

/** The deployment's key for masking tokens, parsed from its secret. */
export interface MaskingTokenKey {
  readonly bytes: Uint8Array;
  /** Distinguishes keys without revealing them. Masking tokens of an earlier key are never found under a new one. */
  readonly id: string;
}

/** Stores the masking tokens of one source. */
export interface MaskingTokenStore {
  /** Returns the name of a domain in the table, which includes the id of the key. */
  readonly qualifyDomain: (domain: string) => string;
  /** Derives the masking token of a value, whether it is stored or not. */
  readonly deriveMaskingToken: (domain: string, value: string) => string;
  /** Creates missing masking tokens of these columns, at most `maxMaskingTokens`. Returns how many it has created. */
  fillMissing(columns: readonly MaskingTokenColumn[], maxMaskingTokens: number): Promise<{ readonly filled: number }>;
  /** Finds the value behind a masking token. Applies no policy: only a read under a decision may return it to a user. */
  findValue(domain: string, maskingToken: string): Promise<string | undefined>;
  /** Removes the masking tokens of other keys. */
  removeStale(): Promise<void>;
  /** Updates SQLite's statistics after masking tokens were added. SQLite itself decides what needs it, and reads a limited part. */
  updateStatistics(): Promise<void>;
}

/** The number of masking tokens that one statement adds. A value has at most 1,000 bytes, and a bound parameter at most 2,000,000. */
const MASKING_TOKENS_PER_STATEMENT = 500;
const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
const MASKING_TOKEN_LETTERS = 16;

/** Parses GATEHOUSE_TOKEN_KEY; null when it is not set. Throws `TypeError` when it is too short. */
export function parseMaskingTokenKey(text: unknown): MaskingTokenKey | null {
  if (text === undefined || text === "") return null;
  if (typeof text !== "string" || text.length < 32)
    throw new TypeError(
      "GATEHOUSE_TOKEN_KEY is too short. It needs at least 32 random characters, for example from `openssl rand -hex 32`.",
    );
  const bytes = utf8ToBytes(text);
  return { bytes, id: bytesToHex(hmac(sha256, bytes, utf8ToBytes("key id"))).slice(0, 8) };
}

/** Whether a text has the form of a masking token. */
export function isMaskingToken(text: string): boolean {
  return /^tok_[a-z2-7]{16}$/.test(text);
}

/** Derives the masking token of a value: 80 bits of HMAC-SHA-256 over domain and value, in base 32. */
export function deriveMaskingToken({ bytes }: MaskingTokenKey, domain: string, value: string): string {
  const digest = hmac(sha256, bytes, utf8ToBytes(JSON.stringify([domain, value])));
  const bits = [...digest].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const letters = Array.from(
    { length: MASKING_TOKEN_LETTERS },
    (_value, index) => ALPHABET[Number.parseInt(bits.slice(index * 5, index * 5 + 5), 2)],
  );
  return `tok_${letters.join("")}`;
}

/** Creates the store over the database of a source. The table must exist. */
export function createMaskingTokenStore(database: D1Database, key: MaskingTokenKey): MaskingTokenStore {
  const keySuffix = `#${key.id}`;
  const qualifyDomain = (domain: string): string => `${domain}${keySuffix}`;

  async function findMissingValues(
    { dataset, column, domain }: MaskingTokenColumn,
    limit: number,
  ): Promise<readonly string[]> {
    const name = `d.${quoteIdentifier(column)}`;
    const { results } = await database
      .prepare(
        // CAST keeps the column's collation. With NOCASE, DISTINCT would return only one of the values that differ by case.
        `SELECT DISTINCT CAST(${name} AS TEXT) COLLATE BINARY AS value
          FROM main.${quoteIdentifier(dataset.table)} AS d
          WHERE ${buildTokenizableSql(name)}
            AND NOT EXISTS (SELECT 1 FROM ${MASKING_TOKEN_TABLE} AS t WHERE t.domain = ?1 AND t.value = CAST(${name} AS TEXT))
          LIMIT ?2`,
      )
      .bind(qualifyDomain(domain), limit)
      .all<{ value: string }>();
    return results.map(({ value }) => value);
  }

  function prepareInsert(domain: string, values: readonly string[]): D1PreparedStatement {
    const pairs = values.map((value) => [value, deriveMaskingToken(key, domain, value)]);
    return database
      .prepare(`INSERT OR IGNORE INTO ${MASKING_TOKEN_TABLE} SELECT ?1, value ->> 0, value ->> 1 FROM json_each(?2)`)
      .bind(qualifyDomain(domain), JSON.stringify(pairs));
  }

  return {
    qualifyDomain,
    deriveMaskingToken: (domain, value) => deriveMaskingToken(key, domain, value),
    async fillMissing(columns, maxMaskingTokens) {
      let filled = 0;
      for (const column of columns) {
        const remaining = maxMaskingTokens - filled;
        const values = remaining > 0 ? await findMissingValues(column, remaining) : [];
        const inserts = Array.from(
          { length: Math.ceil(values.length / MASKING_TOKENS_PER_STATEMENT) },
          (_value, index) =>
            prepareInsert(
              column.domain,
              values.slice(index * MASKING_TOKENS_PER_STATEMENT, (index + 1) * MASKING_TOKENS_PER_STATEMENT),
            ),
        );
        if (inserts.length > 0) await database.batch(inserts);
        filled += values.length;
      }
      return { filled };
    },
    async findValue(domain, maskingToken) {
      const row = await database
        .prepare(`SELECT value FROM ${MASKING_TOKEN_TABLE} WHERE domain = ? AND masking_token = ?`)
        .bind(qualifyDomain(domain), maskingToken)
        .first<{ value: string }>();
      return row?.value;
    },
    async removeStale() {
      await database
        .prepare(`DELETE FROM ${MASKING_TOKEN_TABLE} WHERE substr(domain, ?) <> ?`)
        .bind(-keySuffix.length, keySuffix)
        .run();
    },
    async updateStatistics() {
      await database.prepare("PRAGMA optimize").run();
    },
  };
}

/** Why the masking tokens of a database cannot be used; undefined when they can. */
export async function findMaskingTokenFault(database: D1Database): Promise<string | undefined> {
  const { results } = await database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name IN (?, ?)")
    .bind(MASKING_TOKEN_TABLE, SOURCE_LAYOUT_TABLE)
    .all<{ name: string }>();
  if (results.length < 2)
    return `the database lacks the tables ${MASKING_TOKEN_TABLE} and ${SOURCE_LAYOUT_TABLE} of this version. Run \`npm run migrate\`.`;
  const storedNumber = await database.prepare(`SELECT number FROM ${SOURCE_LAYOUT_TABLE}`).first<number>("number");
  if (storedNumber === SOURCE_LAYOUT_NUMBER) return undefined;
  const found = `${SOURCE_LAYOUT_TABLE} says layout ${storedNumber}`;
  if (storedNumber === null || storedNumber < SOURCE_LAYOUT_NUMBER)
    return `${found}, and this version needs layout ${SOURCE_LAYOUT_NUMBER}. Run \`npm run migrate\`.`;
  return [
    `${found}, and this version of Gatehouse knows layouts up to ${SOURCE_LAYOUT_NUMBER}.`,
    "Deploy the version that wrote it, or a newer one: npm run deploy",
  ].join(" ");
}
