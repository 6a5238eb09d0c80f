// The HTTP part of the composition root: sign-in, OAuth provider, pages, rate limits, and the checks before them. Built once per
// environment; it holds no state of a request or user.
import type { Gateway } from "../gateway/gateway.ts";
import { createBrowserSessions } from "../sign-in/browser-session.ts";
import type { BrowserSessions } from "../sign-in/browser-session.ts";
import { createDocumentClients } from "../oauth/clients/document-clients.ts";
import { observeSignIns } from "../sign-in/sign-in-observer.ts";
import { TOKEN_PATH, createOAuthProvider } from "../oauth/oauth-provider.ts";
import type { Provider, VerifiedAccessToken } from "../oauth/oauth-provider.ts";
import { createSignIn } from "../sign-in/create-sign-in.ts";
import { RETRY_AFTER_SECONDS, createRateLimits } from "../oauth/rate-limits.tsx";
import type { RateLimits } from "../oauth/rate-limits.tsx";
import { getAddressPrefix } from "../oauth/client-network.ts";
import { createAccessTokenCache } from "../oauth/access-token-cache.ts";
import { createTokenExchange } from "../oauth/token-callback.ts";
import { parseClientDocuments, parseSignIn } from "../sign-in/sign-in-settings.ts";
import { listSignInWarnings } from "../sign-in/sign-in-warnings.ts";
import { parseEnv } from "../config/define-gatehouse.ts";
import type { Gatehouse } from "../config/define-gatehouse.ts";
import { getOwnerId } from "../lib/identity.ts";
import { isLoopbackHost } from "../lib/loopback.ts";
import { isWrongEndpoint, createEndpointHint, normalizeEndpointPath } from "../mcp/wire/misdirected-requests.ts";
import { refuseHost, refuseOrigin } from "../mcp/wire/request-guards.ts";
import type { SignInCheck } from "../mcp/wire/sign-in-check.ts";
import type { McpEndpoint } from "../mcp/endpoint.ts";
import { RPC, rpcError } from "../mcp/wire/json-rpc.ts";
import { logError, logWarning } from "./bindings.ts";
import type { MemberServices } from "./members.ts";
import { findRateLimitCause, findRefusalCause } from "./refusals.ts";
import type { RefusalCause, RefusedRequests } from "../audit/refused-requests.ts";
import { buildAuthInfo } from "../server/kit/caller.ts";
import { createBrowserSessionStore } from "../sign-in/browser-session-store.ts";
import { createPages, wrongHostPage } from "../pages/page-routes.tsx";

/** The client id in audit records of the start page. */
const START_PAGE_CLIENT_ID = "start page";

interface ProviderDependencies {
  readonly gateway: Gateway;
  readonly endpoint: McpEndpoint;
  readonly memberServices: MemberServices;
}

/** Creates the OAuth provider of this deployment, with the MCP endpoint and the pages behind it. Throws `TypeError` for a wrong setting. */
export function createProvider(
  config: Gatehouse,
  env: Env,
  { gateway, endpoint, memberServices }: ProviderDependencies,
): Provider<Env> {
  const { organisation, limits, policy, allowedRedirectSchemes } = config;
  const { origin, resource } = parseEnv(env);
  const rateLimits = openRateLimits(origin, env);
  const serveMcp = async (
    request: Request,
    { identity, grantId, clientId, scopes, grant }: VerifiedAccessToken,
    signIn: SignInCheck,
  ): Promise<Response> => {
    // Requests, sessions and streams of personal access tokens count against their owner's limits. Sessions stay separate by grant id.
    const subjectId = getOwnerId(identity);
    const refuse = async (count: number): Promise<Response | undefined> =>
      (await rateLimits.isOverMcpLimit(subjectId, count)) ? createTooManyRequests() : undefined;
    const caller = { subjectId, grantId, authInfo: buildAuthInfo({ identity, clientId, grant }, scopes) };
    const tooMany = await refuse(1);
    if (tooMany === undefined) return endpoint(request, caller, refuse, signIn);
    return (await signIn.refuseIfEnded()) ?? tooMany;
  };
  const sessions = openBrowserSessions(config, env);
  const log = (message: string, error?: unknown): void =>
    error === undefined ? logWarning(message) : logError(message, error);
  const settings = parseSignIn(env, origin);
  for (const warning of listSignInWarnings(settings, policy.groups)) log(`sign-in: ${warning}`);
  const endAccount = async (subjectId: string): Promise<void> => {
    await Promise.all([sessions.endAll(subjectId), memberServices.endPats(subjectId)]);
  };
  const signIn = observeSignIns(
    createSignIn({ settings, origin, ...memberServices.accounts, now: Date.now, log }),
    memberServices.onSignedIn,
  );
  const pages = createPages({
    ...memberServices.buildPageOptions(),
    origin,
    organisation: organisation.name,
    contact: organisation.contact,
    introduce: (identity) => gateway.introduce({ identity, clientId: START_PAGE_CLIENT_ID }),
    resource,
    hasSources: policy.sources.length > 0,
    signIn,
    sessions,
    refreshTokenSeconds: limits.refreshTokenSeconds,
    allowedRedirectSchemes,
  });
  return createOAuthProvider<Env>({
    origin,
    resource,
    name: `${organisation.name} (Gatehouse)`,
    accessTokenSeconds: limits.accessTokenSeconds,
    refreshTokenSeconds: limits.refreshTokenSeconds,
    allowedRedirectSchemes,
    exchangeTokens: createTokenExchange({ signIn, endAccount, log }),
    serveMcp,
    servePages: (request, bindings, context) => pages.fetch(request, bindings, context),
    checkPat: memberServices.checkPat,
    documentClients: parseClientDocuments(env)
      ? createDocumentClients({
          origin,
          tokenEndpoint: `${origin}${TOKEN_PATH}`,
          allowedRedirectSchemes,
          now: Date.now,
          log,
        })
      : undefined,
    accessTokenCache: createAccessTokenCache({ now: Date.now }),
    log,
  });
}

