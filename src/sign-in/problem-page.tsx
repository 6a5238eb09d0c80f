// The error page of the sign-in flows, and what their routes share: the content type check of forms, form fields and redirects.
import type { Context, Next } from "hono";
import { escapeInvisible } from "../lib/visible-text.ts";
import { htmlPage } from "../ui/layout.tsx";
import type { PageOptions } from "../ui/layout.tsx";
import type { NextStep } from "./sign-in.ts";

interface ProblemOptions {
  /** What the user can do next: text or JSX. */
  readonly next?: unknown;
  readonly status?: number;
  readonly headers?: Headers;
}

/** Renders the error page; `text` is for the user and may hold text of another system. */
export function problemPage(text: string, { next, status = 400, headers }: ProblemOptions = {}): Promise<Response> {
  const body = (
    <>
      <p>{escapeInvisible(text)}</p>
      {next !== undefined && <p>{next}</p>}
    </>
  );
  return htmlPage({ title: "This did not work", body, status, ...(headers === undefined ? {} : { headers }) });
}

/** Responds with the first step of a sign-in. `frame` applies when the step is a page of this server. */
export async function respondWithStep(
  step: NextStep,
  headers: Headers,
  frame: Pick<PageOptions, "organisation" | "formTargets">,
): Promise<Response> {
  if ("refused" in step) return problemPage(step.refused, { status: 503, headers });
  return "page" in step ? htmlPage({ ...step.page, headers, ...frame }) : redirect(step.redirectTo, headers);
}

/** Accepts only `application/x-www-form-urlencoded`: other sites can send other form types, whose bodies hold more than a form has. */
export async function requireForm({ req }: Context, next: Next): Promise<Response | void> {
  const type = req.header("Content-Type") ?? "";
  if (type.startsWith("application/x-www-form-urlencoded")) return next();
  return problemPage("This address accepts only forms from pages of this server.");
}

/** Reads the text of a form field, empty when it is missing. */
export function readTextField(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === "string" ? value : "";
}

/** Responds with a redirect (302) that also sends `headers`. */
export function redirect(location: string, headers: Headers = new Headers()): Response {
  headers.set("Location", location);
  headers.set("Cache-Control", "no-store");
  return new Response(null, { status: 302, headers });
}
