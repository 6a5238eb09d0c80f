// Converts the arguments that a client sent before they are validated: some clients (CrewAI, OpenAI's strict mode) fill every
// argument that they do not use with null or "", and send integers as text. Only top-level values are converted, and the advertised
// schema stays as it is.

/** One more or less form of an integer (" 10", "1e3", "0x10", "010") would be a guess about what the client meant. */
const DECIMAL_INTEGER = /^(?:0|-?[1-9][0-9]*)$/;

export interface ArgumentRules {
  /** The advertised JSON Schema of the arguments, with its `properties`. */
  readonly schema: () => Readonly<Record<string, unknown>>;
  /** Arguments that name something, for which "" means "not given". In other texts, such as SQL, "" stays what it is. */
  readonly names: ReadonlySet<string>;
}

/**
 * The arguments as the schema takes them. `null` is left out, unless the schema takes null; "" is left out where the argument is a
 * name; a decimal integer as text becomes a number where the schema asks for an integer. Anything else stays, for validation to judge.
 */
export function convertArguments(given: unknown, { schema, names }: ArgumentRules): unknown {
  if (!isObject(given) || !Object.values(given).some(mayNeedConversion)) return given;
  const { properties } = schema();
  if (!isObject(properties)) return given;
  const entries = Object.entries(given).flatMap(([name, value]): [string, unknown][] => {
    // An unknown argument is refused by its name, also when it is null.
    if (!Object.hasOwn(properties, name)) return [[name, value]];
    const property = properties[name];
    if (value === null) return takes(property, "null") ? [[name, value]] : [];
    if (value === "" && names.has(name)) return [];
    return [[name, integerOf(value, property)]];
  });
  return Object.fromEntries(entries);
}

function mayNeedConversion(value: unknown): boolean {
  return value === null || value === "" || (typeof value === "string" && DECIMAL_INTEGER.test(value));
}

function integerOf(value: unknown, property: unknown): unknown {
  if (typeof value !== "string" || !DECIMAL_INTEGER.test(value)) return value;
  if (!takes(property, "integer") || takes(property, "string")) return value;
  const number = Number(value);
  // Beyond that the number would be another one than the client wrote.
  return Number.isSafeInteger(number) ? number : value;
}

/** Whether a JSON Schema takes values of this type. One that names no type leaves that to validation. */
function takes(property: unknown, type: "null" | "integer" | "string"): boolean {
  if (!isObject(property)) return true;
  const { type: declared, anyOf } = property;
  if (Array.isArray(anyOf)) return anyOf.some((alternative) => takes(alternative, type));
  return declared === undefined || (Array.isArray(declared) ? declared.includes(type) : declared === type);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
