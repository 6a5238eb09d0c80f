// The OAuth 2.1 provider of this deployment, over the grant store. It serves discovery, registration, the token endpoint and
// revocation, and verifies every access token before /mcp; authorize.tsx serves the pages.
import { formatPatClientId } from "../lib/pat-client.ts";
import { AuthorizationError, ExternalTokenError, OAuthProvider } from "@cloudflare/workers-oauth-provider";
import * as z from "zod";
import { sha256Hex } from "../lib/crypto.ts";
import { readIdentity } from "../lib/identity.ts";
import type { AccessGrant, Identity } from "../lib/identity.ts";
import type { SignInCheck } from "../mcp/wire/sign-in-check.ts";
import type { PatCheck } from "../personal-access-tokens/pat-check.ts";
import { AUTHORIZE_PATH } from "./authorize.tsx";
import { withBoundedKeys } from "./store-key-check.ts";
import { trackClientExpiry } from "./clients/client-expiry.ts";
import { SERVER_METADATA_PATH, advertiseDocuments } from "./clients/server-metadata.ts";
import type { DocumentClients, RequestClients } from "./clients/document-clients.ts";
import type { ExchangeTokens } from "./token-callback.ts";
import type { GrantStore } from "./grants/kv-contract.ts";
import type { GrantNamespace } from "./grants/grant-protocol.ts";
import { createInvalidClientReply, toHttpResponse, createUnavailableReply } from "./grants/oauth-errors.ts";
import { routeTokenRequest, reportRefusedToken } from "./grants/token-routing.ts";
import { createGrantStore } from "./grants/grant-kv-store.ts";
import { UNUSED_CLIENT_SECONDS, prepareRegistration } from "./clients/client-registration.ts";
import { READ_SCOPE, SCOPES } from "./scopes.ts";
import type { RequestAccessToken, AccessTokenCache } from "./access-token-cache.ts";

export const TOKEN_PATH = "/oauth/token";
export const REGISTRATION_PATH = "/oauth/register";

/** Describes a verified access token, or personal access token, without its text. */
export interface VerifiedAccessToken {
  readonly identity: Identity;
  /** The sign-in that the access token belongs to; the id of a personal access token. */
  readonly grantId: string;
  readonly clientId: string;
  readonly scopes: readonly string[];
  /** For the ledger, which knows whether the grant or the access token has ended; absent for a personal access token. */
  readonly grant?: AccessGrant;
}

/** Configures the bare provider. */
interface BareProviderOptions<E> {
  readonly origin: string;
  /** The URL that clients connect to; every access token is bound to it (RFC 8707). */
  readonly resource: string;
  readonly name: string;
  readonly accessTokenSeconds: number;
  readonly refreshTokenSeconds: number;
  /** Private-use schemes that redirect URIs may have, such as `cursor`; none when omitted. */
  readonly allowedRedirectSchemes?: readonly string[];
  /** Asks the identity provider for the user again at each refresh. */
  readonly exchangeTokens: ExchangeTokens;
  /** `signIn` must be asked before a request is served that begins no call. */
  readonly serveMcp: (request: Request, accessToken: VerifiedAccessToken, signIn: SignInCheck) => Promise<Response>;
  readonly servePages: (request: Request, env: E, context: ExecutionContext) => Response | Promise<Response>;
  /** Returns the identity of a personal access token; undefined for any other text, and for one that is no longer valid. */
  readonly checkPat: PatCheck;
  readonly log: (message: string, error?: unknown) => void;
}

/** Configures the provider with clients that have a metadata document. */
interface OAuthProviderOptions<E> extends BareProviderOptions<E> {
  /** Absent when the operator has turned metadata documents off. */
  readonly documentClients?: DocumentClients | undefined;
  /** The isolate's cache of access tokens. Absent where each request reads its access token from the grant store. */
  readonly accessTokenCache?: AccessTokenCache;
}

/** Serves the OAuth endpoints, the pages and /mcp. */
export interface Provider<E> {
  /** Serves any request, with grants and access tokens in the Durable Objects of `grants`. */
  fetch(request: Request, env: E, context: ExecutionContext, grants: GrantNamespace): Promise<Response>;
  /** Serves the token endpoint only, over a store. Throws for faults other than those of the request. */
  serveToken(request: Request, env: E, store: GrantStore): Promise<Response>;
}

