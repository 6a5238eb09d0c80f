// The doctor's HTTP client. It never follows redirects, bounds the size of answers, and reports a failed connection by its code.

const TIMEOUT_MS = 20_000;
const MAX_CHARACTERS = 2_000_000;

/** An HTTP response with its text. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** This machine's time in milliseconds before the request was sent and after the headers arrived. */
  readonly sentMs: number;
  readonly receivedMs: number;
}

export type Send = (url: string, init?: RequestInit) => Promise<Answer>;

/** The server sent no answer. `code` is the system's or TLS's error code, or `TIMEOUT`. */
export class Unreachable extends Error {
  readonly code: string;

  constructor(code: string, cause: unknown) {
    super(code, { cause });
    this.code = code;
  }
}

/** Sends a request with a time limit of 20 seconds. Throws `Unreachable`. */
export const send: Send = async (url, init = {}) => {
  const sentMs = Date.now();
  try {
    const response = await fetch(url, { ...init, redirect: "manual", signal: AbortSignal.timeout(TIMEOUT_MS) });
    const receivedMs = Date.now();
    return { status: response.status, headers: response.headers, text: await readText(response), sentMs, receivedMs };
  } catch (error) {
    throw new Unreachable(codeOf(error), error);
  }
};

/** Reads the text up to a bound. Stops at the first message of an event stream, which the server may hold open. */
async function readText(response: Response): Promise<string> {
  const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MAX_CHARACTERS || (isStream && messageIn(text) !== undefined)) break;
  }
  return text;
}

function messageIn(stream: string): string | undefined {
  return [...stream.matchAll(/^data: ?(.+)\r?\n\r?\n/gm)]
    .map(([, data]) => data)
    .find((data) => data?.includes('"id"'));
}

/** The code of fetch's cause, such as `ECONNREFUSED`. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "UNKNOWN";
  if (error.name === "TimeoutError") return "TIMEOUT";
  const inner: unknown = error.cause ?? error;
  const code: unknown = typeof inner === "object" && inner !== null ? Reflect.get(inner, "code") : undefined;
  return typeof code === "string" ? code : "UNKNOWN";
}

/** Parses an answer's JSON object, also from the first message of an event stream; undefined when it is not an object. */
export function objectOf({ text, headers }: Answer): Readonly<Record<string, unknown>> | undefined {
  const isStream = headers.get("content-type")?.startsWith("text/event-stream") ?? false;
  try {
    const value: unknown = JSON.parse(isStream ? (messageIn(text) ?? "") : text);
    return isObject(value) ? value : undefined;
  } catch {
    // Not JSON: the caller reports that.
    return undefined;
  }
}

/** Whether a value is an object and not an array. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The strings of an array; empty for any other value. */
export function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}
