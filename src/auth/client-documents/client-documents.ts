// Clients that name themselves by the address of a metadata document: looks the document up in the cache, or fetches it once.
import { CimdFetchError } from "@cloudflare/workers-oauth-provider";
import { parseDocumentUrl } from "./document-url.ts";
import { parseClientDocument } from "./metadata-document.ts";
import type { ClientDocument } from "./metadata-document.ts";
import { FetchFault, fetchJson } from "./strict-fetch.ts";

export interface ClientDocumentOptions {
  /** Host and port of this deployment. */
  readonly ownHost: string;
  /** Private-use schemes that redirect URIs may have, such as `cursor`. */
  readonly allowedRedirectSchemes: readonly string[];
  readonly log: (message: string) => void;
}

export interface ClientDocuments {
  /**
   * The document at a client id that is a URL; null when this server does not ask that address. Throws `CimdFetchError` when it does, and gets nothing
   * that it can use; the reason is in the log alone.
   */
  resolve(clientId: string): Promise<ClientDocument | null>;
  /** The JSON at the address of a client's keys. Throws when it cannot be had. */
  fetchKeys(jwksUri: string): Promise<unknown>;
}

/** As much as the specification recommends. */
const MAX_DOCUMENT_BYTES = 5 * 1024;
const MAX_KEYS_BYTES = 64 * 1024;
/** However long a document says: a client that was taken over must not stay. */
const MAX_CACHE_SECONDS = 24 * 3600;
/** Of its own: the OAuth provider's cache holds what versions before this one fetched through redirects. */
const CACHE_NAME = "gatehouse:client-documents:v1";

export function createClientDocuments({
  ownHost,
  allowedRedirectSchemes,
  log,
}: ClientDocumentOptions): ClientDocuments {
  const fetchDocument = async (url: string): Promise<ClientDocument> => {
    const cache = await caches.open(CACHE_NAME);
    const cached = await cache.match(url);
    if (cached !== undefined) return parseClientDocument(url, await cached.json(), allowedRedirectSchemes);
    const { value, text, maxAgeSeconds } = await fetchJson(url, MAX_DOCUMENT_BYTES);
    const document = parseClientDocument(url, value, allowedRedirectSchemes);
    const seconds = Math.min(maxAgeSeconds, MAX_CACHE_SECONDS);
    const headers = { "Cache-Control": `public, max-age=${seconds}`, "Content-Type": "application/json" };
    if (seconds > 0) await cache.put(url, new Response(text, { headers }));
    return document;
  };
  return {
    async resolve(clientId) {
      const url = parseDocumentUrl(clientId, ownHost);
      if (url === undefined) return null;
      try {
        return await fetchDocument(url.href);
      } catch (error) {
        const reason = error instanceof FetchFault ? error.message : `it could not be had (${String(error)})`;
        log(`oauth: the metadata document ${url.href} cannot be used: ${reason}`);
        throw new CimdFetchError(url.href, error);
      }
    },
    async fetchKeys(jwksUri) {
      const url = parseDocumentUrl(jwksUri, ownHost);
      if (url === undefined) throw new FetchFault("its jwks_uri is an address that this server does not ask");
      return (await fetchJson(url.href, MAX_KEYS_BYTES)).value;
    },
  };
}

/** The same for one request: the OAuth provider looks a client up several times, which is to be one fetch, and one client. */
export function rememberDocuments(documents: ClientDocuments): ClientDocuments {
  const resolved = new Map<string, Promise<ClientDocument | null>>();
  return {
    ...documents,
    async resolve(clientId) {
      const known = resolved.get(clientId) ?? documents.resolve(clientId);
      resolved.set(clientId, known);
      return known;
    },
  };
}
