// Serves /health for uptime monitors: whether this deployment can serve its users. Anyone may ask, so it says no more than a cause of a
// closed list, and asks the database rarely.
import { DatabaseLayoutError, requireDatabaseLayout, withDeadline } from "./database-layout-store.ts";

export const HEALTH_PATH = "/health";

/** Every cause of a failure. `docs/maintaining.md` explains each; a test compares the two. */
export const HEALTH_CAUSES = ["not_configured", "wrong_layout", "database_unavailable"] as const;

export type Health = "ok" | (typeof HEALTH_CAUSES)[number];

/** How long an isolate answers with what it last learnt of the database. */
const FRESH_MS = 5000;

interface HealthCheckOptions {
  readonly database: D1Database;
  /** Returns milliseconds since the epoch. */
  readonly now: () => number;
  /** Continues work after the response was sent. */
  readonly waitUntil: (work: Promise<unknown>) => void;
  readonly onError: (error: unknown) => void;
}

/** Creates a check that reads the layout of GATEHOUSE_DB at most once every five seconds, however many requests ask. */
export function createHealthCheck({ database, now, waitUntil, onError }: HealthCheckOptions): () => Promise<Health> {
  let latest: { readonly startedMs: number; readonly health: Promise<Health> } | undefined;

  async function readHealth(): Promise<Health> {
    try {
      await withDeadline(requireDatabaseLayout(database));
      return "ok";
    } catch (error) {
      onError(error);
      return error instanceof DatabaseLayoutError ? "wrong_layout" : "database_unavailable";
    }
  }

  return async () => {
    if (latest === undefined || now() - latest.startedMs >= FRESH_MS) {
      latest = { startedMs: now(), health: readHealth() };
      // The request that started it may be cancelled while others wait for it.
      waitUntil(latest.health);
    }
    // If the platform ends that request all the same, its promise never settles.
    return withDeadline(latest.health).catch((): Health => "database_unavailable");
  };
}

/** Answers GET with the health as JSON, 200 or 503, and HEAD without the body; refuses other methods. */
export function createHealthResponse({ method }: Request, health: Health): Response {
  const headers = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" };
  if (method !== "GET" && method !== "HEAD")
    return new Response(null, { status: 405, headers: { ...headers, Allow: "GET, HEAD" } });
  const body = health === "ok" ? { status: "ok" } : { status: "failed", cause: health };
  const response = Response.json(body, { status: health === "ok" ? 200 : 503, headers });
  return method === "HEAD" ? new Response(null, response) : response;
}
