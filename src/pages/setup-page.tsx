// The page where a signed-in user enters the setup code to become the first owner. members/setup.ts checks the code.
import { Hono } from "hono";
import type { Setup } from "../members/setup.ts";
import type { BrowserSession, BrowserSessions } from "../sign-in/browser-session.ts";
import { CsrfField } from "../sign-in/csrf.tsx";
import { problemPage, redirect, requireForm, readTextField } from "../sign-in/problem-page.tsx";
import { buildSignInPath } from "../sign-in/sign-in.ts";
import { AppError } from "../errors.ts";
import { htmlPage } from "../ui/layout.tsx";

/** What the setup page needs. */
export interface SetupPageOptions {
  readonly sessions: BrowserSessions;
  readonly setup: Setup;
}

/** Where the first owner enters the setup code. */
export const SETUP_PATH = "/set-up";
const CODE_FIELD = "code";
const MAX_CODE_LENGTH = 200;

/** Creates the routes of the page. */
export function createSetupRoutes({ sessions, setup }: SetupPageOptions): Hono {
  const app = new Hono();
  app.get(SETUP_PATH, async ({ req }) => {
    const session = await sessions.read(req.raw);
    if (session === undefined) return redirect(buildSignInPath(SETUP_PATH));
    if (!(await setup.isOpen())) return closedPage();
    return htmlPage({ title: "Set up this server", body: <CodeForm session={session} /> });
  });
  app.post(SETUP_PATH, requireForm, async ({ req }) => {
    const session = await sessions.read(req.raw);
    if (session === undefined) return redirect(buildSignInPath(SETUP_PATH));
    const form = await req.raw.formData();
    if (!sessions.hasCsrfToken(session, form))
      return problemPage("This form did not come from a page of this server, so nothing was changed.", { status: 403 });
    const roles = await enterCode(setup, session, readTextField(form, CODE_FIELD).slice(0, MAX_CODE_LENGTH));
    if (roles instanceof AppError) {
      const retryLink = <a href={SETUP_PATH}>Enter the code again</a>;
      return problemPage(roles.publicMessage, { status: roles.code === "limit_reached" ? 429 : 403, next: retryLink });
    }
    return htmlPage({ title: "You are the owner", body: <SetupDone email={session.identity.email} roles={roles} /> });
  });
  return app;
}

async function enterCode(
  setup: Setup,
  { identity }: BrowserSession,
  code: string,
): Promise<readonly string[] | AppError> {
  try {
    return await setup.enterCode(identity, code);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

function closedPage(): Promise<Response> {
  const text = [
    "Setup is closed. This server has or had an owner, its setup code was used, voided or never set,",
    "or its policy file has no role with administers: true.",
  ].join(" ");
  return problemPage(text, { status: 404, next: <a href="/">Go to the start page</a> });
}

function CodeForm({ session }: { readonly session: BrowserSession }) {
  return (
    <>
      <p>
        You are signed in as <strong>{session.identity.email}</strong>. The deployment of this server printed a setup
        code. Enter it to become the owner. It works once.
      </p>
      <form method="post" action={SETUP_PATH}>
        <CsrfField token={session.csrfToken} />
        <label>
          Setup code <input name={CODE_FIELD} autocomplete="off" required maxlength={MAX_CODE_LENGTH} />
        </label>
        <button class="primary" type="submit">
          Become the owner
        </button>
      </form>
    </>
  );
}

function SetupDone({ email, roles }: { readonly email: string; readonly roles: readonly string[] }) {
  return (
    <>
      <p>
        <strong>{email}</strong> now has the roles: {roles.join(", ")}. The setup code no longer works.
      </p>
      <p>
        <a href="/">Go to the start page</a>
      </p>
    </>
  );
}
