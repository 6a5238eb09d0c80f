// The authorization endpoint: consent, then sign-in, then back to the client with a code. The OAuth provider keeps the
// request between the steps; nothing of it is taken from a form.
import { AuthorizationError, CimdFetchError, authorizationErrorRedirect } from "@cloudflare/workers-oauth-provider";
import type { AuthRequest, OAuthHelpers } from "@cloudflare/workers-oauth-provider";
import { Hono } from "hono";
import { htmlPage } from "../ui/layout.tsx";
import { ConsentPage, consentTitle } from "./consent.tsx";
import { grantedScopes } from "./scopes.ts";
import { SIGN_IN_PATH } from "./sign-in.ts";
import type { SignIn } from "./sign-in.ts";
import { identityOf } from "./subject.ts";

export interface AuthorizeOptions {
  readonly organisation: string;
  readonly signIn: SignIn;
}

/** The OAuth provider puts its helpers into the environment of the default handler. */
export interface AuthorizeEnv {
  readonly Bindings: { readonly OAUTH_PROVIDER: OAuthHelpers };
}

export const AUTHORIZE_PATH = "/authorize";

/** Routes of the authorization flow. */
export function createAuthorizeRoutes({ organisation, signIn }: AuthorizeOptions): Hono<AuthorizeEnv> {
  const app = new Hono<AuthorizeEnv>();

  app.get(AUTHORIZE_PATH, async (context) => {
    const oauth = context.env.OAUTH_PROVIDER;
    const request = await oauth.parseAuthRequest(context.req.raw);
    // OAuth 2.1 §4.1.1: PKCE is for every client, also for those that could authenticate.
    if (request.codeChallenge === undefined || request.codeChallengeMethod !== "S256") {
      return redirect(
        authorizationErrorRedirect(request, "invalid_request", "code_challenge with method S256 is required"),
      );
    }
    const details = await oauth.describeConsent(request);
    const { handle, headers } = await oauth.beginConsent(request);
    const body = (
      <ConsentPage
        organisation={organisation}
        details={details}
        scopes={grantedScopes(request.scope)}
        handle={handle}
      />
    );
    return htmlPage({ title: consentTitle(organisation), body, headers, formTargets: [redirectTarget(request)] });
  });

  app.post(AUTHORIZE_PATH, async (context) => {
    const oauth = context.env.OAUTH_PROVIDER;
    const form = await context.req.raw.clone().formData();
    const handle = textField(form, "handle");
    switch (textField(form, "decision")) {
      case "approve":
        return approve(oauth, context.req.raw, handle);
      case "deny":
        return new Response(null, { status: 302, headers: (await oauth.denyConsent(context.req.raw, handle)).headers });
      default:
        return problem("Choose whether to connect: go back and press one of the two buttons.");
    }
  });

  app.post(SIGN_IN_PATH, async (context) => {
    const oauth = context.env.OAUTH_PROVIDER;
    const end = await signIn.finish(context.req.raw.clone());
    if ("refused" in end) return problem(end.refused);
    const { request, headers } = await oauth.finishUpstream(context.req.raw);
    const identity = await identityOf(end.claims);
    const { redirectTo } = await oauth.completeAuthorization({
      request,
      userId: identity.subjectId,
      metadata: {},
      scope: request.scope,
      props: identity,
      // A second device of the same person must not sign out the first.
      revokeExistingGrants: false,
    });
    return redirect(redirectTo, headers);
  });

  async function approve(oauth: OAuthHelpers, raw: Request, handle: string): Promise<Response> {
    // The scopes are settled after the handle is opened: they belong to the stored request, not to the form.
    const approved = await oauth.approveConsent(raw, handle);
    const request = { ...approved.request, scope: [...grantedScopes(approved.request.scope)] };
    const { state, headers } = await oauth.beginUpstream(request, { headers: approved.headers });
    const start = signIn.begin({ request: raw, state });
    if ("refused" in start) return problem(start.refused, 403);
    return htmlPage({ ...start.page, headers, formTargets: [redirectTarget(request)] });
  }

  app.onError((error) => {
    if (error instanceof AuthorizationError) {
      return error.redirectTo === undefined ? problem(error.description) : redirect(error.redirectTo);
    }
    if (error instanceof CimdFetchError)
      return problem("The program's description could not be fetched or is not valid.");
    throw error;
  });
  return app;
}

/** The origin that the flow ends at; private schemes have none, so their scheme stands for it. */
function redirectTarget(request: AuthRequest): string {
  const { origin, protocol } = new URL(request.redirectUri);
  return origin === "null" ? protocol : origin;
}

function redirect(location: string, headers: Headers = new Headers()): Response {
  headers.set("Location", location);
  return new Response(null, { status: 302, headers });
}

function textField(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === "string" ? value : "";
}

function problem(text: string, status = 400): Promise<Response> {
  const body = (
    <>
      <p>{text}</p>
      <p>To start again, connect from your assistant once more.</p>
    </>
  );
  return htmlPage({ title: "This did not work", body, status });
}
