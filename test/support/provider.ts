// The bare OAuth provider with this product's pages, over whatever store a test gives it: as the Worker has it, but for the store.
import type { OAuthHelpers } from "@cloudflare/workers-oauth-provider";
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { Hono } from "hono";
import sample from "../../sample/gatehouse.config.ts";
import type { GrantStore } from "../../src/auth/grants/kv.ts";
import { createAuthorizeRoutes } from "../../src/auth/authorize.tsx";
import type { AuthorizeEnv } from "../../src/auth/authorize.tsx";
import { createBrowserSignInRoutes } from "../../src/auth/browser-sign-in.tsx";
import { createBrowserSessions } from "../../src/auth/browser-session.ts";
import { createOAuth } from "../../src/auth/provider.ts";
import { createTokenExchange } from "../../src/auth/renewal.ts";
import { createSampleSignIn } from "../../src/auth/sample.tsx";
import { createBrowserSessionStore } from "../../src/storage/browser-sessions.ts";
import type { Flow } from "./oauth.ts";

export interface BareProvider extends Flow {
  /** The provider's own helpers over the store. */
  helpers(): Promise<OAuthHelpers>;
}

/** `/mcp` answers 200 to whoever has a token for it. */
export function providerOver(store: GrantStore, origin: string): BareProvider {
  const { limits, policy } = sample;
  const resource = `${origin}/mcp`;
  const { accessTokenSeconds, refreshTokenSeconds } = limits;
  const signIn = createSampleSignIn({ members: policy.members });
  const sessions = createBrowserSessions({
    store: createBrowserSessionStore(env.GATEHOUSE_DB),
    idleSeconds: limits.browserIdleSeconds,
    maxSeconds: limits.browserSessionSeconds,
    now: Date.now,
  });
  const pages = new Hono<AuthorizeEnv>()
    .route("/", createBrowserSignInRoutes({ organisation: "Bare", origin, signIn, sessions }))
    .route("/", createAuthorizeRoutes({ organisation: "Bare", signIn, refreshTokenSeconds }));
  let helpers: OAuthHelpers | undefined;
  const oauth = createOAuth<Cloudflare.Env & { readonly OAUTH_PROVIDER?: OAuthHelpers }>({
    origin,
    resource,
    name: "Bare",
    accessTokenSeconds,
    refreshTokenSeconds,
    exchangeTokens: createTokenExchange({
      signIn,
      endAccount: async (userId) => sessions.endAll(userId),
      log: () => {},
    }),
    checkAccessToken: async () => undefined,
    serveMcp: async () => Response.json({}),
    async servePages(request, bindings, context) {
      helpers = bindings.OAUTH_PROVIDER;
      return pages.fetch(request, bindings, context);
    },
    log: () => {},
  });
  const send: Flow["send"] = async (url, init) => {
    const context = createExecutionContext();
    const bindings = { ...env, OAUTH_KV: store };
    const response = await oauth.fetch(new Request(url, { redirect: "manual", ...init }), bindings, context);
    await waitOnExecutionContext(context);
    return response;
  };
  return {
    origin,
    send,
    async helpers() {
      await send(`${origin}/`, {});
      if (helpers === undefined) throw new Error("the provider gave no helpers");
      return helpers;
    },
  };
}
