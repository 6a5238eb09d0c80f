// Fetches JSON from a URL that an unauthenticated client chose: one request without redirects, with limits on size and time.

/** Says why fetched data cannot be used. Its message goes to the log only: on a page it would let a stranger probe hosts. */
export class FetchFault extends Error {}

interface FetchedJson {
  readonly value: unknown;
  readonly text: string;
  /** How long shared caches may keep the response; 0 when they must not. */
  readonly maxAgeSeconds: number;
}

const TIMEOUT_MS = 5000;
/** `application/json`, or a type with the suffix `+json` (RFC 6839). */
const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;

/**
 * Fetches JSON with one GET. Redirects are not followed: an attacker could use an open redirect of a site to publish a document
 * in its name. Throws `FetchFault`, or the error of `fetch` when the host does not answer.
 */
export async function fetchJson(url: string, maxBytes: number): Promise<FetchedJson> {
  const response = await fetch(url, {
    headers: { Accept: "application/json", "Cache-Control": "no-store" },
    redirect: "manual",
    cache: "no-store",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const type = response.headers.get("Content-Type") ?? "";
  if (response.status !== 200) return refuse(response, `its host answered with status ${response.status}`);
  if (!JSON_TYPE.test(type)) return refuse(response, "its content type is not JSON");
  const text = await readBounded(response, maxBytes);
  return { value: parseJson(text), text, maxAgeSeconds: parseMaxAge(response.headers.get("Cache-Control") ?? "") };
}

async function refuse(response: Response, reason: string): Promise<never> {
  await response.body?.cancel();
  throw new FetchFault(reason);
}

/** Reads the body up to a limit. It counts the received bytes, because Content-Length counts the compressed ones. */
async function readBounded({ body }: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw new FetchFault(`it has more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return decodeUtf8(await new Blob(chunks).arrayBuffer());
}

function decodeUtf8(bytes: ArrayBuffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch (cause) {
    throw new FetchFault("it is not UTF-8", { cause });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FetchFault("it is not JSON", { cause });
  }
}

/** Parses how many seconds a shared cache may keep the response; 0 when it must not. */
function parseMaxAge(cacheControl: string): number {
  if (/(?:^|,)\s*(?:no-cache|no-store|private)\b/i.test(cacheControl)) return 0;
  const [, seconds = "0"] =
    /(?:^|,)\s*s-maxage\s*=\s*"?(\d+)/i.exec(cacheControl) ??
    /(?:^|,)\s*max-age\s*=\s*"?(\d+)/i.exec(cacheControl) ??
    [];
  return Number(seconds);
}
