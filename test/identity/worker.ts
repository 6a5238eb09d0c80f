// The product's sign-in, provider and pages around an endpoint that answers with the identity of the token: what an identity
// provider said then shows without any policy between.
import { createAuthorizeRoutes } from "../../src/auth/authorize.tsx";
import { createBrowserSessions } from "../../src/auth/browser-session.ts";
import { createBrowserSignInRoutes } from "../../src/auth/browser-sign-in.tsx";
import { GrantObject as ProductGrants } from "../../src/auth/grants/grant-object.ts";
import type { GrantNamespace } from "../../src/auth/grants/protocol.ts";
import { createGrantStore } from "../../src/auth/grants/store.ts";
import { createProvider } from "../../src/auth/provider.ts";
import { createSignIn } from "../../src/auth/providers.ts";
import { createTokenExchange } from "../../src/auth/renewal.ts";
import { parseSignIn } from "../../src/auth/settings.ts";
import { parseEnv } from "../../src/config.ts";
import { LedgerObject as ProductLedger } from "../../src/ledger/ledger-object.ts";
import { createMemberCopy } from "../../src/ledger/member-copy.ts";
import { oncePerEnv } from "../../src/lib/once.ts";
import { createBrowserSessionStore } from "../../src/storage/browser-sessions.ts";
import { Hono } from "hono";
import type { AuthorizeEnv } from "../../src/auth/authorize.tsx";

interface IdentityEnv {
  readonly GATEHOUSE_URL: string;
  readonly GATEHOUSE_DB: D1Database;
  readonly GRANT: GrantNamespace;
  readonly LEDGER: DurableObjectNamespace<LedgerObject>;
}

/** Nothing begins in a ledger here, so none asks who is a member. */
async function noMembers(): Promise<never> {
  throw new TypeError("there are no members here");
}

const LIMITS = { accessTokenSeconds: 600, refreshTokenSeconds: 86_400 };

const servedBy = oncePerEnv((env: IdentityEnv) => {
  const { origin, resource } = parseEnv(env);
  const messages: string[] = [];
  const log = (message: string): void => void messages.push(message);
  const store = createBrowserSessionStore(env.GATEHOUSE_DB);
  const sessions = createBrowserSessions({ store, idleSeconds: 600, maxSeconds: 3600, now: Date.now });
  const signIn = createSignIn({ settings: parseSignIn(env, origin), origin, members: [], now: Date.now, log });
  const pages = new Hono<AuthorizeEnv>()
    // What was logged since the last time.
    .get("/log", (context) => context.json(messages.splice(0)))
    .get("/who", async (context) => context.json((await sessions.read(context.req.raw))?.identity ?? null))
    .route("/", createBrowserSignInRoutes({ origin, organisation: "Test", signIn, sessions }))
    .route("/", createAuthorizeRoutes({ organisation: "Test", signIn, refreshTokenSeconds: 86_400 }));
  return createProvider<IdentityEnv>({
    ...LIMITS,
    origin,
    resource,
    name: "Test",
    exchangeTokens: createTokenExchange({ signIn, endAccount: async (userId) => sessions.endAll(userId), log }),
    checkAccessToken: async () => undefined,
    serveMcp: async (_request, { identity }) => Response.json(identity),
    servePages: (request, bindings, context) => pages.fetch(request, bindings, context),
    log,
  });
});

export class LedgerObject extends ProductLedger<IdentityEnv> {
  constructor(ctx: DurableObjectState, env: IdentityEnv) {
    super(ctx, env, {
      limits: { queueSeconds: 10, outboxBytes: 1_000_000, rowsPerDay: 1000, leaseSeconds: 60 },
      openMemberCopy: (sql, now) => createMemberCopy(sql, { know: noMembers, read: noMembers }, now),
      onMemberChanged: noMembers,
      onError: (error) => console.error(error),
      warn: (code, message) => console.warn(code, message),
    });
  }
}

/** The product's grant store; nothing is held here that an ended connection would have to let go. */
export class GrantObject extends ProductGrants<IdentityEnv> {
  constructor(ctx: DurableObjectState, env: IdentityEnv) {
    super(ctx, env, {
      refreshGraceSeconds: 60,
      store: createGrantStore(env.GRANT),
      serveToken: async (request, store) => servedBy(env).serveToken(request, env, store),
      endHeld: async () => {},
      ledgerOf: (subjectId) => env.LEDGER.get(env.LEDGER.idFromName(subjectId)),
      onError: (message, error) => console.error(message, error),
    });
  }
}

export default {
  async fetch(request: Request, env: IdentityEnv, context: ExecutionContext): Promise<Response> {
    return servedBy(env).fetch(request, env, context, env.GRANT);
  },
};
