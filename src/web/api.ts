// The JSON API of a signed-in person: their connections, their access tokens and, for administering roles, the members. Whatever
// changes something is recorded. There is no CORS: only pages of this server may use it.
import { Hono } from "hono";
import * as z from "zod";
import type { Administration } from "../access/administration.ts";
import type { Own } from "../access/own.ts";
import type { RoleChanges } from "../access/role-changes.ts";
import type { AuthorizeEnv } from "../auth/authorize.tsx";
import type { Connections } from "../auth/connections.ts";
import { AppError } from "../errors.ts";
import { describeInvisible, displayName, firstInvisible } from "../lib/visible-text.ts";
import { requireEmailAddress } from "../policy/names.ts";
import { enter, errorResponse, neverStored, parseInput, readBody } from "./api-border.ts";
import type { ApiBorderOptions, ErrorReporter, SignedIn } from "./api-border.ts";

export interface ApiOptions extends ApiBorderOptions {
  readonly own: Own;
  readonly administration: Administration;
  readonly changes: Pick<RoleChanges, "tell">;
  readonly connections: Connections;
  readonly reporter: ErrorReporter;
}

export const API_PATH = "/api";
/** Makes what was written into GATEHOUSE_DB act at once. Asking for it gives nobody anything, so anybody may. */
export const UPKEEP_PATH = `${API_PATH}/upkeep`;

interface ApiEnv extends AuthorizeEnv {
  readonly Variables: SignedIn;
}

const name = z.string().min(1).max(100);
const newToken = z.strictObject({
  // Checked before it is trimmed: trim() drops line ends and the byte order mark.
  name: z
    .string()
    .superRefine((text, context) => {
      const codePoint = firstInvisible(text);
      if (codePoint !== undefined) context.addIssue({ code: "custom", message: describeInvisible(codePoint) });
    })
    .trim()
    .min(1)
    .max(100),
  roles: z.array(name).min(1).max(50),
  days: z.int().min(1).max(36_500),
});
const scalar = z.union([z.string().max(1000), z.number(), z.boolean()]);
const attributes = z.record(name, z.union([scalar, z.array(scalar).max(100), z.null()]));

export function createApiRoutes(options: ApiOptions): Hono<ApiEnv> {
  const { own, connections, changes, reporter } = options;
  const app = new Hono<ApiEnv>().basePath(API_PATH);
  app.use("*", neverStored);
  app.onError((error) => errorResponse(error, reporter));
  app.post("/upkeep", async (context) => {
    await changes.tell();
    return context.body(null, 204);
  });
  app.use("*", async (context, next) => {
    context.set("session", await enter(context.req.raw, options));
    await next();
  });
  app.get("/session", ({ var: { session } }) =>
    Response.json({ email: session.identity.email, csrfToken: session.csrfToken }),
  );
  app.get("/connections", async ({ var: { session } }) => {
    const listed = await connections.list(session.identity.subjectId);
    const shown = listed.map((one) => ({ ...one, clientName: displayName(one.clientName) }));
    return Response.json({ connections: shown });
  });
  app.delete("/connections/:id", async (context) => {
    const id = parseInput(context.req.param("id"), name);
    // Recorded by the grant store, which tries again when it cannot: a full record keeps nobody from ending a connection.
    if (!(await connections.end(context.var.session.identity.subjectId, id)))
      throw new AppError("not_found", "You have no connection of this id.");
    return context.body(null, 204);
  });
  app.get("/tokens", async ({ var: { session } }) => Response.json({ tokens: await own.tokens(session.identity) }));
  app.post("/tokens", async ({ req, var: { session } }) =>
    Response.json(await own.makeToken(session.identity, await readBody(req.raw, newToken)), { status: 201 }),
  );
  app.delete("/tokens/:id", async (context) => {
    await own.revokeToken(context.var.session.identity, parseInput(context.req.param("id"), name));
    return context.body(null, 204);
  });
  addMemberRoutes(app, options);
  app.all("*", () => {
    throw new AppError("not_found", "There is nothing at this path of the API.");
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
        parseInput(req.param("role"), name),
      ),
    ),
  );
  app.delete("/members/:email/roles/:role", async ({ req, var: { session } }) =>
    Response.json(
      await administration.removeRole(
        session.identity,
        requireEmailAddress(req.param("email")),
        parseInput(req.param("role"), name),
      ),
    ),
  );
  app.patch("/members/:email/attributes", async ({ req, var: { session } }) =>
    Response.json(
      await administration.setAttributes(
        session.identity,
        requireEmailAddress(req.param("email")),
        await readBody(req.raw, attributes),
      ),
    ),
  );
  app.delete("/members/:email", async ({ req, var: { session } }) =>
    Response.json(await administration.remove(session.identity, requireEmailAddress(req.param("email")))),
  );
}
