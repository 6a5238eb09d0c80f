// The authorization endpoint: asks for consent, signs the user in and redirects to the client with a code. The OAuth provider
// stores the request between the steps; no form field can change it.
import { AuthorizationError, CimdFetchError, authorizationErrorRedirect } from "@cloudflare/workers-oauth-provider";
import type { AuthRequest, OAuthHelpers } from "@cloudflare/workers-oauth-provider";
import { Hono } from "hono";
import { isLoopbackHost } from "../lib/loopback.ts";
import { displayName, escapeInvisible } from "../lib/visible-text.ts";
import { htmlPage } from "../ui/layout.tsx";
import { documentHost } from "./clients/document-url.ts";
import type { ConnectionMetadata } from "./connections.ts";
import { ConsentPage, consentTitle } from "./consent-page.tsx";
import { respondWithStep, problemPage, redirect, requireForm, readTextField } from "../sign-in/problem-page.tsx";
import { hasFloatingPort, isUsableRedirectUri, getPrivateUseScheme } from "./clients/redirect-uri.ts";
import type { GrantProps } from "./token-callback.ts";
import { describeAccess, selectGrantedScopes } from "./scopes.ts";
import { CALLBACK_PATH } from "../sign-in/sign-in.ts";
import type { SignIn } from "../sign-in/sign-in.ts";
import { documentPage, unknownClientPage, usedUpPage, wrongRedirectPage } from "./restart-sign-in.tsx";
import { deriveIdentity } from "../sign-in/verified-identity.ts";

/** Configures the authorization endpoint. */
export interface AuthorizeOptions {
  readonly organisation: string;
  readonly signIn: SignIn;
  /** How long an unused connection lives. */
  readonly refreshTokenSeconds: number;
  /** Private-use schemes that redirect URIs may have, such as `cursor`; none when omitted. */
  readonly allowedRedirectSchemes?: readonly string[];
}

/** Describes the environment of the default handler, in which the OAuth provider puts its helpers. */
export interface AuthorizeEnv {
  readonly Bindings: { readonly OAUTH_PROVIDER: OAuthHelpers };
}

export const AUTHORIZE_PATH = "/authorize";

/** Creates the routes of the authorization flow: consent, decision and the callback of the sign-in. */
export function createAuthorizeRoutes(options: AuthorizeOptions): Hono<AuthorizeEnv> {
  const app = new Hono<AuthorizeEnv>();
  app.get(AUTHORIZE_PATH, ({ env, req }) => showConsent(req.raw, env.OAUTH_PROVIDER, options));
  app.post(AUTHORIZE_PATH, requireForm, ({ env, req }) => handleDecision(req.raw, env.OAUTH_PROVIDER, options));
  app.post(CALLBACK_PATH, requireForm);
  app.on(["GET", "POST"], CALLBACK_PATH, ({ env, req }) => finishSignIn(req.raw, env.OAUTH_PROVIDER, options));
  app.onError((error, { env, req }) => {
    if (error instanceof AuthorizationError) {
      return error.redirectTo === undefined
        ? explain(error, req.raw, env.OAUTH_PROVIDER)
        : returnError(error.redirectTo, error.description);
    }
    if (error instanceof CimdFetchError) return documentPage(error.metadataUrl);
    throw error;
  });
  return app;
}

async function showConsent(raw: Request, oauth: OAuthHelpers, options: AuthorizeOptions): Promise<Response> {
  const { organisation, signIn, refreshTokenSeconds } = options;
  requireAllowedScheme(raw, options);
  const request = await oauth.parseAuthRequest(raw);
  await requireExactRedirect(request, oauth);
  // OAuth 2.1 §4.1.1 requires PKCE of every client, including confidential ones.
  if (request.codeChallenge === undefined || request.codeChallengeMethod !== "S256") {
    const description = "code_challenge with method S256 is required";
    return returnError(authorizationErrorRedirect(request, "invalid_request", description), description);
  }
  const refusal = signIn.findRefusal(raw);
  if (refusal !== undefined) return startOverPage(refusal, 403);
  const details = await oauth.describeConsent(request);
  const { handle, headers } = await oauth.beginConsent(request);
  const access = describeAccess(Math.floor(refreshTokenSeconds / 86_400));
  const body = <ConsentPage organisation={organisation} details={details} access={access} handle={handle} />;
  const formTargets = listFormTargets(request);
  return htmlPage({ title: consentTitle(organisation), organisation, body, headers, formTargets });
}

/**
 * Runs before the provider parses the request, because the provider would redirect errors to any private-use scheme. Metadata
 * documents may list schemes that are not allowed, and so may clients that registered when schemes were not checked or others
 * were allowed. Throws `AuthorizationError`.
 */
function requireAllowedScheme(raw: Request, { allowedRedirectSchemes = [] }: AuthorizeOptions): void {
  const uri = new URL(raw.url).searchParams.get("redirect_uri") ?? "";
  if (getPrivateUseScheme(uri) !== undefined && !isUsableRedirectUri(uri, allowedRedirectSchemes))
    throw createInvalidRedirectError();
}

