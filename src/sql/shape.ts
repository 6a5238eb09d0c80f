// What makes two statements the same one when one of them is refused by name: their tokens, without how they are written.
import { foldName } from "./identifier.ts";
import { textProblem } from "./statement.ts";
import { tokenize } from "./tokenizer.ts";

const VALUES = new Set(["string", "number", "blob", "variable"]);
const VALUE = "?";

/**
 * The statement without spaces, comments, letter case, quotes around names, and values: every literal and parameter becomes `?`, and
 * so does a list of them. Otherwise a user would run a refused statement again by changing a number in it.
 * Undefined for text that `parseStatement` refuses before any database sees it.
 */
export function shapeOf(sql: string): string | undefined {
  if (textProblem(sql) !== undefined) return undefined;
  const shape: string[] = [];
  for (const { kind, value } of tokenize(sql)) {
    if (kind === "illegal") return undefined;
    if (kind === "space" || kind === "comment") continue;
    if (VALUES.has(kind)) pushValue(shape);
    else shape.push(kind === "operator" ? value : foldName(value));
  }
  while (shape.at(-1) === ";") shape.pop();
  return JSON.stringify(shape);
}

/** `?, ?` is `?`: one more value in a list makes no other statement. */
function pushValue(shape: string[]): void {
  if (shape.at(-1) === "," && shape.at(-2) === VALUE) shape.pop();
  else shape.push(VALUE);
}
