// Decodes the bytes of a document: UTF-8, UTF-16, and Windows-1252, which includes Latin-1. Other encodings are refused where the bytes
// show them: wrong characters would look like data. Bytes do not say which single-byte encoding they are in, so Windows-1252 is a guess,
// and marked as one: text in a similar encoding, such as Windows-1250, gets some wrong letters.

export type DecodedText =
  /** Well-formed text without byte order mark. `encoding` is absent for UTF-8. */
  | { readonly kind: "text"; readonly text: string; readonly encoding?: string }
  /** `text` is shown in place of the bytes, or has replacement characters; `problem` says why, after "it". */
  | { readonly kind: "problem"; readonly text: string; readonly problem: string };

/** How many bytes at the start show whether a value is text. */
const SAMPLED_BYTES = 65_536;
/** UTF-16 without a byte order mark has a zero byte in each ASCII character: at least this share of its characters. */
const MIN_ASCII_SHARE = 0.25;
/** In UTF-8, damage of a smaller share is shown with replacement characters. */
const MAX_DAMAGED_SHARE = 0.01;
// oxlint-disable-next-line no-control-regex -- these characters do not occur in text
const CONTROL_CHARACTER = /[\u0000-\u0008\u000e-\u001a\u001c-\u001f\u007f\ufffe\uffff]/;
/** Bytes that Windows-1252 does not define. */
const UNDEFINED_IN_WINDOWS_1252 = new Set([0x81, 0x8d, 0x8f, 0x90, 0x9d]);
/** A letter of Windows-1252 that is not ASCII. */
const LETTER = "[À-ÖØ-öø-ÿŒœŠšŸŽž]";
const ALL_LETTERS = new RegExp(LETTER, "g");
const LOWER_CASE = /[ß-öø-ÿœšž]/g;
/** From a letter to a letter, without spaces and ASCII: long ones are words of another alphabet, but for a list of letters. */
const RUN = new RegExp(String.raw`${LETTER}(?:[^\u0000-\u00a0]*${LETTER})?`, "g");
const MAX_RUN_CHARACTERS = 3;
// oxlint-disable-next-line no-control-regex -- the range is all of ASCII
const BEYOND_ASCII = /[^\u0000-\u007f]/g;
/** The bytes before each kana of Shift JIS, as Windows-1252 has them, before a letter or a byte beyond ASCII. */
const KANA = /[‚ƒ](?=[@-\uffff])/g;
/** Titles and lists of letters in capitals. More than this without lower-case letters is another alphabet. */
const MAX_CAPITALS = 12;

/** Decodes a document. */
export function decodeText(bytes: Uint8Array): DecodedText {
  const mark = findByteOrderMark(bytes);
  if (mark === "utf-32") return refuse("is UTF-32, which is not supported: store it as UTF-8");
  if (mark === "utf-16le" || mark === "utf-16be") return decodeStrictly(bytes, mark);
  const utf8 = decode("utf-8", bytes);
  if (utf8 !== undefined && !utf8.includes("\u0000")) return { kind: "text", text: utf8 };
  const sample = bytes.subarray(0, SAMPLED_BYTES);
  if (sample.includes(0)) {
    const encoding = guessUtf16(sample);
    return encoding === undefined ? refuseBinary(bytes) : decodeStrictly(bytes, encoding);
  }
  return decodeSingleBytes(bytes);
}

function findByteOrderMark(bytes: Uint8Array): "utf-16le" | "utf-16be" | "utf-32" | undefined {
  const [first, second, third, fourth] = bytes;
  if (first === 0xff && second === 0xfe) return third === 0 && fourth === 0 ? "utf-32" : "utf-16le";
  if (first === 0xfe && second === 0xff) return "utf-16be";
  if (first === 0 && second === 0 && third === 0xfe && fourth === 0xff) return "utf-32";
  return undefined;
}

