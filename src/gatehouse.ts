// The composition root: puts the parts together for one policy file. What is built from an environment is built once
// per isolate and holds no request's or person's state.
import { waitUntil } from "cloudflare:workers";
import { createGateway } from "./access/gateway.ts";
import type { Gateway } from "./access/gateway.ts";
import { createBrowserSessions } from "./auth/browser-session.ts";
import { defineGrantObject } from "./auth/grants/grant-object.ts";
import type { GrantObjectClass, GrantOptions } from "./auth/grants/grant-object.ts";
import { createGrantStore } from "./auth/grants/store.ts";
import { createProvider } from "./auth/provider.ts";
import type { Provider, VerifiedToken } from "./auth/provider.ts";
import { createSignIn } from "./auth/providers.ts";
import { RETRY_AFTER_SECONDS, createRateLimits } from "./auth/rate-limit.tsx";
import type { RateLimits } from "./auth/rate-limit.tsx";
import { createTokenExchange } from "./auth/renewal.ts";
import { parseSignIn } from "./auth/settings.ts";
import { parseEnv } from "./config.ts";
import type { Gatehouse } from "./config.ts";
import type { LedgerObjectClass } from "./ledger/ledger-object.ts";
import { defineLedgerObject } from "./ledger/ledger-object.ts";
import { newId } from "./lib/ids.ts";
import { isLoopbackHost } from "./lib/loopback.ts";
import { oncePerEnv } from "./lib/once.ts";
import { refuseHost, refuseOrigin } from "./mcp/border.ts";
import { RPC, rpcError } from "./mcp/json-rpc.ts";
import type { Hub } from "./hub/hub.ts";
import type { HubObjectClass } from "./hub/hub-object.ts";
import type { McpEndpoint } from "./mcp/endpoint.ts";
import { defineRuntime } from "./mcp/runtime.ts";
import type { RuntimeOptions } from "./mcp/runtime.ts";
import { toAuthInfo } from "./server/caller.ts";
import { createServerFactory } from "./server/server.ts";
import type { ToolDependencies } from "./server/tool.ts";
import type { SessionObjectClass } from "./session/session-object.ts";
import { keepDocuments, keepTokens } from "./sources/registry.ts";
import { createBrowserSessionStore } from "./storage/browser-sessions.ts";
import { indexOptions, ledgersOf, logError, openOwnSources, tokenKeyOf } from "./opened.ts";
import { openPeople } from "./people.ts";
import type { People } from "./people.ts";
import { createScratch } from "./sql/scratch.ts";
import { createPages, notConfiguredPage, wrongHostPage } from "./web/pages.tsx";
import { defineWorkspaceObject } from "./workspace/workspace-object.ts";
import type { WorkspaceObjectClass } from "./workspace/workspace-object.ts";

/** Waiting times that clients are used to; nothing an operator would tune. */
const RUNTIME_TIMES = { jsonFirstMs: 150, parkAfterMs: 3000, keepAliveMs: 15_000, maxQueued: 500 };

/** How records name the start page, where those of assistants have a client's id. */
const HOME_PAGE = "start page";

export interface GatehouseWorker {
  readonly handler: {
    readonly fetch: (request: Request, env: Env, context: ExecutionContext) => Promise<Response>;
    /** Upkeep, by the cron trigger of the wrangler configuration. */
    readonly scheduled: (event: ScheduledController, env: Env) => Promise<void>;
  };
  readonly SessionObject: SessionObjectClass<Env>;
  readonly HubObject: HubObjectClass<Env>;
  readonly LedgerObject: LedgerObjectClass<Env>;
  readonly WorkspaceObject: WorkspaceObjectClass<Env>;
  readonly GrantObject: GrantObjectClass<Env>;
}

/** The Worker of a policy file: its request handler and the Durable Object classes that the entry must export. */
export function createGatehouse(config: Gatehouse): GatehouseWorker {
  const dependenciesOf = oncePerEnv((env: Env) => serverDependencies(config, env));
  const runtime = defineRuntime(oncePerEnv((env: Env) => runtimeOptions(config, env, dependenciesOf(env))));
  const peopleOf = oncePerEnv((env: Env) => openPeople(config, env, runtime.hubOf(env)));
  const providerOf = oncePerEnv((env: Env) => {
    const { gateway } = dependenciesOf(env);
    return createOwnProvider(config, env, { gateway, endpoint: runtime.endpointOf(env), people: peopleOf(env) });
  });
  const handlerOf = oncePerEnv((env: Env) => createHandler(config, env, providerOf(env)));
  return {
    handler: {
      async fetch(request, env, context) {
        let handle;
        try {
          handle = handlerOf(env);
        } catch (error) {
          logError("this deployment is not configured", error);
          return notConfiguredPage();
        }
        return handle(request, context);
      },
      scheduled: async (_event, env) => {
        await everything([
          peopleOf(env).upkeep(),
          keepTokens(config.policy, env, tokenKeyOf(env)),
          keepDocuments(config.policy, env, indexOptions(config, env)),
        ]);
      },
    },
    SessionObject: runtime.SessionObject,
    HubObject: runtime.HubObject,
    LedgerObject: defineLedgerObject<Env>((env) => ({
      limits: config.limits,
      members: peopleOf(env).members,
      onMemberChanged: async (identity, record) => peopleOf(env).changes.changed(identity, record),
      onError: (error) => logError("ledger", error),
    })),
    WorkspaceObject: defineWorkspaceObject<Env>(() => config.limits),
    GrantObject: defineGrantObject<Env>((env) => grantOptions(config, env, providerOf, runtime.hubOf(env))),
  };
}

