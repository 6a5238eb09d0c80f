// All engines of an isolate under one budget of memory. WebAssembly memory never shrinks, so room is made by giving up whole
// engines, the least recently used first: what they held is built again when it is next needed.
import { INITIAL_BYTES } from "./host.ts";
import { EngineExhausted } from "./meter.ts";
import { openEngine } from "./sqlite.ts";
import type { Engine } from "./sqlite.ts";

/** Bytes of memory that the engines of an isolate take together, of the 128 MB that it has for everything. */
export const MAX_POOL_BYTES = 64 * 1024 * 1024;

export interface EnginePool {
  /** Opens an engine. `evict` is called, once, when its memory is wanted elsewhere. Throws `EngineExhausted` when all are at work. */
  open(evict: () => void): Engine;
  /** Does work with an engine of this pool, which is not evicted meanwhile. Work may stand in other work. */
  use<T>(engine: Engine, work: () => T): T;
  /** Gives up an engine. */
  close(engine: Engine): void;
  /** Bytes of memory of all engines that are open. */
  totalBytes(): number;
}

interface Entry {
  readonly evict: () => void;
  /** Work that goes on in it, each in another. */
  depth: number;
}

export function createEnginePool(maxBytes = MAX_POOL_BYTES): EnginePool {
  // A map keeps the order in which its entries came: the least recently used stands first.
  const entries = new Map<Engine, Entry>();
  const totalBytes = (): number => [...entries.keys()].reduce((sum, engine) => sum + engine.memoryBytes(), 0);

  const makeRoom = (bytes: number): boolean => {
    for (const [engine, { evict, depth }] of entries) {
      if (totalBytes() + bytes <= maxBytes) return true;
      if (depth > 0) continue;
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
      entries.set(engine, { evict, depth: 0 });
      return engine;
    },
    use(engine, work) {
      const entry = entries.get(engine);
      // It was given up while work that stands around this one holds it.
      if (entry === undefined) return engine.within(work);
      entries.delete(engine);
      entries.set(engine, entry);
      entry.depth += 1;
      try {
        return engine.within(work);
      } finally {
        entry.depth -= 1;
      }
    },
    close(engine) {
      entries.delete(engine);
    },
  };
}
