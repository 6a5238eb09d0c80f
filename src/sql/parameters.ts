// Bound parameters of one statement: numbered in order of first use, equal values shared, because D1 takes at most 100.

export type SqlValue = string | number | null;

export interface Parameters {
  /** Binds a value and returns its placeholder, for example `?3`. */
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
      const known = numbers.get(stored);
      if (known !== undefined) return `?${known}`;
      numbers.set(stored, values.push(stored));
      return `?${values.length}`;
    },
  };
}
