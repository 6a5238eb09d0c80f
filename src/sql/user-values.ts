// Binds the values of the user's SQL after those of its guard views. D1 takes a hundred parameters; if both together are more, those of
// the user share one.
import { AppError } from "../errors.ts";
import type { DriverValue } from "./parameters.ts";
import type { TextEdit } from "./text-edits.ts";

/** D1's limit on the parameters of one statement. */
export const MAX_PARAMETERS = 100;

/** Creates the refusal of a statement with too many parameters. */
export function createTooManyParametersError(count: number): AppError {
  return new AppError(
    "query_refused",
    [
      `The SQL has ${count} parameters; at most ${MAX_PARAMETERS} are possible here, fewer with fractions where row rules apply.`,
      "Give a list as one JSON array: x IN (SELECT value FROM json_each(?)).",
    ].join(" "),
  );
}

/** The user's values as a guarded statement binds them. */
interface BoundValues {
  /** The edits of the user's text that give each `?` its number. */
  readonly placeholders: readonly TextEdit[];
  readonly parameters: readonly DriverValue[];
  /** Whether the text differs from that of the frame. */
  readonly isPacked: boolean;
}

/** Binds the user's values after `guardValues` others. `casts`: the edits that put the type of each value around its `?`. */
export function bindUserValues(
  casts: readonly TextEdit[],
  values: readonly DriverValue[],
  guardValues: number,
): BoundValues {
  const isPacked = guardValues + values.length > MAX_PARAMETERS;
  const { placeholders, parameters } = isPacked
    ? packValues(values, guardValues + 1)
    : { placeholders: values.map((_value, index) => `?${guardValues + index + 1}`), parameters: values };
  return {
    placeholders: casts.map((edit, index) => ({
      ...edit,
      text: edit.text.replace("?", () => placeholders[index] ?? "?"),
    })),
    parameters,
    isPacked,
  };
}

/** Values that one parameter holds as a JSON array, so that more of them fit a statement. */
interface PackedValues {
  /** The expression for each value, in order. */
  readonly placeholders: readonly string[];
  /** The values to bind, from the number `firstNumber` on. */
  readonly parameters: readonly DriverValue[];
}

/**
 * Packs values into one parameter. A real stays a parameter of its own, because JSON's decimal digits may become another double, and so
 * does a text that JSON would change.
 */
function packValues(values: readonly DriverValue[], firstNumber: number): PackedValues {
  const packed: DriverValue[] = [];
  const single: DriverValue[] = [];
  const placeholders = values.map((value) =>
    isPackable(value)
      ? `json_extract(?${firstNumber}, '$[${packed.push(value) - 1}]')`
      : `?${firstNumber + single.push(value)}`,
  );
  return { placeholders, parameters: [JSON.stringify(packed), ...single] };
}

/** A packed value in SQL, to show the user's `?` in its place. */
export const PACKED_VALUE = /json_extract\(\?\d+, '\$\[\d+\]'\)/g;

function isPackable(value: DriverValue): boolean {
  if (typeof value === "number") return Number.isSafeInteger(value) && !Object.is(value, -0);
  return value === null || (value.isWellFormed() && !value.includes("\0"));
}
