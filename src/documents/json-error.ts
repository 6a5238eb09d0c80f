// Finds the place at which a text stops being JSON (RFC 8259). The engine's own error message has it only sometimes, and quotes the text.

const SPACE = String.raw`[ \t\n\r]*`;
/** Characters of a JSON string that need no escape. */
const PLAIN = String.raw`[^"\\\u0000-\u001f]*`;
const STRING = String.raw`"${PLAIN}(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})${PLAIN})*"`;
const NUMBER = String.raw`-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?`;
const TOKEN = String.raw`[{}[\],:]|${STRING}|${NUMBER}|true|false|null`;

/** What may come next. */
type Expected = "value" | "value or ]" | "key or }" | "key" | ":" | "more";

/** Returns the line and column of the first error in a text that is not valid JSON, both from 1. */
export function findJsonError(text: string): string {
  const [space, token] = [new RegExp(SPACE, "y"), new RegExp(TOKEN, "y")];
  const open: string[] = [];
  let expected: Expected = "value";
  let offset = 0;
  for (;;) {
    const start = skip(space, text, offset);
    const end = skip(token, text, start);
    const next: Expected | undefined =
      start === end ? undefined : accept(text.slice(start, Math.min(end, start + 1)), expected, open);
    if (next === undefined) return describePlace(text, start);
    expected = next;
    offset = end;
  }
}

function skip(pattern: RegExp, text: string, offset: number): number {
  pattern.lastIndex = offset;
  return pattern.test(text) ? pattern.lastIndex : offset;
}

/** Returns what may follow a token that begins with this character; undefined if it must not stand here. */
function accept(token: string, expected: Expected, open: string[]): Expected | undefined {
  const container = open.at(-1);
  switch (token) {
    case "{":
    case "[":
      if (!expected.startsWith("value")) return undefined;
      open.push(token);
      return token === "{" ? "key or }" : "value or ]";
    case "}":
    case "]": {
      const isEmpty = expected === (token === "}" ? "key or }" : "value or ]");
      const closes = container === (token === "}" ? "{" : "[") && expected === "more";
      if (!isEmpty && !closes) return undefined;
      open.pop();
      return "more";
    }
    case ",":
      if (expected !== "more" || container === undefined) return undefined;
      return container === "{" ? "key" : "value";
    case ":":
      return expected === ":" ? "value" : undefined;
    default:
      if (expected.startsWith("key")) return token === '"' ? ":" : undefined;
      return expected.startsWith("value") ? "more" : undefined;
  }
}

function describePlace(text: string, offset: number): string {
  const lines = text.slice(0, offset).split("\n");
  return `line ${lines.length}, column ${(lines.at(-1)?.length ?? 0) + 1}`;
}
