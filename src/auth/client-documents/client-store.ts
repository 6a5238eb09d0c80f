// The OAuth provider's store, in which clients with a metadata document are found too. The provider could fetch documents by
// itself, but it follows redirects and takes any type and address.
import type { GrantStore } from "../grants/kv.ts";
import { readAs } from "../grants/kv.ts";
import type { ClientDocuments } from "./client-documents.ts";
import { isDocumentUrl } from "./document-url.ts";
import type { ClientDocument } from "./metadata-document.ts";

const CLIENT = "client:";

/**
 * Builds the store. `authenticated` is the id of the client that has proved itself by a signature: to the provider, which is not asked to check any, it
 * is a client without a secret. Of the others, one that must prove itself is refused when it does not.
 */
export function withClientDocuments(store: GrantStore, documents: ClientDocuments, authenticated?: string): GrantStore {
  return {
    ...store,
    async get(key, type) {
      const clientId = key.startsWith(CLIENT) ? key.slice(CLIENT.length) : "";
      if (!isDocumentUrl(clientId)) return store.get(key, type);
      const document = await documents.resolve(clientId);
      if (document === null) return null;
      return readAs(JSON.stringify(recordOf(document, clientId === authenticated)), type);
    },
  };
}

/** In the provider's form of a registered client. */
function recordOf({ authentication, keys: _keys, ...client }: ClientDocument, isAuthenticated: boolean) {
  const isPublic = isAuthenticated || authentication.includes("none");
  return { ...client, tokenEndpointAuthMethod: isPublic ? "none" : "private_key_jwt" };
}
