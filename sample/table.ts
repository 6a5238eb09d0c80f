// The type of a generated table.

/** A table's rows, ready to be inserted. */
export interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  /** Values in the order of the columns. */
  readonly rows: readonly (readonly (string | number | null)[])[];
}
