// SQLite's lexical rules: text in, tokens out. It gives no meaning to words; statement.ts does the refusing.
// Source: the SQLite tokenizer's documented character classes, checked against SQLite 3.46 and later.

export type TokenKind =
  "space" | "comment" | "word" | "quoted" | "string" | "number" | "blob" | "variable" | "operator" | "illegal";

export interface Token {
  readonly kind: TokenKind;
  /** UTF-16 offsets into the text, end exclusive. */
  readonly start: number;
  readonly end: number;
  /** The token as written; for `quoted` and `string` the text inside the quotes, doubled quotes undone. */
  readonly value: string;
}

const SPACE = /[ \t\n\f\r]+/y;
const LINE_COMMENT = /--[^\n]*/y;
const BLOCK_COMMENT = /\/\*[^]*?\*\//y;
const BLOB = /[xX]'([^']*)'/y;
const WORD = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y;
const NUMBER =
  /(?:0[xX][0-9A-Fa-f](?:_?[0-9A-Fa-f])*|(?:[0-9](?:_?[0-9])*(?:\.(?:[0-9](?:_?[0-9])*)?)?|\.[0-9](?:_?[0-9])*)(?:[eE][+-]?[0-9](?:_?[0-9])*)?)/y;
const NUMBERED_VARIABLE = /\?[0-9]*/y;
/** A sign and a name, in which `::` may stand. */
const NAMED_VARIABLE = /[$@#:](?:::)*[A-Za-z0-9_$\u0080-\uffff](?:[A-Za-z0-9_$\u0080-\uffff]|::)*/y;
/** What may follow its name, as in Tcl. */
const VARIABLE_INDEX = /\([^) \t\n\v\f\r]*\)/y;
const OPERATOR = /->>|->|\|\||<<|>>|<=|<>|>=|==|!=|[-+*/%&|~<>=(),;.]/y;
const NAME_CHARACTER = /[A-Za-z0-9_$\u0080-\uffff]/;
const QUOTES: Readonly<Record<string, string>> = { "'": "'", '"': '"', "`": "`", "[": "]" };

/**
 * Splits the whole text into tokens without gaps. What SQLite would not accept, and everything unterminated, becomes an
 * `illegal` token that ends the list: nothing after it is looked at.
 */
export function tokenize(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const token = nextToken(text, at);
    tokens.push(token);
    if (token.kind === "illegal") break;
    at = token.end;
  }
  return tokens;
}

function nextToken(text: string, at: number): Token {
  return (
    match(SPACE, "space", text, at) ??
    match(LINE_COMMENT, "comment", text, at) ??
    match(BLOCK_COMMENT, "comment", text, at) ??
    blob(text, at) ??
    match(WORD, "word", text, at) ??
    number(text, at) ??
    quoted(text, at) ??
    match(NUMBERED_VARIABLE, "variable", text, at) ??
    namedVariable(text, at) ??
    (text.startsWith("/*", at) ? undefined : match(OPERATOR, "operator", text, at)) ??
    illegal(text, at)
  );
}

function match(pattern: RegExp, kind: TokenKind, text: string, at: number): Token | undefined {
  pattern.lastIndex = at;
  const value = pattern.exec(text)?.[0];
  return value === undefined ? undefined : { kind, start: at, end: at + value.length, value };
}

function illegal(text: string, at: number): Token {
  return { kind: "illegal", start: at, end: text.length, value: text.slice(at) };
}

/** `x'0a'`. An odd or non-hex literal is illegal; without the quote at once, `x` is an ordinary word. */
function blob(text: string, at: number): Token | undefined {
  if (!/[xX]/.test(text.charAt(at)) || text.charAt(at + 1) !== "'") return undefined;
  const token = match(BLOB, "blob", text, at);
  return token !== undefined && /^[xX]'(?:[0-9A-Fa-f]{2})*'$/.test(token.value) ? token : illegal(text, at);
}

/** A number that runs into a name character, such as `1abc`, is illegal to SQLite. */
function number(text: string, at: number): Token | undefined {
  const token = match(NUMBER, "number", text, at);
  if (token === undefined) return undefined;
  return NAME_CHARACTER.test(text.charAt(token.end)) ? illegal(text, at) : token;
}

function namedVariable(text: string, at: number): Token | undefined {
  const token = match(NAMED_VARIABLE, "variable", text, at);
  if (token === undefined || text.charAt(token.end) !== "(") return token;
  const index = match(VARIABLE_INDEX, "variable", text, token.end);
  return index === undefined ? illegal(text, at) : { ...token, end: index.end, value: text.slice(at, index.end) };
}

function quoted(text: string, at: number): Token | undefined {
  const open = text.charAt(at);
  const close = QUOTES[open];
  if (close === undefined) return undefined;
  let end = at + 1;
  for (;;) {
    end = text.indexOf(close, end);
    if (end === -1) return illegal(text, at);
    // A doubled quote stands for itself, except in [brackets], which cannot hold their end.
    if (close === "]" || text.charAt(end + 1) !== close) break;
    end += 2;
  }
  const value = close === "]" ? text.slice(at + 1, end) : text.slice(at + 1, end).replaceAll(close + close, close);
  return { kind: open === "'" ? "string" : "quoted", start: at, end: end + 1, value };
}
