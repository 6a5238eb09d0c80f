// Reads CSV (RFC 4180) with commas, semicolons or tabs between fields. It guesses only the delimiter, leaves every value as
// text, and reports malformed input with its line number.

interface CsvRecord {
  /** Null is an empty field; "" is a field that was written as "". */
  readonly fields: readonly (string | null)[];
  /** The line on which the record starts, from 1. */
  readonly line: number;
}

/** Says why a text is not valid CSV, and on which line. */
export class CsvError extends Error {}

/** Picks comma, semicolon or tab: the most frequent one outside quotes in the first line. */
export function detectDelimiter(text: string): string {
  const firstLine = (/^(?:"(?:[^"]|"")*"|[^"\r\n])*/.exec(text)?.[0] ?? "").replace(/"(?:[^"]|"")*"/g, "");
  const delimiterCounts = [",", ";", "\t"].map((delimiter) => ({
    delimiter,
    count: firstLine.split(delimiter).length,
  }));
  return delimiterCounts.toSorted((a, b) => b.count - a.count)[0]?.delimiter ?? ",";
}

/** Yields the records and skips empty lines. Throws `CsvError` at the first malformed record. */
export function* parseCsv(text: string, delimiter: string): Generator<CsvRecord> {
  let at = text.startsWith("\ufeff") ? 1 : 0;
  let line = 1;
  while (at < text.length) {
    const record: (string | null)[] = [];
    const startLine = line;
    for (;;) {
      const field = text[at] === '"' ? readQuotedField(text, at, line) : readPlainField(text, at, delimiter);
      line += field.lineBreaks;
      record.push(field.value);
      at = field.end;
      if (text[at] !== delimiter) break;
      at += 1;
    }
    if (text[at] === "\r" && text[at + 1] === "\n") at += 1;
    if (at < text.length && text[at] !== "\n" && text[at] !== "\r")
      throw new CsvError(`line ${line}: unexpected text after a closing quote`);
    at += 1;
    line += 1;
    if (record.length > 1 || record[0] !== null) yield { fields: record, line: startLine };
  }
}

interface Field {
  readonly value: string | null;
  /** The offset of the first character after the field. */
  readonly end: number;
  /** Line breaks inside the field. */
  readonly lineBreaks: number;
}

function readPlainField(text: string, start: number, delimiter: string): Field {
  let end = start;
  while (end < text.length && text[end] !== delimiter && text[end] !== "\n" && text[end] !== "\r") end += 1;
  return { value: end === start ? null : text.slice(start, end), end, lineBreaks: 0 };
}

function readQuotedField(text: string, start: number, line: number): Field {
  for (let close = text.indexOf('"', start + 1); close !== -1; close = text.indexOf('"', close + 2)) {
    if (text[close + 1] === '"') continue;
    const value = text.slice(start + 1, close).replaceAll('""', '"');
    return { value, end: close + 1, lineBreaks: value.split("\n").length - 1 };
  }
  throw new CsvError(`line ${line}: a quoted field is not closed`);
}
