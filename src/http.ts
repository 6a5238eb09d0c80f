// The part of the composition root that is about HTTP: sign-in, provider, pages, rate limits, and the checks before them. Built once
// per environment; holds nobody's state.
import type { Gateway } from "./access/gateway.ts";
import { createBrowserSessions } from "./auth/browser-session.ts";
import { createDocumentClients } from "./auth/client-documents/document-clients.ts";
import { noticeSignIns } from "./auth/noticed-sign-in.ts";
import { TOKEN_PATH, createProvider } from "./auth/provider.ts";
import type { Provider, VerifiedToken } from "./auth/provider.ts";
import { createSignIn } from "./auth/providers.ts";
import { RETRY_AFTER_SECONDS, createRateLimits } from "./auth/rate-limit.tsx";
import type { RateLimits } from "./auth/rate-limit.tsx";
import { createTokenExchange } from "./auth/renewal.ts";
import { parseClientDocuments, parseSignIn } from "./auth/settings.ts";
import { signInWarnings } from "./auth/sign-in-warnings.ts";
import { parseEnv } from "./config.ts";
import type { Gatehouse } from "./config.ts";
import { ownerIdOf } from "./lib/identity.ts";
import { isLoopbackHost } from "./lib/loopback.ts";
import { isMisdirected, nameEndpoint, withOwnPath } from "./mcp/addresses.ts";
import { refuseHost, refuseOrigin } from "./mcp/border.ts";
import type { McpEndpoint } from "./mcp/endpoint.ts";
import { RPC, rpcError } from "./mcp/json-rpc.ts";
import { logError, logWarning } from "./opened.ts";
import type { People } from "./people.ts";
import { toAuthInfo } from "./server/caller.ts";
import { createBrowserSessionStore } from "./storage/browser-sessions.ts";
import { createPages, wrongHostPage } from "./web/pages.tsx";

/** How records name the start page, where those of assistants have a client's id. */
const HOME_PAGE = "start page";

interface ProviderParts {
  readonly gateway: Gateway;
  readonly endpoint: McpEndpoint;
  readonly people: People;
}

/** The OAuth provider of this deployment, with the endpoint and the pages behind it. Throws `TypeError` for a setting that is wrong. */
export function createOwnProvider(
  config: Gatehouse,
  env: Env,
  { gateway, endpoint, people }: ProviderParts,
): Provider<Env> {
  const { organisation, limits, policy, allowedRedirectSchemes } = config;
  const { origin, resource } = parseEnv(env);
  const rates = rateLimitsOf(origin, env);
  const serveMcp = async (
    request: Request,
    { identity, grantId, clientId, scopes }: VerifiedToken,
  ): Promise<Response> => {
    // Requests, sessions and streams of access tokens count for their owner. The grant keeps their sessions apart.
    const subjectId = ownerIdOf(identity);
    const refuse = async (count: number): Promise<Response | undefined> =>
      (await rates.isTooMuch(subjectId, count)) ? tooManyRequests() : undefined;
    const caller = { subjectId, grantId, authInfo: toAuthInfo({ identity, clientId }, scopes) };
    return (await refuse(1)) ?? endpoint(request, caller, refuse);
  };
  const sessions = createBrowserSessions({
    store: createBrowserSessionStore(env.GATEHOUSE_DB),
    idleSeconds: limits.browserIdleSeconds,
    maxSeconds: limits.browserSessionSeconds,
    now: Date.now,
  });
  const log = (message: string, error?: unknown): void =>
    error === undefined ? logWarning(message) : logError(message, error);
  const settings = parseSignIn(env, origin);
  for (const warning of signInWarnings(settings, policy.groups)) log(`sign-in: ${warning}`);
  const endAccount = async (subjectId: string): Promise<void> => {
    await Promise.all([sessions.endAll(subjectId), people.endTokensOf(subjectId)]);
  };
  const signIn = noticeSignIns(
    createSignIn({ settings, origin, members: policy.members, now: Date.now, log }),
    people.onSignedIn,
  );
  const pages = createPages({
    ...people.pages(),
    origin,
    organisation: organisation.name,
    contact: organisation.contact,
    introduce: (identity) => gateway.introduce({ identity, clientId: HOME_PAGE }),
    resource,
    hasSources: policy.sources.length > 0,
    signIn,
    sessions,
    refreshTokenSeconds: limits.refreshTokenSeconds,
    allowedRedirectSchemes,
  });
  return createProvider<Env>({
    origin,
    resource,
    name: `${organisation.name} (Gatehouse)`,
    accessTokenSeconds: limits.accessTokenSeconds,
    refreshTokenSeconds: limits.refreshTokenSeconds,
    allowedRedirectSchemes,
    exchangeTokens: createTokenExchange({ signIn, endAccount, log }),
    serveMcp,
    servePages: (request, bindings, context) => pages.fetch(request, bindings, context),
    checkAccessToken: people.checkAccessToken,
    documentClients: parseClientDocuments(env)
      ? createDocumentClients({
          origin,
          tokenEndpoint: `${origin}${TOKEN_PATH}`,
          allowedRedirectSchemes,
          now: Date.now,
          log,
        })
      : undefined,
    log,
  });
}

/** What comes before the provider: host, Origin, limits. */
export function createHandler(config: Gatehouse, env: Env, provider: Provider<Env>) {
  const { origin, resource } = parseEnv(env);
  const { host, pathname: path } = new URL(resource);
  const origins = [origin, ...config.allowedOrigins];
  const rates = rateLimitsOf(origin, env);
  return async (received: Request, context: ExecutionContext): Promise<Response> => {
    const request = withOwnPath(received, path);
    const serve = async (asked: Request): Promise<Response> => provider.fetch(asked, env, context, env.GRANT);
    const url = new URL(request.url);
    const isMcp = url.pathname === path || url.pathname.startsWith(`${path}/`);
    const isLost = isMisdirected(request);
    if (!isMcp && url.host !== host) return wrongHostPage(origin);
    const refusal =
      isMcp || isLost
        ? (refuseHost(request, host) ?? refuseOrigin(request, origins))
        : await rates.refuseNetwork(request);
    if (refusal !== undefined) return refusal;
    // The provider takes every path below the endpoint for the endpoint.
    if (isMcp && url.pathname !== path) return rpcError(404, RPC.server, `The endpoint is ${path}.`);
    return isLost ? nameEndpoint(request, resource, serve) : serve(request);
  };
}

const LIMITERS = ["LIMIT_PAGES", "LIMIT_REGISTER", "LIMIT_TOKEN", "LIMIT_MCP"] as const;

function rateLimitsOf(origin: string, env: Env): RateLimits {
  const missing = LIMITERS.filter((name) => Reflect.get(env, name) === undefined);
  if (missing.length > 0)
    throw new TypeError(`${missing.join(", ")} is not bound. It stands in "ratelimits" of wrangler.jsonc.`);
  return createRateLimits({
    origin,
    isLocal: isLoopbackHost(new URL(origin).hostname),
    limiters: { pages: env.LIMIT_PAGES, registration: env.LIMIT_REGISTER, token: env.LIMIT_TOKEN, mcp: env.LIMIT_MCP },
    onError: (error) => logError("a rate limiter does not answer", error),
  });
}

function tooManyRequests(): Response {
  const message = `You sent too many requests. Wait ${RETRY_AFTER_SECONDS} seconds, then go on more slowly.`;
  return rpcError(429, RPC.server, message, { "Retry-After": String(RETRY_AFTER_SECONDS) });
}
