// The OAuth 2.1 provider's options for this deployment. It serves discovery, registration, tokens and revocation, and
// checks every token before /mcp is reached; the pages are authorize.tsx.
import { OAuthProvider } from "@cloudflare/workers-oauth-provider";
import * as z from "zod";
import { parseIdentity } from "../lib/identity.ts";
import type { Identity } from "../lib/identity.ts";
import { AUTHORIZE_PATH } from "./authorize.tsx";
import type { ExchangeTokens } from "./renewal.ts";
import { READ_SCOPE, SCOPES } from "./scopes.ts";

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
  /** Asks the identity provider again, at each refresh. */
  readonly exchangeTokens: ExchangeTokens;
  readonly serveMcp: (request: Request, token: VerifiedToken) => Promise<Response>;
  readonly servePages: (request: Request, env: E, context: ExecutionContext) => Response | Promise<Response>;
  readonly log: (message: string) => void;
}

/** The provider's tokens are `user:grant:secret`; only the middle is kept. */
const grantSchema = z.string().transform((token) => token.split(":")[1] ?? "");
const authSchema = z.object({ clientId: z.string(), scope: z.array(z.string()), token: grantSchema });

export function createProvider<E extends object>(options: ProviderOptions<E>): OAuthProvider<E> {
  return new OAuthProvider<E>({
    apiRoute: new URL(options.resource).pathname,
    apiHandler: {
      fetch: async (request, _env, context) => {
        const token = parseToken(context);
        return token.scopes.includes(READ_SCOPE) ? options.serveMcp(request, token) : missingScope(options.resource);
      },
    },
    defaultHandler: { fetch: async (request, env, context) => options.servePages(request, env, context) },
    authorizeEndpoint: AUTHORIZE_PATH,
    tokenEndpoint: "/oauth/token",
    clientRegistrationEndpoint: "/oauth/register",
    clientIdMetadataDocumentEnabled: true,
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
    onError: ({ code, internal }) => options.log(`oauth: ${code} (${internal.category}: ${internal.reason})`),
  });
}

/** Reads what the provider verified. Throws `TypeError` if it is not there, which means that nothing was verified. */
function parseToken(context: object): VerifiedToken {
  const identity = parseIdentity(Reflect.get(context, "props"));
  const { clientId, scope, token: grantId } = authSchema.parse(Reflect.get(context, "auth"));
  return { identity, grantId, clientId, scopes: scope };
}

/** RFC 6750 §3.1. */
function missingScope(resource: string): Response {
  const { origin, pathname } = new URL(resource);
  const challenge = `Bearer error="insufficient_scope", scope="${READ_SCOPE}", resource_metadata="${origin}/.well-known/oauth-protected-resource${pathname}"`;
  return Response.json(
    { error: "insufficient_scope" },
    { status: 403, headers: { "WWW-Authenticate": challenge, "Cache-Control": "no-store" } },
  );
}
