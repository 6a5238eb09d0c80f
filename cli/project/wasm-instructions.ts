// Reads WebAssembly instructions for the functions, constants and addresses that they name. It throws on an instruction that it does not
// know, because it cannot tell where the next one begins.
import type { WasmReader } from "./wasm-reader.ts";

/** The opcode that ends an expression. */
export const END = 0x0b;

/** What instructions name, which `readInstruction` adds to. */
export interface Operands {
  readonly functions: number[];
  /** The values of `i32.const`. Those of negative ones are meaningless. */
  readonly constants: number[];
  /** The offsets of memory accesses, which are addresses where the base is zero. */
  readonly offsets: number[];
}

/**
 * What follows an opcode: `i` an integer, `c` a constant of 32 bits, `t` a type, `f` the index of a function, `v` a vector of integers,
 * `m` the alignment and offset of a memory access, `1` one byte, `4`, `8` and `s` (sixteen) that many bytes.
 */
type Immediates = string;
type OpcodeRange = readonly [first: number, last: number, immediates: Immediates];

/** Instructions by their first byte. GC, typed references and exceptions are missing, because SQLite's build has none. */
const PLAIN: readonly OpcodeRange[] = [
  [0x00, 0x01, ""],
  [0x02, 0x04, "t"], // block, loop, if
  [0x05, 0x05, ""],
  [END, END, ""],
  [0x0c, 0x0d, "i"], // br, br_if
  [0x0e, 0x0e, "vi"], // br_table
  [0x0f, 0x0f, ""],
  [0x10, 0x10, "f"], // call
  [0x11, 0x11, "ii"], // call_indirect
  [0x12, 0x12, "f"], // return_call
  [0x13, 0x13, "ii"], // return_call_indirect
  [0x1a, 0x1b, ""],
  [0x1c, 0x1c, "v"], // select with types
  [0x20, 0x26, "i"], // locals, globals, table.get, table.set
  [0x28, 0x3e, "m"], // loads and stores
  [0x3f, 0x40, "i"], // memory.size, memory.grow
  [0x41, 0x41, "c"], // i32.const
  [0x42, 0x42, "i"], // i64.const
  [0x43, 0x43, "4"],
  [0x44, 0x44, "8"],
  [0x45, 0xc4, ""],
  [0xd0, 0xd0, "t"], // ref.null
  [0xd1, 0xd1, ""],
  [0xd2, 0xd2, "f"], // ref.func
];

/** Instructions by the integer after a prefix: saturating conversions and bulk memory, vectors, threads. */
const PREFIXED: ReadonlyMap<number, readonly OpcodeRange[]> = new Map<number, readonly OpcodeRange[]>([
  [
    0xfc,
    [
      [0, 7, ""],
      [8, 8, "ii"], // memory.init
      [9, 9, "i"],
      [10, 10, "ii"], // memory.copy
      [11, 11, "i"],
      [12, 12, "ii"], // table.init
      [13, 13, "i"],
      [14, 14, "ii"], // table.copy
      [15, 17, "i"],
    ],
  ],
  [
    0xfd,
    [
      [0, 11, "m"],
      [12, 13, "s"], // v128.const, i8x16.shuffle
      [14, 20, ""],
      [21, 34, "1"], // lanes
      [35, 83, ""],
      [84, 91, "m1"], // loads and stores of lanes
      [92, 93, "m"],
      [94, 275, ""],
    ],
  ],
  [
    0xfe,
    [
      [0, 2, "m"],
      [3, 3, "1"], // atomic.fence
      [0x10, 0x4e, "m"],
    ],
  ],
]);

/** Reads a constant expression. */
export function readExpression(reader: WasmReader): Operands {
  const operands = createOperands();
  while (readInstruction(reader, operands) !== END);
  return operands;
}

/** Creates empty lists for `readInstruction`. */
export function createOperands(): Operands {
  return { functions: [], constants: [], offsets: [] };
}

const PLAIN_IMMEDIATES = Array.from({ length: 256 }, (_value, opcode) => findImmediates(PLAIN, opcode));

function findImmediates(ranges: readonly OpcodeRange[], opcode: number): Immediates | undefined {
  return ranges.find(([first, last]) => opcode >= first && opcode <= last)?.[2];
}

/** Reads an instruction, adds what it names, and returns its first byte. */
export function readInstruction(reader: WasmReader, operands: Operands): number {
  const position = reader.position();
  const opcode = reader.byte();
  const prefixed = PREFIXED.get(opcode);
  const immediates = prefixed === undefined ? PLAIN_IMMEDIATES[opcode] : findImmediates(prefixed, reader.integer());
  if (immediates === undefined) throw new Error(`unknown instruction 0x${opcode.toString(16)} at byte ${position}`);
  for (const kind of immediates) readImmediate(reader, kind, operands);
  return opcode;
}

function readImmediate(reader: WasmReader, kind: string, { functions, constants, offsets }: Operands): void {
  switch (kind) {
    case "f":
      functions.push(reader.integer());
      return;
    case "c":
      constants.push(reader.integer());
      return;
    case "i":
      reader.integer();
      return;
    case "t":
      skipType(reader);
      return;
    case "v":
      reader.vector(() => reader.integer());
      return;
    case "m":
      // Bit 6 of the alignment says that the index of a memory follows.
      if ((reader.integer() & 0x40) !== 0) reader.integer();
      offsets.push(reader.integer());
      return;
    default:
      reader.skip(kind === "s" ? 16 : Number(kind));
  }
}

/** Skips a type of one byte, or the index of a type. */
export function skipType(reader: WasmReader): void {
  let byte = reader.byte();
  if (byte === 0x63 || byte === 0x64) throw new Error("typed references are not supported");
  while (byte >= 128) byte = reader.byte();
}
