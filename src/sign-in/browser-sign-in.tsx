// Sign-in and sign-out on this server's own pages. A sign-in ends with a browser session and a redirect to the requested page.
// It asks for no consent, because no client gets access.
import { Hono } from "hono";
import type { Context } from "hono";
import { htmlPage } from "../ui/layout.tsx";
import type { BrowserSession, BrowserSessions } from "./browser-session.ts";
import { CsrfField } from "./csrf.tsx";
import { isPageState, createPendingSignIn, takePendingSignIn } from "./pending-sign-in.ts";
import { respondWithStep, problemPage, redirect, requireForm } from "./problem-page.tsx";
import { resolveReturnUrl } from "./return-path.ts";
import { CALLBACK_PATH, SIGN_IN_PATH, SIGN_OUT_PATH, buildSignInPath } from "./sign-in.ts";
import type { SignIn } from "./sign-in.ts";
import { deriveIdentity } from "./verified-identity.ts";

/** What the routes of sign-in and sign-out need. */
export interface BrowserSignInOptions {
  /** The origin of this deployment, from its settings. */
  readonly origin: string;
  readonly organisation: string;
  readonly signIn: SignIn;
  readonly sessions: BrowserSessions;
}

/** Creates the routes of sign-in and sign-out. Mount them before the authorization flow, which shares the callback path. */
export function createBrowserSignInRoutes(options: BrowserSignInOptions): Hono {
  const app = new Hono();
  app.get(SIGN_IN_PATH, ({ req }) => beginSignIn(req.raw, req.query("to"), options));
  app.post(CALLBACK_PATH, requireForm);
  app.on(["GET", "POST"], CALLBACK_PATH, async (context, next) => {
    const state = context.req.query("state") ?? "";
    return isPageState(state) ? finishSignIn(context, state, options) : next();
  });
  app.get(SIGN_OUT_PATH, ({ req }) => confirmSignOut(req.raw, options));
  app.post(SIGN_OUT_PATH, requireForm, ({ req }) => signOut(req.raw, options));
  return app;
}

async function beginSignIn(raw: Request, to: string | undefined, options: BrowserSignInOptions): Promise<Response> {
  const { signIn, sessions, origin, organisation } = options;
  const refusal = signIn.findRefusal(raw);
  if (refusal !== undefined) return problemPage(refusal, { status: 403 });
  if ((await sessions.read(raw)) !== undefined) return redirect(resolveReturnUrl(to, origin));
  const { data, next } = await signIn.start();
  // Resolved to a path of this server before it goes into the cookie, which limits its length.
  const { pathname, search } = new URL(resolveReturnUrl(to, origin));
  const { state, cookie } = createPendingSignIn(`${pathname}${search}`, data);
  const headers = new Headers({ "Set-Cookie": cookie });
  return respondWithStep(await next(state), headers, { organisation });
}

async function finishSignIn({ req }: Context, state: string, options: BrowserSignInOptions): Promise<Response> {
  const { signIn, sessions, origin } = options;
  const pendingSignIn = takePendingSignIn(req.raw, state);
  if (pendingSignIn === undefined)
    return problemPage("This sign-in did not start in this browser, or it took longer than ten minutes.", {
      next: <StartAgain to="/" />,
    });
  const { pending, cookie } = pendingSignIn;
  const result = await signIn.finish(req.raw, pending.data);
  if ("refused" in result) {
    const headers = new Headers({ "Set-Cookie": cookie });
    return problemPage(result.refused, { status: 403, headers, next: <StartAgain to={pending.to} /> });
  }
  // Each sign-in gets a new session id (against session fixation), and the previous session ends.
  await sessions.end(req.raw);
  const headers = await sessions.begin(await deriveIdentity(result.claims));
  headers.append("Set-Cookie", cookie);
  return redirect(resolveReturnUrl(pending.to, origin), headers);
}

async function confirmSignOut(
  raw: Request,
  { sessions, origin, organisation }: BrowserSignInOptions,
): Promise<Response> {
  const session = await sessions.read(raw);
  if (session === undefined) return redirect(resolveReturnUrl("/", origin));
  return htmlPage({ title: "Sign out?", organisation, body: <SignOutForm session={session} /> });
}

async function signOut(raw: Request, { sessions, origin }: BrowserSignInOptions): Promise<Response> {
  const session = await sessions.read(raw);
  // A form sent from another site arrives without the cookie. Deleting the cookie here would let that site sign the user out.
  if (session === undefined) return redirect(resolveReturnUrl("/", origin));
  if (!sessions.hasCsrfToken(session, await raw.clone().formData()))
    return problemPage("This form did not come from a page of this server, so nothing was changed.", { status: 403 });
  return redirect(resolveReturnUrl("/", origin), await sessions.end(raw));
}

/** Renders the button that signs the user out. */
function SignOutForm({ session }: { readonly session: BrowserSession }) {
  return (
    <form method="post" action={SIGN_OUT_PATH}>
      <CsrfField token={session.csrfToken} />
      <button type="submit">Sign out {session.identity.email}</button>
    </form>
  );
}

function StartAgain({ to }: { readonly to: string }) {
  return <a href={buildSignInPath(to)}>Sign in again</a>;
}
