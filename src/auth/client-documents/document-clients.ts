// Clients with a metadata document, as the OAuth provider meets them in one request: found in its store, and authenticated before it.
import { CimdFetchError } from "@cloudflare/workers-oauth-provider";
import type { GrantStore } from "../grants/kv.ts";
import { invalidClient, toResponse, unavailable } from "../grants/replies.ts";
import { authenticate } from "./client-assertion.ts";
import { createClientDocuments, rememberDocuments } from "./client-documents.ts";
import { withClientDocuments } from "./client-store.ts";

export interface DocumentClientOptions {
  /** Of this deployment, and the issuer that assertions are for. */
  readonly origin: string;
  readonly tokenEndpoint: string;
  /** Private-use schemes that redirect URIs may have, such as `cursor`. */
  readonly allowedRedirectSchemes: readonly string[];
  readonly now: () => number;
  readonly log: (message: string) => void;
}

export interface DocumentClients {
  /** For one request: what it has fetched, it does not fetch again. */
  open(): RequestClients;
}

export interface RequestClients {
  /**
   * Checks the assertion of a request to the token endpoint, and passes on a request without it. Answers by itself where it is not good, and where
   * the client's document cannot be had.
   */
  authenticate(request: Request, store: GrantStore): Promise<Request | Response>;
  /** The store with these clients in it. */
  within(store: GrantStore): GrantStore;
}

const FORM = /^application\/x-www-form-urlencoded\s*(?:;|$)/i;

export function createDocumentClients(options: DocumentClientOptions): DocumentClients {
  const { origin, allowedRedirectSchemes, log } = options;
  const fetched = createClientDocuments({ ownHost: new URL(origin).host, allowedRedirectSchemes, log });
  return {
    open() {
      const documents = rememberDocuments(fetched);
      let authenticated: string | undefined;
      return {
        async authenticate(request, store) {
          const isForm = request.method === "POST" && FORM.test(request.headers.get("Content-Type") ?? "");
          // Two credentials in one request are the provider's to refuse.
          if (!isForm || request.headers.has("Authorization")) return request;
          const form = new URLSearchParams(new TextDecoder().decode(await request.clone().arrayBuffer()));
          try {
            const outcome = await authenticate(form, { ...options, issuer: origin, documents, store });
            if (outcome.kind === "plain") return request;
            if (outcome.kind === "refused") return toResponse(invalidClient());
            authenticated = outcome.clientId;
            const headers = [...request.headers].filter(([name]) => name.toLowerCase() !== "content-length");
            return new Request(request.url, { method: "POST", headers, body: outcome.body.toString() });
          } catch (error) {
            // As for a client without an assertion: its document may come back, and it must not sign in again until then.
            if (error instanceof CimdFetchError) return toResponse(unavailable());
            throw error;
          }
        },
        within: (store) => withClientDocuments(store, documents, authenticated),
      };
    },
  };
}
