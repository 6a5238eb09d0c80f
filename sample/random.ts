// A small seeded random number generator: the same seed gives the same numbers everywhere. It is not cryptographic.

/** A source of pseudo-random values. */
export interface Random {
  /** A number from 0 up to but not including 1. */
  next(): number;
  /** An integer between the bounds, both included. */
  between(low: number, high: number): number;
  pick<T>(items: readonly T[]): T;
  /** One of the items, chosen by weight. */
  weighted<T>(items: readonly (readonly [T, number])[]): T;
  /** True with this probability. */
  chance(probability: number): boolean;
}

/** Creates a 32-bit mixing generator. Its quality is enough for plausible data, not for secrets. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
  const between = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
  const pick = <T>(items: readonly T[]): T => {
    const item = items[between(0, items.length - 1)];
    if (item === undefined) throw new TypeError("nothing to pick from");
    return item;
  };
  return {
    next,
    between,
    pick,
    weighted(items) {
      let rest = next() * items.reduce((sum, [, weight]) => sum + weight, 0);
      for (const [item, weight] of items) {
        rest -= weight;
        if (rest < 0) return item;
      }
      return pick(items)[0];
    },
    chance: (probability) => next() < probability,
  };
}