/** The provider's access tokens have the form `user:grant:secret`. */
const authSchema = z.object({ clientId: z.string(), scope: z.array(z.string()), token: z.string() });

/** The key of the request's access token in the environment that the provider passes on. */
const REQUEST_ACCESS_TOKEN = Symbol("the access token of the request");

/** Creates the provider. Requests for grants and access tokens go to the Durable Object of their user. */
export function createOAuthProvider<E extends object>(options: OAuthProviderOptions<E>): Provider<E> {
  const oauth = createBareOAuthProvider(options);
  const tokenServer: TokenServer<E> = oauth;
  const resourcePath = new URL(options.resource).pathname;
  const { allowedRedirectSchemes = [] } = options;
  const serveToken: Provider<E>["serveToken"] = async (request, env, store) => {
    const clientExpiry = trackClientExpiry(store);
    const clients = options.documentClients?.open();
    try {
      const checked = clients === undefined ? request : await clients.authenticate(request, store);
      if (checked instanceof Response) return checked;
      const response = await tokenServer.fetch(checked, withStore(env, clientExpiry.store, clients), {});
      await clientExpiry.extendIfUsed(options.refreshTokenSeconds);
      return response;
    } catch (error) {
      // The store refuses the second of two concurrent requests with the same client assertion.
      if (error instanceof AuthorizationError) return toHttpResponse(createInvalidClientReply());
      throw error;
    }
  };
  return {
    serveToken,
    async fetch(request, env, context, grants) {
      const store = createGrantStore(grants);
      const { pathname } = new URL(request.url);
      if (pathname === TOKEN_PATH) {
        const serveInWorker = async (plainRequest: Request): Promise<Response> => serveToken(plainRequest, env, store);
        return routeTokenRequest(request, { grants, serveInWorker, onError: options.log });
      }
      const isRegistration = pathname === REGISTRATION_PATH;
      const preparedRequest = isRegistration ? await prepareRegistration(request, allowedRedirectSchemes) : request;
      if (preparedRequest instanceof Response) return preparedRequest;
      const clients = options.documentClients?.open();
      const accessToken = pathname === resourcePath ? options.accessTokenCache?.open(store) : undefined;
      const usedEnv = { ...withStore(env, accessToken?.store ?? store, clients), [REQUEST_ACCESS_TOKEN]: accessToken };
      const response = await oauth.fetch(preparedRequest, usedEnv, context);
      if (clients !== undefined && pathname === SERVER_METADATA_PATH) return advertiseDocuments(response);
      if (response.status === 401 && pathname === resourcePath) {
        accessToken?.drop();
        await reportRefusedToken(request, { grants, onError: options.log });
      }
      return response;
    },
  };
}

/** The provider's `fetch` as its token endpoint needs it, which does not use the context. */
interface TokenServer<E> {
  fetch(request: Request, env: E, context: object): Promise<Response>;
}

/** Copies the environment, because the provider puts its helpers, bound to the store, into the one that it gets. */
function withStore<E extends object>(env: E, store: GrantStore, clients: RequestClients | undefined): E {
  const bounded = withBoundedKeys(store);
  return { ...env, OAUTH_PROVIDER: undefined, OAUTH_KV: clients?.within(bounded) ?? bounded };
}

