// The form behind the buttons of the start page that end a connection.
import { Hono } from "hono";
import type { AuthorizeEnv } from "../auth/authorize.tsx";
import type { BrowserSessions } from "../auth/browser-session.ts";
import type { Connections } from "../auth/connections.ts";
import { problemPage, redirect, requireForm, textField } from "../auth/problem.tsx";
import { signInPath } from "../auth/sign-in.ts";

export const END_CONNECTION_PATH = "/connections/end";
export const CONNECTION_FIELD = "connection";

export interface ConnectionOptions {
  readonly sessions: BrowserSessions;
  readonly connections: Connections;
}

export function createConnectionRoutes({ sessions, connections }: ConnectionOptions): Hono<AuthorizeEnv> {
  return new Hono<AuthorizeEnv>().post(END_CONNECTION_PATH, requireForm, async ({ req }) => {
    const session = await sessions.read(req.raw);
    if (session === undefined) {
      return problemPage("You are not signed in any more, so nothing was ended.", {
        status: 403,
        next: <a href={signInPath("/")}>Sign in, then try again</a>,
      });
    }
    const form = await req.raw.formData();
    if (!sessions.isOwnForm(session, form)) {
      return problemPage("This form was not of our page, so nothing was ended.", {
        status: 403,
        next: <a href="/">Go to the start page</a>,
      });
    }
    await connections.end(session.identity.subjectId, textField(form, CONNECTION_FIELD));
    return redirect("/#connections");
  });
}
