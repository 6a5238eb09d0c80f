// Splits SQL text into lexer tokens by SQLite's lexical rules. It gives words no meaning; statement.ts decides what is refused.
// Source: the character classes in the documentation of SQLite's tokenizer, checked against SQLite 3.46 and later.

type LexerTokenKind =
  "space" | "comment" | "word" | "quoted" | "string" | "number" | "blob" | "variable" | "operator" | "illegal";

/** A lexer token of SQL text. */
export interface LexerToken {
  readonly kind: LexerTokenKind;
  /** UTF-16 offsets into the text; `end` is exclusive. */
  readonly start: number;
  readonly end: number;
  /** The text as written; for `quoted` and `string` the text inside the quotes, with doubled quotes resolved. */
  readonly value: string;
}

const SPACE = /[ \t\n\f\r]+/y;
const LINE_COMMENT = /--[^\n]*/y;
const BLOCK_COMMENT = /\/\*[^]*?\*\//y;
const BLOB = /[xX]'([^']*)'/y;
const WORD = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y;
const DIGITS = "[0-9](?:_?[0-9])*";
const HEX_NUMBER = "0[xX][0-9A-Fa-f](?:_?[0-9A-Fa-f])*";
const DECIMAL_NUMBER = `(?:${DIGITS}(?:\\.(?:${DIGITS})?)?|\\.${DIGITS})(?:[eE][+-]?${DIGITS})?`;
const NUMBER = new RegExp(`(?:${HEX_NUMBER}|${DECIMAL_NUMBER})`, "y");
const NUMBERED_VARIABLE = /\?[0-9]*/y;
/** A sign and a name, which may contain `::`. */
const NAMED_VARIABLE = /[$@#:](?:::)*[A-Za-z0-9_$\u0080-\uffff](?:[A-Za-z0-9_$\u0080-\uffff]|::)*/y;
/** The index that may follow the name of a variable, as in Tcl. */
const VARIABLE_INDEX = /\([^) \t\n\v\f\r]*\)/y;
const OPERATOR = /->>|->|\|\||<<|>>|<=|<>|>=|==|!=|[-+*/%&|~<>=(),;.]/y;
const NAME_CHARACTER = /[A-Za-z0-9_$\u0080-\uffff]/;
const QUOTES: Readonly<Record<string, string>> = { "'": "'", '"': '"', "`": "`", "[": "]" };

/**
 * Splits the whole text into lexer tokens without gaps. Text that SQLite would not accept, or that is unterminated, becomes an `illegal`
 * token that ends the list: nothing after it is read.
 */
export function tokenize(text: string): readonly LexerToken[] {
  const tokens: LexerToken[] = [];
  let at = 0;
  while (at < text.length) {
    const token = nextToken(text, at);
    tokens.push(token);
    if (token.kind === "illegal") break;
    at = token.end;
  }
  return tokens;
}

function nextToken(text: string, at: number): LexerToken {
  return (
    matchToken(SPACE, "space", text, at) ??
    matchToken(LINE_COMMENT, "comment", text, at) ??
    matchToken(BLOCK_COMMENT, "comment", text, at) ??
    lexBlob(text, at) ??
    matchToken(WORD, "word", text, at) ??
    lexNumber(text, at) ??
    lexQuoted(text, at) ??
    matchToken(NUMBERED_VARIABLE, "variable", text, at) ??
    lexNamedVariable(text, at) ??
    (text.startsWith("/*", at) ? undefined : matchToken(OPERATOR, "operator", text, at)) ??
    createIllegalToken(text, at)
  );
}

function matchToken(pattern: RegExp, kind: LexerTokenKind, text: string, at: number): LexerToken | undefined {
  pattern.lastIndex = at;
  const value = pattern.exec(text)?.[0];
  return value === undefined ? undefined : { kind, start: at, end: at + value.length, value };
}

function createIllegalToken(text: string, at: number): LexerToken {
  return { kind: "illegal", start: at, end: text.length, value: text.slice(at) };
}

/** `x'0a'`. An odd number of digits or another character is illegal; an `x` that no quote follows directly is an ordinary word. */
function lexBlob(text: string, at: number): LexerToken | undefined {
  if (!/[xX]/.test(text.charAt(at)) || text.charAt(at + 1) !== "'") return undefined;
  const token = matchToken(BLOB, "blob", text, at);
  return token !== undefined && /^[xX]'(?:[0-9A-Fa-f]{2})*'$/.test(token.value) ? token : createIllegalToken(text, at);
}

/** A number that a name character follows directly, such as `1abc`, is illegal in SQLite. */
function lexNumber(text: string, at: number): LexerToken | undefined {
  const token = matchToken(NUMBER, "number", text, at);
  if (token === undefined) return undefined;
  return NAME_CHARACTER.test(text.charAt(token.end)) ? createIllegalToken(text, at) : token;
}

function lexNamedVariable(text: string, at: number): LexerToken | undefined {
  const token = matchToken(NAMED_VARIABLE, "variable", text, at);
  if (token === undefined || text.charAt(token.end) !== "(") return token;
  const index = matchToken(VARIABLE_INDEX, "variable", text, token.end);
  return index === undefined
    ? createIllegalToken(text, at)
    : { ...token, end: index.end, value: text.slice(at, index.end) };
}

function lexQuoted(text: string, at: number): LexerToken | undefined {
  const open = text.charAt(at);
  const close = QUOTES[open];
  if (close === undefined) return undefined;
  let end = at + 1;
  for (;;) {
    end = text.indexOf(close, end);
    if (end === -1) return createIllegalToken(text, at);
    // A doubled quote stands for a single one, except in [brackets], which cannot contain `]`.
    if (close === "]" || text.charAt(end + 1) !== close) break;
    end += 2;
  }
  const value = close === "]" ? text.slice(at + 1, end) : text.slice(at + 1, end).replaceAll(close + close, close);
  return { kind: open === "'" ? "string" : "quoted", start: at, end: end + 1, value };
}
