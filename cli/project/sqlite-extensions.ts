// Finds the code of SQLite's built-in extensions (FTS5, R-Tree, and virtual tables about a database's pages and statements). The engine
// compiles statements over schemas without virtual tables, so nothing uses them. JSON functions and `json_each` are no extension.
//
// How they are found: SQLite calls the initialisers in the array `sqlite3BuiltinExtensions`, and each mentions its modules' names. The
// linker numbers the entries of the function table by their first mention: those that code mentions, in the order of functions, then
// those that only data mentions, in the order of addresses. The extensions come last in SQLite's source, and the compiler writes each of
// their functions after one that mentions it. So theirs are the entries from the first that the first initialiser mentions to the last
// that code mentions, and those from the array's first to the last that data mentions in order.
//
// Why it is safe: an entry that kept code after the first initialiser mentions is kept. The module is refused unless it has this form, and
// if any kept code or data refers to the extensions' data, except the loop that calls the initialisers. A removed function would trap.
import type { WasmModule } from "./wasm-module.ts";
import type { UnusedCode } from "./wasm-trimmer.ts";

/** A module's name that each initialiser in the array mentions, in order. The one without a module only calls a hook for tests. */
const NAMES = ["fts5", "rtree_i32", "sqlite_dbpage", "dbstat", undefined, "sqlite_stmt", "bytecode"] as const;
const WORD_BYTES = 4;

/** The memory of a module as it is at first: its bytes, and the same as words. */
interface Memory {
  readonly bytes: Buffer;
  readonly words: readonly number[];
}

/** Entries of the table that data mentions in the order of addresses: the first and last, and where the mentions begin and end. */
interface Run {
  readonly first: number;
  readonly last: number;
  readonly start: number;
  readonly end: number;
}

/** Finds the extensions in SQLite's module. Throws when the module does not have the expected form. */
export function findExtensions(module: WasmModule, bytes: Uint8Array): UnusedCode {
  const table = readTable(module);
  const memory = readMemory(module, bytes);
  const run = followRun(memory.words, findArray(module, table, memory));
  const initialisers = NAMES.map((_name, index) => table[run.first + index] ?? -1);
  const [initialiser = -1] = initialisers;

  const firstMentioned = module.operandsOf(initialiser).constants.filter((entry) => (table[entry] ?? 0) > initialiser);
  const codeEntries = listRange(Math.min(...firstMentioned), findFirstDataEntry(memory.words, run) - 1);
  const entries = new Set([...codeEntries, ...listRange(run.first, run.last)]);
  if (codeEntries.length === 0 || [...entries].some((entry) => (table[entry] ?? -1) < initialiser))
    throw unexpected("its table is not in the order of the code");

  const others = new Set(table.filter((_index, entry) => !entries.has(entry)));
  const listMentioned = (index: number): readonly number[] =>
    module.operandsOf(index).constants.filter((constant) => entries.has(constant));
  return {
    replaced: new Set(initialisers),
    removed: new Set(table.filter((index, entry) => entries.has(entry) && !others.has(index))),
    listUses: (index) => (index < initialiser ? [] : listMentioned(index).map((entry) => table[entry] ?? -1)),
    check(kept) {
      const code = [...kept].filter((index) => !initialisers.includes(index)).map((index) => module.operandsOf(index));
      const addresses = code.flatMap(({ constants, offsets }) => [...constants, ...offsets]);
      const uses = [...addresses, ...memory.words].filter(
        (address) => address >= run.start && address <= run.end && address % WORD_BYTES === 0,
      );
      // The loop that calls the initialisers.
      if (uses.length !== 1 || uses[0] !== run.start) throw unexpected("code that is kept uses the data of extensions");
    },
  };
}

function unexpected(problem: string): Error {
  return new Error(`the extensions cannot be removed from SQLite's WebAssembly module: ${problem}`);
}

function listRange(first: number, last: number): readonly number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_value, index) => first + index);
}

/** Returns the function at each entry of the table; -1 where none is. */
function readTable({ elements }: WasmModule): readonly number[] {
  const [segment, ...others] = elements;
  const first = segment?.offset?.constants[0];
  if (segment === undefined || first === undefined || others.length > 0) throw unexpected("its table has another form");
  return [...Array.from({ length: first }, () => -1), ...segment.functions];
}

function readMemory({ data }: WasmModule, bytes: Uint8Array): Memory {
  const segments = data.map(({ address, start, end }) => {
    if (address === undefined) throw unexpected("its data has another form");
    return { address, content: bytes.subarray(start, end) };
  });
  const end = Math.max(0, ...segments.map(({ address, content }) => address + content.length));
  const memory = Buffer.alloc(Math.ceil(end / WORD_BYTES) * WORD_BYTES);
  for (const { address, content } of segments) memory.set(content, address);
  const words = Array.from({ length: memory.length / WORD_BYTES }, (_value, index) =>
    memory.readUInt32LE(index * WORD_BYTES),
  );
  return { bytes: memory, words };
}

/** Finds the array of the initialisers; returns the index of its first word. */
function findArray(module: WasmModule, table: readonly number[], { bytes, words }: Memory): number {
  const textAddresses = NAMES.map((name) => new Set(name === undefined ? [] : findText(bytes, name)));
  const isInitialiser = (entry: number | undefined, position: number): boolean => {
    const index = table[entry ?? -1] ?? -1;
    if (NAMES[position] === undefined) return index >= 0;
    return module.operandsOf(index).constants.some((constant) => textAddresses[position]?.has(constant));
  };
  const found = listRange(0, words.length - 1).filter((at) =>
    NAMES.every((_name, position) => isInitialiser(words[at + position], position)),
  );
  const [at] = found;
  if (at === undefined || found.length > 1) throw unexpected("its list of extensions is not the known one");
  const entry = words[at] ?? 0;
  const isInOrder = NAMES.every((_name, position) => words[at + position] === entry + position);
  if (!isInOrder || words[at + NAMES.length] === entry + NAMES.length)
    throw unexpected("its list of extensions is longer");
  return at;
}

/** Finds the addresses where a text and the zero after it stand. */
function findText(bytes: Buffer, text: string): readonly number[] {
  const found: number[] = [];
  for (let at = bytes.indexOf(`${text}\0`); at >= 0; at = bytes.indexOf(`${text}\0`, at + 1)) found.push(at);
  return found;
}

/** Follows the entries that data mentions in order, from a word on. */
function followRun(words: readonly number[], start: number): Run {
  const first = words[start] ?? 0;
  let last = first;
  let end = start;
  for (let at = start; at < words.length; at += 1) {
    if (words[at] !== last + 1) continue;
    last += 1;
    end = at;
  }
  return { first, last, start: start * WORD_BYTES, end: end * WORD_BYTES };
}

/** Follows the entries that data mentions in order back from a run; returns the first of them, before which are those of code. */
function findFirstDataEntry(words: readonly number[], { first, start }: Run): number {
  let entry = first;
  for (let at = start / WORD_BYTES - 1; at >= 0; at -= 1) if (words[at] === entry - 1) entry -= 1;
  return entry;
}