function grantOptions(
  { limits }: Gatehouse,
  env: Env,
  providerOf: (env: Env) => Provider<Env>,
  hub: Hub,
): GrantOptions {
  return {
    refreshGraceSeconds: limits.refreshGraceSeconds,
    store: createGrantStore(env.GRANT),
    serveToken: async (request, store) => providerOf(env).serveToken(request, env, store),
    endHeld: async (subjectId, grantId) => hub.revoke(subjectId, grantId),
    ledgerOf: (subjectId) => env.LEDGER.get(env.LEDGER.idFromName(subjectId)),
    onError: logError,
  };
}

function runtimeOptions(config: Gatehouse, env: Env, dependencies: ToolDependencies): RuntimeOptions {
  const { sessionIdleSeconds: idleSeconds, ...limits } = config.limits;
  return {
    createServer: createServerFactory(config.organisation, dependencies),
    // Nothing publishes changes yet, so the server does not offer subscriptions.
    maySubscribe: async () => false,
    sessions: env.SESSION,
    hub: env.HUB,
    limits: { ...limits, ...RUNTIME_TIMES, idleSeconds },
    now: Date.now,
    onRefusal: (message) => console.warn(`mcp: ${message}`),
    onError: (error) => logError("mcp", error),
  };
}

function serverDependencies(config: Gatehouse, env: Env): ToolDependencies {
  const { policy, organisation, limits } = config;
  const sources = openOwnSources(config, env);
  const ledgerOf = ledgersOf(env);
  const logDefect = (id: string, error: unknown): void => logError(`internal error ${id}`, error);
  const workspaceOf = (subjectId: string) => env.WORKSPACE.get(env.WORKSPACE.idFromName(subjectId));
  const parts = { policy, sources, organisation, limits, ledgerOf, workspaceOf, scratch: createScratch() };
  return {
    gateway: createGateway({ ...parts, newId, waitUntil }),
    reporter: { newId, logDefect },
  };
}

interface ProviderParts {
  readonly gateway: Gateway;
  readonly endpoint: McpEndpoint;
  readonly people: People;
}

function createOwnProvider(config: Gatehouse, env: Env, { gateway, endpoint, people }: ProviderParts): Provider<Env> {
  const { organisation, limits, policy } = config;
  const { origin, resource } = parseEnv(env);
  const rates = rateLimitsOf(origin, env);
  const serveMcp = async (
    request: Request,
    { identity, grantId, clientId, scopes }: VerifiedToken,
  ): Promise<Response> => {
    const { subjectId } = identity;
    if (await rates.isTooMuch(subjectId)) return tooManyRequests();
    return endpoint(request, { subjectId, grantId, authInfo: toAuthInfo({ identity, clientId }, scopes) });
  };
  const sessions = createBrowserSessions({
    store: createBrowserSessionStore(env.GATEHOUSE_DB),
    idleSeconds: limits.browserIdleSeconds,
    maxSeconds: limits.browserSessionSeconds,
    now: Date.now,
  });
  const log = (message: string, error?: unknown): void =>
    error === undefined ? console.warn(message) : logError(message, error);
  const settings = parseSignIn(env, origin);
  const signIn = createSignIn({ settings, origin, members: policy.members, now: Date.now, log });
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
  });
  return createProvider<Env>({
    origin,
    resource,
    name: `${organisation.name} (Gatehouse)`,
    accessTokenSeconds: limits.accessTokenSeconds,
    refreshTokenSeconds: limits.refreshTokenSeconds,
    exchangeTokens: createTokenExchange({ signIn, sessions, log }),
    serveMcp,
    servePages: (request, bindings, context) => pages.fetch(request, bindings, context),
    checkAccessToken: people.checkAccessToken,
    log,
  });
}

function createHandler(config: Gatehouse, env: Env, provider: Provider<Env>) {
  const { origin, resource } = parseEnv(env);
  const { host, pathname: path } = new URL(resource);
  const origins = [origin, ...config.allowedOrigins];
  const rates = rateLimitsOf(origin, env);
  return async (request: Request, context: ExecutionContext): Promise<Response> => {
    const url = new URL(request.url);
    const isMcp = url.pathname === path || url.pathname.startsWith(`${path}/`);
    if (!isMcp && url.host !== host) return wrongHostPage(origin);
    const refusal = isMcp
      ? (refuseHost(request, host) ?? refuseOrigin(request, origins))
      : await rates.refuseNetwork(request);
    if (refusal !== undefined) return refusal;
    // The provider takes every path below the endpoint for the endpoint.
    if (isMcp && url.pathname !== path) return rpcError(404, RPC.server, `The endpoint is ${path}.`);
    return provider.fetch(request, env, context, env.GRANT);
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

/** Waits for all, then throws the first fault: one upkeep that fails keeps no other from its work. */
async function everything(works: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(works)).find((one) => one.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
