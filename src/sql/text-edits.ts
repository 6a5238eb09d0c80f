// Replaces parts of a text and converts positions in the result to positions in the original, for error messages about SQL that was
// rewritten before it ran.

/** A replacement of the characters from `start` up to `end`, which is exclusive. Both are UTF-16 offsets into the original. */
export interface TextEdit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Applies edits, which must be in order and must not overlap. */
export function applyEdits(text: string, edits: readonly TextEdit[]): string {
  let copiedEnd = 0;
  const segments = edits.map((edit) => {
    const segment = `${text.slice(copiedEnd, edit.start)}${edit.text}`;
    copiedEnd = edit.end;
    return segment;
  });
  return `${segments.join("")}${text.slice(copiedEnd)}`;
}

/** Converts an offset in the edited text to one in the original. An offset inside a replacement becomes the start of what it replaced. */
export function locateInOriginal(edits: readonly TextEdit[], editedOffset: number): number {
  let shift = 0;
  for (const { start, end, text } of edits) {
    const editedStart = start + shift;
    if (editedOffset < editedStart) break;
    if (editedOffset < editedStart + text.length) return start;
    shift += text.length - (end - start);
  }
  return editedOffset - shift;
}

/** Combines edits of a text with edits of the text that they make. The second ones must replace nothing that the first ones wrote. */
export function composeEdits(first: readonly TextEdit[], second: readonly TextEdit[]): readonly TextEdit[] {
  if (first.length === 0) return second;
  const moved = second.map(({ start, end, text }) => ({
    start: locateInOriginal(first, start),
    end: locateInOriginal(first, end),
    text,
  }));
  // At one place, what is inserted before a replaced text comes first.
  return [...moved, ...first].toSorted((left, right) => left.start - right.start || left.end - right.end);
}
