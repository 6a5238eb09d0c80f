// The page of the sign-in flows for what went wrong, and the check that their forms are forms.
import type { Context, Next } from "hono";
import { escapeInvisible } from "../lib/visible-text.ts";
import { htmlPage } from "../ui/layout.tsx";
import type { PageOptions } from "../ui/layout.tsx";
import type { NextStep } from "./sign-in.ts";

export interface ProblemOptions {
  /** What to do now. */
  readonly next?: unknown;
  readonly status?: number;
  readonly headers?: Headers;
}

export function problemPage(text: string, { next, status = 400, headers }: ProblemOptions = {}): Promise<Response> {
  const body = (
    <>
      <p>{escapeInvisible(text)}</p>
      {next !== undefined && <p>{next}</p>}
    </>
  );
  return htmlPage({ title: "This did not work", body, status, ...(headers === undefined ? {} : { headers }) });
}

/** The first step of a sign-in. `frame` is for a page of our own. */
export async function firstStep(
  step: NextStep,
  headers: Headers,
  frame: Pick<PageOptions, "organisation" | "formTargets">,
): Promise<Response> {
  if ("refused" in step) return problemPage(step.refused, { status: 503, headers });
  return "page" in step ? htmlPage({ ...step.page, headers, ...frame }) : redirect(step.redirectTo, headers);
}

/** Lets a form through and nothing else: other types can be sent from other sites with more in them than a form has. */
export async function requireForm({ req }: Context, next: Next): Promise<Response | void> {
  const type = req.header("Content-Type") ?? "";
  if (type.startsWith("application/x-www-form-urlencoded")) return next();
  return problemPage("This takes the forms of its own pages only.");
}

/** The text of a form's field, empty when there is none. */
export function textField(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === "string" ? value : "";
}

/** A redirect that takes headers along. */
export function redirect(location: string, headers: Headers = new Headers()): Response {
  headers.set("Location", location);
  headers.set("Cache-Control", "no-store");
  return new Response(null, { status: 302, headers });
}
