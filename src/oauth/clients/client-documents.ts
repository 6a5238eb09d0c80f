// Resolves a client id that is the URL of a metadata document: reads the document from the cache, or fetches and caches it.
import { CimdFetchError } from "@cloudflare/workers-oauth-provider";
import { parseDocumentUrl } from "./document-url.ts";
import { parseClientDocument } from "./metadata-document.ts";
import type { ClientDocument } from "./metadata-document.ts";
import { FetchFault, fetchJson } from "./strict-fetch.ts";

interface ClientDocumentOptions {
  /** Host and port of this deployment. */
  readonly ownHost: string;
  /** Private-use schemes that redirect URIs may have, such as `cursor`. */
  readonly allowedRedirectSchemes: readonly string[];
  readonly log: (message: string) => void;
}

/** Resolves metadata documents and their keys. */
export interface ClientDocuments {
  /**
   * Resolves the document of a client id that is a URL; null when this server does not fetch from that address. Throws
   * `CimdFetchError` when the document cannot be fetched or used; only the log has the reason.
   */
  resolve(clientId: string): Promise<ClientDocument | null>;
  /** Fetches the JSON of a client's keys. Throws when it cannot be fetched. */
  fetchKeys(jwksUri: string): Promise<unknown>;
}

/** The limit that the specification of client metadata documents recommends. */
const MAX_DOCUMENT_BYTES = 5 * 1024;
const MAX_KEYS_BYTES = 64 * 1024;
/** The longest caching, whatever the document's headers say: a client that was taken over must not stay cached. */
const MAX_CACHE_SECONDS = 24 * 3600;
/** A separate cache: the OAuth provider's may hold documents that an older version fetched through redirects. */
const CACHE_NAME = "gatehouse:client-documents:v1";

/** Creates the resolver over the platform's cache. */
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
        const reason = error instanceof FetchFault ? error.message : `it could not be fetched (${String(error)})`;
        log(`oauth: the metadata document ${url.href} cannot be used: ${reason}`);
        throw new CimdFetchError(url.href, error);
      }
    },
    async fetchKeys(jwksUri) {
      const url = parseDocumentUrl(jwksUri, ownHost);
      if (url === undefined) throw new FetchFault("its jwks_uri is an address from which this server does not fetch");
      return (await fetchJson(url.href, MAX_KEYS_BYTES)).value;
    },
  };
}

/** Memoises documents for one request: the OAuth provider looks a client up several times, and must get the same one each time. */
export function rememberDocuments(documents: ClientDocuments): ClientDocuments {
  const resolved = new Map<string, Promise<ClientDocument | null>>();
  return {
    ...documents,
    async resolve(clientId) {
      const document = resolved.get(clientId) ?? documents.resolve(clientId);
      resolved.set(clientId, document);
      return document;
    },
  };
}
