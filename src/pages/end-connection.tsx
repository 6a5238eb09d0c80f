// The route behind the buttons of the start page that end a connection.
import { Hono } from "hono";
import type { AuthorizeEnv } from "../oauth/authorize.tsx";
import type { BrowserSessions } from "../sign-in/browser-session.ts";
import type { Connections } from "../oauth/connections.ts";
import { problemPage, redirect, requireForm, readTextField } from "../sign-in/problem-page.tsx";
import { buildSignInPath } from "../sign-in/sign-in.ts";

/** Where the form is sent. */
export const END_CONNECTION_PATH = "/connections/end";
/** The form field that holds the id of the connection. */
export const CONNECTION_FIELD = "connection";

/** What the route needs. */
export interface ConnectionOptions {
  readonly sessions: BrowserSessions;
  readonly connections: Connections;
}

/** Creates the route. It redirects to the start page, also when the connection no longer exists. */
export function createConnectionRoutes({ sessions, connections }: ConnectionOptions): Hono<AuthorizeEnv> {
  return new Hono<AuthorizeEnv>().post(END_CONNECTION_PATH, requireForm, async ({ req }) => {
    const session = await sessions.read(req.raw);
    if (session === undefined) {
      return problemPage("You are no longer signed in, so the connection was not ended.", {
        status: 403,
        next: <a href={buildSignInPath("/")}>Sign in, then try again</a>,
      });
    }
    const form = await req.raw.formData();
    if (!sessions.hasCsrfToken(session, form)) {
      return problemPage("This form did not come from a page of this server, so the connection was not ended.", {
        status: 403,
        next: <a href="/">Go to the start page</a>,
      });
    }
    await connections.end(session.identity.subjectId, readTextField(form, CONNECTION_FIELD));
    return redirect("/#connections");
  });
}
