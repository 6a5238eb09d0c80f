// Removes the code of a WebAssembly module that none of its kept exports can reach. Indexes stay as they are, so function tables and
// calls stay valid. Format: WebAssembly Core Specification 3.0, chapter 5 (Binary Format).
import { END } from "./wasm-instructions.ts";
import { CODE, CUSTOM, EXPORTS, FUNCTION, HEADER_BYTES, readWasmModule } from "./wasm-module.ts";
import type { WasmExport, WasmModule } from "./wasm-module.ts";

/** A function without locals that traps: `unreachable`, `end`. */
const UNREACHABLE_BODY = [0, 0x00, END];
/** A function without locals that returns zero: `i32.const 0`, `end`. */
const ZERO_BODY = [0, 0x41, 0, END];

/** Code that nothing uses although the function table refers to it. */
export interface UnusedCode {
  /** Functions that return zero, an i32, instead of what they do. */
  readonly replaced: ReadonlySet<number>;
  /** Functions that are no longer kept because the table has them. */
  readonly removed: ReadonlySet<number>;
  /** Lists those of `removed` that the code of a function may find through the table. */
  readonly listUses: (index: number) => readonly number[];
  /** Throws if the functions that are kept show that the code is used. */
  readonly check: (kept: ReadonlySet<number>) => void;
}

/** Finds code that nothing uses although the function table refers to it. */
export type FindUnused = (module: WasmModule, bytes: Uint8Array) => UnusedCode;

const findNothing: FindUnused = () => ({
  replaced: new Set(),
  removed: new Set(),
  listUses: () => [],
  check: () => undefined,
});

/**
 * Returns the module without custom sections, other exports, the code that only those reach, and what `findUnused` finds. Throws when the
 * module lacks a kept export.
 */
export function trimWasm(
  bytes: Uint8Array,
  keptExports: readonly string[],
  findUnused = findNothing,
): Uint8Array<ArrayBuffer> {
  const module = readWasmModule(bytes);
  const { sections, imported, bodies, elements, started, operandsOf } = module;
  const exports = keepExports(module.exports, keptExports);
  const { replaced, removed, listUses, check } = findUnused(module, bytes);
  const roots = [
    ...started,
    ...exports.filter(({ kind }) => kind === FUNCTION).map(({ index }) => index),
    ...elements
      .flatMap(({ offset, functions }) => [...(offset?.functions ?? []), ...functions])
      .filter((index) => !removed.has(index)),
  ];
  const reachable = findReachable(roots, (index) =>
    replaced.has(index) ? [] : [...operandsOf(index).functions, ...listUses(index)],
  );
  check(reachable);

  const writeBody = (index: number, start: number, end: number): Uint8Array => {
    if (replaced.has(index)) return withLength(ZERO_BODY);
    return reachable.has(index) ? bytes.subarray(start, end) : withLength(UNREACHABLE_BODY);
  };
  const parts = sections.map(({ id, start, end }) => {
    if (id === CUSTOM) return [];
    if (id === EXPORTS) return encodeSection(id, encodeVector(exports.map(encodeExport)));
    if (id !== CODE) return bytes.subarray(start, end);
    const code = bodies.map((body, index) => writeBody(index + imported, body.start, body.end));
    return encodeSection(id, encodeVector(code));
  });
  return concatenate([bytes.subarray(0, HEADER_BYTES), ...parts]);
}

function keepExports(exports: readonly WasmExport[], names: readonly string[]): readonly WasmExport[] {
  const missing = names.filter((name) => !exports.some((candidate) => candidate.name === name));
  if (missing.length > 0) throw new Error(`the WebAssembly module exports no ${missing.join(", ")}`);
  return exports.filter(({ name }) => names.includes(name));
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

function encodeExport({ name, kind, index }: WasmExport): Uint8Array {
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
