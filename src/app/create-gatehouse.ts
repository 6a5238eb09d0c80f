// The composition root: puts the Worker together for one policy file. What is built from an environment is built once per isolate and
// holds no state of a request or user.
import { waitUntil } from "cloudflare:workers";
import { createGateway } from "../gateway/gateway.ts";
import type { Gateway } from "../gateway/gateway.ts";
import { GrantObject } from "../oauth/grants/grant-object.ts";
import type { GrantOptions } from "../oauth/grants/grant-object.ts";
import { createGrantStore } from "../oauth/grants/grant-kv-store.ts";
import type { Provider } from "../oauth/oauth-provider.ts";
import type { Gatehouse } from "../config/define-gatehouse.ts";
import { parseAuditSecret } from "../audit/audit-secret.ts";
import { LedgerObject } from "../audit/ledger-object.ts";
import type { LedgerOptions } from "../audit/ledger-options.ts";
import { createRefusedRequests } from "../audit/refused-requests.ts";
import type { RefusedRequests } from "../audit/refused-requests.ts";
import { createRefusedRequestsStore } from "../audit/refused-requests-store.ts";
import { getAddressPrefix } from "../oauth/client-network.ts";
import { MemberRoleCache } from "../members/role-cache.ts";
import { newId } from "../lib/ids.ts";
import { settleAll } from "../lib/settle-all.ts";
import { memoizePerEnv } from "../lib/memoize-per-env.ts";
import { withStrictTransport } from "../lib/strict-transport.ts";
import { ChangeObject } from "../changes/change-object.ts";
import { buildChangeOptions, maintainChanges, openChanges } from "./changes.ts";
import type { OpenedChanges } from "./changes.ts";
import { exportAuditRecords } from "./audit-archive.ts";
import { openAuditProof } from "./audit-proof.ts";
import { maintainAuditRecords } from "./audit-retention-upkeep.ts";
import { recordOperatorReads } from "./operator-reads-upkeep.ts";
import { createLayoutCheck } from "./database-layout-store.ts";
import { HEALTH_PATH, createHealthCheck, createHealthResponse } from "./health.ts";
import type { Health } from "./health.ts";
import { createHandler, createProvider } from "./http.ts";
import type { Hub } from "../mcp/subscriptions/hub.ts";
import type { HubObject } from "../mcp/subscriptions/hub-object.ts";
import { refuseTarget } from "../mcp/wire/request-guards.ts";
import { defineRuntime } from "../mcp/runtime.ts";
import type { RuntimeOptions } from "../mcp/runtime.ts";
import type { ReplayGuard } from "../mcp/wire/replay-guard.ts";
import { createReplayGuard } from "../server/gateway-replay-guard.ts";
import { parseAuthInfo } from "../server/kit/caller.ts";
import { createUserQuestions } from "../server/user-questions.ts";
import { createServerFactory } from "../server/mcp-server.ts";
import type { ToolDependencies } from "../server/kit/define-tool.ts";
import type { SessionObject } from "../mcp/sessions/session-object.ts";
import { reindexSources, maintainMaskingTokens } from "./open-sources.ts";
import { maintainStatistics } from "./source-statistics.ts";
import type { Source } from "../read/source.ts";
import {
  readHandover,
  buildIndexOptions,
  buildStatisticsOptions,
  openLedgers,
  openWorkspaces,
  logCall,
  logError,
  logSignal,
  logWarning,
  openPolicySources,
  openRecordReceiver,
  createIsolateResources,
  openStatements,
  readMaskingTokenKey,
} from "./bindings.ts";
import type { IsolateResources } from "./bindings.ts";
import { openMemberServices, openSetupCloser } from "./members.ts";
import type { MemberServices } from "./members.ts";
import { createSchemaSandbox } from "../sql/schema-sandbox.ts";
import { notConfiguredPage, upgradingPage } from "../pages/page-routes.tsx";
import { WorkspaceObject } from "../results/workspace-object.ts";

/** Timeouts and limits that clients expect, so operators cannot change them. */
const RUNTIME_LIMITS = { streamAfterMs: 150, hibernateAfterMs: 3000, keepAliveMs: 15_000, maxQueuedEvents: 500 };

const NOT_CONFIGURED = "this deployment is not configured";

/** What the entry file of the Worker exports. */
interface GatehouseWorker {
  readonly handler: {
    readonly fetch: (request: Request, env: Env, context: ExecutionContext) => Promise<Response>;
    /** Runs the upkeep, at the cron trigger of the wrangler configuration. */
    readonly scheduled: (event: ScheduledController, env: Env) => Promise<void>;
  };
  readonly SessionObject: ObjectClass<SessionObject<Env>>;
  readonly HubObject: ObjectClass<HubObject<Env>>;
  readonly LedgerObject: ObjectClass<LedgerObject<Env>>;
  readonly WorkspaceObject: ObjectClass<WorkspaceObject<Env>>;
  readonly GrantObject: ObjectClass<GrantObject<Env>>;
  readonly ChangeObject: ObjectClass<ChangeObject<Env>>;
}

