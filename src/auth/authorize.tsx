// The authorization endpoint: consent, then sign-in, then back to the client with a code. The OAuth provider keeps the
// request between the steps; nothing of it is taken from a form.
import { AuthorizationError, CimdFetchError, authorizationErrorRedirect } from "@cloudflare/workers-oauth-provider";
import type { AuthRequest, OAuthHelpers } from "@cloudflare/workers-oauth-provider";
import { Hono } from "hono";
import { isLoopbackHost } from "../lib/loopback.ts";
import { displayName, escapeInvisible } from "../lib/visible-text.ts";
import { htmlPage } from "../ui/layout.tsx";
import { documentHost } from "./client-documents/document-url.ts";
import type { ConnectionMetadata } from "./connections.ts";
import { ConsentPage, consentTitle } from "./consent.tsx";
import { firstStep, problemPage, redirect, requireForm, textField } from "./problem.tsx";
import { hasFloatingPort, isUsableRedirectUri, privateUseScheme } from "./redirect-uri.ts";
import type { GrantProps } from "./renewal.ts";
import { describeAccess, grantedScopes } from "./scopes.ts";
import { CALLBACK_PATH } from "./sign-in.ts";
import type { SignIn } from "./sign-in.ts";
import { documentPage, unknownClientPage, usedUpPage, wrongRedirectPage } from "./start-again.tsx";
import { identityOf } from "./subject.ts";

export interface AuthorizeOptions {
  readonly organisation: string;
  readonly signIn: SignIn;
  /** How long a connection lives unused. */
  readonly refreshTokenSeconds: number;
  /** Private-use schemes that redirect URIs may have, such as `cursor`; none when it is left out. */
  readonly allowedRedirectSchemes?: readonly string[];
}

/** The OAuth provider puts its helpers into the environment of the default handler. */
export interface AuthorizeEnv {
  readonly Bindings: { readonly OAUTH_PROVIDER: OAuthHelpers };
}

export const AUTHORIZE_PATH = "/authorize";

