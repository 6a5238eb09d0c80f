// Sign-in and sign-out of a person who comes by browser, without a client: it ends with a browser session and the page that
// they wanted. Needs no consent, as nobody else gets anything.
import { Hono } from "hono";
import type { Context } from "hono";
import { htmlPage } from "../ui/layout.tsx";
import type { BrowserSession, BrowserSessions } from "./browser-session.ts";
import { CsrfField } from "./csrf.tsx";
import { isPageState, openPending, takePending } from "./pending.ts";
import { firstStep, problemPage, redirect, requireForm } from "./problem.tsx";
import { returnUrl } from "./return-path.ts";
import { CALLBACK_PATH, SIGN_IN_PATH, SIGN_OUT_PATH, signInPath } from "./sign-in.ts";
import type { SignIn } from "./sign-in.ts";
import { identityOf } from "./subject.ts";

export interface BrowserSignInOptions {
  /** This deployment's own, from its settings. */
  readonly origin: string;
  readonly organisation: string;
  readonly signIn: SignIn;
  readonly sessions: BrowserSessions;
}

/** Routes of sign-in and sign-out. They come before those of the authorization flow, which share the callback. */
export function createBrowserSignInRoutes(options: BrowserSignInOptions): Hono {
  const app = new Hono();
  app.get(SIGN_IN_PATH, ({ req }) => begin(req.raw, req.query("to"), options));
  app.post(CALLBACK_PATH, requireForm);
  app.on(["GET", "POST"], CALLBACK_PATH, async (context, next) => {
    const state = context.req.query("state") ?? "";
    return isPageState(state) ? finish(context, state, options) : next();
  });
  app.get(SIGN_OUT_PATH, ({ req }) => askToSignOut(req.raw, options));
  app.post(SIGN_OUT_PATH, requireForm, ({ req }) => signOut(req.raw, options));
  return app;
}

async function begin(raw: Request, to: string | undefined, options: BrowserSignInOptions): Promise<Response> {
  const { signIn, sessions, origin, organisation } = options;
  const refusal = signIn.refusal(raw);
  if (refusal !== undefined) return problemPage(refusal, { status: 403 });
  if ((await sessions.read(raw)) !== undefined) return redirect(returnUrl(to, origin));
  const { data, next } = await signIn.start();
  // Of our paths only, and no longer than a cookie holds.
  const { pathname, search } = new URL(returnUrl(to, origin));
  const { state, cookie } = openPending(`${pathname}${search}`, data);
  const headers = new Headers({ "Set-Cookie": cookie });
  return firstStep(await next(state), headers, { organisation });
}

async function finish({ req }: Context, state: string, options: BrowserSignInOptions): Promise<Response> {
  const { signIn, sessions, origin } = options;
  const taken = takePending(req.raw, state);
  if (taken === undefined)
    return problemPage("This sign-in was not begun in this browser, or took longer than ten minutes.", {
      next: <StartAgain to="/" />,
    });
  const { pending, cookie } = taken;
  const end = await signIn.finish(req.raw, pending.data);
  if ("refused" in end) {
    const headers = new Headers({ "Set-Cookie": cookie });
    return problemPage(end.refused, { status: 403, headers, next: <StartAgain to={pending.to} /> });
  }
  // A new id for each sign-in; the one before ends, whoever it was of.
  await sessions.end(req.raw);
  const headers = await sessions.begin(await identityOf(end.claims));
  headers.append("Set-Cookie", cookie);
  return redirect(returnUrl(pending.to, origin), headers);
}

async function askToSignOut(raw: Request, { sessions, origin, organisation }: BrowserSignInOptions): Promise<Response> {
  const session = await sessions.read(raw);
  if (session === undefined) return redirect(returnUrl("/", origin));
  return htmlPage({ title: "Sign out?", organisation, body: <SignOutForm session={session} /> });
}

async function signOut(raw: Request, { sessions, origin }: BrowserSignInOptions): Promise<Response> {
  const session = await sessions.read(raw);
  // Another site's form comes without the cookie: taking it away would sign the person out for that site.
  if (session === undefined) return redirect(returnUrl("/", origin));
  if (!sessions.isOwnForm(session, await raw.clone().formData()))
    return problemPage("This form was not of our page, so nothing was done.", { status: 403 });
  return redirect(returnUrl("/", origin), await sessions.end(raw));
}

/** A button that signs out, for any page of a signed-in person. */
export function SignOutForm({ session }: { readonly session: BrowserSession }) {
  return (
    <form method="post" action={SIGN_OUT_PATH}>
      <CsrfField token={session.csrfToken} />
      <button type="submit">Sign out {session.identity.email}</button>
    </form>
  );
}

function StartAgain({ to }: { readonly to: string }) {
  return <a href={signInPath(to)}>Sign in again</a>;
}
