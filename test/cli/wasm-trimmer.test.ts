// Trims small modules written byte by byte: V8 validates them before and after, so it checks how the trimmer reads instructions.
import { describe, expect, it } from "vitest";
import { trimWasm } from "../../cli/project/wasm-trimmer.ts";
import type { FindUnused } from "../../cli/project/wasm-trimmer.ts";

const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const END = 0x0b;
const DROP = 0x1a;
/** i32.const 0, and v128.const 0. */
const ZERO = [0x41, 0];
const VECTOR = [0xfd, 12, ...Array.from({ length: 16 }, () => 0)];

const vector = (items: readonly (readonly number[])[]): number[] => [items.length, ...items.flat()];
const section = (id: number, content: readonly number[]): number[] => [id, content.length, ...content];
const exportOf = (name: string, kind: number, index: number): number[] => [
  name.length,
  ...new TextEncoder().encode(name),
  kind,
  index,
];
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
/** The bytes by which a test recognises the body of a function in a module. */
const mark = (index: number): number[] => [0x41, 0xf0 + index, 0x2a, DROP];

interface ModuleParts {
  /** The instructions of each function without its `end`; every function begins with its mark and takes and returns nothing. */
  readonly functions: readonly (readonly number[])[];
  readonly exports: readonly number[][];
  readonly globals?: readonly number[];
  readonly start?: readonly number[];
  readonly elements?: readonly number[];
  readonly custom?: readonly number[];
}

/** Writes a module that imports one function, which is number 0, and has a table of eight functions and a memory. */
function writeModule({ functions, exports, globals, start, elements, custom }: ModuleParts): Uint8Array<ArrayBuffer> {
  const bodies = functions.map((instructions, index) => [0, ...mark(index + 1), ...instructions, END]);
  return Uint8Array.from([
    ...HEADER,
    ...section(1, vector([[0x60, 0, 0]])),
    ...section(2, vector([[1, 0x65, 1, 0x66, 0, 0]])),
    ...section(3, vector(functions.map(() => [0]))),
    ...section(4, vector([[0x70, 0, 8]])),
    ...section(5, vector([[0, 1]])),
    ...(globals === undefined ? [] : section(6, globals)),
    ...section(7, vector(exports)),
    ...(start === undefined ? [] : section(8, start)),
    ...(elements === undefined ? [] : section(9, elements)),
    ...section(12, [1]),
    ...section(10, vector(bodies.map((body) => [body.length, ...body]))),
    ...section(11, vector([[1, 1, 0]])),
    ...(custom === undefined ? [] : section(0, custom)),
  ]);
}

/** Trims a module, lets V8 validate both, and returns the numbers of the functions that still have their own bodies. */
function listKept(parts: ModuleParts, keptExports: readonly string[], findUnused?: FindUnused): readonly number[] {
  const module = writeModule(parts);
  expect(WebAssembly.validate(module)).toBe(true);
  const trimmed = trimWasm(module, keptExports, findUnused);
  expect(WebAssembly.validate(trimmed)).toBe(true);
  return parts.functions
    .map((_body, index) => index + 1)
    .filter((index) => text(trimmed).includes(text(Uint8Array.from(mark(index)))));
}

const call = (index: number): number[] => [0x10, index];
const RUN = exportOf("run", 0, 1);

