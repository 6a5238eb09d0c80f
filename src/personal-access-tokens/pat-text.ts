// The text of a personal access token, and the hash and subject id derived from it. The text has a prefix, so that scanners for leaked
// secrets can find it.
import { randomHex } from "../lib/ids.ts";
import { sha256Hex } from "../lib/crypto.ts";

const PAT_PREFIX = "gth_";
/** 256 random bits as 64 hex digits. */
const PAT_FORMAT = /^gth_[0-9a-f]{64}$/;

/** Generates an unguessable personal access token. */
export function generatePat(): string {
  return `${PAT_PREFIX}${randomHex(32)}`;
}

/** Whether a text has the format of a personal access token. */
export function hasPatFormat(text: string): boolean {
  return PAT_FORMAT.test(text);
}

/** Computes the hash that is stored instead of the text. A plain SHA-256 is enough, because 256 random bits cannot be guessed. */
export async function hashPat(pat: string): Promise<string> {
  return sha256Hex(pat);
}

/** Derives the subject id from a token's id, like `deriveIdentity` but with an issuer that no identity provider can have. */
export async function derivePatSubjectId(id: string): Promise<string> {
  return (await sha256Hex(JSON.stringify(["urn:gatehouse:access-token", id]))).slice(0, 40);
}
