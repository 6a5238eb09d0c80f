// Hashing and encryption on the platform's WebCrypto, with the encodings that we store. Holds no keys.

const encoder = new TextEncoder();

/** Hashes the UTF-8 text with SHA-256, to 64 lower-case hex digits. */
export async function sha256Hex(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", encoder.encode(text));
  return toHex(new Uint8Array(digest));
}

/** Creates random bytes that cannot be guessed; at most 65,536. */
export function createRandomBytes(count: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(count));
}

/** Writes each byte as two lower-case hex digits. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Compares two texts in a time that reveals nothing but their lengths. */
export function isEqualInConstantTime(left: string, right: string): boolean {
  if (left.length !== right.length) return false;
  let difference = 0;
  for (let at = 0; at < left.length; at += 1) difference |= left.charCodeAt(at) ^ right.charCodeAt(at);
  return difference === 0;
}

/** Length of the random initialisation vector before the ciphertext. */
const IV_BYTES = 12;

/**
 * Encrypts a text (AES-256-GCM) with a key derived from `secret`. The secret must be unguessable, such as an access token:
 * the derivation does not slow down a search for it. Different purposes get different keys from one secret.
 */
export async function encryptWithSecret(secret: string, purpose: string, text: string): Promise<ArrayBuffer> {
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const key = await deriveKey(secret, purpose, "encrypt");
  const ciphertext = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, encoder.encode(text));
  const encrypted = new Uint8Array(IV_BYTES + ciphertext.byteLength);
  encrypted.set(iv);
  encrypted.set(new Uint8Array(ciphertext), IV_BYTES);
  return encrypted.buffer;
}

/** Decrypts a result of `encryptWithSecret`. Rejects when the secret or the purpose differs, or a byte was changed. */
export async function decryptWithSecret(secret: string, purpose: string, encrypted: ArrayBuffer): Promise<string> {
  const key = await deriveKey(secret, purpose, "decrypt");
  const iv = encrypted.slice(0, IV_BYTES);
  const ciphertext = encrypted.slice(IV_BYTES);
  return new TextDecoder().decode(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, ciphertext));
}

async function deriveKey(secret: string, purpose: string, usage: "encrypt" | "decrypt"): Promise<CryptoKey> {
  const material = await crypto.subtle.importKey("raw", encoder.encode(secret), "HKDF", false, ["deriveKey"]);
  const derivation = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: encoder.encode(purpose) };
  return crypto.subtle.deriveKey(derivation, material, { name: "AES-GCM", length: 256 }, false, [usage]);
}
