// Names that others choose (clients, access tokens, tables of a file), and texts with such names in them, as people may see them: on
// pages, in a terminal, in logs. What no reader sees or what moves the rest of the line stands there as its code point, as in U+202E.

/**
 * Controls (ESC begins a sequence that rewrites a terminal), direction marks (an override shows `gpj.exe` as `exe.jpg`), zero-width and
 * other ignorable characters (two names look the same), line ends, halves of characters. The selector that draws an emoji in
 * colour is seen, so it may stay behind one.
 */
const INVISIBLE =
  /(?!(?<=\p{Extended_Pictographic})\ufe0f)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}]/u;
const ALL_INVISIBLE = new RegExp(INVISIBLE, "gu");

/** An emoji with its selector counts as one. */
const CHARACTERS = /\p{Extended_Pictographic}\ufe0f|[^]/gu;
/** Characters of a name on a page. */
const MAX_NAME_CHARACTERS = 80;
/** Something that leaves ink; the empty Braille pattern is a symbol and does not. */
const INK = /(?!\u2800)[\p{L}\p{N}\p{P}\p{S}]/u;

/** The same text on one line, with every invisible character as its code point. */
export function escapeInvisible(text: string): string {
  return text.replaceAll(ALL_INVISIBLE, codePointOf);
}

/** The code point of the first invisible character, such as `U+202E`; undefined when all of the text is seen. */
export function firstInvisible(text: string): string | undefined {
  const found = INVISIBLE.exec(text)?.[0];
  return found === undefined ? undefined : codePointOf(found);
}

/** Why a name with the invisible character `codePoint` is refused, to be put behind what the name is of. */
export function describeInvisible(codePoint: string): string {
  return `has a character that cannot be seen (${codePoint}). Leave out control, direction and zero-width characters`;
}

/**
 * A name that another party chose, for a page: at most 80 characters, never an empty line, and no pile of combining marks that covers
 * the lines above.
 */
export function displayName(name: string): string {
  const text = name
    .replaceAll(/\p{Zs}+/gu, " ")
    .replaceAll(/(\p{M}{4})\p{M}+/gu, "$1")
    // trim() would also drop line ends and the byte order mark, which are to be seen.
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
 * An error for a log, with its causes and the errors that it gathers (`AggregateError`): each text on one line, since it may be another
 * system's, and then where it was thrown.
 */
export function describeError(error: unknown): string {
  return errorLines(error, new Set()).join("\n");
}

/** `seen` ends the description of errors that cause each other. */
function errorLines(error: unknown, seen: Set<unknown>): readonly string[] {
  if (!(error instanceof Error)) return [escapeInvisible(String(error))];
  if (seen.has(error)) return ["an error that is described above"];
  seen.add(error);
  const frames = (error.stack ?? "").split("\n").filter((line) => /^ {4}at /.test(line));
  const gathered: readonly unknown[] = error instanceof AggregateError ? error.errors : [];
  return [
    escapeInvisible(`${error.name}: ${error.message}`),
    ...frames.map(escapeInvisible),
    ...gathered.flatMap((one) => prefixed("one of them", errorLines(one, seen))),
    ...(error.cause === undefined ? [] : prefixed("caused by", errorLines(error.cause, seen))),
  ];
}

function prefixed(label: string, [first = "", ...others]: readonly string[]): readonly string[] {
  return [`${label} ${first}`, ...others];
}

/** A character as its code point, such as `U+202E`. */
export function codePointOf(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}
