// Clients with a metadata document in one request: authenticated before the OAuth provider, which then finds them in its store.
import { CimdFetchError } from "@cloudflare/workers-oauth-provider";
import type { GrantStore } from "../grants/kv-contract.ts";
import { createInvalidClientReply, toHttpResponse, createUnavailableReply } from "../grants/oauth-errors.ts";
import { authenticate } from "./client-assertion.ts";
import { createClientDocuments, rememberDocuments } from "./client-documents.ts";
import { withClientDocuments } from "./document-client-store.ts";

interface DocumentClientOptions {
  /** The origin of this deployment, which is also the issuer and the audience of assertions. */
  readonly origin: string;
  readonly tokenEndpoint: string;
  /** Private-use schemes that redirect URIs may have, such as `cursor`. */
  readonly allowedRedirectSchemes: readonly string[];
  readonly now: () => number;
  readonly log: (message: string) => void;
}

/** Opens a view of these clients for each request. */
export interface DocumentClients {
  /** Opens a view for one request, which fetches each document once. */
  open(): RequestClients;
}

/** Authenticates and finds clients with a metadata document in one request. */
export interface RequestClients {
  /**
   * Verifies the assertion of a request to the token endpoint. Returns the request for the provider, without the assertion, or
   * the refusal: 401 for an invalid assertion, 503 when the client's document cannot be fetched.
   */
  authenticate(request: Request, store: GrantStore): Promise<Request | Response>;
  /** Wraps the store so that it also contains these clients. */
  within(store: GrantStore): GrantStore;
}

const FORM_CONTENT_TYPE = /^application\/x-www-form-urlencoded\s*(?:;|$)/i;

/** Creates the clients over the platform's cache of documents. */
export function createDocumentClients(options: DocumentClientOptions): DocumentClients {
  const { origin, allowedRedirectSchemes, log } = options;
  const sharedDocuments = createClientDocuments({ ownHost: new URL(origin).host, allowedRedirectSchemes, log });
  return {
    open() {
      const documents = rememberDocuments(sharedDocuments);
      let authenticated: string | undefined;
      return {
        async authenticate(request, store) {
          const isForm = request.method === "POST" && FORM_CONTENT_TYPE.test(request.headers.get("Content-Type") ?? "");
          // The provider refuses a request with two credentials.
          if (!isForm || request.headers.has("Authorization")) return request;
          const form = new URLSearchParams(new TextDecoder().decode(await request.clone().arrayBuffer()));
          try {
            const outcome = await authenticate(form, { ...options, issuer: origin, documents, store });
            if (outcome.kind === "plain") return request;
            if (outcome.kind === "refused") return toHttpResponse(createInvalidClientReply());
            authenticated = outcome.clientId;
            const headers = [...request.headers].filter(([name]) => name.toLowerCase() !== "content-length");
            return new Request(request.url, { method: "POST", headers, body: outcome.body.toString() });
          } catch (error) {
            // The document may be unreachable only for a moment: `invalid_client` would make the client sign in again.
            if (error instanceof CimdFetchError) return toHttpResponse(createUnavailableReply());
            throw error;
          }
        },
        within: (store) => withClientDocuments(store, documents, authenticated),
      };
    },
  };
}
