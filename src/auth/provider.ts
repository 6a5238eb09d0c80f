// The OAuth 2.1 provider of this deployment, over the grant store. It serves discovery, registration, tokens and revocation, and
// checks every token before /mcp is reached; the pages are authorize.tsx.
import { AuthorizationError, ExternalTokenError, OAuthProvider } from "@cloudflare/workers-oauth-provider";
import * as z from "zod";
import { readIdentity } from "../lib/identity.ts";
import type { Identity } from "../lib/identity.ts";
import type { AccessTokenCheck } from "./access-tokens.ts";
import { AUTHORIZE_PATH } from "./authorize.tsx";
import { boundKeys } from "./bounded-keys.ts";
import { watchClientLife } from "./client-life.ts";
import { SERVER_METADATA_PATH, advertiseDocuments } from "./client-documents/advertise.ts";
import type { DocumentClients, RequestClients } from "./client-documents/document-clients.ts";
import type { ExchangeTokens } from "./renewal.ts";
import type { GrantStore } from "./grants/kv.ts";
import type { GrantNamespace } from "./grants/protocol.ts";
import { invalidClient, toResponse, unavailable } from "./grants/replies.ts";
import { routeToken, tellRefused } from "./grants/route.ts";
import { createGrantStore } from "./grants/store.ts";
import { UNUSED_CLIENT_SECONDS, prepareRegistration } from "./registration.ts";
import { READ_SCOPE, SCOPES } from "./scopes.ts";

export const TOKEN_PATH = "/oauth/token";
export const REGISTRATION_PATH = "/oauth/register";

/** A verified token, parsed once. The token's text is not in it. */
export interface VerifiedToken {
  readonly identity: Identity;
  /** The sign-in that the token belongs to. */
  readonly grantId: string;
  readonly clientId: string;
  readonly scopes: readonly string[];
}

export interface ProviderOptions<E> {
  readonly origin: string;
  /** The URL that clients connect to; every token is bound to it (RFC 8707). */
  readonly resource: string;
  readonly name: string;
  readonly accessTokenSeconds: number;
  readonly refreshTokenSeconds: number;
  /** Private-use schemes that redirect URIs may have, such as `cursor`; none when it is left out. */
  readonly allowedRedirectSchemes?: readonly string[];
  /** Asks the identity provider again, at each refresh. */
  readonly exchangeTokens: ExchangeTokens;
  readonly serveMcp: (request: Request, token: VerifiedToken) => Promise<Response>;
  readonly servePages: (request: Request, env: E, context: ExecutionContext) => Response | Promise<Response>;
  /** The identity of an access token for programs; undefined for what is none that may be used. */
  readonly checkAccessToken: AccessTokenCheck;
  readonly log: (message: string, error?: unknown) => void;
}

export interface OwnProviderOptions<E> extends ProviderOptions<E> {
  /** Clients that have a metadata document; absent where the operator has turned these off. */
  readonly documentClients?: DocumentClients | undefined;
}

export interface Provider<E> {
  /** Serves everything, with grants and tokens in the objects of `grants`. */
  fetch(request: Request, env: E, context: ExecutionContext, grants: GrantNamespace): Promise<Response>;
  /** The token endpoint alone, over a store. Throws when something but the request is at fault. */
  serveToken(request: Request, env: E, store: GrantStore): Promise<Response>;
}

/** The provider's tokens are `user:grant:secret`; only the middle is kept. */
const grantSchema = z.string().transform((token) => token.split(":")[1] ?? "");
const authSchema = z.object({ clientId: z.string(), scope: z.array(z.string()), token: grantSchema });

export function createProvider<E extends object>(options: OwnProviderOptions<E>): Provider<E> {
  const oauth = createOAuth(options);
  const tokens: TokenServer<E> = oauth;
  const resourcePath = new URL(options.resource).pathname;
  const { allowedRedirectSchemes = [] } = options;
  const serveToken: Provider<E>["serveToken"] = async (request, env, store) => {
    const life = watchClientLife(store);
    const clients = options.documentClients?.open();
    try {
      const checked = clients === undefined ? request : await clients.authenticate(request, store);
      if (checked instanceof Response) return checked;
      const response = await tokens.fetch(checked, over(env, life.store, clients), {});
      await life.keepIfUsed(options.refreshTokenSeconds);
      return response;
    } catch (error) {
      // Of two requests with one client assertion, the one that came second.
      if (error instanceof AuthorizationError) return toResponse(invalidClient());
      throw error;
    }
  };
  return {
    serveToken,
    async fetch(request, env, context, grants) {
      const store = createGrantStore(grants);
      const { pathname } = new URL(request.url);
      if (pathname === TOKEN_PATH) {
        const serveHere = async (plain: Request): Promise<Response> => serveToken(plain, env, store);
        return routeToken(request, { grants, serveHere, onError: options.log });
      }
      const isRegistration = pathname === REGISTRATION_PATH;
      const accepted = isRegistration ? await prepareRegistration(request, allowedRedirectSchemes) : request;
      if (accepted instanceof Response) return accepted;
      const clients = options.documentClients?.open();
      const response = await oauth.fetch(accepted, over(env, store, clients), context);
      if (clients !== undefined && pathname === SERVER_METADATA_PATH) return advertiseDocuments(response);
      if (response.status === 401 && pathname === resourcePath)
        await tellRefused(request, { grants, onError: options.log });
      return response;
    },
  };
}

