// Cuts the text of an answer into pages. A page of untrusted text has its own fence marks, because an assistant may read it alone.
import { findCut } from "../lib/text-cut.ts";
import { FENCE_CLOSE, FENCE_OPEN } from "./untrusted-text.ts";

/** One page of a text. */
export interface TextPage {
  readonly text: string;
  /** The number of pages, at least 1. */
  readonly pages: number;
}

/** An escape that `fence` writes for an invisible character. */
const LONGEST_ESCAPE = String.raw`\u{10FFFF}`.length;

/**
 * Takes one page of a text, from 1; undefined when the text has fewer pages. All pages joined are the text exactly; where the text
 * has fences, a page that begins or ends inside one also has the mark that is missing there.
 */
export function takePage(
  text: string,
  page: number,
  { pageCharacters, isFenced }: { readonly pageCharacters: number; readonly isFenced: boolean },
): TextPage | undefined {
  const starts = [0];
  for (let start = 0; text.length - start > pageCharacters;) {
    start = isFenced ? findFencedCut(text, start, pageCharacters) : findCut(text, start + pageCharacters, start);
    if (start < text.length) starts.push(start);
  }
  const start = starts[page - 1];
  if (start === undefined) return undefined;
  const end = starts[page] ?? text.length;
  const body = text.slice(start, end);
  const isOpen = (at: number): boolean => text.lastIndexOf(FENCE_OPEN, at - 1) > text.lastIndexOf(FENCE_CLOSE, at - 1);
  const opening = isFenced && start > 0 && isOpen(start) ? FENCE_OPEN : "";
  const closing = isFenced && end < text.length && isOpen(end) ? FENCE_CLOSE : "";
  return { text: `${opening}${body}${closing}`, pages: starts.length };
}

/** Finds the end of a page of fenced text: not inside an escape, whose two halves would show neither the character nor its code. */
function findFencedCut(text: string, start: number, pageCharacters: number): number {
  const cut = findCut(text, start + pageCharacters, start);
  // Searching the whole text for each page would take long.
  const from = Math.max(start + 1, cut - LONGEST_ESCAPE + 1);
  const before = text.slice(from, cut + 2).lastIndexOf("\\u{");
  if (before === -1) return cut;
  const escape = from + before;
  const close = text.slice(escape, escape + LONGEST_ESCAPE).indexOf("}");
  return close !== -1 && escape + close >= cut ? escape : cut;
}
