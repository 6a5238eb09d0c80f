// Cuts text for pages, summaries, snippets and logs, never inside a character: half of a surrogate pair would leave as U+FFFD.

/** How far before the wanted place a cut may move to keep a line end or a combined character whole. */
const MAX_BACKTRACK = 32;
/** A code point that continues the character before it: a combining mark, a joiner, an emoji's skin tone or variation. */
const CONTINUES = /^(?:\p{M}|\u200d|\p{Emoji_Modifier})/u;
const ZERO_WIDTH_JOINER = 0x200d;

/**
 * Finds where to cut a text at `at` UTF-16 units or a little before: never inside a surrogate pair, and where it is near, not inside
 * CRLF or a character with combining marks. The result lies after `from`, even when not one character fits between the two.
 */
export function findCut(text: string, at: number, from = 0): number {
  if (at >= text.length) return text.length;
  const lowest = Math.max(from + 1, at - MAX_BACKTRACK);
  for (let cut = at; cut >= lowest; cut -= 1) if (isCharacterBoundary(text, cut)) return cut;
  if (!isInsidePair(text, at)) return at;
  return at - 1 > from ? at - 1 : at + 1;
}

/** Takes at most `maxCharacters` UTF-16 units from the start of a text, in whole characters. */
export function cutText(text: string, maxCharacters: number): string {
  if (text.length <= maxCharacters) return text;
  const cut = findCut(text, maxCharacters);
  return cut > maxCharacters ? "" : text.slice(0, cut);
}

/** Shortens a text to at most `maxCharacters` UTF-16 units, with an ellipsis at the end if something is missing. */
export function shortenText(text: string, maxCharacters: number): string {
  return text.length <= maxCharacters ? text : `${cutText(text, maxCharacters - 1)}…`;
}

function isCharacterBoundary(text: string, at: number): boolean {
  if (isInsidePair(text, at)) return false;
  if (text[at] === "\n" && text[at - 1] === "\r") return false;
  return text.charCodeAt(at - 1) !== ZERO_WIDTH_JOINER && !CONTINUES.test(text.slice(at, at + 2));
}

function isInsidePair(text: string, at: number): boolean {
  return (text.charCodeAt(at) & 0xfc00) === 0xdc00 && (text.charCodeAt(at - 1) & 0xfc00) === 0xd800;
}