/** Routes of the authorization flow. */
export function createAuthorizeRoutes(options: AuthorizeOptions): Hono<AuthorizeEnv> {
  const app = new Hono<AuthorizeEnv>();
  app.get(AUTHORIZE_PATH, ({ env, req }) => showConsent(req.raw, env.OAUTH_PROVIDER, options));
  app.post(AUTHORIZE_PATH, requireForm, ({ env, req }) => takeDecision(req.raw, env.OAUTH_PROVIDER, options));
  app.post(CALLBACK_PATH, requireForm);
  app.on(["GET", "POST"], CALLBACK_PATH, ({ env, req }) => finishSignIn(req.raw, env.OAUTH_PROVIDER, options));
  app.onError((error, { env, req }) => {
    if (error instanceof AuthorizationError) {
      return error.redirectTo === undefined
        ? explain(error, req.raw, env.OAUTH_PROVIDER)
        : sendBack(error.redirectTo, error.description);
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
  // OAuth 2.1 §4.1.1: PKCE is for every client, also for those that could authenticate.
  if (request.codeChallenge === undefined || request.codeChallengeMethod !== "S256") {
    const description = "code_challenge with method S256 is required";
    return sendBack(authorizationErrorRedirect(request, "invalid_request", description), description);
  }
  const refusal = signIn.refusal(raw);
  if (refusal !== undefined) return problem(refusal, 403);
  const details = await oauth.describeConsent(request);
  const { handle, headers } = await oauth.beginConsent(request);
  const access = describeAccess(Math.floor(refreshTokenSeconds / 86_400));
  const body = <ConsentPage organisation={organisation} details={details} access={access} handle={handle} />;
  const formTargets = formTargetsOf(request);
  return htmlPage({ title: consentTitle(organisation), organisation, body, headers, formTargets });
}

/**
 * Before the provider looks at the request, as it would lead errors to any scheme of a program: metadata documents may list others, and
 * so may clients that were registered when schemes were not checked or others were allowed. Throws `AuthorizationError`.
 */
function requireAllowedScheme(raw: Request, { allowedRedirectSchemes = [] }: AuthorizeOptions): void {
  const uri = new URL(raw.url).searchParams.get("redirect_uri") ?? "";
  if (privateUseScheme(uri) !== undefined && !isUsableRedirectUri(uri, allowedRedirectSchemes)) throw invalidRedirect();
}

/** The provider lets the port of a loopback host float, whatever the scheme. Throws `AuthorizationError`. */
async function requireExactRedirect({ clientId, redirectUri }: AuthRequest, oauth: OAuthHelpers): Promise<void> {
  if (privateUseScheme(redirectUri) === undefined || !hasFloatingPort(redirectUri)) return;
  const client = await oauth.lookupClient(clientId);
  if (client?.redirectUris.includes(redirectUri) !== true) throw invalidRedirect();
}

function invalidRedirect(): AuthorizationError {
  return new AuthorizationError("invalid_request", { description: "Invalid redirect URI" });
}

async function takeDecision(raw: Request, oauth: OAuthHelpers, options: AuthorizeOptions): Promise<Response> {
  const { organisation, signIn } = options;
  const form = await raw.clone().formData();
  const handle = textField(form, "handle");
  switch (textField(form, "decision")) {
    case "approve": {
      // The scopes are settled after the handle is opened: they belong to the stored request, not to the form.
      const approved = await oauth.approveConsent(raw, handle);
      const request = { ...approved.request, scope: [...grantedScopes(approved.request.scope)] };
      const { data, next } = await signIn.start();
      const { state, headers } = await oauth.beginUpstream(request, { data, headers: approved.headers });
      return firstStep(await next(state), headers, { organisation, formTargets: formTargetsOf(request) });
    }
    case "deny":
      return new Response(null, { status: 302, headers: (await oauth.denyConsent(raw, handle)).headers });
    default:
      return problem("Choose whether to connect: go back and press one of the two buttons.");
  }
}

async function finishSignIn(raw: Request, oauth: OAuthHelpers, { signIn }: AuthorizeOptions): Promise<Response> {
  // First, as it holds what finishing needs, and proves that this browser began it; it works once.
  const { request, data, headers } = await oauth.finishUpstream(raw);
  const end = await signIn.finish(raw, data);
  if ("refused" in end) return refuse(request, end.refused, headers);
  const identity = await identityOf(end.claims);
  const { clientName } = await oauth.describeConsent(request);
  const clientDomain = documentHost(request.clientId) ?? null;
  const metadata: ConnectionMetadata = { clientName: displayName(clientName), clientDomain };
  const { redirectTo } = await oauth.completeAuthorization({
    request,
    userId: identity.subjectId,
    metadata,
    scope: request.scope,
    props: { ...identity, renewal: end.renewal } satisfies GrantProps,
    // A second device of the same person must not sign out the first.
    revokeExistingGrants: false,
  });
  return redirect(redirectTo, headers);
}

/** Explains a request that cannot be sent back to its client: an unknown client, a step that was taken before, or a wrong request. */
async function explain({ description }: AuthorizationError, raw: Request, oauth: OAuthHelpers): Promise<Response> {
  const { pathname, searchParams } = new URL(raw.url);
  if (pathname !== AUTHORIZE_PATH || raw.method !== "GET") return usedUpPage();
  const clientId = searchParams.get("client_id") ?? "";
  if (clientId === "") return problem(description);
  try {
    const client = await oauth.lookupClient(clientId);
    if (client === null) return unknownClientPage(clientId);
    const isRegistered = client.redirectUris.includes(searchParams.get("redirect_uri") ?? "");
    return isRegistered ? problem(description) : wrongRedirectPage(description);
  } catch (error) {
    // A request can be refused before its client is looked up. An error that is thrown from here would become a 500.
    if (error instanceof CimdFetchError) return documentPage(error.metadataUrl);
    throw error;
  }
}

/** The person has agreed to this client, so the page may lead back to it; what went wrong is for the person alone. */
function refuse(request: AuthRequest, text: string, headers: Headers): Promise<Response> {
  const back = authorizationErrorRedirect(request, "access_denied");
  const next = (
    <>
      To start again, connect from your assistant once more, or <a href={back}>go back to it</a> without signing in.
    </>
  );
  return problemPage(text, { status: 403, headers, next });
}

/**
 * Where forms of the flow may lead: the client's redirect URI, and wherever that redirects to. Browsers hold the whole
 * chain to form-action, so anything narrower than the schemes breaks clients whose callback is not the last stop.
 */
function formTargetsOf({ redirectUri }: AuthRequest): readonly string[] {
  const scheme = privateUseScheme(redirectUri);
  return ["http:", "https:", ...(scheme === undefined ? [] : [scheme])];
}

/**
 * Before anybody has agreed to anything, only a program on the person's own computer is sent back to by itself: anybody
 * can register a client, and this must not become their redirector (RFC 9700 §4.11.2).
 */
function sendBack(location: string, description: string): Response | Promise<Response> {
  const { hostname, host } = new URL(location);
  const scheme = privateUseScheme(location);
  if (scheme === undefined && isLoopbackHost(hostname)) return redirect(location);
  const body = (
    <>
      <p>The program's request was not right: {escapeInvisible(description)}.</p>
      <p>
        <a href={location} rel="noreferrer">
          Go back to {scheme === undefined ? host : `the program for ${scheme} links`}
        </a>
      </p>
    </>
  );
  return htmlPage({ title: "This did not work", body, status: 400 });
}

function problem(text: string, status = 400): Promise<Response> {
  return problemPage(text, { status, next: "To start again, connect from your assistant once more." });
}
