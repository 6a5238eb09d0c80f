// Finds the extensions in the package's module, and refuses modules that have them in another form.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, expect, it } from "vitest";
import { findExtensions } from "../../cli/project/sqlite-extensions.ts";
import { readWasmModule } from "../../cli/project/wasm-module.ts";
import { trimWasm } from "../../cli/project/wasm-trimmer.ts";
import { SQLITE_FUNCTIONS } from "../../src/sql/engine/sqlite-exports.ts";

const ORIGINAL = readFileSync(createRequire(import.meta.url).resolve("@sqlite.org/sqlite-wasm/sqlite3.wasm"));
const MODULE = readWasmModule(ORIGINAL);
const { replaced, removed } = findExtensions(MODULE, ORIGINAL);
/** The table begins with entry 1. */
const TABLE = [-1, ...(MODULE.elements[0]?.functions ?? [])];
const INITIALISERS = [...replaced].map((index) => TABLE.indexOf(index));

const word = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const integer = (value: number): readonly number[] =>
  value < 128 ? [value] : [(value % 128) + 128, ...integer(Math.floor(value / 128))];
const ARRAY = Buffer.concat(INITIALISERS.map(word));
const ARRAY_AT = ORIGINAL.indexOf(ARRAY);
const [FIRST_DATA] = MODULE.data;
const ARRAY_DATA = MODULE.data.find(({ end }) => end > ARRAY_AT);
const ARRAY_ADDRESS = (ARRAY_DATA?.address ?? 0) + ARRAY_AT - (ARRAY_DATA?.start ?? 0);
/** The first functions of extensions in the table, as the module writes them. */
const FIRST_ENTRY = TABLE.findIndex((index) => removed.has(index));
const FIRST_ENTRIES = [0, 1, 2].map((offset) => integer(TABLE[FIRST_ENTRY + offset] ?? 0));
const THIRD_ENTRY_AT = ORIGINAL.indexOf(Buffer.from(FIRST_ENTRIES.flat())) + FIRST_ENTRIES.slice(0, 2).flat().length;

/** Trims the package's module after some of its bytes were replaced. */
function trimAltered(at: number, bytes: Uint8Array): Uint8Array {
  expect(at).toBeGreaterThan(0);
  const altered = Buffer.from(ORIGINAL);
  altered.set(bytes, at);
  return trimWasm(altered, SQLITE_FUNCTIONS, findExtensions);
}

describe("finding SQLite's extensions", () => {
  it("finds the initialisers, and functions that come after the first of them", () => {
    expect(INITIALISERS).toEqual(INITIALISERS.map((_entry, index) => (INITIALISERS[0] ?? 0) + index));
    expect(removed.size).toBeGreaterThan(150);
    expect(Math.min(...removed)).toBe(Math.min(...replaced));
  });

  it("removes nothing that an export of the engine reaches by calls", () => {
    const exported = MODULE.exports.filter(
      ({ name, kind }) => kind === 0 && SQLITE_FUNCTIONS.some((used) => used === name),
    );
    const reached = new Set(exported.map(({ index }) => index));
    for (const index of reached) for (const called of MODULE.operandsOf(index).functions) reached.add(called);
    expect([...reached].filter((index) => removed.has(index))).toEqual([]);
  });

  it.each<[string, number, Uint8Array, string]>([
    [
      "an extension has another name",
      ORIGINAL.indexOf("\0dbstat\0"),
      Buffer.from("\0dbstax\0"),
      "extensions is not the known one",
    ],
    [
      "other initialisers are listed",
      ARRAY_AT,
      Buffer.concat(INITIALISERS.toReversed().map(word)),
      "is not the known one",
    ],
    [
      "one more initialiser is listed",
      ARRAY_AT + ARRAY.length,
      word((INITIALISERS.at(-1) ?? 0) + 1),
      "extensions is longer",
    ],
    [
      "other data refers to that of extensions",
      FIRST_DATA?.start ?? 0,
      word(ARRAY_ADDRESS + ARRAY.length),
      "uses the data",
    ],
    ["the table has another order", THIRD_ENTRY_AT, Buffer.from(integer(200)), "not in the order of the code"],
  ])("refuses a module in which %s", (_case, at, bytes, message) => {
    expect(() => trimAltered(at, bytes)).toThrow(message);
    expect(() => trimAltered(at, ORIGINAL.subarray(at, at + bytes.length))).not.toThrow();
  });

  it("refuses a module without a table", () => {
    const header = ORIGINAL.subarray(0, 8);
    expect(() => findExtensions(readWasmModule(header), header)).toThrow("its table has another form");
  });
});
