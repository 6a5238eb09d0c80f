// Counts the bytes of a text in UTF-8.

const encoder = new TextEncoder();
// oxlint-disable-next-line no-control-regex -- the range is all of ASCII
const BEYOND_ASCII = /[^\u0000-\u007f]/;

/** Counts the UTF-8 bytes of the text. Most texts are ASCII, whose length needs no encoding. */
export function byteLength(text: string): number {
  return BEYOND_ASCII.test(text) ? encoder.encode(text).length : text.length;
}
