// The encodings of documents: UTF-16 and Windows-1252 are decoded, others are named, and nothing that is not text becomes a table.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { decodeText } from "../../src/documents/text-encoding.ts";
import { createKvDocuments } from "../../src/documents/kv-documents.ts";
import { toIndexedDocument } from "../../src/documents/reindex.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { library } from "../support/library.ts";

const TEXT = "Größe;Preis €\nHäuser;9,50\n日本;1,25\n";
const UNKNOWN = "is not UTF-8, and does not look like UTF-16 or Windows-1252: store it as UTF-8";
const GERMAN = "Größe;Preis\r\nHäuser;9,50\r\nGrün;1,25\r\n";

function encodeUtf16(text: string, isLittleEndian: boolean): Uint8Array {
  const view = new DataView(new ArrayBuffer(text.length * 2));
  for (let index = 0; index < text.length; index += 1)
    view.setUint16(index * 2, text.charCodeAt(index), isLittleEndian);
  return new Uint8Array(view.buffer);
}
const encodeLatin1 = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values);

describe("decodeText", () => {
  it.each([
    ["UTF-8", new TextEncoder().encode(TEXT), TEXT],
    ["UTF-8 with a byte order mark", new TextEncoder().encode(`\ufeff${TEXT}`), TEXT],
    ["UTF-8 with a replacement character", new TextEncoder().encode("a\ufffdb"), "a\ufffdb"],
    ["UTF-16LE", encodeUtf16(`\ufeff${TEXT}🍎`, true), `${TEXT}🍎`],
    ["UTF-16BE", encodeUtf16(`\ufeff${TEXT}🍎`, false), `${TEXT}🍎`],
    ["UTF-16LE without a byte order mark", encodeUtf16(TEXT, true), TEXT],
    ["UTF-16BE without a byte order mark", encodeUtf16(TEXT, false), TEXT],
    ["Latin-1 as Windows-1252", encodeLatin1(GERMAN), GERMAN],
    ["Windows-1252", bytes(0x93, 0x61, 0x94, 0x20, 0x35, 0x80), "“a” 5€"],
    ["no-break spaces in Windows-1252", encodeLatin1("a\u00a0\u00a0\u00a0\u00a0b"), "a\u00a0\u00a0\u00a0\u00a0b"],
    ["em dashes in Windows-1252", bytes(0x61, 0x97, 0x97, 0x97, 0x97, 0x62), "a————b"],
    ["accented capitals in Windows-1252", encodeLatin1("ÀÉÈÙ"), "ÀÉÈÙ"],
    ["a list of letters in Windows-1252", encodeLatin1("Müller, Größe, für: äöüß"), "Müller, Größe, für: äöüß"],
    ["marks of notes in Windows-1252", bytes(0x53, 0x6d, 0x69, 0x74, 0x68, 0x86, 0x87), "Smith†‡"],
    ["low quotes in Windows-1252", bytes(0x82, 0x57, 0x6f, 0x72, 0x74, 0x91), "‚Wort‘"],
  ])("decodes %s", (name, encoded, text) => {
    const encoding = /UTF-16[BL]E|Windows-1252/.exec(name)?.[0];
    expect(decodeText(encoded)).toEqual({ kind: "text", text, ...(encoding === undefined ? {} : { encoding }) });
  });

  it.each([
    ["UTF-32", bytes(0xff, 0xfe, 0, 0, 0x61, 0, 0, 0), "is UTF-32, which is not supported: store it as UTF-8"],
    [
      "half a character of UTF-16",
      encodeUtf16("\ufeffa", true).subarray(0, 3),
      "is not valid UTF-16LE: store it as UTF-8",
    ],
    ["a lone surrogate in UTF-16", encodeUtf16("\ufeffa\ud800b", false), "is not valid UTF-16BE: store it as UTF-8"],
    ["Shift JIS", bytes(0x83, 0x65, 0x83, 0x58, 0x83, 0x67, 0x2c, 0x31), UNKNOWN],
    ["Windows-1251", bytes(0xcf, 0xf0, 0xe8, 0xe2, 0xe5, 0xf2), UNKNOWN],
    ["KOI8-R", bytes(0xf0, 0xd2, 0xc9, 0xd7, 0xc5, 0xd4, 0x20, 0xd7, 0xd3, 0xc5, 0xcd, 0x3b, 0x35), UNKNOWN],
    [
      "Windows-1251 below an English header",
      new Uint8Array([...encodeLatin1("name;price\n"), ...bytes(0xcf, 0xf0, 0xe8, 0xe2, 0xe5, 0xf2)]),
      UNKNOWN,
    ],
    ["Greek", bytes(0xca, 0xe1, 0xeb, 0xe7, 0xec, 0xdd, 0xf1, 0xe1), UNKNOWN],
    ["EUC-JP", bytes(0xa4, 0xb3, 0xa4, 0xf3, 0xa4, 0xcb, 0xa4, 0xc1, 0xa4, 0xcf), UNKNOWN],
    ["Thai", bytes(0xca, 0xc7, 0xd1, 0xca, 0xb4, 0xd5), UNKNOWN],
    ["damaged UTF-8", new Uint8Array([...new TextEncoder().encode("日本語"), 0xff]), "is UTF-8 with invalid bytes"],
    ["an image", bytes(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13), "is not text"],
    ["zero bytes", new Uint8Array(100), "is not text"],
    ["compressed data", bytes(0x1f, 0x8b, 0x08, 0x01, 0xff, 0x02), "is not text"],
  ])("refuses %s and says what it is", (_name, encoded, problem) => {
    expect(decodeText(encoded)).toMatchObject({ kind: "problem", problem });
  });
});

