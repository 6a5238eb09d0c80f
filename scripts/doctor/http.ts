// Requests of the doctor: redirects are never followed, answers are bounded, and what keeps one from arriving is told in words.

const TIMEOUT_MS = 20_000;
const MAX_CHARACTERS = 2_000_000;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Milliseconds since the epoch here, before and after. */
  readonly sentMs: number;
  readonly receivedMs: number;
}

export type Send = (url: string, init?: RequestInit) => Promise<Answer>;

/** No answer came. */
export class Unreachable extends Error {
  readonly code: string;

  constructor(code: string, cause: unknown) {
    super(code, { cause });
    this.code = code;
  }
}

/** Throws `Unreachable` with the code of what failed: of the system, of TLS, or `TIMEOUT`. */
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

/** The text, up to a bound. An event stream ends with its first message: the server may hold it open. */
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

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "UNKNOWN";
  if (error.name === "TimeoutError") return "TIMEOUT";
  const inner: unknown = error.cause ?? error;
  const code: unknown = typeof inner === "object" && inner !== null ? Reflect.get(inner, "code") : undefined;
  return typeof code === "string" ? code : "UNKNOWN";
}

/** A JSON object of an answer, also as the first message of an event stream; undefined when it is none. */
export function objectOf({ text, headers }: Answer): Readonly<Record<string, unknown>> | undefined {
  const isStream = headers.get("content-type")?.startsWith("text/event-stream") ?? false;
  try {
    const value: unknown = JSON.parse(isStream ? (messageIn(text) ?? "") : text);
    return isObject(value) ? value : undefined;
  } catch {
    // Whatever else it is, it is not what the client asked for; the caller says so.
    return undefined;
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}
