// Runs the OAuth provider with our pages as the Worker does, but over a store that the test supplies.
import type { OAuthHelpers } from "@cloudflare/workers-oauth-provider";
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { Hono } from "hono";
import sample from "../../sample/gatehouse.config.ts";
import type { GrantStore } from "../../src/oauth/grants/kv-contract.ts";
import { createAuthorizeRoutes } from "../../src/oauth/authorize.tsx";
import type { AuthorizeEnv } from "../../src/oauth/authorize.tsx";
import { createBrowserSignInRoutes } from "../../src/sign-in/browser-sign-in.tsx";
import { createBrowserSessions } from "../../src/sign-in/browser-session.ts";
import { createBareOAuthProvider } from "../../src/oauth/oauth-provider.ts";
import { createTokenExchange } from "../../src/oauth/token-callback.ts";
import { createSampleSignIn } from "../../src/sign-in/sample-sign-in.tsx";
import { createBrowserSessionStore } from "../../src/sign-in/browser-session-store.ts";
import type { Flow } from "./oauth.ts";

/** A provider to run OAuth flows against. */
interface BareProvider extends Flow {
  /** The OAuth library's helpers over the store. */
  helpers(): Promise<OAuthHelpers>;
}

/** Creates a provider over a store. Its `/mcp` answers 200 to every valid access token. */
export function providerOver(store: GrantStore, origin: string): BareProvider {
  const { limits, policy } = sample;
  const resource = `${origin}/mcp`;
  const { accessTokenSeconds, refreshTokenSeconds } = limits;
  const signIn = createSampleSignIn({ members: policy.members, listTableMembers: async () => [] });
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
  const oauth = createBareOAuthProvider<Cloudflare.Env & { readonly OAUTH_PROVIDER?: OAuthHelpers }>({
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
    checkPat: async () => undefined,
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
      if (helpers === undefined) throw new Error("the provider passed no helpers to the pages");
      return helpers;
    },
  };
}
