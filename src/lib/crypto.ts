// Hashing and sealing on the platform's WebCrypto, with the encodings we store. Holds no keys.

const encoder = new TextEncoder();

/** SHA-256 of the UTF-8 text, as 64 lower-case hex digits. */
export async function sha256Hex(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", encoder.encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Whether two texts are the same, in a time that tells nothing but their lengths. */
export function equalTexts(one: string, other: string): boolean {
  if (one.length !== other.length) return false;
  let difference = 0;
  for (let at = 0; at < one.length; at += 1) difference |= one.charCodeAt(at) ^ other.charCodeAt(at);
  return difference === 0;
}

/** Bytes of the random value in front of what is sealed. */
const IV_BYTES = 12;

/**
 * Seals a text (AES-256-GCM) so that only who has `secret` opens it again. The secret must be unguessable, as a token is: nothing
 * slows down a search for it. `purpose` keeps keys of one secret apart.
 */
export async function sealUnder(secret: string, purpose: string, text: string): Promise<ArrayBuffer> {
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const key = await keyOf(secret, purpose, "encrypt");
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, encoder.encode(text));
  const whole = new Uint8Array(IV_BYTES + sealed.byteLength);
  whole.set(iv);
  whole.set(new Uint8Array(sealed), IV_BYTES);
  return whole.buffer;
}

/** Opens what `sealUnder` sealed. Rejects when the secret or the purpose is another one, or a byte was changed. */
export async function openUnder(secret: string, purpose: string, sealed: ArrayBuffer): Promise<string> {
  const key = await keyOf(secret, purpose, "decrypt");
  const iv = sealed.slice(0, IV_BYTES);
  return new TextDecoder().decode(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, sealed.slice(IV_BYTES)));
}

async function keyOf(secret: string, purpose: string, usage: "encrypt" | "decrypt"): Promise<CryptoKey> {
  const material = await crypto.subtle.importKey("raw", encoder.encode(secret), "HKDF", false, ["deriveKey"]);
  const derivation = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: encoder.encode(purpose) };
  return crypto.subtle.deriveKey(derivation, material, { name: "AES-GCM", length: 256 }, false, [usage]);
}