/** Undefined if the bytes are not valid in this encoding. */
function decode(encoding: string, bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

function decodeStrictly(bytes: Uint8Array, encoding: "utf-16le" | "utf-16be"): DecodedText {
  const text = bytes.length % 2 === 0 ? decode(encoding, bytes) : undefined;
  if (text === undefined) return refuse(`is not valid ${encoding.toUpperCase()}: store it as UTF-8`);
  return text.includes("\u0000") ? refuseBinary(bytes) : { kind: "text", text, encoding: encoding.toUpperCase() };
}

/** Recognises UTF-16 without a byte order mark: zero bytes at every second place alone, and no control characters. */
function guessUtf16(sample: Uint8Array): "utf-16le" | "utf-16be" | undefined {
  const zeros = [0, 0];
  for (const [index, byte] of sample.entries()) if (byte === 0) zeros[index % 2] = (zeros[index % 2] ?? 0) + 1;
  const [even = 0, odd = 0] = zeros;
  if (even > 0 === odd > 0 || even + odd < (sample.length / 2) * MIN_ASCII_SHARE) return undefined;
  const encoding = even > 0 ? "utf-16be" : "utf-16le";
  // The sample may end within a surrogate pair.
  const text = new TextDecoder(encoding).decode(sample.subarray(0, sample.length - (sample.length % 2)));
  return CONTROL_CHARACTER.test(text) ? undefined : encoding;
}

/** Decodes bytes that are not UTF-8 and have no zero byte. */
function decodeSingleBytes(bytes: Uint8Array): DecodedText {
  const damaged = new TextDecoder().decode(bytes);
  if (CONTROL_CHARACTER.test(damaged.slice(0, SAMPLED_BYTES))) return refuseBinary(bytes);
  const invalid = damaged.split("\uFFFD").length - 1;
  // oxlint-disable-next-line no-control-regex -- the range is all of ASCII
  const valid = damaged.replace(/[\u0000-\u007f\ufffd]+/g, "").length;
  if (valid > 0 && valid >= invalid) {
    const problem = "is UTF-8 with invalid bytes";
    return invalid < damaged.length * MAX_DAMAGED_SHARE ? { kind: "problem", text: damaged, problem } : refuse(problem);
  }
  const text = new TextDecoder("windows-1252").decode(bytes);
  if (bytes.some((byte) => UNDEFINED_IN_WINDOWS_1252.has(byte)) || looksForeign(text))
    return refuse("is not UTF-8, and does not look like UTF-16 or Windows-1252: store it as UTF-8");
  return { kind: "text", text, encoding: "Windows-1252" };
}

/**
 * Whether bytes that were read as Windows-1252 look like text in another alphabet: it has most of its letters beyond ASCII in a row,
 * while Western words have one or two of them. Punctuation and spaces in a row say nothing.
 */
function looksForeign(text: string): boolean {
  const counts = { foreign: 0, capitals: 0, usual: 0 };
  for (const [run] of text.matchAll(RUN)) {
    const letters = countMatches(run, ALL_LETTERS);
    if (run.length <= MAX_RUN_CHARACTERS) counts.usual += letters;
    // Symbols within a word, and words that are not in capitals.
    else if (letters < run.length || countMatches(run, LOWER_CASE) * 2 > letters) counts.foreign += run.length;
    else counts.capitals += letters;
  }
  const beyondAscii = countMatches(text, BEYOND_ASCII);
  const kana = countMatches(text, KANA);
  return (
    counts.foreign > counts.usual ||
    counts.capitals > Math.max(MAX_CAPITALS, counts.usual + countMatches(text, /[a-z]/gi)) ||
    kana > beyondAscii - kana
  );
}

/** Counts matches of one character each, without a list of them. */
function countMatches(text: string, pattern: RegExp): number {
  return text.length - text.replace(pattern, "").length;
}

function refuse(problem: string): DecodedText {
  return { kind: "problem", text: `This document ${problem}.`, problem };
}

function refuseBinary(bytes: Uint8Array): DecodedText {
  return {
    kind: "problem",
    text: `This is not text: its ${bytes.length} bytes are not shown.`,
    problem: "is not text",
  };
}
