// How long a text is as UTF-8.

const encoder = new TextEncoder();
// oxlint-disable-next-line no-control-regex -- all of ASCII is meant
const BEYOND_ASCII = /[^\u0000-\u007f]/;

/** Bytes of the text as UTF-8. Most texts are ASCII, and those are not encoded to be counted. */
export function byteLength(text: string): number {
  return BEYOND_ASCII.test(text) ? encoder.encode(text).length : text.length;
}