describe("a document in another encoding", () => {
  it.each([
    ["UTF-16", encodeUtf16(`\ufeff${GERMAN}`, true)],
    ["Latin-1", encodeLatin1(GERMAN)],
  ])("reads a document as a table when it is %s", async (_name, encoded) => {
    await env.HANDBOOK.put("sizes.csv", encoded);
    const answer = await gatewayFor(library()).fetch(callerAs("reader@harbor.example"), "open/sizes.csv", 1);
    expect(answer.text).toBe(GERMAN);
    expect(answer.metadata).toMatchObject({ rows: 2, columns: ["Größe: text", "Preis: real"] });
  });

  it.each([
    ["image.csv", bytes(0x89, 0x50, 0x4e, 0x47, 0, 1, 2, 3), "it is not text"],
    ["image.json", bytes(0xff, 0xd8, 0xff, 0xe0, 0, 0x10), "it is not text"],
    ["odd.tsv", bytes(0xff, 0xfe, 0x61), "it is not valid UTF-16LE: store it as UTF-8"],
    [
      "damaged.csv",
      new Uint8Array([...new TextEncoder().encode(`a\n${"é".repeat(200)}`), 0xff]),
      "it is UTF-8 with invalid bytes",
    ],
  ])("does not read a document as a table when %s is not text", async (key, encoded, problem) => {
    await env.HANDBOOK.put(key, encoded);
    const { metadata } = await gatewayFor(library()).fetch(callerAs("reader@harbor.example"), `open/${key}`, 1);
    expect(metadata).toMatchObject({ table: `Not stored as a table: ${problem}.` });
    expect(metadata).not.toHaveProperty("result");
  });

  it("is indexed under its decoded words", async () => {
    await env.HANDBOOK.put("note.txt", encodeLatin1("Größe der Häuser"));
    const [document] = await createKvDocuments("open", env.HANDBOOK).read(["note.txt"]);
    if (document === undefined) throw new Error("no document");
    expect(await toIndexedDocument(document)).toMatchObject({ body: " grosse der hauser " });
  });
});