describe("trimming a WebAssembly module", () => {
  it("keeps what a kept export calls, directly and through others, and no other function", () => {
    const functions = [[...call(0), ...call(3)], call(4), call(1), []];
    expect(listKept({ functions, exports: [RUN] }, ["run"])).toEqual([1, 3]);
  });

  it("replaces the code of an export that is not kept", () => {
    const functions = [[], call(3), []];
    expect(listKept({ functions, exports: [RUN, exportOf("other", 0, 2)] }, ["run"])).toEqual([1]);
  });

  it.each([
    ["a tail call", [0x12, 2]],
    ["a reference in code", [0xd2, 2, DROP]],
  ])("keeps a function that is reached by %s", (_name, instructions) => {
    // ref.func needs a function that the module declares, which here an export does.
    const exports = [RUN, exportOf("other", 0, 2), exportOf("declared", 1, 0)];
    const elements = vector([[3, 0, ...vector([[2]])]]);
    const parts = { functions: [instructions, []], exports };
    expect(listKept(parts, ["run", "other"])).toEqual([1, 2]);
    expect(listKept({ ...parts, elements }, ["run"])).toEqual([1, 2]);
  });

  it("keeps the start function and what a global refers to", () => {
    const globals = vector([[0x70, 0, 0xd2, 2, END]]);
    const parts = { functions: [[], [], [], []], exports: [RUN], globals, start: [3] };
    expect(listKept(parts, ["run"])).toEqual([1, 2, 3]);
  });

  it.each([
    ["active", [0, ...ZERO, END, 1, 2]],
    ["passive", [1, 0, 1, 2]],
    ["active for a table", [2, 0, ...ZERO, END, 0, 1, 2]],
    ["declarative", [3, 0, 1, 2]],
    ["active with expressions", [4, ...ZERO, END, 1, 0xd2, 2, END]],
    ["passive with expressions", [5, 0x70, 2, 0xd2, 2, END, 0xd0, 0x70, END]],
    ["active for a table with expressions", [6, 0, ...ZERO, END, 0x70, 1, 0xd2, 2, END]],
    ["declarative with expressions", [7, 0x70, 1, 0xd2, 2, END]],
  ])("keeps the functions of a segment of elements that is %s", (_name, segment) => {
    const parts = { functions: [[], [], []], exports: [RUN], elements: vector([segment]) };
    expect(listKept(parts, ["run"])).toEqual([1, 2]);
  });

  describe("with unused code", () => {
    const elements = vector([[0, ...ZERO, END, ...vector([[2], [3], [4]])]]);
    const parts = { functions: [[], call(5), [], [], []], exports: [RUN], elements };
    const unused = {
      replaced: new Set<number>(),
      removed: new Set([2, 3]),
      listUses: () => [],
      check: () => undefined,
    };

    it("does not keep functions of the table that are unused, nor what only those call", () => {
      expect(listKept(parts, ["run"])).toEqual([1, 2, 3, 4, 5]);
      expect(listKept(parts, ["run"], () => unused)).toEqual([1, 4]);
    });

    it("keeps an unused function that kept code may find through the table, and what it calls", () => {
      const listUses = (index: number): readonly number[] => (index === 4 ? [2] : []);
      expect(listKept(parts, ["run"], () => ({ ...unused, listUses }))).toEqual([1, 2, 4, 5]);
    });

    it("keeps an unused function that kept code calls", () => {
      const calling = { ...parts, functions: [call(3), [], [], []] };
      expect(listKept(calling, ["run"], () => unused)).toEqual([1, 3, 4]);
    });

    it("replaces a function by one that returns zero, and does not keep what it called", () => {
      const replaced = new Set([2]);
      const trimmed = text(trimWasm(writeModule(parts), ["run"], () => ({ ...unused, removed: new Set(), replaced })));
      expect(trimmed).toContain(text(Uint8Array.from([4, 0, ...ZERO, END])));
      expect([1, 2, 3, 4, 5].filter((index) => trimmed.includes(text(Uint8Array.from(mark(index)))))).toEqual([
        1, 3, 4,
      ]);
    });

    it("asks whether it may trim, with the functions that are kept", () => {
      const check = (kept: ReadonlySet<number>): void => {
        throw new Error(`keeps ${[...kept].join(", ")}`);
      };
      expect(() => trimWasm(writeModule(parts), ["run"], () => ({ ...unused, check }))).toThrow("keeps 1, 4");
    });
  });

  it.each([
    ["block, loop, if and else", [0x02, 0x40, 0x03, 0x40, ...ZERO, 0x04, 0x40, 0x05, END, END, END]],
    ["a block with a numbered type", [0x02, 0, END]],
    ["br_if and br_table", [0x02, 0x40, ...ZERO, 0x0d, 0, ...ZERO, 0x0e, 2, 0, 1, 0, END]],
    ["call_indirect", [...ZERO, 0x11, 0, 0]],
    ["select with a type", [...ZERO, ...ZERO, ...ZERO, 0x1c, 1, 0x7f, DROP]],
    ["table.get, table.size and ref.null", [...ZERO, 0x25, 0, DROP, 0xfc, 16, 0, DROP, 0xd0, 0x70, 0xd1, DROP]],
    [
      "loads, stores and the memory's size",
      [...ZERO, 0x28, 2, 0x90, 1, DROP, ...ZERO, ...ZERO, 0x3a, 0, 0, 0x3f, 0, DROP],
    ],
    ["constants", [0x42, 0xff, 0x90, 1, DROP, 0x43, 0x10, 2, 0x10, 2, DROP, 0x44, 0x10, 2, 0, 0, 0, 0, 0x10, 2, DROP]],
    ["sign extension and saturating conversion", [...ZERO, 0xc0, 0xb2, 0xfc, 0, DROP]],
    ["memory.init", [...ZERO, ...ZERO, ...ZERO, 0xfc, 8, 0, 0, 0xfc, 9, 0]],
    ["memory.copy", [...ZERO, ...ZERO, ...ZERO, 0xfc, 10, 0, 0]],
    ["memory.fill", [...ZERO, ...ZERO, ...ZERO, 0xfc, 11, 0]],
    [
      "vectors",
      [...VECTOR, ...VECTOR, 0xfd, 13, ...VECTOR.slice(2), 0xfd, 21, 3, DROP, ...VECTOR, 0xfd, 0xff, 1, DROP],
    ],
    [
      "vector loads",
      [...ZERO, 0xfd, 0, 4, 0, DROP, ...ZERO, ...VECTOR, 0xfd, 84, 0, 0, 5, DROP, ...ZERO, 0xfd, 92, 2, 0, DROP],
    ],
    ["atomics", [0xfe, 3, 0, ...ZERO, 0xfe, 0x10, 2, 0, DROP, ...ZERO, ...ZERO, ...ZERO, 0xfe, 0x48, 2, 0, DROP]],
  ])("finds the call that follows %s", (_name, instructions) => {
    const functions = [[...instructions, ...call(3)], [], []];
    expect(listKept({ functions, exports: [RUN] }, ["run"])).toEqual([1, 3]);
  });

  it("keeps exports of other kinds by name, and drops custom sections and all other exports", () => {
    const exports = [RUN, exportOf("table", 1, 0), exportOf("memory", 2, 0), exportOf("other", 0, 2)];
    const custom = [4, ...Buffer.from("name"), 0];
    const trimmed = new WebAssembly.Module(
      trimWasm(writeModule({ functions: [[], []], exports, custom }), ["table", "run"]),
    );
    expect(WebAssembly.Module.exports(trimmed).map(({ name }) => name)).toEqual(["run", "table"]);
    expect(WebAssembly.Module.customSections(trimmed, "name")).toEqual([]);
  });

  it("makes a function that is not reached trap, and keeps its number", () => {
    const parts = { functions: [[], [], call(4), []], exports: [RUN, exportOf("last", 0, 3)] };
    const trap = [3, 0, 0x00, END];
    const body = (index: number, instructions: readonly number[]): number[] => {
      const bytes = [0, ...mark(index), ...instructions, END];
      return [bytes.length, ...bytes];
    };
    const code = [4, ...trap, ...trap, ...body(3, call(4)), ...body(4, [])];
    expect(text(trimWasm(writeModule(parts), ["last"]))).toContain(text(Uint8Array.from(code)));
  });

  it.each([
    ["an export that the module lacks", [], "the WebAssembly module exports no missing", ["run", "missing"]],
    ["an unknown instruction", [0x06], /^unknown instruction 0x6 at byte \d+$/, ["run"]],
    ["an unknown instruction with a prefix", [0xfc, 0x7f], /^unknown instruction 0xfc at byte \d+$/, ["run"]],
    ["a typed reference", [0xd0, 0x63, 0], "typed references are not supported", ["run"]],
    [
      "a function that ends within an instruction",
      [0x44],
      /^the function at byte \d+ ends at another byte than it says$/,
      ["run"],
    ],
  ])("refuses %s", (_name, instructions, message, keptExports) => {
    const module = writeModule({ functions: [instructions], exports: [RUN] });
    expect(() => trimWasm(module, keptExports)).toThrow(message);
  });
});
