// The product's sign-in, OAuth provider and pages around an /mcp endpoint that responds with the identity of the access token, so
// that tests see what an identity provider reported, without a policy.
import { createAuthorizeRoutes } from "../../src/oauth/authorize.tsx";
import { createBrowserSessions } from "../../src/sign-in/browser-session.ts";
import { createBrowserSignInRoutes } from "../../src/sign-in/browser-sign-in.tsx";
import { GrantObject as ProductGrants } from "../../src/oauth/grants/grant-object.ts";
import type { GrantNamespace } from "../../src/oauth/grants/grant-protocol.ts";
import { createGrantStore } from "../../src/oauth/grants/grant-kv-store.ts";
import { createOAuthProvider } from "../../src/oauth/oauth-provider.ts";
import { createSignIn } from "../../src/sign-in/create-sign-in.ts";
import { createTokenExchange } from "../../src/oauth/token-callback.ts";
import { parseSignIn } from "../../src/sign-in/sign-in-settings.ts";
import { parseEnv } from "../../src/config/define-gatehouse.ts";
import { LedgerObject as ProductLedger } from "../../src/audit/ledger-object.ts";
import { limitsSchema } from "../../src/config/limits.ts";
import { MemberRoleCache } from "../../src/members/role-cache.ts";
import { memoizePerEnv } from "../../src/lib/memoize-per-env.ts";
import { createBrowserSessionStore } from "../../src/sign-in/browser-session-store.ts";
import { Hono } from "hono";
import type { AuthorizeEnv } from "../../src/oauth/authorize.tsx";

interface IdentityEnv {
  readonly GATEHOUSE_URL: string;
  readonly GATEHOUSE_DB: D1Database;
  readonly GRANT: GrantNamespace;
  readonly LEDGER: DurableObjectNamespace<LedgerObject>;
}

/** Fails: no call begins in a ledger of this Worker, so no ledger may ask for a member. */
async function failMemberLookup(): Promise<never> {
  throw new TypeError("this Worker has no members");
}

const LIMITS = { accessTokenSeconds: 600, refreshTokenSeconds: 86_400 };

const getProvider = memoizePerEnv((env: IdentityEnv) => {
  const { origin, resource } = parseEnv(env);
  const messages: string[] = [];
  const log = (message: string): void => void messages.push(message);
  const store = createBrowserSessionStore(env.GATEHOUSE_DB);
  const sessions = createBrowserSessions({ store, idleSeconds: 600, maxSeconds: 3600, now: Date.now });
  const signIn = createSignIn({
    settings: parseSignIn(env, origin),
    origin,
    members: [],
    listTableMembers: async () => [],
    now: Date.now,
    log,
  });
  const pages = new Hono<AuthorizeEnv>()
    // The messages logged since the previous request.
    .get("/log", (context) => context.json(messages.splice(0)))
    .get("/who", async (context) => context.json((await sessions.read(context.req.raw))?.identity ?? null))
    .route("/", createBrowserSignInRoutes({ origin, organisation: "Test", signIn, sessions }))
    .route("/", createAuthorizeRoutes({ organisation: "Test", signIn, refreshTokenSeconds: 86_400 }));
  return createOAuthProvider<IdentityEnv>({
    ...LIMITS,
    origin,
    resource,
    name: "Test",
    exchangeTokens: createTokenExchange({ signIn, endAccount: async (userId) => sessions.endAll(userId), log }),
    checkPat: async () => undefined,
    serveMcp: async (_request, { identity }) => Response.json(identity),
    servePages: (request, bindings, context) => pages.fetch(request, bindings, context),
    log,
  });
});

export class LedgerObject extends ProductLedger<IdentityEnv> {
  constructor(ctx: DurableObjectState, env: IdentityEnv) {
    super(ctx, env, {
      limits: { ...limitsSchema.parse({}), maxAuditBytes: 1_000_000 },
      openRoleCache: (sql, now, applyPauses) =>
        new MemberRoleCache({
          sql,
          directory: { registerSubject: failMemberLookup, readForLedger: failMemberLookup },
          now,
          applyPauses,
        }),
      onMemberChanged: failMemberLookup,
      onError: (error) => console.error(error),
      warn: (code, message) => console.warn(code, message),
    });
  }
}

/** The product's grant store. This Worker has no sessions that an ended connection would have to end. */
export class GrantObject extends ProductGrants<IdentityEnv> {
  constructor(ctx: DurableObjectState, env: IdentityEnv) {
    super(ctx, env, {
      refreshGraceSeconds: 60,
      otherShards: createGrantStore(env.GRANT),
      serveToken: async (request, store) => getProvider(env).serveToken(request, env, store),
      endSessions: async () => {},
      openLedger: (subjectId) => env.LEDGER.get(env.LEDGER.idFromName(subjectId)),
      onError: (message, error) => console.error(message, error),
    });
  }
}

export default {
  async fetch(request: Request, env: IdentityEnv, context: ExecutionContext): Promise<Response> {
    return getProvider(env).fetch(request, env, context, env.GRANT);
  },
};