/** Creates the provider without the grant store. It stores its records in `OAUTH_KV` of the environment that it gets. */
export function createBareOAuthProvider<E extends object>(options: BareProviderOptions<E>): OAuthProvider<E> {
  return new OAuthProvider<E>({
    apiRoute: new URL(options.resource).pathname,
    apiHandler: {
      fetch: async (request, env, context) => {
        const accessToken = await parseVerifiedToken(context);
        if (accessToken === undefined) return createInvalidTokenResponse(options.resource);
        const signIn = createSignInCheck(getRequestAccessToken(env), options.resource);
        if (accessToken.scopes.includes(READ_SCOPE)) return options.serveMcp(request, accessToken, signIn);
        return (await signIn.refuseIfEnded()) ?? createInsufficientScopeResponse(options.resource);
      },
    },
    defaultHandler: { fetch: async (request, env, context) => options.servePages(request, env, context) },
    authorizeEndpoint: AUTHORIZE_PATH,
    tokenEndpoint: TOKEN_PATH,
    clientRegistrationEndpoint: REGISTRATION_PATH,
    clientRegistrationTTL: UNUSED_CLIENT_SECONDS,
    // The provider allows all schemes or none; client-registration.ts and authorize.tsx check each.
    allowPrivateUseRedirectUris: (options.allowedRedirectSchemes ?? []).length > 0,
    // The library follows redirects and accepts any content type and address, so withClientDocuments fetches documents instead.
    clientIdMetadataDocumentEnabled: false,
    scopesSupported: [...SCOPES],
    requiredScopes: [READ_SCOPE],
    accessTokenTTL: options.accessTokenSeconds,
    refreshTokenTTL: options.refreshTokenSeconds,
    refreshTokenIdleTTL: options.refreshTokenSeconds,
    tokenExchangeCallback: options.exchangeTokens,
    resourceMetadata: {
      resource: options.resource,
      authorization_servers: [options.origin],
      bearer_methods_supported: ["header"],
      resource_name: options.name,
    },
    resolveExternalToken: async ({ token: accessToken }) => {
      const identity = await checkPatOrUnavailable(options, accessToken);
      return identity === undefined ? null : { props: identity, audience: options.resource };
    },
    onError: ({ code, internal }) => {
      options.log(`oauth: ${code} (${internal.category}: ${internal.reason})`);
      // A temporarily unreachable metadata document says nothing about the client: `invalid_client` would make it sign in again.
      return internal.category === "client-id-metadata-document" ? toHttpResponse(createUnavailableReply()) : undefined;
    },
  });
}

/**
 * Reads what the provider verified; undefined for an identity that cannot be parsed, such as one that an older version stored
 * with an email address that is refused today.
 */
async function parseVerifiedToken(context: object): Promise<VerifiedAccessToken | undefined> {
  const identity = readIdentity(Reflect.get(context, "props"));
  if (identity === undefined) return undefined;
  // The provider sets neither client nor scopes for an external token: a personal access token is its own client and can read.
  if (identity.token !== undefined) {
    const { id } = identity.token;
    return { identity, grantId: id, clientId: formatPatClientId(id), scopes: [READ_SCOPE] };
  }
  const { clientId, scope, token } = authSchema.parse(Reflect.get(context, "auth"));
  const grantId = token.split(":")[1] ?? "";
  return { identity, grantId, clientId, scopes: scope, grant: { grantId, tokenHash: await sha256Hex(token) } };
}

/** Returns the access token of a request to `createOAuthProvider`; undefined without a cache. */
function getRequestAccessToken(env: object): RequestAccessToken | undefined {
  const accessToken: RequestAccessToken | undefined = Reflect.get(env, REQUEST_ACCESS_TOKEN);
  return accessToken;
}

function createSignInCheck(accessToken: RequestAccessToken | undefined, resource: string): SignInCheck {
  const refuse = (): Response => createInvalidTokenResponse(resource);
  return {
    refuse,
    refuseIfEnded: async () => ((await accessToken?.isCurrent()) === false ? refuse() : undefined),
  };
}

/** Answers 503 when the database fails: after `invalid_token` the program would discard a valid personal access token. */
async function checkPatOrUnavailable(
  { checkPat, log }: Pick<BareProviderOptions<never>, "checkPat" | "log">,
  pat: string,
): Promise<Identity | undefined> {
  try {
    return await checkPat(pat);
  } catch (error) {
    log("oauth: personal access tokens cannot be checked", error);
    throw new ExternalTokenError("temporarily_unavailable", {
      description: "Personal access tokens cannot be checked at the moment",
      statusCode: 503,
      headers: { "Retry-After": "10" },
    });
  }
}

/** Builds an error with the challenge of RFC 6750 §3.1. */
function createChallenge(resource: string, status: 401 | 403, error: string, scope = ""): Response {
  const { origin, pathname } = new URL(resource);
  const metadataUrl = `${origin}/.well-known/oauth-protected-resource${pathname}`;
  const header = `Bearer error="${error}"${scope}, resource_metadata="${metadataUrl}"`;
  return Response.json({ error }, { status, headers: { "WWW-Authenticate": header, "Cache-Control": "no-store" } });
}

/**
 * Makes the client refresh. For an identity that cannot be parsed, that refresh ends the connection, so the client signs in again and the
 * user sees the reason.
 */
function createInvalidTokenResponse(resource: string): Response {
  return createChallenge(resource, 401, "invalid_token");
}

function createInsufficientScopeResponse(resource: string): Response {
  return createChallenge(resource, 403, "insufficient_scope", `, scope="${READ_SCOPE}"`);
}
