// The JSON API for a signed-in user: connections, personal access tokens, audit records and, for administering roles, members. Every
// change is recorded. There is no CORS: only pages of this server may use the API.
import { Hono } from "hono";
import * as z from "zod";
import type { AuditReading } from "../audit-reading/audit-reading.ts";
import type { MemberAdministration } from "../members/member-administration.ts";
import type { PatOperations } from "../personal-access-tokens/pat-operations.ts";
import type { AuthorizeEnv } from "../oauth/authorize.tsx";
import type { Connections } from "../oauth/connections.ts";
import { AppError } from "../errors.ts";
import { settleAll } from "../lib/settle-all.ts";
import { describeInvisible, displayName, firstInvisible } from "../lib/visible-text.ts";
import { requireEmailAddress } from "../policy/member-input.ts";
import { addAuditRoutes } from "./audit-api.ts";
import { requireBrowserSession, errorResponse, preventCaching, parseInput, readBody } from "./api-guards.ts";
import type { ApiGuardOptions, ErrorReporter, ApiVariables } from "./api-guards.ts";

/** What the routes of the API need. */
export interface ApiOptions extends ApiGuardOptions {
  readonly pats: PatOperations;
  readonly administration: MemberAdministration;
  readonly connections: Connections;
  /** Propagates the changes that commands and admins have stored, and carries out erasures of audit records. */
  readonly propagateAndErase: () => Promise<void>;
  /** Answers what the command line has asked in GATEHOUSE_DB about ledgers. */
  readonly answerHeadRequests: () => Promise<void>;
  /** Moves the commands that have read the audit log into their ledger. */
  readonly recordOperatorReads: () => Promise<void>;
  readonly auditReading: AuditReading;
  readonly reporter: ErrorReporter;
}

const API_PATH = "/api";

/** The context of the routes behind the guards. */
export interface ApiEnv extends AuthorizeEnv {
  readonly Variables: ApiVariables;
}

const nameSchema = z.string().min(1).max(100);
const newPatSchema = z.strictObject({
  // The check runs before trim(), which removes line ends and the byte order mark.
  name: z
    .string()
    .superRefine((text, context) => {
      const codePoint = firstInvisible(text);
      if (codePoint !== undefined) context.addIssue({ code: "custom", message: describeInvisible(codePoint) });
    })
    .trim()
    .min(1)
    .max(100),
  roles: z.array(nameSchema).min(1).max(50),
  days: z.int().min(1).max(36_500),
});
const scalarSchema = z.union([z.string().max(1000), z.number(), z.boolean()]);
const attributesSchema = z.record(nameSchema, z.union([scalarSchema, z.array(scalarSchema).max(100), z.null()]));

/** Creates the routes of the API. */
export function createApiRoutes(options: ApiOptions): Hono<ApiEnv> {
  const { pats, connections, auditReading, reporter } = options;
  const app = new Hono<ApiEnv>().basePath(API_PATH);
  app.use("*", preventCaching);
  app.onError((error) => errorResponse(error, reporter));
  // Propagates pending changes and answers the command line at once. It comes before the guard, because calling it
  // gives no access to anything.
  app.post("/upkeep", async (context) => {
    const tasks = [options.propagateAndErase, options.answerHeadRequests, options.recordOperatorReads];
    await settleAll(tasks, async (task) => task());
    return context.body(null, 204);
  });
  app.use("*", async (context, next) => {
    context.set("session", await requireBrowserSession(context.req.raw, options));
    await next();
  });
  app.get("/session", ({ var: { session } }) =>
    Response.json({ email: session.identity.email, csrfToken: session.csrfToken }),
  );
  app.get("/connections", async ({ var: { session } }) => {
    const userConnections = await connections.list(session.identity.subjectId);
    return Response.json({
      connections: userConnections.map((connection) => ({
        ...connection,
        clientName: displayName(connection.clientName),
      })),
    });
  });
  app.delete("/connections/:id", async (context) => {
    const id = parseInput(context.req.param("id"), nameSchema);
    // The grant object records the end and retries until it can, so that a user can end a connection when their ledger is full.
    if (!(await connections.end(context.var.session.identity.subjectId, id)))
      throw new AppError("not_found", "You have no connection with this id.");
    return context.body(null, 204);
  });
  app.get("/tokens", async ({ var: { session } }) => Response.json({ tokens: await pats.list(session.identity) }));
  app.post("/tokens", async ({ req, var: { session } }) =>
    Response.json(await pats.create(session.identity, await readBody(req.raw, newPatSchema)), { status: 201 }),
  );
  app.delete("/tokens/:id", async (context) => {
    await pats.revoke(context.var.session.identity, parseInput(context.req.param("id"), nameSchema));
    return context.body(null, 204);
  });
  addMemberRoutes(app, options);
  addAuditRoutes(app, auditReading);
  app.all("*", () => {
    throw new AppError("not_found", "The API has no such path.");
  });
  return app;
}

function addMemberRoutes(app: Hono<ApiEnv>, { administration }: ApiOptions): void {
  app.get("/members", async ({ var: { session } }) => Response.json(await administration.list(session.identity)));
  app.put("/members/:email/roles/:role", async ({ req, var: { session } }) =>
    Response.json(
      await administration.addRole(
        session.identity,
        requireEmailAddress(req.param("email")),
        parseInput(req.param("role"), nameSchema),
      ),
    ),
  );
  app.delete("/members/:email/roles/:role", async ({ req, var: { session } }) =>
    Response.json(
      await administration.removeRole(
        session.identity,
        requireEmailAddress(req.param("email")),
        parseInput(req.param("role"), nameSchema),
      ),
    ),
  );
  app.patch("/members/:email/attributes", async ({ req, var: { session } }) =>
    Response.json(
      await administration.setAttributes(
        session.identity,
        requireEmailAddress(req.param("email")),
        await readBody(req.raw, attributesSchema),
      ),
    ),
  );
  app.delete("/members/:email", async ({ req, var: { session } }) =>
    Response.json(await administration.remove(session.identity, requireEmailAddress(req.param("email")))),
  );
}
