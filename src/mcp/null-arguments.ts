// Leaves out arguments that a client sent as null where the protocol has no null: all arguments of a call at once, arguments of a
// prompt (text by the protocol), and those that a completion takes into account. The SDK would refuse them before any handler runs.
// The arguments of a tool may be null by its schema, so their values stay.
import type { JsonBody } from "./border.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Method → its parameters without the nulls; the same parameters when there are none. */
const CLEANED: Readonly<Record<string, (params: Fields) => Fields>> = {
  "tools/call": (params) => withoutNull(params, "arguments"),
  "prompts/get": cleanArguments,
  "completion/complete": (params) => {
    const { context } = params;
    if (!isFields(context)) return withoutNull(params, "context");
    const cleaned = cleanArguments(context);
    return cleaned === context ? params : { ...params, context: cleaned };
  },
};

/** The body without such nulls, of a message or a batch; the same body when there are none. */
export function withoutNullArguments(body: JsonBody): JsonBody {
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
  if (typeof method !== "string" || !Object.hasOwn(CLEANED, method) || !isFields(params)) return message;
  const cleaned = CLEANED[method]?.(params);
  return cleaned === params ? message : { ...message, params: cleaned };
}

/** Fields whose `arguments` are texts by name: without those that are null. */
function cleanArguments(fields: Fields): Fields {
  const { arguments: texts } = fields;
  if (!isFields(texts)) return withoutNull(fields, "arguments");
  const given = Object.entries(texts).filter(([, text]) => text !== null);
  return given.length === Object.keys(texts).length ? fields : { ...fields, arguments: Object.fromEntries(given) };
}

function withoutNull(fields: Fields, name: string): Fields {
  if (fields[name] !== null) return fields;
  const { [name]: _null, ...others } = fields;
  return others;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
