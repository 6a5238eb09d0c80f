// The border of the JSON API: whose requests it takes, what it reads of them, and how failures look. Everything behind it has a
// signed-in person and parsed input.
import type { Context, Next } from "hono";
import type * as z from "zod";
import type { BrowserSession, BrowserSessions } from "../auth/browser-session.ts";
import { CSRF_HEADER } from "../auth/csrf.tsx";
import { AppError } from "../errors.ts";
import type { ErrorCode } from "../errors.ts";
import { readText } from "../lib/body.ts";

export interface ApiBorderOptions {
  readonly origin: string;
  readonly sessions: BrowserSessions;
}

/** What the routes behind the border find in their context. */
export interface SignedIn {
  readonly session: BrowserSession;
}

const MAX_BODY_BYTES = 16_384;
const READING = ["GET", "HEAD"];

/**
 * Lets a request through that our own page made for a signed-in person. The session cookie alone proves nothing about who wrote a
 * request: what changes something must come from this origin and bring the session's CSRF token.
 * Errors: `not_signed_in`, `not_allowed`.
 */
export async function enter(request: Request, { origin, sessions }: ApiBorderOptions): Promise<BrowserSession> {
  if (request.headers.has("Authorization"))
    throw new AppError("not_signed_in", "This takes people signed in at a browser. Access tokens are for /mcp only.");
  const from = request.headers.get("Origin");
  const isReading = READING.includes(request.method);
  // Browsers send it with every request that is not a plain GET of the same origin.
  if (from === null ? !isReading : from !== origin) throw notOurs();
  const site = request.headers.get("Sec-Fetch-Site");
  if (site !== null && site !== "same-origin" && site !== "none") throw notOurs();
  const session = await sessions.read(request);
  if (session === undefined) throw new AppError("not_signed_in", `Nobody is signed in. Sign in at ${origin}/sign-in.`);
  if (!isReading && !sessions.isOwnForm(session, request.headers.get(CSRF_HEADER)))
    throw new AppError(
      "not_allowed",
      `The header ${CSRF_HEADER} does not have this session's token; /api/session tells it.`,
    );
  return session;
}

function notOurs(): AppError {
  return new AppError("not_allowed", "This request did not come from a page of this server.");
}

/** The body, read and parsed. Errors: `invalid_input`, naming what is wrong. */
export async function readBody<T>(request: Request, schema: z.ZodType<T>): Promise<T> {
  if (!/^application\/json(?:;|$)/i.test(request.headers.get("Content-Type") ?? ""))
    throw new AppError("invalid_input", "The body must be application/json.");
  const text = await readText(request, MAX_BODY_BYTES);
  if (text === undefined) throw new AppError("invalid_input", `The body is longer than ${MAX_BODY_BYTES} bytes.`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new AppError("invalid_input", "The body is not JSON.", { cause });
  }
  return parseInput(value, schema);
}

/** Errors: `invalid_input`, naming the first thing that is wrong. */
export function parseInput<T>(value: unknown, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? "The input" : issue.path.map(String).join(".");
  throw new AppError("invalid_input", `${where}: ${issue?.message ?? "is not right"}.`);
}

/** Nothing of the API is kept by a browser or a cache. */
export async function neverStored(context: Context, next: Next): Promise<void> {
  await next();
  context.res.headers.set("Cache-Control", "no-store");
  context.res.headers.set("X-Content-Type-Options", "nosniff");
}

export interface ErrorReporter {
  readonly newId: () => string;
  readonly logDefect: (id: string, error: unknown) => void;
}

/** A failure as JSON: a code of the closed set and what to do. Anything else is told by an id that the log has too. */
export function errorResponse(thrown: unknown, { newId, logDefect }: ErrorReporter): Response {
  if (thrown instanceof AppError) {
    const { code, publicMessage: message } = thrown;
    return Response.json({ error: { code, message } }, { status: statusOf(code) });
  }
  const id = newId();
  logDefect(id, thrown);
  const message = `Internal error ${id}. Tell whoever runs this server.`;
  return Response.json({ error: { code: "internal", message } }, { status: 500 });
}

function statusOf(code: ErrorCode): number {
  switch (code) {
    case "invalid_input":
    case "query_refused":
    case "query_failed":
      return 400;
    case "not_signed_in":
      return 401;
    case "not_allowed":
      return 403;
    case "not_found":
      return 404;
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
