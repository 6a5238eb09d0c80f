// Finds the title of a document: from its front matter, or its first Markdown heading (CommonMark 0.31), else its key. A line that
// begins with # is no heading in code, comments and HTML.
import { cutText, shortenText } from "../lib/text-cut.ts";

/** Files in which # begins a comment, or nothing. */
const WITHOUT_HEADINGS =
  /\.(?:csv|tsv|tab|json|jsonl|ndjson|ya?ml|toml|ini|cfg|conf|env|properties|sh|py|rb|r|sql|js|ts|css|html?|xml|svg|log)$/i;
/** A title stands in the first part of a document. */
const MAX_SEARCHED_CHARACTERS = 100_000;
const MAX_TITLE_CHARACTERS = 300;

/** Finds the title. It is untrusted if the document is. */
export function findTitle(key: string, text: string): string {
  if (WITHOUT_HEADINGS.test(key)) return key;
  const lines = cutText(text.replace(/^\uFEFF/, ""), MAX_SEARCHED_CHARACTERS).split(/\r\n|\n|\r/);
  const bodyStart = findFrontMatterEnd(lines);
  const title = findFrontMatterTitle(lines.slice(0, bodyStart)) ?? findHeading(lines.slice(bodyStart));
  return title === undefined ? key : shortenText(title, MAX_TITLE_CHARACTERS);
}

/** Finds the line after the front matter: YAML between lines of ---, or TOML between lines of +++. 0 when there is none. */
function findFrontMatterEnd(lines: readonly string[]): number {
  const open = /^(---|\+\+\+)[ \t]*$/.exec(lines[0] ?? "")?.[1];
  if (open === undefined) return 0;
  const close = open === "---" ? /^(?:---|\.\.\.)[ \t]*$/ : /^\+\+\+[ \t]*$/;
  return lines.findIndex((line, index) => index > 0 && close.test(line)) + 1;
}

function findFrontMatterTitle(lines: readonly string[]): string | undefined {
  const separator = lines[0]?.startsWith("+") ? "=" : ":";
  const titleLine = new RegExp(String.raw`^(?:title|"title"|'title')[ \t]*${separator}(?:[ \t]([^]*))?$`, "i");
  for (const [index, line] of lines.entries()) {
    // TOML needs no space after the equals sign.
    const match = titleLine.exec(separator === "=" ? line.replace(/=[ \t]*/, "= ") : line);
    if (match === null) continue;
    const value = (match[1] ?? "").trim();
    const title = /^(?:[|>][-+0-9]*(?:[ \t]+#.*)?)?$/.test(value)
      ? readIndented(lines.slice(index + 1))
      : parseScalar(value);
    return title === "" ? undefined : title;
  }
  return undefined;
}

/** Reads the first paragraph of the indented lines after a title: a block or a value on its own line. */
function readIndented(lines: readonly string[]): string {
  const end = lines.findIndex((line) => !/^[ \t]+\S/.test(line));
  return parseScalar(
    lines
      .slice(0, end === -1 ? undefined : end)
      .map((line) => line.trim())
      .join(" "),
  );
}

/** Parses a quoted or plain scalar on one line, without its comment. */
function parseScalar(value: string): string {
  const double = /^"((?:[^"\\]|\\.)*)"/.exec(value)?.[1];
  if (double !== undefined) return unescapeDoubleQuoted(double).trim();
  const single = /^'((?:[^']|'')*)'/.exec(value)?.[1];
  if (single !== undefined) return single.replaceAll("''", "'").trim();
  const plain = value.replace(/(?:^|[ \t])#[^]*$/, "").trim();
  return /^(?:~|null)$/i.test(plain) ? "" : plain;
}

function unescapeDoubleQuoted(text: string): string {
  return text
    .replace(/\\(?:u([0-9a-f]{4})|U([0-9a-f]{8})|x([0-9a-f]{2})|(.))/gi, (whole, short, long, byte, character) => {
      const hex: unknown = short ?? long ?? byte;
      if (typeof hex === "string") return parseCodePoint(hex) ?? whole;
      return /[ntr0]/.test(String(character)) ? " " : String(character);
    })
    .toWellFormed();
}

function parseCodePoint(hex: string): string | undefined {
  const codePoint = Number.parseInt(hex, 16);
  return codePoint <= 0x10ffff ? String.fromCodePoint(codePoint) : undefined;
}

