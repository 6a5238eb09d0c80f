// Writes SQL without the values in it, for records that should say what was asked and not about whom.
import { foldName } from "./identifier.ts";
import { tokenize } from "./lexer.ts";

const VALUE_KINDS = new Set(["string", "number", "blob", "illegal"]);

/**
 * Replaces each literal by `?` and removes comments. A quoted name is replaced too unless `isName` says that it is one: SQL also takes text
 * in double quotes where no column has that name. What SQL cannot be made of becomes `?` up to its end.
 */
export function hideLiterals(sql: string, isName: (name: string) => boolean): string {
  return tokenize(sql)
    .map(({ kind, value, start, end }) => {
      if (VALUE_KINDS.has(kind) || (kind === "quoted" && !isName(foldName(value)))) return "?";
      return kind === "comment" ? " " : sql.slice(start, end);
    })
    .join("");
}
