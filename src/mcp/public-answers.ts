// Answers of the 2026 era that say of themselves that they are the same for everybody (`cacheScope: "public"`): kept in
// the isolate for as long as they say, so that a list costs nothing to ask again. Never holds anything personal.
import type { NoteGrants } from "../lib/answer-grants.ts";

export interface PublicAnswers {
  /**
   * The kept answer to this request, or what `serve` answers, which is kept if it may be: never one that grants decided,
   * whatever it says of itself. `body` is the parsed one.
   */
  answer(request: Request, body: unknown, serve: (note?: NoteGrants) => Promise<Response>): Promise<Response>;
}

/** Requests without arguments of a person's: the lists, and what the server is. */
const METHODS: ReadonlySet<unknown> = new Set([
  "server/discover",
  "tools/list",
  "prompts/list",
  "resources/list",
  "resources/templates/list",
]);
/** What the SDK judges a request by besides its body. Two requests that differ in one of them are different questions. */
const HEADERS = ["MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"];
/** The names of trace context in `_meta` (MCP 2026-07-28, after W3C Trace Context and Baggage). */
const TRACE = ["traceparent", "tracestate", "baggage"];
/** Enough for every revision, list and kind of client at once; the oldest goes first. */
const MAX_ANSWERS = 64;
const MAX_KEY_LENGTH = 4096;

interface Kept {
  /** The result as JSON; the id of whoever asks is put beside it. */
  readonly result: string;
  readonly untilMs: number;
}

/** `now` is in milliseconds. */
export function createPublicAnswers(now: () => number): PublicAnswers {
  const answers = new Map<string, Kept>();
  const keep = (key: string, kept: Kept): void => {
    answers.delete(key);
    const [oldest] = answers.keys();
    if (oldest !== undefined && answers.size >= MAX_ANSWERS) answers.delete(oldest);
    answers.set(key, kept);
  };
  return {
    async answer(request, body, serve) {
      const asked = questionOf(request, body);
      if (asked === undefined) return serve();
      const known = answers.get(asked.key);
      if (known !== undefined && now() < known.untilMs) return json(asked.id, known.result);
      let isGoverned = false;
      const response = await serve(() => (isGoverned = true));
      const isJson = response.status === 200 && response.headers.get("Content-Type") === "application/json";
      if (!isJson) return response;
      const text = await response.text();
      const fresh = publicResult(text);
      if (fresh !== undefined && !isGoverned) keep(asked.key, { result: fresh.result, untilMs: now() + fresh.ttlMs });
      return new Response(text, { headers: response.headers });
    },
  };
}

/** What tells a question from others, and the id to answer. Undefined for requests whose answers are not kept. */
function questionOf(
  request: Request,
  body: unknown,
): { readonly id: string | number; readonly key: string } | undefined {
  if (typeof body !== "object" || body === null || !("method" in body) || !METHODS.has(body.method)) return undefined;
  if (!("id" in body)) return undefined;
  const { id, ...question } = body;
  if (!isId(id)) return undefined;
  const key = JSON.stringify([HEADERS.map((name) => request.headers.get(name)), withoutTrace(question)]);
  return key.length > MAX_KEY_LENGTH ? undefined : { id, key };
}

/** A trace is another one each time, and no list depends on it. */
function withoutTrace(question: object): object {
  const params = "params" in question && isRecord(question.params) ? question.params : undefined;
  const meta = params?.["_meta"];
  if (!isRecord(meta) || !TRACE.some((name) => typeof meta[name] === "string")) return question;
  const kept = Object.fromEntries(Object.entries(meta).filter(([name]) => !TRACE.includes(name)));
  return { ...question, params: { ...params, _meta: kept } };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isId(id: unknown): id is string | number {
  return typeof id === "string" || Number.isSafeInteger(id);
}

/** The result of a response's body, if it is for everybody and for some time. */
function publicResult(text: string): { readonly result: string; readonly ttlMs: number } | undefined {
  const { result }: { readonly result?: { readonly ttlMs?: unknown; readonly cacheScope?: unknown } } =
    JSON.parse(text);
  if (result?.cacheScope !== "public" || typeof result.ttlMs !== "number" || result.ttlMs <= 0) return undefined;
  return { result: JSON.stringify(result), ttlMs: result.ttlMs };
}

function json(id: string | number, result: string): Response {
  return new Response(`{"result":${result},"jsonrpc":"2.0","id":${JSON.stringify(id)}}`, {
    headers: { "Content-Type": "application/json" },
  });
}
