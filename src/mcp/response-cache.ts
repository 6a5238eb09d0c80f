// Caches public results of 2026-era requests (`cacheScope: "public"`) in the isolate for their `ttlMs`, so that repeated
// list requests cost nothing. It never stores a result that depends on the caller.
import type { OnGrants } from "../lib/answer-grants.ts";

/** A cache of public results in front of the request handler. */
export interface ResponseCache {
  /**
   * Returns the cached response, or calls `serve` and caches its result if that is public. A result that grants decided is
   * never cached, whatever its `cacheScope` says. `body` is the parsed body of `request`.
   */
  respond(request: Request, body: unknown, serve: (onGrants?: OnGrants) => Promise<Response>): Promise<Response>;
}

/** Methods whose parameters hold nothing from a user. */
const CACHEABLE_METHODS: ReadonlySet<unknown> = new Set([
  "server/discover",
  "tools/list",
  "prompts/list",
  "resources/list",
  "resources/templates/list",
]);
/** Headers that the SDK validates besides the body. Requests that differ in one of them must not share a cached result. */
const KEY_HEADERS = ["MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"];
/** Trace context fields in `_meta` (MCP 2026-07-28, after W3C Trace Context and Baggage). */
const TRACE_FIELDS = ["traceparent", "tracestate", "baggage"];
/** Enough for every revision, list and kind of client at once. The oldest result is evicted first. */
const MAX_CACHED_RESULTS = 64;
const MAX_KEY_CHARACTERS = 4096;

interface CachedResult {
  /** The `result` member as JSON. Each response adds the id of its own request. */
  readonly result: string;
  readonly untilMs: number;
}

/** Creates an empty cache. `now` returns milliseconds since the epoch. */
export function createResponseCache(now: () => number): ResponseCache {
  const cache = new Map<string, CachedResult>();
  const store = (key: string, entry: CachedResult): void => {
    cache.delete(key);
    const [oldest] = cache.keys();
    if (oldest !== undefined && cache.size >= MAX_CACHED_RESULTS) cache.delete(oldest);
    cache.set(key, entry);
  };
  return {
    async respond(request, body, serve) {
      const cacheable = parseCacheable(request, body);
      if (cacheable === undefined) return serve();
      const cached = cache.get(cacheable.key);
      if (cached !== undefined && now() < cached.untilMs) return createJsonResponse(cacheable.id, cached.result);
      let isGoverned = false;
      const response = await serve(() => (isGoverned = true));
      const isJson = response.status === 200 && response.headers.get("Content-Type") === "application/json";
      if (!isJson) return response;
      const text = await response.text();
      const newResult = parsePublicResult(text);
      if (newResult !== undefined && !isGoverned)
        store(cacheable.key, { result: newResult.result, untilMs: now() + newResult.ttlMs });
      return new Response(text, { headers: response.headers });
    },
  };
}

/** Returns the request id and the cache key; undefined for a request whose result is never cached. */
function parseCacheable(
  request: Request,
  body: unknown,
): { readonly id: string | number; readonly key: string } | undefined {
  if (typeof body !== "object" || body === null || !("method" in body) || !CACHEABLE_METHODS.has(body.method))
    return undefined;
  if (!("id" in body)) return undefined;
  const { id, ...message } = body;
  if (!isId(id)) return undefined;
  const key = JSON.stringify([KEY_HEADERS.map((name) => request.headers.get(name)), omitTraceContext(message)]);
  return key.length > MAX_KEY_CHARACTERS ? undefined : { id, key };
}

/** Removes trace context, which differs in every request and affects no result. */
function omitTraceContext(message: object): object {
  const params = "params" in message && isRecord(message.params) ? message.params : undefined;
  const meta = params?.["_meta"];
  if (!isRecord(meta) || !TRACE_FIELDS.some((name) => typeof meta[name] === "string")) return message;
  const untracedMeta = Object.fromEntries(Object.entries(meta).filter(([name]) => !TRACE_FIELDS.includes(name)));
  return { ...message, params: { ...params, _meta: untracedMeta } };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isId(id: unknown): id is string | number {
  return typeof id === "string" || Number.isSafeInteger(id);
}

/** Returns the result of a response body if it is public and has a positive `ttlMs`. */
function parsePublicResult(text: string): { readonly result: string; readonly ttlMs: number } | undefined {
  const { result }: { readonly result?: { readonly ttlMs?: unknown; readonly cacheScope?: unknown } } =
    JSON.parse(text);
  if (result?.cacheScope !== "public" || typeof result.ttlMs !== "number" || result.ttlMs <= 0) return undefined;
  return { result: JSON.stringify(result), ttlMs: result.ttlMs };
}

function createJsonResponse(id: string | number, result: string): Response {
  return new Response(`{"result":${result},"jsonrpc":"2.0","id":${JSON.stringify(id)}}`, {
    headers: { "Content-Type": "application/json" },
  });
}
