// Rows on their way into a database.

export interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  /** Values in the order of the columns. */
  readonly rows: readonly (readonly (string | number | null)[])[];
}
