// Finds what a failed statement has from another dialect of SQL, and says what SQLite has instead. It reads lexer tokens and serves only
// messages; a message repeats nothing but the user's own text.
import { isOperator, isWord } from "./clauses.ts";
import { ALLOWED_FUNCTIONS } from "./functions.ts";
import { foldName } from "./identifier.ts";
import type { LexerToken } from "./lexer.ts";
import {
  CAST_TYPES,
  DESCRIBE_INSTEAD,
  OTHER_FORMS,
  OTHER_FUNCTIONS,
  OTHER_STATEMENTS,
  SYSTEM_TABLES,
} from "./other-dialects.ts";
import { pairParentheses } from "./parentheses.ts";
import { suggestName } from "./suggest.ts";
import { isKeyword } from "./syntax-errors.ts";

/** The most hints of one message: a statement of another dialect often has several of its forms. */
const MAX_HINTS = 3;
const MAX_GAP_TOKENS = 6;
const MAX_CAST_CHARACTERS = 60;

const REPLACEMENT_BY_FUNCTION = indexByWord(OTHER_FUNCTIONS);
const ADVICE_BY_STATEMENT = indexByWord(OTHER_STATEMENTS);
const CAST_BY_TYPE = indexByWord(CAST_TYPES);

interface Hint {
  readonly form: string;
  readonly replacement: string;
}

/** A form of another dialect, by the alternatives of each of its lexer tokens. */
interface Form extends Hint {
  readonly parts: readonly (readonly string[])[];
}

const FORMS: readonly Form[] = OTHER_FORMS.map(([pattern, form, replacement]) => ({
  parts: pattern.split(" ").map((part) => part.split("|")),
  form,
  replacement,
}));
/** Alternatives of a first lexer token that no single text stands for. */
const CLASSES = new Set(["#", "$", "[]", "?", "…"]);
const FORMS_BY_FIRST_TEXT = Map.groupBy(
  FORMS.flatMap((form) => (form.parts[0] ?? []).map((text) => ({ text, form }))),
  ({ text }) => (CLASSES.has(text) ? "" : text),
);

function indexByWord(entries: readonly (readonly [words: string, value: string])[]): ReadonlyMap<string, string> {
  return new Map(entries.flatMap(([words, value]) => words.split(" ").map((word) => [word, value] as const)));
}

/** Says what to write for the forms of other dialects in a statement, as a sentence in the order of the text; empty if it has none. */
export function describeOtherDialect(tokens: readonly LexerToken[]): string {
  const hints = new Map<string, string>();
  for (const [index, token] of tokens.entries()) {
    if (hints.size >= MAX_HINTS) break;
    const hint = findFunctionHint(tokens, index, token) ?? findFormHint(tokens, index);
    if (hint !== undefined && ![...hints.values()].includes(hint.replacement)) hints.set(hint.form, hint.replacement);
  }
  const texts = [...hints].map(([form, replacement]) => `for ${form} write ${replacement}`);
  return texts.length === 0 ? "" : `In SQLite, ${texts.join("; ")}.`;
}

function findFunctionHint(tokens: readonly LexerToken[], index: number, token: LexerToken): Hint | undefined {
  if (token.kind !== "word" || !isOperator(tokens[index + 1], "(")) return undefined;
  const replacement = REPLACEMENT_BY_FUNCTION.get(foldName(token.value));
  return replacement === undefined ? undefined : { form: `${token.value.toUpperCase()}()`, replacement };
}

function findFormHint(tokens: readonly LexerToken[], index: number): Hint | undefined {
  // Nearly every lexer token begins no form.
  const text = foldName(tokens[index]?.value ?? "");
  const candidates = [...(FORMS_BY_FIRST_TEXT.get(text) ?? []), ...(FORMS_BY_FIRST_TEXT.get("") ?? [])];
  return candidates.find(({ form: { parts } }) => matchesForm(tokens, index, parts) && !isOwnName(tokens, index, parts))
    ?.form;
}

/** Whether what looks like a form of one word is a name that the user gave or qualifies: `AS rownum`, `t.regexp`, `regexp.id`. */
function isOwnName(tokens: readonly LexerToken[], index: number, parts: readonly unknown[]): boolean {
  return (
    parts.length === 1 &&
    (isWord(tokens[index - 1], "as") || isOperator(tokens[index - 1], ".") || isOperator(tokens[index + 1], "."))
  );
}

