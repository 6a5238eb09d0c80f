// Instantiates SQLite's WebAssembly module. The module gets memory that grows only as far as its owner allows, and nothing else.
// The build generates this file from the package `@sqlite.org/sqlite-wasm` (`cli/project/sqlite-module.ts`).
import sqliteModule from "./sqlite3.wasm";

const PAGE_BYTES = 65_536;
/** The module is built for 8 MiB at first. It may grow to 64 MiB, of the 128 MiB that an isolate has. */
const MEMORY_PAGES = { initial: 128, maximum: 1024 };
/** Bytes of an engine's memory before it grows. */
export const INITIAL_BYTES = MEMORY_PAGES.initial * PAGE_BYTES;

/** An instance of the module and its memory. */
interface WasmHost {
  readonly memory: WebAssembly.Memory;
  readonly instance: WebAssembly.Instance;
  /** Whether growth was ever refused, so that the engine may lack something that it needs. */
  readonly isOutOfMemory: () => boolean;
}

/** Instantiates the module. `mayGrow` decides whether its memory may grow by this many bytes, which are never released. */
export function instantiate(mayGrow: (bytes: number) => boolean): WasmHost {
  const memory = new WebAssembly.Memory(MEMORY_PAGES);
  let isOutOfMemory = false;
  const grow = (bytes: number): number => {
    const pages = Math.ceil((bytes - memory.buffer.byteLength) / PAGE_BYTES);
    try {
      if (mayGrow(pages * PAGE_BYTES)) {
        memory.grow(pages);
        return 1;
      }
    } catch (error) {
      // The isolate has no more memory. Any other error is a bug.
      if (!(error instanceof RangeError)) throw error;
    }
    isOutOfMemory = true;
    return 0;
  };
  const instance = new WebAssembly.Instance(sqliteModule, buildImports(memory, grow));
  return { memory, instance, isOutOfMemory: () => isOutOfMemory };
}

/** Builds imports without files, clock or environment: every system call fails, except the one for more memory. */
function buildImports(memory: WebAssembly.Memory, grow: (bytes: number) => number): WebAssembly.Imports {
  const implemented: Readonly<Record<string, (...values: readonly number[]) => number>> = {
    emscripten_get_heap_max: () => MEMORY_PAGES.maximum * PAGE_BYTES,
    emscripten_resize_heap: (bytes = 0) => grow(bytes),
    // SQLite never compares two of these times.
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
      (imports[module] ??= {})[name] = implemented[name] ?? (() => (module === "env" ? -ENOSYS : ENOSYS));
  }
  return imports;
}

/** "Function not implemented", in the numbering of WASI. */
const ENOSYS = 52;
