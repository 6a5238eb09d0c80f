// The page where the first owner enters the set-up code, after sign-in.
import { Hono } from "hono";
import type { SetUp } from "../access/set-up.ts";
import type { BrowserSession, BrowserSessions } from "../auth/browser-session.ts";
import { CsrfField } from "../auth/csrf.tsx";
import { problemPage, redirect, requireForm, textField } from "../auth/problem.tsx";
import { signInPath } from "../auth/sign-in.ts";
import { AppError } from "../errors.ts";
import { htmlPage } from "../ui/layout.tsx";

export interface SetUpOptions {
  readonly sessions: BrowserSessions;
  readonly setUp: SetUp;
}

export const SET_UP_PATH = "/set-up";
const CODE_FIELD = "code";
const MAX_CODE_LENGTH = 200;

export function createSetUpRoutes({ sessions, setUp }: SetUpOptions): Hono {
  const app = new Hono();
  app.get(SET_UP_PATH, async ({ req }) => {
    const session = await sessions.read(req.raw);
    if (session === undefined) return redirect(signInPath(SET_UP_PATH));
    if (!(await setUp.isOpen())) return closedPage();
    return htmlPage({ title: "Set up this server", body: <CodeForm session={session} /> });
  });
  app.post(SET_UP_PATH, requireForm, async ({ req }) => {
    const session = await sessions.read(req.raw);
    if (session === undefined) return redirect(signInPath(SET_UP_PATH));
    const form = await req.raw.formData();
    if (!sessions.isOwnForm(session, form))
      return problemPage("This form was not of our page, so nothing was done.", { status: 403 });
    const roles = await enter(setUp, session, textField(form, CODE_FIELD).slice(0, MAX_CODE_LENGTH));
    if (roles instanceof AppError) {
      const again = <a href={SET_UP_PATH}>Enter the code again</a>;
      return problemPage(roles.publicMessage, { status: roles.code === "limit_reached" ? 429 : 403, next: again });
    }
    return htmlPage({ title: "You are the owner", body: <Done email={session.identity.email} roles={roles} /> });
  });
  return app;
}

async function enter(setUp: SetUp, { identity }: BrowserSession, code: string): Promise<readonly string[] | AppError> {
  try {
    return await setUp.enter(identity, code);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

function closedPage(): Promise<Response> {
  return problemPage(
    "There is nothing to set up: this server has or had an owner, its set-up code was used or voided or there is none, or its policy file has no role with administers: true.",
    { status: 404, next: <a href="/">Go to the start page</a> },
  );
}

function CodeForm({ session }: { readonly session: BrowserSession }) {
  return (
    <>
      <p>
        You are signed in as <strong>{session.identity.email}</strong>. Whoever deployed this server has seen a set-up
        code. Enter it to become its owner. It works once.
      </p>
      <form method="post" action={SET_UP_PATH}>
        <CsrfField token={session.csrfToken} />
        <label>
          Set-up code <input name={CODE_FIELD} autocomplete="off" required maxlength={MAX_CODE_LENGTH} />
        </label>
        <button class="primary" type="submit">
          Become the owner
        </button>
      </form>
    </>
  );
}

function Done({ email, roles }: { readonly email: string; readonly roles: readonly string[] }) {
  return (
    <>
      <p>
        <strong>{email}</strong> has now: {roles.join(", ")}. The code does not work any more.
      </p>
      <p>
        <a href="/">Go to the start page</a>
      </p>
    </>
  );
}
