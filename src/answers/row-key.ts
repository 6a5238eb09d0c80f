// Writes and parses the key of a row in its id. The key of one column stands there as it is. Several values are separated by commas, and
// those characters that would make an id ambiguous are percent-encoded, as in `shop.lines/17%2C5,2`.

/** Writes the values of a key. */
export function formatRowKey(values: readonly string[]): string {
  const [value = "", ...others] = values;
  return others.length === 0 ? value : values.map(encodeValue).join(",");
}

/** Parses a key of this number of columns; undefined if the text has another number of values, or a stray percent sign. */
export function parseRowKey(text: string, columnCount: number): readonly string[] | undefined {
  if (columnCount === 1) return [text];
  const parts = text.split(",");
  if (parts.length !== columnCount) return undefined;
  try {
    return parts.map((part) => decodeURIComponent(part));
  } catch {
    // A percent sign that begins no escape, which `formatRowKey` never writes.
    return undefined;
  }
}

function encodeValue(value: string): string {
  return value.replace(/[%,/]/g, (character) => encodeURIComponent(character));
}
