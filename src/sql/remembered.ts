// What a layer found of statements over one copy of a schema, so that it need not find the same out each time. It decides
// nothing, holds neither values nor rows, and is gone with the copy, as soon as the schema is another.
import type { GuardedQuery } from "./guard.ts";
import type { SchemaCopy } from "./schema.ts";

export interface Memory<Found> {
  /** `key` as of `keyOf`. */
  get(copy: SchemaCopy, key: string): Found | undefined;
  /** Keeps it; of each copy, what was not used for longest goes first. */
  set(copy: SchemaCopy, key: string, found: Found): void;
}

/** Characters of the statements that are remembered of one copy. */
const MAX_CHARACTERS = 500_000;

/**
 * What makes a composed statement the same as an earlier one: its three parts without the nonce, which nobody can write.
 * Bound values are no part of it, so nothing that depends on them may be remembered.
 */
export function keyOf({ before, body, after }: GuardedQuery, nonce: string): string {
  return JSON.stringify([before.replaceAll(nonce, ""), body, after.replaceAll(nonce, "")]);
}

export function createMemory<Found>(maxCharacters = MAX_CHARACTERS): Memory<Found> {
  const ofCopy = new WeakMap<SchemaCopy, Shelf<Found>>();
  return {
    get: (copy, key) => ofCopy.get(copy)?.get(key),
    set(copy, key, found) {
      const shelf = ofCopy.get(copy) ?? createShelf<Found>(maxCharacters);
      ofCopy.set(copy, shelf);
      shelf.set(key, found);
    },
  };
}

interface Shelf<Found> {
  get(key: string): Found | undefined;
  set(key: string, found: Found): void;
}

function createShelf<Found>(maxCharacters: number): Shelf<Found> {
  // A map keeps the order in which its entries came: the least recently used stands first.
  const entries = new Map<string, Found>();
  let characters = 0;
  return {
    get(key) {
      const found = entries.get(key);
      if (found !== undefined) {
        entries.delete(key);
        entries.set(key, found);
      }
      return found;
    },
    set(key, found) {
      if (!entries.delete(key)) characters += key.length;
      entries.set(key, found);
      for (const oldest of entries.keys()) {
        if (characters <= maxCharacters) return;
        entries.delete(oldest);
        characters -= oldest.length;
      }
    },
  };
}
