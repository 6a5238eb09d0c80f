// Reads CSV (RFC 4180), also with semicolons or tabs between the fields. Nothing is guessed beyond the delimiter: what is
// malformed is told with its line.

/** A record: null is a field with nothing in it, "" one that was written as "". */
export interface CsvRecord {
  readonly fields: readonly (string | null)[];
  /** The line on which it begins, from 1. */
  readonly line: number;
}

/** Why a text is no CSV, and where. */
export class CsvProblem extends Error {}

/** The one of comma, semicolon and tab that is most frequent outside quotes in the first line. */
export function delimiterOf(text: string): string {
  const first = (/^(?:"(?:[^"]|"")*"|[^"\r\n])*/.exec(text)?.[0] ?? "").replace(/"(?:[^"]|"")*"/g, "");
  const counted = [",", ";", "\t"].map((delimiter) => ({ delimiter, count: first.split(delimiter).length }));
  return counted.toSorted((a, b) => b.count - a.count)[0]?.delimiter ?? ",";
}

/** The records one by one, without empty lines. Throws `CsvProblem` where one is malformed. */
export function* readCsv(text: string, delimiter: string): Generator<CsvRecord> {
  let at = text.startsWith("\ufeff") ? 1 : 0;
  let line = 1;
  while (at < text.length) {
    const record: (string | null)[] = [];
    const began = line;
    for (;;) {
      const field = text[at] === '"' ? quotedField(text, at, line) : plainField(text, at, delimiter);
      line += field.lines;
      record.push(field.value);
      at = field.end;
      if (text[at] !== delimiter) break;
      at += 1;
    }
    if (text[at] === "\r" && text[at + 1] === "\n") at += 1;
    if (at < text.length && text[at] !== "\n" && text[at] !== "\r")
      throw new CsvProblem(`line ${line}: something stands behind a closing quote`);
    at += 1;
    line += 1;
    if (record.length > 1 || record[0] !== null) yield { fields: record, line: began };
  }
}

interface Field {
  readonly value: string | null;
  /** Where what follows it begins. */
  readonly end: number;
  /** Line ends in it. */
  readonly lines: number;
}

function plainField(text: string, start: number, delimiter: string): Field {
  let end = start;
  while (end < text.length && text[end] !== delimiter && text[end] !== "\n" && text[end] !== "\r") end += 1;
  return { value: end === start ? null : text.slice(start, end), end, lines: 0 };
}

function quotedField(text: string, start: number, line: number): Field {
  for (let close = text.indexOf('"', start + 1); close !== -1; close = text.indexOf('"', close + 2)) {
    if (text[close + 1] === '"') continue;
    const value = text.slice(start + 1, close).replaceAll('""', '"');
    return { value, end: close + 1, lines: value.split("\n").length - 1 };
  }
  throw new CsvProblem(`line ${line}: a quote is not closed`);
}
