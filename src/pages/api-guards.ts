// Guards of the JSON API: they check the browser session, parse the body and render errors. The routes behind them have a signed-in
// user and parsed input.
import type { Context, Next } from "hono";
import type * as z from "zod";
import type { BrowserSession, BrowserSessions } from "../sign-in/browser-session.ts";
import { CSRF_HEADER } from "../sign-in/csrf.tsx";
import { AppError } from "../errors.ts";
import type { ErrorCode } from "../errors.ts";
import { readBodyText } from "../lib/body.ts";

/** What the guards need. */
export interface ApiGuardOptions {
  readonly origin: string;
  readonly sessions: BrowserSessions;
}

/** Variables of the request context that the routes behind the guards use. */
export interface ApiVariables {
  readonly session: BrowserSession;
}

const MAX_BODY_BYTES = 16_384;
const READ_METHODS = ["GET", "HEAD"];

/**
 * Returns the session of a request that a page of this server sent for a signed-in user. The session cookie alone does not prove that,
 * because other sites can make the browser send it: a request that changes something must come from this origin and have the session's
 * CSRF token. Errors: `not_signed_in`, `not_allowed`.
 */
export async function requireBrowserSession(
  request: Request,
  { origin, sessions }: ApiGuardOptions,
): Promise<BrowserSession> {
  if (request.headers.has("Authorization"))
    throw new AppError("not_signed_in", "The API accepts only browser sessions. Access tokens are for /mcp.");
  const originHeader = request.headers.get("Origin");
  const isRead = READ_METHODS.includes(request.method);
  // Browsers send Origin with every request except a same-origin GET or HEAD.
  if (originHeader === null ? !isRead : originHeader !== origin) throw createForeignRequestError();
  const fetchSite = request.headers.get("Sec-Fetch-Site");
  if (fetchSite !== null && fetchSite !== "same-origin" && fetchSite !== "none") throw createForeignRequestError();
  const session = await sessions.read(request);
  if (session === undefined)
    throw new AppError("not_signed_in", `You are not signed in. Sign in at ${origin}/sign-in.`);
  if (!isRead && !sessions.hasCsrfToken(session, request.headers.get(CSRF_HEADER)))
    throw new AppError(
      "not_allowed",
      `The header ${CSRF_HEADER} must hold this session's CSRF token, which /api/session returns.`,
    );
  return session;
}

function createForeignRequestError(): AppError {
  return new AppError("not_allowed", "This request did not come from a page of this server.");
}

/** Reads and parses a JSON body of at most 16 KiB. Errors: `invalid_input`, which names the problem. */
export async function readBody<T>(request: Request, schema: z.ZodType<T>): Promise<T> {
  if (!/^application\/json(?:;|$)/i.test(request.headers.get("Content-Type") ?? ""))
    throw new AppError("invalid_input", "The body must be application/json.");
  const text = await readBodyText(request, MAX_BODY_BYTES);
  if (text === undefined) throw new AppError("invalid_input", `The body is longer than ${MAX_BODY_BYTES} bytes.`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new AppError("invalid_input", "The body is not JSON.", { cause });
  }
  return parseInput(value, schema);
}

/** Parses a value with a schema. Errors: `invalid_input`, which names the first problem. */
export function parseInput<T>(value: unknown, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const path = issue === undefined || issue.path.length === 0 ? "The input" : issue.path.map(String).join(".");
  throw new AppError("invalid_input", `${path}: ${issue?.message ?? "is invalid"}.`);
}

/** Middleware that keeps browsers and caches from storing responses of the API. */
export async function preventCaching(context: Context, next: Next): Promise<void> {
  await next();
  context.res.headers.set("Cache-Control", "no-store");
  context.res.headers.set("X-Content-Type-Options", "nosniff");
}

/** Reports errors that are not `AppError`s, which are defects. */
export interface ErrorReporter {
  readonly newId: () => string;
  readonly logDefect: (id: string, error: unknown) => void;
}

/** Renders an error as JSON. An `AppError` shows its code and message; any other error shows only an id that the log has too. */
export function errorResponse(thrown: unknown, { newId, logDefect }: ErrorReporter): Response {
  if (thrown instanceof AppError) {
    const { code, publicMessage: message } = thrown;
    return Response.json({ error: { code, message } }, { status: toHttpStatus(code) });
  }
  const id = newId();
  logDefect(id, thrown);
  const message = `Internal error ${id}. Tell the operator of this server.`;
  return Response.json({ error: { code: "internal", message } }, { status: 500 });
}

/** Chooses the HTTP status of an error. */
export function toHttpStatus(code: ErrorCode): number {
  switch (code) {
    case "invalid_input":
    case "query_refused":
    case "query_failed":
      return 400;
    case "not_signed_in":
      return 401;
    case "not_allowed":
    case "paused":
      return 403;
    case "not_found":
      return 404;
    case "conflict":
      return 409;
    case "limit_reached":
      return 429;
    case "record_full":
    case "interrupted":
    case "source_unavailable":
      return 503;
    case "internal":
      return 500;
  }
}
