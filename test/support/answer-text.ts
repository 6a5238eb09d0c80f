// Formats parts of a tool's answer for a page: docs/tour.md, and the examples' READMEs.

/** Formats one part: a list of objects or rows with one of them a line, everything else in one line. */
export function formatAnswerPart(part: string, value: unknown, properties?: readonly string[]): string {
  const isList = Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "object");
  if (!isList) return `${part}: ${JSON.stringify(value)}`;
  return [`${part}:`, ...value.map((item) => `  ${JSON.stringify(item, properties && [...properties])}`)].join("\n");
}
