// Removes nulls that the protocol does not allow, because the SDK would refuse them before any handler runs: a call's whole
// `arguments`, single arguments of a prompt, and a completion's context. The single arguments of a tool stay as they are:
// its schema may allow null.
import type { JsonBody } from "./request-guards.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Removes nulls from the parameters of a method; returns the same object when there are none. */
const PARAMS_CLEANERS: Readonly<Record<string, (params: Fields) => Fields>> = {
  "tools/call": (params) => omitNull(params, "arguments"),
  "prompts/get": cleanArguments,
  "completion/complete": (params) => {
    const { context } = params;
    if (!isFields(context)) return omitNull(params, "context");
    const cleaned = cleanArguments(context);
    return cleaned === context ? params : { ...params, context: cleaned };
  },
};

/** Removes disallowed nulls from a message or a batch; returns the same body when there are none. */
export function omitNullArguments(body: JsonBody): JsonBody {
  const value = cleanBody(body.value);
  return value === body.value ? body : { text: JSON.stringify(value), value };
}

function cleanBody(value: unknown): unknown {
  if (!Array.isArray(value)) return cleanMessage(value);
  const messages = value.map(cleanMessage);
  return messages.every((message, index) => message === value[index]) ? value : messages;
}

function cleanMessage(message: unknown): unknown {
  if (!isFields(message)) return message;
  const { method, params } = message;
  if (typeof method !== "string" || !Object.hasOwn(PARAMS_CLEANERS, method) || !isFields(params)) return message;
  const cleaned = PARAMS_CLEANERS[method]?.(params);
  return cleaned === params ? message : { ...message, params: cleaned };
}

/** Removes null entries from `arguments`, which maps names to text. */
function cleanArguments(fields: Fields): Fields {
  const { arguments: textArguments } = fields;
  if (!isFields(textArguments)) return omitNull(fields, "arguments");
  const nonNullArguments = Object.entries(textArguments).filter(([, text]) => text !== null);
  return nonNullArguments.length === Object.keys(textArguments).length
    ? fields
    : { ...fields, arguments: Object.fromEntries(nonNullArguments) };
}

function omitNull(fields: Fields, name: string): Fields {
  if (fields[name] !== null) return fields;
  const { [name]: _null, ...remaining } = fields;
  return remaining;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