/** The provider as far as its token endpoint goes, which uses no context. */
interface TokenServer<E> {
  fetch(request: Request, env: E, context: object): Promise<Response>;
}

/** A copy of the environment: the provider puts its helpers into the one it is given, bound to the store that is in it. */
function over<E extends object>(env: E, store: GrantStore, clients: RequestClients | undefined): E {
  const bounded = boundKeys(store);
  return { ...env, OAUTH_PROVIDER: undefined, OAUTH_KV: clients?.within(bounded) ?? bounded };
}

/** The bare provider. It keeps its records in `OAUTH_KV` of the environment that it is given. */
export function createOAuth<E extends object>(options: ProviderOptions<E>): OAuthProvider<E> {
  return new OAuthProvider<E>({
    apiRoute: new URL(options.resource).pathname,
    apiHandler: {
      fetch: async (request, _env, context) => {
        const token = parseToken(context);
        if (token === undefined) return unknownIdentity(options.resource);
        return token.scopes.includes(READ_SCOPE) ? options.serveMcp(request, token) : missingScope(options.resource);
      },
    },
    defaultHandler: { fetch: async (request, env, context) => options.servePages(request, env, context) },
    authorizeEndpoint: AUTHORIZE_PATH,
    tokenEndpoint: TOKEN_PATH,
    clientRegistrationEndpoint: REGISTRATION_PATH,
    clientRegistrationTTL: UNUSED_CLIENT_SECONDS,
    // The provider takes all schemes or none; registration.ts and authorize.tsx check each.
    allowPrivateUseRedirectUris: (options.allowedRedirectSchemes ?? []).length > 0,
    // The library follows redirects and takes every type and address, so our store looks documents up instead.
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
    resolveExternalToken: async ({ token }) => {
      const identity = await checkOrUnavailable(options, token);
      return identity === undefined ? null : { props: identity, audience: options.resource };
    },
    onError: ({ code, internal }) => {
      options.log(`oauth: ${code} (${internal.category}: ${internal.reason})`);
      // A client's document that is out of reach for a moment says nothing about the client: `invalid_client` would make it sign in again.
      return internal.category === "client-id-metadata-document" ? toResponse(unavailable()) : undefined;
    },
  });
}

/**
 * Reads what the provider verified; undefined for an identity that cannot be read, such as one that a version before this one stored
 * with an address that is refused today.
 */
function parseToken(context: object): VerifiedToken | undefined {
  const identity = readIdentity(Reflect.get(context, "props"));
  if (identity === undefined) return undefined;
  // The provider gives an external token neither client nor scopes: it is its own client, and can read.
  if (identity.token !== undefined) {
    const { id } = identity.token;
    return { identity, grantId: id, clientId: `access-token ${id}`, scopes: [READ_SCOPE] };
  }
  const { clientId, scope, token: grantId } = authSchema.parse(Reflect.get(context, "auth"));
  return { identity, grantId, clientId, scopes: scope };
}

/** A database that does not answer is no reason to say that a token is wrong: its program would throw it away. */
async function checkOrUnavailable(
  { checkAccessToken, log }: Pick<ProviderOptions<never>, "checkAccessToken" | "log">,
  token: string,
): Promise<Identity | undefined> {
  try {
    return await checkAccessToken(token);
  } catch (error) {
    log(`oauth: access tokens cannot be checked (${String(error)})`);
    throw new ExternalTokenError("temporarily_unavailable", {
      description: "Access tokens cannot be checked at the moment",
      statusCode: 503,
      headers: { "Retry-After": "10" },
    });
  }
}

/** RFC 6750 §3.1. */
function challenge(resource: string, status: 401 | 403, error: string, scope = ""): Response {
  const { origin, pathname } = new URL(resource);
  const header = `Bearer error="${error}"${scope}, resource_metadata="${origin}/.well-known/oauth-protected-resource${pathname}"`;
  return Response.json({ error }, { status, headers: { "WWW-Authenticate": header, "Cache-Control": "no-store" } });
}

/** The client refreshes, and that refresh ends the connection: signing in again says why. */
function unknownIdentity(resource: string): Response {
  return challenge(resource, 401, "invalid_token");
}

function missingScope(resource: string): Response {
  return challenge(resource, 403, "insufficient_scope", `, scope="${READ_SCOPE}"`);
}
