// Reads the values of which WebAssembly's binary format consists.

/** Reads a module from a position that moves. */
export type WasmReader = ReturnType<typeof createWasmReader>;

/** Creates a reader at the first byte. It throws when it should read beyond the last one. */
export function createWasmReader(bytes: Uint8Array) {
  let at = 0;
  const byte = (): number => {
    const value = bytes[at];
    if (value === undefined) throw new Error("the module ends too early");
    at += 1;
    return value;
  };
  const integer = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const part = byte();
      value += (part % 128) * scale;
      if (part < 128) return value;
    }
  };
  return {
    position: () => at,
    seek: (position: number): void => void (at = position),
    skip: (count: number): void => void (at += count),
    byte,
    /** Reads an unsigned integer. It also skips a signed one, whose value is then meaningless. */
    integer,
    text(): string {
      const length = integer();
      at += length;
      return new TextDecoder().decode(bytes.subarray(at - length, at));
    },
    vector: <T>(readItem: () => T): T[] => Array.from({ length: integer() }, readItem),
  };
}
