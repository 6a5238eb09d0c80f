// What the gateway can ask of a bound store. Every read takes an allowed decision, and what comes back carries a brand
// that only the guarded read paths here can give: returning raw rows is a compile error.
import type { Column, Decision, DocumentDataset, SourceDeclaration, TableDataset } from "../policy/model.ts";
import type { Cell } from "../sql/exact.ts";
import type { SqlValue } from "../sql/parameters.ts";
import type { Statement } from "../sql/statement.ts";

declare const governed: unique symbol;

/** A row that went through a guard view, its values in the order of the result's columns. */
export type GovernedRow<Value = Cell> = readonly Value[] & { readonly [governed]: true };

/** A document that was read under an allowed decision. */
export type GovernedDocument = DocumentContent & { readonly [governed]: true };

export interface DocumentContent {
  readonly key: string;
  readonly title: string;
  readonly text: string;
}

export type AllowedDecision = Extract<Decision, { allowed: true }>;

/** A table with the decision that opens it. */
export interface OpenTable {
  readonly dataset: TableDataset;
  readonly decision: AllowedDecision;
}

export interface TableRead {
  /** Names that differ from each other. */
  readonly columns: readonly string[];
  readonly rows: readonly GovernedRow[];
  /** Whether the source had at least one row more. */
  readonly more: boolean;
  /** Whether that row holds a value of more than `maxValueBytes`, or passes `maxTotalBytes`. */
  readonly isCutByValue: boolean;
  /** The tables whose guard views were in reach of the SQL, as table names. */
  readonly used: readonly string[];
  /** How new the database was, for the next read of the same person. */
  readonly bookmark: string | null;
}

export interface ReadOptions {
  readonly maxRows: number;
  /** Bytes of one value at most. */
  readonly maxValueBytes: number;
  /** Bytes of all rows at most. */
  readonly maxTotalBytes: number;
  /** How new the database must at least be; null for any. */
  readonly bookmark: string | null;
}

export interface TableSource {
  readonly kind: "d1";
  readonly declaration: SourceDeclaration;
  readonly datasets: readonly TableDataset[];
  /**
   * Runs a person's statement over guard views of `open`; every other name that occurs in it cannot be read.
   * Errors: `query_refused`, `query_failed`, `invalid_input` (see sql/), `source_unavailable`.
   */
  read(
    open: readonly OpenTable[],
    statement: Statement,
    values: readonly SqlValue[],
    options: ReadOptions,
  ): Promise<TableRead>;
  /**
   * The value that a token of a domain stands for, as a row of that one column, if a row of the table carries it. The
   * decision must show the column in clear. Errors: as `read`.
   */
  reveal(table: OpenTable, column: Column, domain: string, token: string): Promise<GovernedRow | undefined>;
}

export interface DocumentSource {
  readonly kind: "kv";
  readonly declaration: SourceDeclaration;
  readonly dataset: DocumentDataset;
  /** The first keys in key order, of those that begin with the prefix; `more` when there are others. */
  keys(
    decision: AllowedDecision,
    maxKeys: number,
    prefix?: string,
  ): Promise<{ readonly keys: readonly string[]; readonly more: boolean }>;
  /** The documents of these keys in the same order; keys without a value are left out. */
  read(decision: AllowedDecision, keys: readonly string[]): Promise<readonly GovernedDocument[]>;
  /** Documents with words that begin with these, as of `wordsOf`, best first. Errors: `source_unavailable`. */
  search(decision: AllowedDecision, words: readonly string[], maxDocuments: number): Promise<FoundDocuments>;
}

export interface FoundDocuments {
  /** As they are now. Without an index they are in key order, and may be more than were wanted. */
  readonly documents: readonly GovernedDocument[];
  /** Whether there are others. */
  readonly more: boolean;
  /** How old the index is that was asked. */
  readonly ageSeconds?: number;
  /** How many documents were looked at, where those were not all. */
  readonly lookedAt?: number;
}

export type Source = TableSource | DocumentSource;

/** A governed row with each value put in another form, which must not show more than it did. */
export function mapRow<From, To>(row: GovernedRow<From>, change: (value: From) => To): GovernedRow<To> {
  return governRow(row.map(change));
}

/** Marks a row as read through a guard view. Only the sources in this folder may call it. */
export function governRow<Value>(values: readonly Value[]): GovernedRow<Value> {
  return values as GovernedRow<Value>;
}

/** Marks a document as read under a decision. Only the sources in this folder may call it. */
export function governDocument(document: DocumentContent): GovernedDocument {
  return document as GovernedDocument;
}