function openBrowserSessions({ limits }: Gatehouse, env: Env): BrowserSessions {
  return createBrowserSessions({
    store: createBrowserSessionStore(env.GATEHOUSE_DB),
    idleSeconds: limits.browserIdleSeconds,
    maxSeconds: limits.browserSessionSeconds,
    now: Date.now,
  });
}

/** Creates the request handler: it checks host, Origin and rate limits, calls the provider, and counts what is refused before sign-in. */
export function createHandler(config: Gatehouse, env: Env, provider: Provider<Env>, refusedRequests: RefusedRequests) {
  const { origin, resource } = parseEnv(env);
  const { host, pathname: mcpPath } = new URL(resource);
  const allowedOrigins = [origin, ...config.allowedOrigins];
  const rateLimits = openRateLimits(origin, env);
  const refuse = (request: Request, cause: RefusalCause, response: Response): Response => {
    refusedRequests.count(cause, getAddressPrefix(request.headers));
    return response;
  };
  const serve = async (request: Request, context: ExecutionContext): Promise<Response> => {
    const serveProvider = async (servedRequest: Request): Promise<Response> =>
      provider.fetch(servedRequest, env, context, env.GRANT);
    const url = new URL(request.url);
    const isMcp = url.pathname === mcpPath || url.pathname.startsWith(`${mcpPath}/`);
    const isMisaddressed = isWrongEndpoint(request);
    if (!isMcp && url.host !== host) return refuse(request, "wrong_host", await wrongHostPage(origin));
    if (isMcp || isMisaddressed) {
      const wrongHost = refuseHost(request, host);
      if (wrongHost !== undefined) return refuse(request, "wrong_host", wrongHost);
      const wrongOrigin = refuseOrigin(request, allowedOrigins);
      if (wrongOrigin !== undefined) return refuse(request, "wrong_origin", wrongOrigin);
    } else {
      const tooMany = await rateLimits.refuseByNetwork(request);
      if (tooMany !== undefined) return refuse(request, findRateLimitCause(request), tooMany);
    }
    // The provider library matches the endpoint by prefix, so paths below it are refused here.
    if (isMcp && url.pathname !== mcpPath)
      return refuse(request, "wrong_path", rpcError(404, RPC.server, `The endpoint is ${mcpPath}.`));
    if (isMisaddressed) {
      const hint = await createEndpointHint(request, resource, serveProvider);
      return hint.ok ? hint : refuse(request, "wrong_path", hint);
    }
    const response = await serveProvider(request);
    const cause = findRefusalCause(request, response, mcpPath);
    return cause === undefined ? response : refuse(request, cause, response);
  };
  return async (request: Request, context: ExecutionContext): Promise<Response> => {
    const response = await serve(normalizeEndpointPath(request, mcpPath), context);
    refusedRequests.flushIfDue();
    return response;
  };
}

const LIMITERS = ["LIMIT_PAGES", "LIMIT_REGISTER", "LIMIT_TOKEN", "LIMIT_MCP"] as const;

function openRateLimits(origin: string, env: Env): RateLimits {
  const missing = LIMITERS.filter((name) => Reflect.get(env, name) === undefined);
  if (missing.length > 0)
    throw new TypeError(`${missing.join(", ")} is not bound. Declare it under "ratelimits" in wrangler.jsonc.`);
  return createRateLimits({
    origin,
    isLocal: isLoopbackHost(new URL(origin).hostname),
    limiters: { pages: env.LIMIT_PAGES, registration: env.LIMIT_REGISTER, token: env.LIMIT_TOKEN, mcp: env.LIMIT_MCP },
    onError: (error) => logError("a rate limiter failed", error),
  });
}

function createTooManyRequests(): Response {
  const message = `You sent too many requests. Wait ${RETRY_AFTER_SECONDS} seconds, then continue more slowly.`;
  return rpcError(429, RPC.server, message, { "Retry-After": String(RETRY_AFTER_SECONDS) });
}
