// Defines what the gateway can ask of a source. Every read takes an allowed decision and returns branded rows or documents. Only the
// governed read paths create the brand, so returning raw rows is a compile error.
import type { AllowedDecision, Column, DocumentDataset, SourceDeclaration, TableDataset } from "../policy/model.ts";
import type { Cell } from "../sql/result-encoding.ts";
import type { SqlValue } from "../sql/parameters.ts";
import type { ResultShape } from "../sql/result-shape.ts";
import type { Statement } from "../sql/statement.ts";
import type { ChangeTarget } from "./change-target.ts";
import type { WideCell } from "./wide-cell.ts";

declare const governed: unique symbol;

/** A row that was read through a guard view, with its values in the order of the result's columns. */
export type GovernedRow<Value = Cell> = readonly Value[] & { readonly [governed]: true };

/** A document that was read under an allowed decision. */
export type GovernedDocument = DocumentContent & { readonly [governed]: true };

/** The content of a document. */
export interface DocumentContent {
  readonly key: string;
  readonly title: string;
  readonly text: string;
  /** Why the text is not what was stored, after "it": the bytes are no text, or in an unsupported encoding. Absent if it is. */
  readonly problem?: string;
  /** The encoding of the stored bytes if it is not UTF-8, such as `Windows-1252`. */
  readonly encoding?: string;
}

/** A table with the decision that allows reading it. */
export interface VisibleTable {
  readonly dataset: TableDataset;
  readonly decision: AllowedDecision;
}

/** The result of a governed statement. */
export interface TableRead {
  /** Unique names. */
  readonly columns: readonly string[];
  readonly rows: readonly GovernedRow[];
  /** Whether the source had at least one more row. */
  readonly hasMore: boolean;
  /** Whether the next row was left out because it has a value above `maxValueBytes`, or exceeds `maxTotalBytes`. */
  readonly isCutBySize: boolean;
  /** The cell for which the next row was left out; null if none was, or if many narrow cells fill `maxTotalBytes`. */
  readonly wideCell: WideCell | null;
  /** The statement as it ran: with the key column in place of each rowid. */
  readonly statement: Statement;
  /** Which tables and columns the statement reads, and where the columns of the result come from. */
  readonly shape: ResultShape;
  /** The D1 bookmark of this read, for the next read of the same user. */
  readonly bookmark: string | null;
}

/** The limits of one read. */
interface ReadOptions {
  readonly maxReadRows: number;
  /** Maximum bytes of one value. */
  readonly maxValueBytes: number;
  /** Maximum bytes of all rows. */
  readonly maxTotalBytes: number;
  /** The D1 bookmark that the database must have reached; null for any state. */
  readonly bookmark: string | null;
}

/** A source of tables, which runs governed SQL. */
export interface TableSource {
  readonly kind: "d1";
  readonly declaration: SourceDeclaration;
  readonly datasets: readonly TableDataset[];
  /**
   * Runs a user's statement over guard views of `tables`. Every other name in it cannot be read.
   * Errors: `query_refused`, `query_failed`, `invalid_input` (see sql/), `source_unavailable`.
   */
  read(
    tables: readonly VisibleTable[],
    statement: Statement,
    values: readonly SqlValue[],
    options: ReadOptions,
  ): Promise<TableRead>;
  /**
   * Finds the value that a masking token of a domain stands for, as a row with one column. Undefined when no row of the table has the
   * value. The decision must show the column in clear. Errors: as `read`.
   */
  reveal(table: VisibleTable, column: Column, domain: string, maskingToken: string): Promise<GovernedRow | undefined>;
  /** Absent for stored results, which only queries make. */
  readonly changes?: ChangeTarget;
}

/** A source of text documents. */
export interface DocumentSource {
  readonly kind: "kv";
  readonly declaration: SourceDeclaration;
  readonly dataset: DocumentDataset;
  /** Lists the first keys with the prefix, in key order. `hasMore` says whether there are others. */
  listKeys(
    decision: AllowedDecision,
    maxKeys: number,
    prefix?: string,
  ): Promise<{ readonly keys: readonly string[]; readonly hasMore: boolean }>;
  /** Reads the documents of these keys in the same order. Skips keys without a value. */
  read(decision: AllowedDecision, keys: readonly string[]): Promise<readonly GovernedDocument[]>;
  /** Finds documents with words that begin with `words`, best first. `words` come from `extractWords`. Errors: `source_unavailable`. */
  search(decision: AllowedDecision, words: readonly string[], maxDocuments: number): Promise<DocumentMatches>;
}

/** The result of a document search. */
export interface DocumentMatches {
  /** Read now, not taken from the index. Without an index they are in key order, and may be more than `maxDocuments`. */
  readonly documents: readonly GovernedDocument[];
  /** Whether there are more matches. */
  readonly hasMore: boolean;
  /** The age of the index; absent when there is none. */
  readonly ageSeconds?: number;
  /** How many documents were searched; absent when all were. */
  readonly scannedDocuments?: number;
}

/** Any source. */
export type Source = TableSource | DocumentSource;

/** Maps each value of a governed row. The new value must not show more than the old one. */
export function mapRow<From, To>(row: GovernedRow<From>, change: (value: From, index: number) => To): GovernedRow<To> {
  return governRow(row.map((value, index) => change(value, index)));
}

/** Brands a row as read through a guard view. Only sources and this file may call it. */
export function governRow<Value>(values: readonly Value[]): GovernedRow<Value> {
  return values as GovernedRow<Value>;
}

/** Brands a document as read under an allowed decision. Only sources may call it. */
export function governDocument(document: DocumentContent): GovernedDocument {
  return document as GovernedDocument;
}
