// Bound parameters of one statement: numbered in order of first use, equal values shared, because D1 takes at most 100.

export type SqlValue = string | number | null;

export interface Parameters {
  /** Binds a value and returns the expression for it: its placeholder, for example `?3`, with its type. */
  bind(value: SqlValue | boolean): string;
  /** The bound values; the one at index i belongs to placeholder `?(i + 1)`. */
  readonly values: readonly SqlValue[];
}

export function createParameters(): Parameters {
  const values: SqlValue[] = [];
  const numbers = new Map<SqlValue, number>();
  return {
    values,
    bind(value) {
      const stored = typeof value === "boolean" ? Number(value) : value;
      const number = numbers.get(stored) ?? values.push(stored);
      numbers.set(stored, number);
      return typed(`?${number}`, stored);
    },
  };
}

/** D1 binds every number as a real, which compares with text as `7.0` and divides as one: whole numbers are cast back. */
export function typed(placeholder: string, value: SqlValue): string {
  return Number.isSafeInteger(value) ? `CAST(${placeholder} AS INTEGER)` : placeholder;
}