/** A Durable Object class, which the platform creates with its state and the environment. */
type ObjectClass<Instance> = new (ctx: DurableObjectState, env: Env) => Instance;

/** Creates the Worker of a policy file: its handlers and the Durable Object classes that the entry file must export. */
export function createGatehouse(config: Gatehouse): GatehouseWorker {
  const isolateResources = createIsolateResources();
  const getSources = memoizePerEnv((env: Env) => openPolicySources(config, env, isolateResources));
  const getChanges = memoizePerEnv((env: Env) => openChanges(config, env, getSources(env)));
  const getServerDependencies = memoizePerEnv((env: Env) =>
    buildServerDependencies(config, env, { ...isolateResources, sources: getSources(env), changes: getChanges(env) }),
  );
  const runtime = defineRuntime(
    memoizePerEnv((env: Env) => buildRuntimeOptions(config, env, getServerDependencies(env))),
  );
  const getMemberServices = memoizePerEnv((env: Env) =>
    openMemberServices(config, env, {
      hub: runtime.getHub(env),
      sources: getSources(env),
      spans: isolateResources.spans,
      changes: getChanges(env),
    }),
  );
  const getProvider = memoizePerEnv((env: Env) => {
    const { gateway } = getServerDependencies(env);
    return createProvider(config, env, {
      gateway,
      endpoint: runtime.getEndpoint(env),
      memberServices: getMemberServices(env),
    });
  });
  const checkLayout = memoizePerEnv((env: Env) =>
    createLayoutCheck({
      database: env.GATEHOUSE_DB,
      now: Date.now,
      onError: (error) => logError("storage layout: GATEHOUSE_DB could not be read", error),
    }),
  );
  const getRefusedRequests = memoizePerEnv(openRefusedRequests);
  const getHandler = memoizePerEnv((env: Env) => createHandler(config, env, getProvider(env), getRefusedRequests(env)));
  const getHealthCheck = memoizePerEnv(openHealthCheck);
  const findHealth = async (env: Env): Promise<Health> => {
    try {
      getHandler(env);
    } catch (error) {
      logError(NOT_CONFIGURED, error);
      return "not_configured";
    }
    return getHealthCheck(env)();
  };
  return {
    handler: {
      async fetch(request, env, context) {
        const refusal = refuseTarget(request);
        if (refusal !== undefined) {
          const refusedRequests = getRefusedRequests(env);
          refusedRequests.count("invalid_target", getAddressPrefix(request.headers));
          refusedRequests.flushIfDue();
          return refusal;
        }
        if (new URL(request.url).pathname === HEALTH_PATH)
          return withStrictTransport(request, createHealthResponse(request, await findHealth(env)));
        let handle;
        try {
          handle = getHandler(env);
        } catch (error) {
          logError(NOT_CONFIGURED, error);
          return withStrictTransport(request, await notConfiguredPage());
        }
        try {
          await checkLayout(env)();
        } catch (error) {
          logError("storage layout", error);
          return withStrictTransport(request, await upgradingPage());
        }
        return withStrictTransport(request, await handle(request, context));
      },
      scheduled: async (_event, env) => {
        await checkLayout(env)();
        // One task that fails does not stop the others.
        const tasks: readonly (() => Promise<void>)[] = [
          async () => getMemberServices(env).runUpkeep(),
          async () => maintainMaskingTokens(config.policy, env, readMaskingTokenKey(env)),
          async () => reindexSources(config.policy, env, buildIndexOptions(config, env)),
          async () => openAuditProof(env).runUpkeep(),
          async () => maintainAuditRecords(env, config.audit),
          async () => exportAuditRecords(env),
          async () => recordOperatorReads(env),
          async () => maintainChanges(config, env),
          async () => void (await getChanges(env).notifications.sendDue()),
          async () => maintainStatistics(config.policy, env, buildStatisticsOptions(config, env)),
          async () => createRefusedRequestsStore(env.GATEHOUSE_DB).purge(Date.now()),
        ];
        await settleAll(tasks, async (task) => task());
      },
    },
    SessionObject: runtime.SessionObject,
    HubObject: runtime.HubObject,
    LedgerObject: class extends LedgerObject<Env> {
      constructor(ctx: DurableObjectState, env: Env) {
        super(ctx, env, buildLedgerOptions(config, env, getMemberServices(env), isolateResources));
      }
    },
    WorkspaceObject: class extends WorkspaceObject<Env> {
      constructor(ctx: DurableObjectState, env: Env) {
        super(ctx, env, {
          limits: config.limits,
          openLedger: openLedgers(env),
          onError: (error) => logError("workspace", error),
        });
      }
    },
    GrantObject: class extends GrantObject<Env> {
      constructor(ctx: DurableObjectState, env: Env) {
        super(ctx, env, buildGrantOptions(config, env, getProvider, runtime.getHub(env)));
      }
    },
    ChangeObject: class extends ChangeObject<Env> {
      constructor(ctx: DurableObjectState, env: Env) {
        super(ctx, env, buildChangeOptions(config, env, getChanges(env), runtime.getHub(env)));
      }
    },
  };
}

