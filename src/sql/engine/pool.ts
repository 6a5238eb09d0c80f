// Keeps all engines of an isolate within one memory budget. WebAssembly memory never shrinks, so the pool makes room by evicting whole
// engines, the least recently used first. Their contents are built again when they are next needed.
import { INITIAL_BYTES } from "./host.ts";
import { EngineExhausted } from "./meter.ts";
import { openEngine } from "./sqlite.ts";
import type { Engine } from "./sqlite.ts";

/** Maximum memory of all engines of an isolate together, of the 128 MB that it has for everything. */
const MAX_POOL_BYTES = 64 * 1024 * 1024;

/** Engines that share a memory budget. */
export interface EnginePool {
  /** Opens an engine. `evict` is called once, if its memory is needed elsewhere. Throws `EngineExhausted` when all engines are in use. */
  open(evict: () => void): Engine;
  /** Runs work with an engine of this pool, which is not evicted meanwhile. Calls may be nested. */
  use<T>(engine: Engine, work: () => T): T;
  /** Removes an engine from the pool. */
  close(engine: Engine): void;
  /** Returns the bytes of memory of all open engines. */
  totalBytes(): number;
}

interface Entry {
  readonly evict: () => void;
  /** Number of nested calls of `use`. */
  activeUses: number;
}

/** Creates a pool with a budget of this many bytes. */
export function createEnginePool(maxBytes = MAX_POOL_BYTES): EnginePool {
  // A map keeps insertion order: the least recently used entry comes first.
  const entries = new Map<Engine, Entry>();
  const totalBytes = (): number => [...entries.keys()].reduce((sum, engine) => sum + engine.memoryBytes(), 0);

  const makeRoom = (bytes: number): boolean => {
    for (const [engine, { evict, activeUses }] of entries) {
      if (totalBytes() + bytes <= maxBytes) return true;
      if (activeUses > 0) continue;
      entries.delete(engine);
      evict();
    }
    return totalBytes() + bytes <= maxBytes;
  };

  return {
    totalBytes,
    open(evict) {
      if (!makeRoom(INITIAL_BYTES)) throw new EngineExhausted("memory");
      const engine = openEngine(makeRoom);
      entries.set(engine, { evict, activeUses: 0 });
      return engine;
    },
    use(engine, work) {
      const entry = entries.get(engine);
      // The engine was closed while outer work still holds it.
      if (entry === undefined) return engine.withSharedAllowance(work);
      entries.delete(engine);
      entries.set(engine, entry);
      entry.activeUses += 1;
      try {
        return engine.withSharedAllowance(work);
      } finally {
        entry.activeUses -= 1;
      }
    },
    close(engine) {
      entries.delete(engine);
    },
  };
}
