// Random identifiers. The only place besides the objects that draws them.

/** An unguessable id: 128 random bits as 32 lower-case hex digits. */
export function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
