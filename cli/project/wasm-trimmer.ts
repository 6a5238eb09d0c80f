// Removes the code of a WebAssembly module that none of its kept exports can reach. Indexes stay as they are, so function tables and
// calls stay valid. Format: WebAssembly Core Specification 3.0, chapter 5 (Binary Format).
import { END, readExpression, readInstruction, skipType } from "./wasm-instructions.ts";
import { createWasmReader } from "./wasm-reader.ts";
import type { WasmReader } from "./wasm-reader.ts";

/** Ids of sections. */
const CUSTOM = 0;
const IMPORTS = 2;
const TABLES = 4;
const GLOBALS = 6;
const EXPORTS = 7;
const START = 8;
const ELEMENTS = 9;
const CODE = 10;

const FUNCTION = 0;
const HEADER_BYTES = 8;
/** A function without locals that traps: `unreachable`, `end`. */
const UNREACHABLE_BODY = [0, 0x00, END];

interface Section {
  readonly id: number;
  /** The first byte of the section with its header, the first byte of its content, and the byte after its content. */
  readonly start: number;
  readonly content: number;
  readonly end: number;
}

interface Export {
  readonly name: string;
  readonly kind: number;
  readonly index: number;
}

/** Returns the module without custom sections, other exports, and the code that only those reach. Throws when it lacks a kept export. */
export function trimWasm(module: Uint8Array, keptExports: readonly string[]): Uint8Array<ArrayBuffer> {
  const reader = createWasmReader(module);
  const sections = listSections(reader, module.length);
  const read = <T>(id: number, readContent: () => T): T | undefined => {
    const section = sections.find((candidate) => candidate.id === id);
    if (section === undefined) return undefined;
    reader.seek(section.content);
    const content = readContent();
    if (reader.position() !== section.end) throw new Error(`section ${id} ends at another byte than it says`);
    return content;
  };
  const imported = read(IMPORTS, () => countImportedFunctions(reader)) ?? 0;
  read(TABLES, () => reader.vector(() => skipTable(reader)));
  const roots = [
    ...(read(GLOBALS, () => reader.vector(() => readGlobal(reader))) ?? []).flat(),
    ...(read(START, () => [reader.integer()]) ?? []),
    ...(read(ELEMENTS, () => reader.vector(() => readElements(reader))) ?? []).flat(),
  ];
  const exports = keepExports(read(EXPORTS, () => reader.vector(() => readExport(reader))) ?? [], keptExports);
  roots.push(...exports.filter(({ kind }) => kind === FUNCTION).map(({ index }) => index));
  const bodies = read(CODE, () => reader.vector(() => readBody(reader))) ?? [];
  const reachable = findReachable(roots, (index) => bodies[index - imported]?.references ?? []);

  const parts = sections.map(({ id, start, end }) => {
    if (id === CUSTOM) return [];
    if (id === EXPORTS) return encodeSection(id, encodeVector(exports.map(encodeExport)));
    if (id !== CODE) return module.subarray(start, end);
    const code = bodies.map((body, index) =>
      reachable.has(index + imported) ? module.subarray(body.start, body.end) : withLength(UNREACHABLE_BODY),
    );
    return encodeSection(id, encodeVector(code));
  });
  return concatenate([module.subarray(0, HEADER_BYTES), ...parts]);
}

function listSections(reader: WasmReader, end: number): readonly Section[] {
  const sections: Section[] = [];
  reader.seek(HEADER_BYTES);
  while (reader.position() < end) {
    const start = reader.position();
    const id = reader.byte();
    const length = reader.integer();
    const content = reader.position();
    reader.skip(length);
    sections.push({ id, start, content, end: content + length });
  }
  return sections;
}

function countImportedFunctions(reader: WasmReader): number {
  const kinds = reader.vector(() => {
    reader.text();
    reader.text();
    const kind = reader.byte();
    if (kind === FUNCTION) reader.integer();
    else if (kind === 1) skipTable(reader);
    else if (kind === 2) skipLimits(reader);
    else if (kind === 3) skipGlobalType(reader);
    else throw new Error(`unknown kind of import: ${kind}`);
    return kind;
  });
  return kinds.filter((kind) => kind === FUNCTION).length;
}

function skipTable(reader: WasmReader): void {
  const type = reader.byte();
  if (type !== 0x70 && type !== 0x6f) throw new Error(`unknown type of a table: 0x${type.toString(16)}`);
  skipLimits(reader);
}

function skipLimits(reader: WasmReader): void {
  const flags = reader.byte();
  if (flags > 7) throw new Error(`unknown limits: ${flags}`);
  reader.integer();
  if (flags % 2 === 1) reader.integer();
}

function skipGlobalType(reader: WasmReader): void {
  skipType(reader);
  reader.byte();
}

function readGlobal(reader: WasmReader): readonly number[] {
  skipGlobalType(reader);
  return readExpression(reader);
}

function readExport(reader: WasmReader): Export {
  return { name: reader.text(), kind: reader.byte(), index: reader.integer() };
}

function keepExports(exports: readonly Export[], names: readonly string[]): readonly Export[] {
  const missing = names.filter((name) => !exports.some((candidate) => candidate.name === name));
  if (missing.length > 0) throw new Error(`the WebAssembly module exports no ${missing.join(", ")}`);
  return exports.filter(({ name }) => names.includes(name));
}

/** Reads an element segment and returns its functions. */
function readElements(reader: WasmReader): readonly number[] {
  const flags = reader.integer();
  if (flags > 7) throw new Error(`unknown element segment: ${flags}`);
  const [isActive, hasIndex, hasExpressions] = [(flags & 1) === 0, (flags & 2) !== 0, (flags & 4) !== 0];
  if (isActive && hasIndex) reader.integer();
  const offset = isActive ? readExpression(reader) : [];
  if (!isActive || hasIndex) skipType(reader);
  return [...offset, ...reader.vector(() => (hasExpressions ? readExpression(reader) : [reader.integer()])).flat()];
}

/** Reads a function's body: where it and its length are, and the functions that it refers to. */
function readBody(reader: WasmReader) {
  const start = reader.position();
  const length = reader.integer();
  const end = reader.position() + length;
  reader.vector(() => {
    reader.integer();
    skipType(reader);
  });
  const references: number[] = [];
  while (reader.position() < end) readInstruction(reader, references);
  if (reader.position() !== end) throw new Error(`the function at byte ${start} ends at another byte than it says`);
  return { start, end, references };
}

function findReachable(
  roots: readonly number[],
  listReferences: (index: number) => readonly number[],
): ReadonlySet<number> {
  const reachable = new Set(roots);
  // A set visits what is added while it is read.
  for (const index of reachable) for (const reference of listReferences(index)) reachable.add(reference);
  return reachable;
}

function encodeInteger(value: number): readonly number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...encodeInteger(Math.floor(value / 128))];
}

function encodeExport({ name, kind, index }: Export): Uint8Array {
  return concatenate([withLength(new TextEncoder().encode(name)), [kind], encodeInteger(index)]);
}

function encodeSection(id: number, content: Uint8Array): Uint8Array {
  return concatenate([[id], withLength(content)]);
}

function encodeVector(items: readonly Uint8Array[]): Uint8Array {
  return concatenate([encodeInteger(items.length), ...items]);
}

function withLength(content: ArrayLike<number>): Uint8Array {
  return concatenate([encodeInteger(content.length), content]);
}

function concatenate(parts: readonly ArrayLike<number>[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