function matchesForm(tokens: readonly LexerToken[], index: number, parts: Form["parts"]): boolean {
  const [part, ...rest] = parts;
  if (part === undefined) return true;
  if (part.includes("…"))
    return Array.from({ length: MAX_GAP_TOKENS }, (_value, gap) => index + gap).some((at) =>
      matchesForm(tokens, at, rest),
    );
  const token = tokens[index];
  return token !== undefined && matchesPart(token, part) && matchesForm(tokens, index + 1, rest);
}

function matchesPart(token: LexerToken, alternatives: readonly string[]): boolean {
  const { kind, value } = token;
  return alternatives.some((alternative) => {
    if (alternative === "?") return true;
    if (alternative === "#") return kind === "number";
    if (alternative === "$") return kind === "string";
    // A name in brackets has one quote more than its value on each side.
    if (alternative === "[]") return kind === "quoted" && token.end - token.start === value.length + 2;
    return (kind === "word" || kind === "operator") && foldName(value) === alternative;
  });
}

/** Says what to do in place of a statement that is no SELECT, by its first lexer token; empty if that is unknown. */
export function describeOtherStatement(first: LexerToken | undefined): string {
  if (first?.kind === "word") return ADVICE_BY_STATEMENT.get(foldName(first.value)) ?? "";
  if (isOperator(first, "(")) return "Leave out the parentheses around its SELECTs.";
  // Such as \d and .tables of command lines, and the fence of a Markdown code block.
  if (isOperator(first, ".") || first?.value.startsWith("\\") === true) return DESCRIBE_INSTEAD;
  return "";
}

/** Whether a name belongs to the system tables of some database. */
export function isSystemTable(name: string): boolean {
  return SYSTEM_TABLES.has(foldName(name));
}

/** Suggests a function for a name that is none; empty if none resembles it. */
export function suggestFunction(name: string): string {
  const suggestion = suggestName(
    name,
    [...ALLOWED_FUNCTIONS].filter((candidate) => candidate !== foldName(name)),
  );
  return suggestion === undefined ? "" : ` Did you mean ${suggestion}?`;
}

/** Says how to correct text that SQLite's lexer cannot read, which begins with the last of these lexer tokens. */
export function describeUnreadableText(text: string, tokens: readonly LexerToken[]): string {
  const illegal = tokens.at(-1);
  if (illegal === undefined) return "";
  if (illegal.value.startsWith("::")) return `SQLite has no ::, so write ${convertCast(text, tokens, illegal)}.`;
  switch (illegal.value.charAt(0)) {
    case "#":
      return "Begin a comment with --.";
    case "{":
      return "Write each parameter as a plain ? and give the values in params.";
    case "^":
      return "Write pow(a, b) for a power.";
    case "!":
      return "Write NOT.";
    case "'":
      return "Close the text there, and double each quote inside a text: 'it''s'.";
    default:
      return "Close the quote or comment there.";
  }
}

/** Writes `x::type` as a CAST or a function, with the user's own expression if it is short. */
function convertCast(text: string, tokens: readonly LexerToken[], illegal: LexerToken): string {
  const type = foldName(/^::\s*"?([A-Za-z0-9_]+)/.exec(illegal.value)?.[1] ?? "");
  const cast = CAST_BY_TYPE.get(type) ?? "CAST(x AS TEXT)";
  const before = tokens.slice(0, -1).filter(({ kind }) => kind !== "space" && kind !== "comment");
  const start = findOperandStart(before);
  const operand = start === undefined ? "" : text.slice(start, before.at(-1)?.end);
  return operand === "" || operand.length > MAX_CAST_CHARACTERS ? cast : cast.replace("x", () => operand);
}

/** Finds where the operand before a `::` begins: a name, a value, or a call or parenthesis. */
function findOperandStart(tokens: readonly LexerToken[]): number | undefined {
  const last = tokens.length - 1;
  const opening = isOperator(tokens[last], ")") ? pairParentheses(tokens).findOpening(last) : last;
  if (opening === -1) return undefined;
  const called = tokens[opening - 1];
  const isCall = opening < last && called?.kind === "word" && !isKeyword(called.value) && !isWord(called, "by", "like");
  let start = isCall ? opening - 1 : opening;
  while (isOperator(tokens[start - 1], ".")) start -= 2;
  return tokens[start]?.start;
}
