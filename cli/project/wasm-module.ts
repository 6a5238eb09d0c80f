// Reads the parts of a WebAssembly module that the trimmer needs. Format: WebAssembly Core Specification 3.0, chapter 5 (Binary Format).
import { createOperands, readExpression, readInstruction, skipType } from "./wasm-instructions.ts";
import type { Operands } from "./wasm-instructions.ts";
import { createWasmReader } from "./wasm-reader.ts";
import type { WasmReader } from "./wasm-reader.ts";

/** Ids of sections. */
export const CUSTOM = 0;
const IMPORTS = 2;
const TABLES = 4;
const GLOBALS = 6;
export const EXPORTS = 7;
const START = 8;
const ELEMENTS = 9;
export const CODE = 10;
const DATA = 11;

/** The kind of an import or export that is a function. */
export const FUNCTION = 0;
export const HEADER_BYTES = 8;

interface Section {
  readonly id: number;
  /** The first byte of the section with its header, the first byte of its content, and the byte after its content. */
  readonly start: number;
  readonly content: number;
  readonly end: number;
}

export interface WasmExport {
  readonly name: string;
  readonly kind: number;
  readonly index: number;
}

/** Functions that go into a table; `offset` is the index of the first one, if the module itself puts them there. */
interface ElementSegment {
  readonly offset: Operands | undefined;
  readonly functions: readonly number[];
}

/** The parts of a module. */
export type WasmModule = ReturnType<typeof readWasmModule>;

/** Reads a module. Throws on what it does not know. */
export function readWasmModule(bytes: Uint8Array) {
  const reader = createWasmReader(bytes);
  const sections = listSections(reader, bytes.length);
  const read = <T>(id: number, readContent: () => T): T | undefined => {
    const section = sections.find((candidate) => candidate.id === id);
    if (section === undefined) return undefined;
    reader.seek(section.content);
    const content = readContent();
    if (reader.position() !== section.end) throw new Error(`section ${id} ends at another byte than it says`);
    return content;
  };
  const readVector = <T>(id: number, readItem: (itemReader: WasmReader) => T): readonly T[] =>
    read(id, () => reader.vector(() => readItem(reader))) ?? [];
  const imported = read(IMPORTS, () => countImportedFunctions(reader)) ?? 0;
  readVector(TABLES, skipTable);
  const globals = readVector(GLOBALS, readGlobal);
  const exports = readVector(EXPORTS, readExport);
  const started = read(START, () => [reader.integer()]) ?? [];
  const elements = readVector(ELEMENTS, readElements);
  const bodies = readVector(CODE, readBody);
  const data = readVector(DATA, readData);
  return {
    sections,
    /** The number of imported functions, which precede the others. */
    imported,
    exports,
    elements,
    bodies,
    data,
    /** The functions that are referred to without code: by globals and the start. */
    started: [...globals.flatMap(({ functions }) => functions), ...started],
    /** What the code of a function names. */
    operandsOf: (index: number): Operands => bodies[index - imported]?.operands ?? createOperands(),
  };
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

function readGlobal(reader: WasmReader): Operands {
  skipGlobalType(reader);
  return readExpression(reader);
}

function readExport(reader: WasmReader): WasmExport {
  return { name: reader.text(), kind: reader.byte(), index: reader.integer() };
}

/** Reads an element segment. */
function readElements(reader: WasmReader): ElementSegment {
  const flags = reader.integer();
  if (flags > 7) throw new Error(`unknown element segment: ${flags}`);
  const [isActive, hasIndex, hasExpressions] = [(flags & 1) === 0, (flags & 2) !== 0, (flags & 4) !== 0];
  if (isActive && hasIndex) reader.integer();
  const offset = isActive ? readExpression(reader) : undefined;
  if (!isActive || hasIndex) skipType(reader);
  const readItem = () => (hasExpressions ? readExpression(reader).functions : [reader.integer()]);
  return { offset, functions: reader.vector(readItem).flat() };
}

/** Reads a function's body: where it and its length are, and what it names. */
function readBody(reader: WasmReader) {
  const start = reader.position();
  const length = reader.integer();
  const end = reader.position() + length;
  reader.vector(() => {
    reader.integer();
    skipType(reader);
  });
  const operands = createOperands();
  while (reader.position() < end) readInstruction(reader, operands);
  if (reader.position() !== end) throw new Error(`the function at byte ${start} ends at another byte than it says`);
  return { start, end, operands };
}

/** Reads a data segment: its address, if the module itself puts it into memory, and where its bytes are. */
function readData(reader: WasmReader) {
  const flags = reader.integer();
  if (flags > 2) throw new Error(`unknown data segment: ${flags}`);
  if (flags === 2) reader.integer();
  const address = flags === 1 ? undefined : readExpression(reader).constants[0];
  const length = reader.integer();
  const start = reader.position();
  reader.skip(length);
  return { address, start, end: start + length };
}
