// Numbers the bound parameters of one statement in order of first use. Equal values share a number, because D1 accepts at most 100
// parameters.

/** A value that a statement can bind. */
export type SqlValue = string | number | null;

/** The bound parameters of one statement. */
export interface Parameters {
  /** Binds a value and returns the expression for it, for example `?3` or `CAST(?3 AS INTEGER)`. */
  bind(value: SqlValue | boolean): string;
  /** The bound values; the value at index i belongs to the placeholder `?(i + 1)`. */
  readonly values: readonly SqlValue[];
}

/** Creates an empty list of parameters. */
export function createParameters(): Parameters {
  const values: SqlValue[] = [];
  const numbers = new Map<SqlValue, number>();
  return {
    values,
    bind(value) {
      const boundValue = typeof value === "boolean" ? Number(value) : value;
      const number = numbers.get(boundValue) ?? values.push(boundValue);
      numbers.set(boundValue, number);
      return castIfInteger(`?${number}`, boundValue);
    },
  };
}

/** Casts whole numbers back to INTEGER, because D1 binds every number as REAL, which compares with text as `7.0` and divides as a real. */
export function castIfInteger(placeholder: string, value: SqlValue): string {
  return Number.isSafeInteger(value) ? `CAST(${placeholder} AS INTEGER)` : placeholder;
}
