// Makes text of other parties (names of clients, personal access tokens and tables, error messages) safe to show on pages, in
// a terminal and in logs: invisible characters, and those that move the rest of the line, become code points such as U+202E.

/**
 * Control characters (ESC starts a sequence that rewrites a terminal), direction marks (an override shows `gpj.exe` as
 * `exe.jpg`), zero-width and other ignorable characters (two names look the same), line ends and lone surrogates. The
 * selector that draws an emoji in colour has a visible effect, so it is allowed after an emoji.
 */
const INVISIBLE =
  /(?!(?<=\p{Extended_Pictographic})\ufe0f)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}]/u;
const ALL_INVISIBLE = new RegExp(INVISIBLE, "gu");

/** An emoji and its selector count as one character. */
const CHARACTERS = /\p{Extended_Pictographic}\ufe0f|[^]/gu;
/** The longest name that a page shows. */
const MAX_NAME_CHARACTERS = 80;
/** A character that is drawn. The empty Braille pattern is a symbol, but draws nothing. */
const INK = /(?!\u2800)[\p{L}\p{N}\p{P}\p{S}]/u;

/** Replaces every invisible character with its code point. The result is one line. */
export function escapeInvisible(text: string): string {
  return text.replaceAll(ALL_INVISIBLE, codePointOf);
}

/** Escapes the characters of a JSON text outside ASCII as `\\u` sequences. */
export function escapeJson(json: string): string {
  return json.replaceAll(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Finds the code point of the first invisible character, such as `U+202E`; undefined when all of the text is visible. */
export function firstInvisible(text: string): string | undefined {
  const character = INVISIBLE.exec(text)?.[0];
  return character === undefined ? undefined : codePointOf(character);
}

/** Says why a name with the invisible character `codePoint` is refused. The caller puts the kind of name before it. */
export function describeInvisible(codePoint: string): string {
  return `has an invisible character (${codePoint}). Remove control, direction and zero-width characters`;
}

/**
 * Formats a name that another party chose for a page: at most 80 characters, never blank, and without stacks of combining
 * marks that would cover the lines above.
 */
export function displayName(name: string): string {
  const text = name
    .replaceAll(/\p{Zs}+/gu, " ")
    .replaceAll(/(\p{M}{4})\p{M}+/gu, "$1")
    // trim() would also drop line ends and the byte order mark, which must show as code points.
    .replaceAll(/^ | $/g, "");
  if (!INK.test(escapeInvisible(text))) return "(no readable name)";
  let shown = "";
  let length = 0;
  let fitting = "";
  for (const [character] of text.matchAll(CHARACTERS)) {
    const escaped = escapeInvisible(character);
    length += escaped === character ? 1 : escaped.length;
    if (length > MAX_NAME_CHARACTERS) return `${fitting}…`;
    shown += escaped;
    if (length < MAX_NAME_CHARACTERS) fitting = shown;
  }
  return shown;
}

/**
 * Describes an error for a log, with its causes and the errors inside an `AggregateError`: each message on one line, because
 * it may be another system's text, followed by its stack frames. `redact` changes each message.
 */
export function describeError(error: unknown, redact: Redact = (message) => message): string {
  return errorLines(error, redact, new Set()).join("\n");
}

type Redact = (message: string) => string;

/** `seen` stops the recursion when errors cause each other. */
function errorLines(error: unknown, redact: Redact, seen: Set<unknown>): readonly string[] {
  if (!(error instanceof Error)) return [escapeInvisible(redact(String(error)))];
  if (seen.has(error)) return ["an error already described above"];
  seen.add(error);
  const frames = (error.stack ?? "").split("\n").filter((line) => /^ {4}at /.test(line));
  const innerErrors: readonly unknown[] = error instanceof AggregateError ? error.errors : [];
  return [
    escapeInvisible(`${nameError(error)}: ${redact(error.message)}`),
    ...frames.map(escapeInvisible),
    ...innerErrors.flatMap((inner) => withLabel("including", errorLines(inner, redact, seen))),
    ...(error.cause === undefined ? [] : withLabel("caused by", errorLines(error.cause, redact, seen))),
  ];
}

/** The build shortens the names of classes, after which some libraries name their errors; a `code` such as ERR_JWT_EXPIRED stays. */
function nameError(error: Error): string {
  const code: unknown = Reflect.get(error, "code");
  return typeof code === "string" ? `${error.name} (${code})` : error.name;
}

function withLabel(label: string, [first = "", ...others]: readonly string[]): readonly string[] {
  return [`${label} ${first}`, ...others];
}

/** Formats a character as its code point, such as `U+202E`. */
export function codePointOf(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}
