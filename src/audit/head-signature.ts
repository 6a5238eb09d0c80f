// Signs heads of ledgers, the daily list of them and checkpoints with Ed25519, so that anyone with the public key can check them. The texts
// that are signed are JSON lists that begin with what they are: names in GATEHOUSE_DB may be anyone's text, and cannot reach into another
// value.
import { parseAuditSecret } from "./audit-secret.ts";
import { toHex } from "../lib/crypto.ts";
import type { ChainHead } from "./record-chain.ts";

/** The head of one ledger. */
export interface LedgerHead extends ChainHead {
  /** The subject id of the user whose ledger it is. */
  readonly ledger: string;
}

/** A daily list without its heads. */
export interface DailyList {
  /** The UTC day that it closes, such as `2026-11-27`. */
  readonly day: string;
  readonly madeMs: number;
  readonly ledgers: number;
  /** The number of records of all ledgers since their beginning. */
  readonly records: number;
  /** See `digestHeads`. */
  readonly digest: string;
}

/** A key that signs. */
export interface SigningKey {
  /** The public key, in base64url. */
  readonly publicKey: string;
  /** Signs a text. Returns base64url. */
  sign(text: string): Promise<string>;
}

const encoder = new TextEncoder();
const ALGORITHM = "Ed25519";
/** The beginning of an Ed25519 private key in PKCS #8 (RFC 8410, section 7), before its 32 bytes. */
const PKCS8_PREFIX = Uint8Array.from([0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20]);

/** Derives the key from the secret GATEHOUSE_AUDIT_KEY; null when it is not set. Throws `TypeError` when it is too short. */
export async function openSigningKey(secret: unknown): Promise<SigningKey | null> {
  const parsed = parseAuditSecret(secret);
  if (parsed === null) return null;
  const material = await crypto.subtle.importKey("raw", encoder.encode(parsed), "HKDF", false, ["deriveBits"]);
  const derivation = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: encoder.encode("audit heads") };
  const seed = new Uint8Array(await crypto.subtle.deriveBits(derivation, material, 256));
  const pkcs8 = new Uint8Array([...PKCS8_PREFIX, ...seed]);
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, ALGORITHM, true, ["sign"]);
  const jwk = await crypto.subtle.exportKey("jwk", key);
  return {
    publicKey: "x" in jwk && typeof jwk.x === "string" ? jwk.x : "",
    sign: async (text) => toBase64Url(new Uint8Array(await crypto.subtle.sign(ALGORITHM, key, encoder.encode(text)))),
  };
}

/** Whether the holder of the key signed this text. False for text that is no key or no signature. */
export async function verifySignature(publicKey: string, text: string, signature: string): Promise<boolean> {
  try {
    const jwk = { kty: "OKP", crv: ALGORITHM, x: publicKey };
    const key = await crypto.subtle.importKey("jwk", jwk, ALGORITHM, false, ["verify"]);
    return await crypto.subtle.verify(ALGORITHM, key, fromBase64Url(signature), encoder.encode(text));
  } catch {
    // Neither a key nor a signature: the check fails.
    return false;
  }
}

/** Writes the text that is signed with one head, as the answer to the request with this nonce. */
export function formatHead(nonce: string, { ledger, seq, hash }: LedgerHead): string {
  return JSON.stringify(["gatehouse ledger head 1", nonce, ledger, seq, hash]);
}

/** Writes the text that is signed with a daily list. */
export function formatList({ day, madeMs, ledgers, records, digest }: DailyList): string {
  return JSON.stringify(["gatehouse daily list 1", day, madeMs, ledgers, records, digest]);
}

/** What stands for the records that were removed from the beginning of a ledger's chain. */
export interface Checkpoint extends LedgerHead {
  /** Records that ended before this time were removed, in milliseconds since the epoch. */
  readonly untilMs: number;
  readonly madeMs: number;
}

/** Writes the text that is signed with a checkpoint. */
export function formatCheckpoint({ ledger, seq, hash, untilMs, madeMs }: Checkpoint): string {
  return JSON.stringify(["gatehouse checkpoint 1", ledger, seq, hash, untilMs, madeMs]);
}

/** Computes the digest of a list's heads: SHA-256, in hex, of the JSON list of `[ledger, seq, hash]` in the order of the ledgers' ids. */
export async function digestHeads(heads: readonly LedgerHead[]): Promise<string> {
  const sorted = heads.toSorted((a, b) => (a.ledger < b.ledger ? -1 : 1));
  const text = JSON.stringify(sorted.map(({ ledger, seq, hash }) => [ledger, seq, hash]));
  return toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text))));
}

function toBase64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}