/** Requires the registered port: the provider lets the port of a loopback host float for any scheme. Throws `AuthorizationError`. */
async function requireExactRedirect({ clientId, redirectUri }: AuthRequest, oauth: OAuthHelpers): Promise<void> {
  if (getPrivateUseScheme(redirectUri) === undefined || !hasFloatingPort(redirectUri)) return;
  const client = await oauth.lookupClient(clientId);
  if (client?.redirectUris.includes(redirectUri) !== true) throw createInvalidRedirectError();
}

function createInvalidRedirectError(): AuthorizationError {
  return new AuthorizationError("invalid_request", { description: "Invalid redirect URI" });
}

async function handleDecision(raw: Request, oauth: OAuthHelpers, options: AuthorizeOptions): Promise<Response> {
  const { organisation, signIn } = options;
  const form = await raw.clone().formData();
  const handle = readTextField(form, "handle");
  switch (readTextField(form, "decision")) {
    case "approve": {
      // The scopes come from the stored request, which the handle opens, not from the form.
      const approved = await oauth.approveConsent(raw, handle);
      const request = { ...approved.request, scope: [...selectGrantedScopes(approved.request.scope)] };
      const { data, next } = await signIn.start();
      const { state, headers } = await oauth.beginUpstream(request, { data, headers: approved.headers });
      return respondWithStep(await next(state), headers, { organisation, formTargets: listFormTargets(request) });
    }
    case "deny":
      return new Response(null, { status: 302, headers: (await oauth.denyConsent(raw, handle)).headers });
    default:
      return startOverPage("No choice was sent. Go back and press Connect or Do not connect.");
  }
}

async function finishSignIn(raw: Request, oauth: OAuthHelpers, { signIn }: AuthorizeOptions): Promise<Response> {
  // First, because it proves that this browser started the sign-in, and works only once.
  const { request, data, headers } = await oauth.finishUpstream(raw);
  const result = await signIn.finish(raw, data);
  if ("refused" in result) return refuse(request, result.refused, headers);
  const identity = await deriveIdentity(result.claims);
  const { clientName } = await oauth.describeConsent(request);
  const clientDomain = documentHost(request.clientId) ?? null;
  const metadata: ConnectionMetadata = { clientName: displayName(clientName), clientDomain };
  const { redirectTo } = await oauth.completeAuthorization({
    request,
    userId: identity.subjectId,
    metadata,
    scope: request.scope,
    props: { ...identity, renewal: result.renewal } satisfies GrantProps,
    // A user's second device must not sign out the first.
    revokeExistingGrants: false,
  });
  return redirect(redirectTo, headers);
}

/** Explains an error that must not be returned to the client: an unknown client, a step taken twice, or an invalid request. */
async function explain({ description }: AuthorizationError, raw: Request, oauth: OAuthHelpers): Promise<Response> {
  const { pathname, searchParams } = new URL(raw.url);
  if (pathname !== AUTHORIZE_PATH || raw.method !== "GET") return usedUpPage();
  const clientId = searchParams.get("client_id") ?? "";
  if (clientId === "") return startOverPage(description);
  try {
    const client = await oauth.lookupClient(clientId);
    if (client === null) return unknownClientPage(clientId);
    const isRegistered = client.redirectUris.includes(searchParams.get("redirect_uri") ?? "");
    return isRegistered ? startOverPage(description) : wrongRedirectPage(description);
  } catch (error) {
    // The provider may have refused the request before it looked the client up. An error thrown here would become a 500.
    if (error instanceof CimdFetchError) return documentPage(error.metadataUrl);
    throw error;
  }
}

/** The user has approved this client, so the page links back to it. The reason is shown to the user only. */
function refuse(request: AuthRequest, text: string, headers: Headers): Promise<Response> {
  const back = authorizationErrorRedirect(request, "access_denied");
  const next = (
    <>
      To start again, connect from your assistant again, or <a href={back}>go back to it</a> without signing in.
    </>
  );
  return problemPage(text, { status: 403, headers, next });
}

/**
 * Lists the targets that `form-action` must allow: the client's redirect URI, and any page to which that redirects. Browsers
 * check the whole chain of redirects, so a list narrower than the schemes breaks clients whose callback redirects again.
 */
function listFormTargets({ redirectUri }: AuthRequest): readonly string[] {
  const scheme = getPrivateUseScheme(redirectUri);
  return ["http:", "https:", ...(scheme === undefined ? [] : [scheme])];
}

/**
 * Returns an error to a client that the user has not approved. Only a loopback address gets an automatic redirect; other
 * clients get a page with a link. Anyone can register a client, and this server must not become an open redirector
 * (RFC 9700 §4.11.2).
 */
function returnError(location: string, description: string): Response | Promise<Response> {
  const { hostname, host } = new URL(location);
  const scheme = getPrivateUseScheme(location);
  if (scheme === undefined && isLoopbackHost(hostname)) return redirect(location);
  const body = (
    <>
      <p>The program's request was invalid: {escapeInvisible(description)}.</p>
      <p>
        <a href={location} rel="noreferrer">
          Go back to {scheme === undefined ? host : `the program that opens ${scheme} links`}
        </a>
      </p>
    </>
  );
  return htmlPage({ title: "This did not work", body, status: 400 });
}

function startOverPage(text: string, status = 400): Promise<Response> {
  return problemPage(text, { status, next: "To start again, connect from your assistant again." });
}
