// The OAuth provider's store, in which it also finds clients with a metadata document. The provider could fetch the documents itself, but
// it follows redirects and accepts any content type and address.
import type { GrantStore } from "../grants/kv-contract.ts";
import { decodeValue } from "../grants/kv-contract.ts";
import type { ClientDocuments } from "./client-documents.ts";
import { isDocumentUrl } from "./document-url.ts";
import type { ClientDocument } from "./metadata-document.ts";

const CLIENT_PREFIX = "client:";

/**
 * Wraps the store. `authenticated` is the id of the client whose signature was verified: the provider, which cannot verify
 * signatures, sees it as a public client. It refuses any other client that must sign.
 */
export function withClientDocuments(store: GrantStore, documents: ClientDocuments, authenticated?: string): GrantStore {
  return {
    async get(key, type) {
      const clientId = key.startsWith(CLIENT_PREFIX) ? key.slice(CLIENT_PREFIX.length) : "";
      if (!isDocumentUrl(clientId)) return store.get(key, type);
      const document = await documents.resolve(clientId);
      if (document === null) return null;
      return decodeValue(JSON.stringify(buildClientRecord(document, clientId === authenticated)), type);
    },
    put: async (key, value, options) => store.put(key, value, options),
    delete: async (key) => store.delete(key),
    list: async (options) => store.list(options),
  };
}

/** Builds a registered client in the provider's format. */
function buildClientRecord({ authentication, keys: _keys, ...client }: ClientDocument, isAuthenticated: boolean) {
  const isPublic = isAuthenticated || authentication.includes("none");
  return { ...client, tokenEndpointAuthMethod: isPublic ? "none" : "private_key_jwt" };
}
