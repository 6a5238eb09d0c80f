// Finds the delimiter of a CSV document from its name and its first records.
import { CsvError, dropTrailingField, parseCsv } from "./csv-reader.ts";
import type { CsvField, CsvPosition } from "./csv-reader.ts";

export interface CsvDialect {
  readonly delimiter: string;
  /** Where the header begins. */
  readonly start: CsvPosition;
}

/** In the order in which they are preferred when the records fit several. */
const DELIMITERS = ["\t", ";", "|", ","];
const SAMPLED_RECORDS = 20;
const SAMPLED_CHARACTERS = 100_000;

/**
 * Picks the delimiter under which the first records fit the header best. Excel's first line `sep=;` decides, and so does the
 * extension .tsv or .tab if the header has a tab.
 */
export function detectDialect(key: string, text: string): CsvDialect {
  const separatorLine = /^"?sep=([^\s\w"])"?(?:\r\n|\n|\r)/i.exec(text);
  if (separatorLine !== null)
    return { delimiter: separatorLine[1] ?? ",", start: { offset: separatorLine[0].length, line: 2 } };
  const start = { offset: 0, line: 1 };
  const isTsv = /\.(?:tsv|tab)$/i.test(key);
  const candidates = DELIMITERS.map((delimiter) => ({ delimiter, ...judgeSample(text, delimiter, start) })).filter(
    ({ width }) => width > 1,
  );
  const [best] = candidates.toSorted(
    (a, b) => b.fit - a.fit || Number(a.splitsProse) - Number(b.splitsProse) || b.width - a.width,
  );
  const usual = isTsv ? "\t" : ",";
  if (isTsv && candidates.some(({ delimiter }) => delimiter === "\t")) return { delimiter: "\t", start };
  // A single column whose title has commas: `Preis (EUR, netto)`.
  if (best?.splitsProse === true && best.isNeverUsed)
    return {
      delimiter: DELIMITERS.find((delimiter) => !candidates.some((c) => c.delimiter === delimiter)) ?? usual,
      start,
    };
  return { delimiter: best?.delimiter ?? usual, start };
}

interface SampleFit {
  /** The number of columns. */
  readonly width: number;
  /** The share of records that have as many fields as the header; shorter ones count half, longer ones not at all. */
  readonly fit: number;
  /** Whether a column name looks cut: it begins with a space, or has a quote or one parenthesis of a pair. */
  readonly splitsProse: boolean;
  /** Whether there are records, and none has more than one field. */
  readonly isNeverUsed: boolean;
}

function judgeSample(text: string, delimiter: string, start: CsvPosition): SampleFit {
  const widths: number[] = [];
  let header: readonly CsvField[] = [];
  const isCut = text.length > SAMPLED_CHARACTERS;
  try {
    for (const { fields } of parseCsv(text.slice(0, SAMPLED_CHARACTERS), delimiter, start)) {
      if (widths.length === 0) header = fields;
      widths.push(dropTrailingField(fields, header.length).length);
      if (widths.length > SAMPLED_RECORDS) break;
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    // The malformed record fits not at all. If this delimiter is chosen all the same, reading the document reports the error.
    if (!isCut) widths.push(0);
  }
  // The cut may have gone through the last record.
  const [width = 0, ...rowWidths] = isCut && widths.length <= SAMPLED_RECORDS ? widths.slice(0, -1) : widths;
  const scores: number[] = rowWidths.map((rowWidth) =>
    rowWidth === width ? 1 : rowWidth > 1 && rowWidth < width ? 0.5 : 0,
  );
  return {
    width,
    fit: scores.length === 0 ? 1 : scores.reduce((sum, score) => sum + score, 0) / scores.length,
    splitsProse: header.some(({ text: title, isQuoted }) => !isQuoted && (/^\s|"/.test(title) || !isBalanced(title))),
    isNeverUsed: rowWidths.length > 0 && rowWidths.every((rowWidth) => rowWidth === 1),
  };
}

function isBalanced(title: string): boolean {
  return title.split("(").length === title.split(")").length;
}
