// What SQLite's WebAssembly module gets from outside: memory that grows only as far as its owner allows, and nothing else.
import sqliteModule from "@sqlite.org/sqlite-wasm/sqlite3.wasm";

const PAGE_BYTES = 65_536;
/** What the module is built for: 8 MiB at first; 64 MiB here at most, of the 128 that an isolate has. */
const MEMORY_PAGES = { initial: 128, maximum: 1024 };
/** Bytes of an engine's memory before it grows. */
export const INITIAL_BYTES = MEMORY_PAGES.initial * PAGE_BYTES;

export interface Host {
  readonly memory: WebAssembly.Memory;
  readonly instance: WebAssembly.Instance;
  /** Whether growth was refused: the engine may then have lost something that it needs. */
  readonly hasRunOut: () => boolean;
}

/** Instantiates the module. `mayGrow` is asked before its memory grows by so many bytes, which it never gives back. */
export function instantiate(mayGrow: (bytes: number) => boolean): Host {
  const memory = new WebAssembly.Memory(MEMORY_PAGES);
  let hasRunOut = false;
  const grow = (bytes: number): number => {
    const pages = Math.ceil((bytes - memory.buffer.byteLength) / PAGE_BYTES);
    try {
      if (mayGrow(pages * PAGE_BYTES)) {
        memory.grow(pages);
        return 1;
      }
    } catch (error) {
      // The isolate has no more. Anything else is a fault of ours.
      if (!(error instanceof RangeError)) throw error;
    }
    hasRunOut = true;
    return 0;
  };
  const instance = new WebAssembly.Instance(sqliteModule, importsFor(memory, grow));
  return { memory, instance, hasRunOut: () => hasRunOut };
}

/** No files, no clock, no environment: every system call fails, except for more memory. */
function importsFor(memory: WebAssembly.Memory, grow: (bytes: number) => number): WebAssembly.Imports {
  const own: Readonly<Record<string, (...values: readonly number[]) => number>> = {
    emscripten_get_heap_max: () => MEMORY_PAGES.maximum * PAGE_BYTES,
    emscripten_resize_heap: (bytes = 0) => grow(bytes),
    // No two of these are ever compared.
    emscripten_date_now: () => 0,
    emscripten_get_now: () => 0,
    environ_sizes_get: (count = 0, size = 0) => {
      const view = new DataView(memory.buffer);
      view.setUint32(count, 0, true);
      view.setUint32(size, 0, true);
      return 0;
    },
  };
  const imports: Record<string, Record<string, WebAssembly.ImportValue>> = { env: { memory } };
  for (const { module, name, kind } of WebAssembly.Module.imports(sqliteModule)) {
    if (kind === "function")
      (imports[module] ??= {})[name] = own[name] ?? (() => (module === "env" ? -ENOSYS : ENOSYS));
  }
  return imports;
}

/** "Function not implemented", in the numbering of WASI. */
const ENOSYS = 52;