// Patterns for lines that an attacker writes: no two repetitions beside each other match the same character.
const FENCE = /^ {0,3}(?:(`{3,})[^`]*$|(~{3,}))/;
const ATX_HEADING = /^ {0,3}#{1,6}(?:[ \t]([^]*))?$/;
const SETEXT_UNDERLINE = /^ {0,3}(?:=+|-+)[ \t]*$/;
/** A block in which the lines after the first belong to something else than a paragraph: a quote, a list item. */
const CONTAINER = /^ {0,3}(?:>|[-+*](?:[ \t]|$)|[0-9]{1,9}[.)](?:[ \t]|$))/;
/** The marks of quotes and list items, one in another, before the content of a line. */
const CONTAINER_MARKS = /^(?: {0,3}(?:>|[-+*](?=[ \t])|[0-9]{1,9}[.)](?=[ \t]))[ \t]?)+ {0,3}/;
/** HTML whose content ends only with its closing tag. */
const RAW_HTML = /^ {0,3}<(pre|script|style|textarea)(?:[ \t>]|$)/i;
/** Other HTML, which ends with a blank line. */
const HTML = /^ {0,3}<\/?[a-z][a-z0-9-]*(?:[ \t/>]|$)/i;

/** Finds the text of the first heading. */
function findHeading(lines: readonly string[]): string | undefined {
  /** The lines of the paragraph so far, which an underline turns into a heading; null inside a quote or a list item. */
  let paragraph: string[] | null = [];
  /** The current block of code or HTML. */
  let block: Block | null = null;
  for (const line of lines) {
    if (block !== null && block.holds(line)) {
      if (block.end.test(line)) block = null;
      continue;
    }
    block = findBlock(line);
    if (block !== null || line.trim() === "") {
      paragraph = [];
      continue;
    }
    if (/^(?: {4}| {0,3}\t)/.test(line)) {
      // A continued paragraph, or indented code.
      if (paragraph !== null && paragraph.length > 0) paragraph.push(line.trim());
      continue;
    }
    const heading = cleanHeading(ATX_HEADING.exec(line)?.[1] ?? "");
    if (heading !== "") return heading;
    if (SETEXT_UNDERLINE.test(line)) {
      const title = cleanHeading(paragraph?.join(" ") ?? "", false);
      if (title !== "") return title;
      paragraph = [];
    } else if (CONTAINER.test(line)) paragraph = null;
    else paragraph?.push(line.trim());
  }
  return undefined;
}

/** Code or HTML of several lines. */
interface Block {
  /** What its last line looks like. */
  readonly end: RegExp;
  /** Whether a line belongs to it, up to its last: a block in a quote or a list item ends with them. */
  readonly holds: (line: string) => boolean;
}

/** Finds the block that begins with this line and goes on after it; null if the line begins none. */
function findBlock(line: string): Block | null {
  const marks = CONTAINER_MARKS.exec(line)?.[0];
  if (marks === undefined) {
    const end = findBlockEnd(line);
    return end && { end, holds: () => true };
  }
  const end = findBlockEnd(line.slice(marks.length));
  if (end === null) return null;
  const innerEnd = new RegExp(end.source.replace(/^\^ \{0,3\}/, "^[ \\t>]*"), end.flags);
  const isQuote = /^ {0,3}>/.test(line);
  return { end: innerEnd, holds: (next) => (isQuote ? /^ {0,3}>/ : /^(?:[ \t]|$)/).test(next) };
}

/** Finds how the block ends that begins with this line and goes on after it; null if the line begins none. */
function findBlockEnd(line: string): RegExp | null {
  const fence = FENCE.exec(line);
  const marks = fence?.[1] ?? fence?.[2];
  if (marks !== undefined) return new RegExp(String.raw`^ {0,3}${marks[0]}{${marks.length},}[ \t]*$`);
  const comment = line
    .replace(/`[^`]*`/g, "")
    .split("<!--")
    .slice(1)
    .at(-1);
  if (comment !== undefined && !/^ {4}|^ {0,3}\t/.test(line)) return comment.includes("-->") ? null : /-->/;
  const rawTag = RAW_HTML.exec(line)?.[1];
  if (rawTag !== undefined) return new RegExp(`</${rawTag}>`, "i").test(line) ? null : new RegExp(`</${rawTag}>`, "i");
  return HTML.test(line) ? /^[ \t]*$/ : null;
}

/** Removes closing number signs, comments and backslash escapes. */
function cleanHeading(text: string, hasClosingSigns = true): string {
  const content = removeComments(text).trim();
  const open = hasClosingSigns ? content.slice(0, findClosingSigns(content)) : content;
  return open.replace(/\\([!-/:-@[-`{-~])/g, "$1").trim();
}

function removeComments(text: string): string {
  let kept = "";
  let offset = 0;
  for (;;) {
    const open = text.indexOf("<!--", offset);
    const close = open === -1 ? -1 : text.indexOf("-->", open + 4);
    if (close === -1) return kept + text.slice(offset);
    kept += text.slice(offset, open);
    offset = close + 3;
  }
}

/** Finds where the number signs at the end begin; the length of the text if there are none, or if they belong to its last word. */
function findClosingSigns(text: string): number {
  let start = text.length;
  while (text[start - 1] === "#") start -= 1;
  return start === 0 || /[ \t]/.test(text[start - 1] ?? "") ? start : text.length;
}
