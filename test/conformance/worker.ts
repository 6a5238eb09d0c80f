// The conformance Worker: the product's protocol runtime around the fixtures of the official conformance suite.
import { LedgerObject as ProductLedger } from "../../src/audit/ledger-object.ts";
import { limitsSchema } from "../../src/config/limits.ts";
import { MemberRoleCache } from "../../src/members/role-cache.ts";
import { memoizePerEnv } from "../../src/lib/memoize-per-env.ts";
import { refuseHost, refuseOrigin } from "../../src/mcp/wire/request-guards.ts";
import { defineRuntime } from "../../src/mcp/runtime.ts";
import type { Runtime, RuntimeOptions } from "../../src/mcp/runtime.ts";
import type { ReplayGuard } from "../../src/mcp/wire/replay-guard.ts";
import { CounterObject } from "./counter.ts";
import { SUBJECT, createFixtures } from "./fixtures.ts";
import { openHandleStore } from "../../src/server/user-questions.ts";

export { CounterObject };

/** The fixtures' calls do not go through the ledger, so the ledger never looks up a member. */
async function noMembers(): Promise<never> {
  throw new TypeError("the conformance Worker has no members");
}

/** The product's ledger, which stores the handles of questions. */
export class LedgerObject extends ProductLedger<ConformanceEnv> {
  constructor(ctx: DurableObjectState, env: ConformanceEnv) {
    super(ctx, env, {
      limits: { ...limitsSchema.parse({}), maxAuditBytes: 1_000_000 },
      openRoleCache: (sql, now, applyPauses) =>
        new MemberRoleCache({
          sql,
          directory: { registerSubject: noMembers, readForLedger: noMembers },
          now,
          applyPauses,
        }),
      onMemberChanged: noMembers,
      onError: (error) => console.error(error),
      warn: (code, message) => console.warn(code, message),
    });
  }
}

interface ConformanceEnv {
  /** The host name without a port; the port is that of the request. */
  readonly HOST: string;
  readonly SESSION: RuntimeOptions["sessions"];
  readonly HUB: RuntimeOptions["hub"];
  readonly COUNTER: DurableObjectNamespace<CounterObject>;
  readonly LEDGER: DurableObjectNamespace<LedgerObject>;
}

const LIMITS = {
  idleSeconds: 3600,
  streamAfterMs: 150,
  hibernateAfterMs: 3000,
  maxStreams: 16,
  maxEvents: 1000,
  maxLogBytes: 1_000_000,
  maxMessageBytes: 500_000,
  maxSessionsPerSubject: 10_000,
  maxListensPerGrant: 3,
  maxTopicsPerListener: 100,
  maxBodyBytes: 4 * 1024 * 1024,
  keepAliveMs: 15_000,
  maxQueuedEvents: 500,
};

const runtime: Runtime<ConformanceEnv> = defineRuntime(
  memoizePerEnv((env: ConformanceEnv): RuntimeOptions => ({
    createServer: createFixtures({
      hub: () => runtime.getHub(env),
      handles: openHandleStore((subject) => ledgerOf(env, subject)),
      replays: replaysOf(env),
      grantsOf: async (subject) => counterOf(env).grantsOf(subject),
      count: async (name, key) => counterOf(env).add(name, key),
    }),
    replayGuard: replaysOf(env),
    maySubscribe: async () => true,
    sessions: env.SESSION,
    hub: env.HUB,
    limits: LIMITS,
    now: Date.now,
    onRefusal: () => {},
    onError: (error) => console.error(error),
  })),
);

/** A random id of this isolate, for the test that needs two isolates. */
let isolate: string | undefined;

/** Exposes its construction time, from which tests detect hibernation, and its number of open streams. */
export class SessionObject extends runtime.SessionObject {
  readonly #bornMs = Date.now();

  async born(): Promise<number> {
    return this.#bornMs;
  }

  async streams(): Promise<number> {
    return this.ctx.getWebSockets().length;
  }
}
export class HubObject extends runtime.HubObject {}

export default {
  async fetch(request: Request, env: ConformanceEnv): Promise<Response> {
    const { origin, port, pathname, searchParams } = new URL(request.url);
    const refusal =
      refuseHost(request, `${env.HOST}${port === "" ? "" : `:${port}`}`) ?? refuseOrigin(request, [origin]);
    if (refusal !== undefined) return refusal;
    if (pathname !== "/mcp") return control(request, env);
    // There is no sign-in here. Tests name the subject and the grant in the query string.
    const subjectId = searchParams.get("subject") ?? SUBJECT;
    const grantId = searchParams.get("grant") ?? "conformance";
    // Simulates a renewed sign-in with other groups.
    const group = searchParams.get("group") ?? "none";
    const authInfo = { token: "", clientId: "conformance", scopes: [], extra: { subject: subjectId, group } };
    return runtime.getEndpoint(env)(request, { subjectId, grantId, authInfo });
  },
};

/** Serves the tests' control paths besides the protocol: reads counters and object state, publishes changes, revokes. */
async function control(request: Request, env: ConformanceEnv): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  switch (pathname) {
    case "/counts":
      return Response.json(await counterOf(env).counts());
    case "/isolate":
      return Response.json((isolate ??= crypto.randomUUID()));
    case "/born":
      return Response.json(await sessionOf(env, searchParams.get("session") ?? "").born());
    case "/streams":
      return Response.json(await sessionOf(env, searchParams.get("session") ?? "").streams());
    case "/end-idle":
      return Response.json(await sessionOf(env, searchParams.get("session") ?? "").endIfIdle(Date.now()));
    case "/revoke":
      await runtime.getHub(env).revoke(searchParams.get("subject") ?? SUBJECT, searchParams.get("grant") ?? "");
      return new Response(null, { status: 204 });
    case "/recheck":
      await runtime.getHub(env).recheckSubscriptions(searchParams.get("subject") ?? SUBJECT, () => false);
      return new Response(null, { status: 204 });
    case "/list-changed":
      await runtime.getHub(env).listChanged(searchParams.get("subject") ?? SUBJECT, { kind: "tools_list_changed" });
      return new Response(null, { status: 204 });
    case "/grants":
      await counterOf(env).setGrants(searchParams.get("subject") ?? SUBJECT, searchParams.get("digest") ?? "");
      return new Response(null, { status: 204 });
    case "/publish":
      await runtime.getHub(env).resourceUpdated(searchParams.get("uri") ?? "");
      return new Response(null, { status: 204 });
    default:
      return new Response(null, { status: 404 });
  }
}

/** A replay guard that compares digests set by the test and counts delivered and withheld replays. */
function replaysOf(env: ConformanceEnv): ReplayGuard {
  return {
    async authorize({ extra }, { grants }) {
      const currentDigest = await counterOf(env).grantsOf(String(extra?.["subject"]));
      const isCurrent = grants.length > 0 && grants.every(({ digest }) => digest === currentDigest);
      await counterOf(env).add(isCurrent ? "replayed" : "withheld", crypto.randomUUID());
      return isCurrent ? "current" : "changed";
    },
  };
}

function sessionOf(env: ConformanceEnv, id: string) {
  const namespace: unknown = env.SESSION;
  const sessions = namespace as DurableObjectNamespace<SessionObject>;
  return sessions.get(sessions.idFromString(id));
}

function ledgerOf(env: ConformanceEnv, subjectId: string) {
  return env.LEDGER.get(env.LEDGER.idFromName(subjectId));
}

function counterOf(env: ConformanceEnv) {
  return env.COUNTER.get(env.COUNTER.idFromName("all"));
}