function openRefusedRequests(env: Env): RefusedRequests {
  return createRefusedRequests({
    store: createRefusedRequestsStore(env.GATEHOUSE_DB),
    now: Date.now,
    waitUntil,
    onError: (error) => logError("counts of refused requests could not be written", error),
  });
}

function openHealthCheck(env: Env): () => Promise<Health> {
  return createHealthCheck({
    database: env.GATEHOUSE_DB,
    now: Date.now,
    waitUntil,
    onError: (error) => logError("health: GATEHOUSE_DB cannot be used", error),
  });
}

function buildLedgerOptions(
  { limits, signals, audit }: Gatehouse,
  env: Env,
  { members, roleChanges }: MemberServices,
  { readFirstLedgerMs }: IsolateResources,
): LedgerOptions {
  const firstLedgerMs = readFirstLedgerMs();
  const isSoleProcess = readHandover(env).startedMs !== undefined;
  return {
    limits,
    signals: { settings: signals, log: logSignal },
    // After a crash, workerd starts again with the same variables, so they do not say when. Calls of this process hold no older locks.
    soleProcessStartedMs: isSoleProcess ? firstLedgerMs : undefined,
    openRoleCache: (sql, now, applyPauses) => new MemberRoleCache({ sql, directory: members, now, applyPauses }),
    recordStore: openRecordReceiver(audit, env),
    readLastResultNumber: async (subjectId) => openWorkspaces(env)(subjectId).readLastNumber(),
    onMemberChanged: async (identity, record) => roleChanges.refreshListeners(identity, record),
    onError: (error) => logError("ledger", error),
    warn: (code, message) => logWarning(`${code}: ${message}`),
  };
}

function buildGrantOptions(
  { limits }: Gatehouse,
  env: Env,
  getProvider: (env: Env) => Provider<Env>,
  hub: Hub,
): GrantOptions {
  return {
    refreshGraceSeconds: limits.refreshGraceSeconds,
    otherShards: createGrantStore(env.GRANT),
    serveToken: async (request, store) => getProvider(env).serveToken(request, env, store),
    endSessions: async (subjectId, grantId) => hub.revoke(subjectId, grantId),
    openLedger: openLedgers(env),
    endInLedger: async (subjectId, ended) => openLedgers(env)(subjectId).endAccess(ended),
    onError: logError,
  };
}

function buildRuntimeOptions(config: Gatehouse, env: Env, dependencies: ToolDependencies): RuntimeOptions {
  const { sessionIdleSeconds: idleSeconds, ...limits } = config.limits;
  return {
    createServer: createServerFactory(config.organisation, dependencies),
    async maySubscribe({ authInfo }, uri) {
      try {
        return await dependencies.gateway.maySubscribe(parseAuthInfo(authInfo), uri);
      } catch (error) {
        // Deny by default: a subscription whose right cannot be checked, or whose check cannot be recorded, is refused.
        logError("a subscription could not be checked", error);
        return false;
      }
    },
    replayGuard: openReplayGuard(dependencies.gateway),
    sessions: env.SESSION,
    hub: env.HUB,
    limits: { ...limits, ...RUNTIME_LIMITS, idleSeconds },
    now: Date.now,
    onRefusal: (message) => logWarning(`mcp: ${message}`),
    onError: (error) => logError("mcp", error),
  };
}

function buildServerDependencies(
  config: Gatehouse,
  env: Env,
  {
    sources,
    changes,
    engines,
    defenceLog,
    spans,
  }: IsolateResources & { readonly sources: readonly Source[]; readonly changes: OpenedChanges },
): ToolDependencies {
  const { policy, organisation, limits, audit } = config;
  const openLedger = openLedgers(env);
  const logDefect = (id: string, error: unknown): void => logError(`internal error ${id}`, error);
  const gateway = createGateway({
    policy,
    sources,
    organisation,
    limits,
    audit,
    openLedger,
    openWorkspace: openWorkspaces(env),
    schemaSandbox: createSchemaSandbox(engines),
    defenceLog,
    ...spans,
    newId,
    onSubject: openSetupCloser(config, env),
    waitUntil,
    logCall,
    refusedStatements: openStatements(config, env),
    changes,
  });
  return {
    gateway,
    reporter: { newId, logDefect },
    questions: openQuestions(env, gateway),
  };
}

function openReplayGuard(gateway: Gateway): ReplayGuard {
  return createReplayGuard(gateway, (error) => logError("replay", error));
}

/** Opens the questions to users. Without GATEHOUSE_AUDIT_KEY, of which the upkeep warns, users are not asked, and decide on the pages. */
function openQuestions(env: Env, gateway: Gateway): ToolDependencies["questions"] {
  try {
    const secret = parseAuditSecret(Reflect.get(env, "GATEHOUSE_AUDIT_KEY"));
    const shared = { openLedger: openLedgers(env), replayGuard: openReplayGuard(gateway), newId };
    return secret === null ? undefined : createUserQuestions({ ...shared, secret });
  } catch (error) {
    logError("users are not asked about their changes", error);
    return undefined;
  }
}
