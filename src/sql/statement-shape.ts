// Reduces statements to a shape, by which a statement that is refused after it stopped a server is recognised however it is written.
import { foldName } from "./identifier.ts";
import { findTextProblem } from "./statement.ts";
import { tokenize } from "./lexer.ts";

const VALUE_KINDS = new Set(["string", "number", "blob", "variable"]);
const PLACEHOLDER = "?";

/**
 * Removes spaces, comments, letter case and quotes around names from a statement, and replaces every literal, parameter or list of them
 * by `?`. Otherwise a user could run a refused statement again by changing a number in it. Returns undefined for text that
 * `parseStatement` refuses before any database sees it.
 */
export function normalizeStatement(sql: string): string | undefined {
  if (findTextProblem(sql) !== undefined) return undefined;
  const shape: string[] = [];
  for (const { kind, value } of tokenize(sql)) {
    if (kind === "illegal") return undefined;
    if (kind === "space" || kind === "comment") continue;
    if (VALUE_KINDS.has(kind)) pushValue(shape);
    else shape.push(kind === "operator" ? value : foldName(value));
  }
  while (shape.at(-1) === ";") shape.pop();
  return JSON.stringify(shape);
}

/** Appends a value. `?, ?` becomes `?`: one more value in a list does not change the shape. */
function pushValue(shape: string[]): void {
  if (shape.at(-1) === "," && shape.at(-2) === PLACEHOLDER) shape.pop();
  else shape.push(PLACEHOLDER);
}
