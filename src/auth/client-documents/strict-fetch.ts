// Fetches JSON from an address that an unknown caller chose: one request, no redirect, a small body, a short time.

/** Why an answer cannot be used. Its message is for the log: on a page it would tell a stranger what answers where. */
export class FetchFault extends Error {}

export interface FetchedJson {
  readonly value: unknown;
  readonly text: string;
  /** How long shared caches may keep it; 0 when they must not. */
  readonly maxAgeSeconds: number;
}

const TIMEOUT_MS = 5000;
/** `application/json`, or a type that says that it is JSON (RFC 6839). */
const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;

/**
 * Sends one GET. A redirect is not followed: through an open redirect on a site, an attacker could speak for that site. Throws `FetchFault`, or what
 * `fetch` throws when the host does not answer.
 */
export async function fetchJson(url: string, maxBytes: number): Promise<FetchedJson> {
  const response = await fetch(url, {
    headers: { Accept: "application/json", "Cache-Control": "no-store" },
    redirect: "manual",
    cache: "no-store",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const type = response.headers.get("Content-Type") ?? "";
  if (response.status !== 200) return refuse(response, `it answered with status ${response.status}`);
  if (!JSON_TYPE.test(type)) return refuse(response, "its type is not JSON");
  const text = await readBounded(response, maxBytes);
  return { value: parseJson(text), text, maxAgeSeconds: maxAgeSeconds(response.headers.get("Cache-Control") ?? "") };
}

async function refuse(response: Response, reason: string): Promise<never> {
  await response.body?.cancel();
  throw new FetchFault(reason);
}

/** Counts what arrives: Content-Length is of the compressed body. */
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

function maxAgeSeconds(cacheControl: string): number {
  if (/(?:^|,)\s*(?:no-cache|no-store|private)\b/i.test(cacheControl)) return 0;
  const [, seconds = "0"] =
    /(?:^|,)\s*s-maxage\s*=\s*"?(\d+)/i.exec(cacheControl) ??
    /(?:^|,)\s*max-age\s*=\s*"?(\d+)/i.exec(cacheControl) ??
    [];
  return Number(seconds);
}
