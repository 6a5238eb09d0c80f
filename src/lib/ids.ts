// Generates random identifiers. Only this file, lib/crypto.ts and the Durable Objects draw random values.
import { toHex } from "./crypto.ts";

/** Creates an unguessable id: 128 random bits as 32 lower-case hex digits. */
export function newId(): string {
  return randomHex(16);
}

/** Draws random bytes and writes each as two lower-case hex digits. */
export function randomHex(byteCount: number): string {
  return toHex(crypto.getRandomValues(new Uint8Array(byteCount)));
}
