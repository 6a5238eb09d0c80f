// The conformance Worker: exactly the product's runtime around the suite's fixtures.
import { LedgerObject as ProductLedger } from "../../src/ledger/ledger-object.ts";
import { createMemberCopy } from "../../src/ledger/member-copy.ts";
import { oncePerEnv } from "../../src/lib/once.ts";
import { refuseHost, refuseOrigin } from "../../src/mcp/border.ts";
import { defineRuntime } from "../../src/mcp/runtime.ts";
import type { Runtime, RuntimeOptions } from "../../src/mcp/runtime.ts";
import type { ReplayGuard } from "../../src/mcp/replay.ts";
import { CounterObject } from "./counter.ts";
import { SUBJECT, createFixtures } from "./fixtures.ts";

export { CounterObject };

/** No call of the fixtures begins in the ledger, so none asks who is a member. */
async function noMembers(): Promise<never> {
  throw new TypeError("there are no members here");
}

/** The product's ledger, for the handles of questions. */
export class LedgerObject extends ProductLedger<ConformanceEnv> {
  constructor(ctx: DurableObjectState, env: ConformanceEnv) {
    super(ctx, env, {
      limits: { queueSeconds: 10, outboxBytes: 1_000_000, rowsPerDay: 1000, leaseSeconds: 60 },
      openMemberCopy: (sql, now) => createMemberCopy(sql, { know: noMembers, read: noMembers }, now),
      onMemberChanged: noMembers,
      onError: (error) => console.error(error),
      warn: (code, message) => console.warn(code, message),
    });
  }
}

export interface ConformanceEnv {
  /** The port follows the socket; only the name is checked. */
  readonly HOST: string;
  readonly SESSION: RuntimeOptions["sessions"];
  readonly HUB: RuntimeOptions["hub"];
  readonly COUNTER: DurableObjectNamespace<CounterObject>;
  readonly LEDGER: DurableObjectNamespace<LedgerObject>;
}

const LIMITS = {
  idleSeconds: 3600,
  jsonFirstMs: 150,
  parkAfterMs: 3000,
  maxStreams: 16,
  maxEvents: 1000,
  maxLogBytes: 1_000_000,
  maxMessageBytes: 500_000,
  maxSessionsPerSubject: 10_000,
  maxListensPerGrant: 3,
  maxTopicsPerListener: 100,
  maxBodyBytes: 4 * 1024 * 1024,
  keepAliveMs: 15_000,
  maxQueued: 500,
};

const runtime: Runtime<ConformanceEnv> = defineRuntime(
  oncePerEnv((env: ConformanceEnv): RuntimeOptions => ({
    createServer: createFixtures({
      hub: () => runtime.hubOf(env),
      handles: {
        open: async (subject, opened) => ledgerOf(env, subject).openHandle(opened),
        spend: async (subject, handle, binding) => ledgerOf(env, subject).spendHandle(handle, binding),
        settle: async (subject, handle, outcome, next) => ledgerOf(env, subject).settleHandle(handle, outcome, next),
      },
      replays: replaysOf(env),
      grantsOf: async (subject) => counterOf(env).grantsOf(subject),
      count: async (name, key) => counterOf(env).add(name, key),
    }),
    replays: replaysOf(env),
    maySubscribe: async () => true,
    sessions: env.SESSION,
    hub: env.HUB,
    limits: LIMITS,
    now: Date.now,
    onRefusal: () => {},
    onError: (error) => console.error(error),
  })),
);

/** Another one in each isolate. */
let isolate: string | undefined;

/** Tells when it was constructed, which is how a test knows that it slept, and how many streams it holds. */
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
    // Tests of the hub come as several people; there is no sign-in to take them from.
    const subjectId = searchParams.get("subject") ?? SUBJECT;
    const grantId = searchParams.get("grant") ?? "conformance";
    // As a renewed sign-in tells other groups than the one before.
    const group = searchParams.get("group") ?? "none";
    const authInfo = { token: "", clientId: "conformance", scopes: [], extra: { subject: subjectId, group } };
    return runtime.endpointOf(env)(request, { subjectId, grantId, authInfo });
  },
};

/** What tests ask besides the protocol: what was counted, when an object was constructed, and to publish a change. */
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
      await runtime.hubOf(env).revoke(searchParams.get("subject") ?? SUBJECT, searchParams.get("grant") ?? "");
      return new Response(null, { status: 204 });
    case "/recheck":
      await runtime.hubOf(env).recheck(searchParams.get("subject") ?? SUBJECT, () => false);
      return new Response(null, { status: 204 });
    case "/list-changed":
      await runtime.hubOf(env).listChanged(searchParams.get("subject") ?? SUBJECT, { kind: "tools_list_changed" });
      return new Response(null, { status: 204 });
    case "/grants":
      await counterOf(env).setGrants(searchParams.get("subject") ?? SUBJECT, searchParams.get("digest") ?? "");
      return new Response(null, { status: 204 });
    case "/publish":
      await runtime.hubOf(env).resourceUpdated(searchParams.get("uri") ?? "");
      return new Response(null, { status: 204 });
    default:
      return new Response(null, { status: 404 });
  }
}

/** Counts what is delivered again and what is withheld. */
function replaysOf(env: ConformanceEnv): ReplayGuard {
  return {
    async authorize({ extra }, { grants }) {
      const now = await counterOf(env).grantsOf(String(extra?.["subject"]));
      const isCurrent = grants.length > 0 && grants.every(({ digest }) => digest === now);
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
