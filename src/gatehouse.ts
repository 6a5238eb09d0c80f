// The composition root: puts the parts together for one policy file. What is built from an environment is built once
// per isolate and holds no request's or person's state.
import { waitUntil } from "cloudflare:workers";
import { createGateway } from "./access/gateway.ts";
import { GrantObject } from "./auth/grants/grant-object.ts";
import type { GrantOptions } from "./auth/grants/grant-object.ts";
import { createGrantStore } from "./auth/grants/store.ts";
import type { Provider } from "./auth/provider.ts";
import type { Gatehouse } from "./config.ts";
import { LedgerObject } from "./ledger/ledger-object.ts";
import type { LedgerOptions } from "./ledger/ledger-object.ts";
import { createMemberCopy } from "./ledger/member-copy.ts";
import { newId } from "./lib/ids.ts";
import { oncePerEnv } from "./lib/once.ts";
import { withStrictTransport } from "./lib/strict-transport.ts";
import { createHandler, createOwnProvider } from "./http.ts";
import type { Hub } from "./hub/hub.ts";
import type { HubObject } from "./hub/hub-object.ts";
import { refuseTarget } from "./mcp/border.ts";
import { defineRuntime } from "./mcp/runtime.ts";
import type { RuntimeOptions } from "./mcp/runtime.ts";
import { createReplayGuard } from "./server/replay-guard.ts";
import { createServerFactory } from "./server/server.ts";
import type { ToolDependencies } from "./server/tool.ts";
import type { SessionObject } from "./session/session-object.ts";
import { keepDocuments, keepTokens } from "./sources/registry.ts";
import type { Source } from "./sources/source.ts";
import {
  handoverOf,
  indexOptions,
  ledgersOf,
  logCall,
  logError,
  logWarning,
  openOwnSources,
  openShared,
  openStatements,
  tokenKeyOf,
} from "./opened.ts";
import type { Shared } from "./opened.ts";
import { openPeople, openSetupCloser } from "./people.ts";
import type { People } from "./people.ts";
import { createScratch } from "./sql/scratch.ts";
import { notConfiguredPage } from "./web/pages.tsx";
import { WorkspaceObject } from "./workspace/workspace-object.ts";

/** Waiting times that clients are used to; nothing an operator would tune. */
const RUNTIME_TIMES = { jsonFirstMs: 150, parkAfterMs: 3000, keepAliveMs: 15_000, maxQueued: 500 };

export interface GatehouseWorker {
  readonly handler: {
    readonly fetch: (request: Request, env: Env, context: ExecutionContext) => Promise<Response>;
    /** Upkeep, by the cron trigger of the wrangler configuration. */
    readonly scheduled: (event: ScheduledController, env: Env) => Promise<void>;
  };
  readonly SessionObject: ObjectClass<SessionObject<Env>>;
  readonly HubObject: ObjectClass<HubObject<Env>>;
  readonly LedgerObject: ObjectClass<LedgerObject<Env>>;
  readonly WorkspaceObject: ObjectClass<WorkspaceObject<Env>>;
  readonly GrantObject: ObjectClass<GrantObject<Env>>;
}

/** A Durable Object class as the platform creates it: with its state and the environment. */
type ObjectClass<Instance> = new (ctx: DurableObjectState, env: Env) => Instance;

/** The Worker of a policy file: its request handler and the Durable Object classes that the entry must export. */
export function createGatehouse(config: Gatehouse): GatehouseWorker {
  const shared = openShared();
  const sourcesOf = oncePerEnv((env: Env) => openOwnSources(config, env, shared));
  const dependenciesOf = oncePerEnv((env: Env) =>
    serverDependencies(config, env, { ...shared, sources: sourcesOf(env) }),
  );
  const runtime = defineRuntime(oncePerEnv((env: Env) => runtimeOptions(config, env, dependenciesOf(env))));
  const peopleOf = oncePerEnv((env: Env) =>
    openPeople(config, env, { hub: runtime.hubOf(env), sources: sourcesOf(env) }),
  );
  const providerOf = oncePerEnv((env: Env) => {
    const { gateway } = dependenciesOf(env);
    return createOwnProvider(config, env, { gateway, endpoint: runtime.endpointOf(env), people: peopleOf(env) });
  });
  const handlerOf = oncePerEnv((env: Env) => createHandler(config, env, providerOf(env)));
  return {
    handler: {
      async fetch(request, env, context) {
        const refusal = refuseTarget(request);
        if (refusal !== undefined) return refusal;
        let handle;
        try {
          handle = handlerOf(env);
        } catch (error) {
          logError("this deployment is not configured", error);
          return withStrictTransport(request, await notConfiguredPage());
        }
        return withStrictTransport(request, await handle(request, context));
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
    LedgerObject: class extends LedgerObject<Env> {
      constructor(ctx: DurableObjectState, env: Env) {
        super(ctx, env, ledgerOptions(config, env, peopleOf(env)));
      }
    },
    WorkspaceObject: class extends WorkspaceObject<Env> {
      constructor(ctx: DurableObjectState, env: Env) {
        super(ctx, env, config.limits);
      }
    },
    GrantObject: class extends GrantObject<Env> {
      constructor(ctx: DurableObjectState, env: Env) {
        super(ctx, env, grantOptions(config, env, providerOf, runtime.hubOf(env)));
      }
    },
  };
}

function ledgerOptions({ limits }: Gatehouse, env: Env, { members, changes }: People): LedgerOptions {
  return {
    limits,
    aloneSinceMs: handoverOf(env).startedMs,
    openMemberCopy: (sql, now) => createMemberCopy(sql, members, now),
    onMemberChanged: async (identity, record) => changes.changed(identity, record),
    onError: (error) => logError("ledger", error),
    warn: (code, message) => logWarning(`${code}: ${message}`),
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
    replays: createReplayGuard(dependencies.gateway, (error) => logError("replay", error)),
    sessions: env.SESSION,
    hub: env.HUB,
    limits: { ...limits, ...RUNTIME_TIMES, idleSeconds },
    now: Date.now,
    onRefusal: (message) => logWarning(`mcp: ${message}`),
    onError: (error) => logError("mcp", error),
  };
}

function serverDependencies(
  config: Gatehouse,
  env: Env,
  { sources, engines, defenceLog }: Shared & { readonly sources: readonly Source[] },
): ToolDependencies {
  const { policy, organisation, limits } = config;
  const ledgerOf = ledgersOf(env);
  const logDefect = (id: string, error: unknown): void => logError(`internal error ${id}`, error);
  const workspaceOf = (subjectId: string) => env.WORKSPACE.get(env.WORKSPACE.idFromName(subjectId));
  const scratch = createScratch(engines);
  const parts = { policy, sources, organisation, limits, ledgerOf, workspaceOf, scratch, defenceLog };
  return {
    gateway: createGateway({
      ...parts,
      newId,
      onSubject: openSetupCloser(config, env),
      waitUntil,
      logCall,
      statements: openStatements(config, env),
    }),
    reporter: { newId, logDefect },
  };
}

/** Waits for all, then throws the first fault: one upkeep that fails keeps no other from its work. */
async function everything(works: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(works)).find((one) => one.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
