// Converts a client's arguments before they are validated: some clients (CrewAI, OpenAI's strict mode) send null or "" for every
// unused argument, and integers as text. It converts only top-level values and does not change the advertised schema.

/** Canonical decimal form. To accept other forms (" 10", "1e3", "0x10", "010") would be to guess what the client meant. */
const DECIMAL_INTEGER = /^(?:0|-?[1-9][0-9]*)$/;

/** How to convert the arguments of one schema. */
interface ArgumentRules {
  /** The advertised JSON Schema of the arguments, with its `properties`. */
  readonly schema: () => Readonly<Record<string, unknown>>;
  /** Arguments that name something, for which "" means "not given". In other text, such as SQL, "" is a value. */
  readonly nameArguments: ReadonlySet<string>;
}

/**
 * Converts arguments to what the schema accepts. Removes `null` unless the schema allows it, removes "" for name arguments, and
 * turns a decimal integer in text into a number where the schema requires an integer. Leaves everything else to validation.
 */
export function convertArguments(rawArguments: unknown, { schema, nameArguments: names }: ArgumentRules): unknown {
  if (!isObject(rawArguments) || !Object.values(rawArguments).some(mayNeedConversion)) return rawArguments;
  const { properties } = schema();
  if (!isObject(properties)) return rawArguments;
  const entries = Object.entries(rawArguments).flatMap(([name, value]): [string, unknown][] => {
    // Validation refuses an unknown argument by its name, even if its value is null.
    if (!Object.hasOwn(properties, name)) return [[name, value]];
    const property = properties[name];
    if (value === null) return acceptsType(property, "null") ? [[name, value]] : [];
    if (value === "" && names.has(name)) return [];
    return [[name, convertInteger(value, property)]];
  });
  return Object.fromEntries(entries);
}

function mayNeedConversion(value: unknown): boolean {
  return value === null || value === "" || (typeof value === "string" && DECIMAL_INTEGER.test(value));
}

function convertInteger(value: unknown, property: unknown): unknown {
  if (typeof value !== "string" || !DECIMAL_INTEGER.test(value)) return value;
  if (!acceptsType(property, "integer") || acceptsType(property, "string")) return value;
  const number = Number(value);
  // A larger integer would lose digits.
  return Number.isSafeInteger(number) ? number : value;
}

/** Whether a JSON Schema accepts values of this type. A schema without a type accepts every value here. */
function acceptsType(property: unknown, type: "null" | "integer" | "string"): boolean {
  if (!isObject(property)) return true;
  const { type: declared, anyOf } = property;
  if (Array.isArray(anyOf)) return anyOf.some((alternative) => acceptsType(alternative, type));
  return declared === undefined || (Array.isArray(declared) ? declared.includes(type) : declared === type);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
