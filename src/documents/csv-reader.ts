// Reads CSV (RFC 4180) into records with the lexer of web-csv-toolbox. Values stay text as written, and malformed input is reported
// with its line. column-types.ts gives the values their types.
import { Field, FieldDelimiter, ParseError, createStringCSVLexer } from "web-csv-toolbox/slim";

export interface CsvField {
  readonly text: string;
  readonly isQuoted: boolean;
}

export interface CsvRecord {
  readonly fields: readonly CsvField[];
  /** The line on which the record starts, from 1. */
  readonly line: number;
}

/** A place in a text. */
export interface CsvPosition {
  readonly offset: number;
  /** From 1. */
  readonly line: number;
}

/** Says why a text is not valid CSV, and on which line. */
export class CsvError extends Error {}

/** Far more than a table can have. Rows of delimiters alone, an attack, would take long. */
const MAX_FIELDS = 10_000;
const START: CsvPosition = { offset: 0, line: 1 };

/**
 * Yields the records and skips empty lines. Lines end in LF, CRLF, or CR if there is no LF. Throws `CsvError` at the first malformed
 * record.
 */
export function* parseCsv(text: string, delimiter: string, start: CsvPosition = START): Generator<CsvRecord> {
  // The lexer knows LF and CRLF.
  const hasOnlyCr = !text.includes("\n") && text.includes("\r");
  const lexedText = hasOnlyCr ? text.replaceAll("\r", "\n") : text;
  let fields: CsvField[] = [];
  let line = start.line;
  for (const field of lexFields(lexedText, delimiter, start)) {
    if (fields.length === 0) line = field.line;
    const fieldText = hasOnlyCr ? field.text.replaceAll("\n", "\r") : field.text;
    fields.push({ text: fieldText, isQuoted: field.isQuoted });
    if (fields.length > MAX_FIELDS) throw new CsvError(`line ${line} has more than ${MAX_FIELDS} fields`);
    if (!field.endsRecord) continue;
    if (fields.length > 1 || field.isQuoted || field.text !== "") yield { fields, line };
    fields = [];
  }
}

/** Removes an empty field that follows the last of `width` columns: some programs end each row, but not the header, with a delimiter. */
export function dropTrailingField(fields: readonly CsvField[], width: number): readonly CsvField[] {
  const extra = fields[width];
  const isDropped = fields.length === width + 1 && extra?.isQuoted === false && extra.text.trim() === "";
  return isDropped ? fields.slice(0, width) : fields;
}

/** A field whose end is not yet found. */
interface OpenField extends CsvField {
  readonly offset: number;
  readonly line: number;
}

interface LexedField extends CsvField {
  readonly line: number;
  readonly endsRecord: boolean;
}

/** Where lexing resumes after a plain field with a quote in it, such as `5" pipe`, which the lexer takes for a quoted field. */
interface Resumption extends CsvPosition {
  readonly open: OpenField;
}

function* lexFields(text: string, delimiter: string, start: CsvPosition): Generator<LexedField> {
  let next: CsvPosition | Resumption | undefined = start;
  while (next !== undefined) next = yield* lexFieldsFrom(text, delimiter, next);
}

function* lexFieldsFrom(
  text: string,
  delimiter: string,
  from: CsvPosition | Resumption,
): Generator<LexedField, Resumption | undefined> {
  const tokens = createStringCSVLexer({ delimiter, maxBufferSize: Infinity }).lex(text.slice(from.offset));
  let open: OpenField | undefined = "open" in from ? from.open : undefined;
  let end: CsvPosition = from;
  let isInRecord = open !== undefined;
  for (;;) {
    const step = nextToken(tokens);
    if (step instanceof ParseError) {
      const quote = { offset: from.offset + (step.position?.offset ?? 0), line: end.line };
      if (open !== undefined && isPlainText(open)) return resumeAfter(text, delimiter, open, quote);
      throw new CsvError(`line ${quote.line}: a quoted field is not closed`);
    }
    if (step.done === true) break;
    const { type, value, location } = step.value;
    const offset = from.offset + location.start.offset;
    const line = end.line;
    end = { offset: from.offset + location.end.offset, line: from.line + location.end.line - 1 };
    if (type === Field) {
      const field = { text: value, isQuoted: text[offset] === '"', offset, line };
      if (open !== undefined && isPlainText(open)) return resumeAfter(text, delimiter, open, field);
      open = open === undefined ? field : joinBlanks(open, field);
      isInRecord = true;
    } else {
      const endsRecord = type !== FieldDelimiter;
      yield closeField(open, line, endsRecord);
      open = undefined;
      isInRecord = !endsRecord;
    }
  }
  // The lexer skips the last line end, and stops at a carriage return that ends no line.
  if (!/^(?:\r?\n)?$/.test(text.slice(end.offset)))
    throw new CsvError(`line ${end.line}: a carriage return without a line feed`);
  if (isInRecord) yield closeField(open, end.line, true);
  return undefined;
}

/** Returns the next token. A `ParseError` is a quoted field that is not closed. */
function nextToken<T>(tokens: Iterator<T>): IteratorResult<T> | ParseError {
  try {
    return tokens.next();
  } catch (error) {
    if (error instanceof ParseError) return error;
    throw error;
  }
}

function closeField(open: OpenField | undefined, line: number, endsRecord: boolean): LexedField {
  return { text: open?.text ?? "", isQuoted: open?.isQuoted ?? false, line: open?.line ?? line, endsRecord };
}

function isPlainText({ isQuoted, text }: CsvField): boolean {
  return !isQuoted && text.trim() !== "";
}

/** Takes blanks before and after a quoted field as no part of it: `1, "x" ,2`. */
function joinBlanks(open: OpenField, field: OpenField): OpenField {
  if (!open.isQuoted) return field;
  if (!field.isQuoted && field.text.trim() === "") return open;
  throw new CsvError(`line ${field.line}: unexpected text after a closing quote`);
}

/** Reads a plain field with a quote in it up to its end. */
function resumeAfter(text: string, delimiter: string, open: OpenField, quote: CsvPosition): Resumption {
  let offset = quote.offset;
  while (offset < text.length && text[offset] !== delimiter && text[offset] !== "\n" && text[offset] !== "\r")
    offset += 1;
  return { offset, line: open.line, open: { ...open, text: text.slice(open.offset, offset) } };
}
