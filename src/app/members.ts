// The members part of the composition root: members, personal access tokens, setup, and their options for the pages and the API. Built
// once per environment; it holds no state of a request or user.
import { waitUntil } from "cloudflare:workers";
import { openAuditProof } from "./audit-proof.ts";
import { recordOperatorReads } from "./operator-reads-upkeep.ts";
import { createAuditReading } from "../audit-reading/audit-reading.ts";
import { openAuditRecordStore } from "../audit/audit-record-store.ts";
import { findClientNames } from "../oauth/clients/client-directory.ts";
import { createGrantStore } from "../oauth/grants/grant-kv-store.ts";
import { withCallLog } from "../audit/call-log.ts";
import { carryOutErasures } from "../audit/carry-out-erasures.ts";
import { openErasureStore } from "../audit/erasure-store.ts";
import { createMemberAdministration } from "../members/member-administration.ts";
import { createMemberRemovals } from "../members/member-removal.ts";
import { createPauseChanges } from "../members/pause-changes.ts";
import { openPauseStore } from "../members/pause-store.ts";
import type { PropagatedPause } from "../members/pause-store.ts";
import { openRemovalStore } from "../members/removal-store.ts";
import type { RemovalStore } from "../members/removal-store.ts";
import { createReadCheck } from "../gateway/visible-datasets.ts";
import { reportMemberProblems } from "../members/member-report.ts";
import { createPatOperations } from "../personal-access-tokens/pat-operations.ts";
import { createWithAudit } from "../audit/audit.ts";
import { createRoleChanges } from "../members/role-changes.ts";
import type { RoleChanges } from "../members/role-changes.ts";
import { createSetup, createSetupCloser, parseSetupCode } from "../members/setup.ts";
import type { SetupCloser } from "../members/setup.ts";
import { createPatCheck } from "../personal-access-tokens/pat-check.ts";
import type { PatCheck, PatEndReason, RefusedPat } from "../personal-access-tokens/pat-check.ts";
import { createConnections } from "../oauth/connections.ts";
import type { Connections } from "../oauth/connections.ts";
import type { Gatehouse } from "../config/define-gatehouse.ts";
import type { Hub } from "../mcp/subscriptions/hub.ts";
import { INTERRUPTED_OUTCOME } from "../audit/audit-record.ts";
import type { Outcome } from "../audit/audit-record.ts";
import { derivePatSubjectId } from "../personal-access-tokens/pat-text.ts";
import type { Identity } from "../lib/identity.ts";
import { formatPatClientId } from "../lib/pat-client.ts";
import { newId } from "../lib/ids.ts";
import { settleAll } from "../lib/settle-all.ts";
import type { Spans } from "../lib/spans.ts";
import type { ChangeReview } from "../changes/change-view.ts";
import { openChangeReview } from "./changes.ts";
import type { OpenedChanges } from "./changes.ts";
import { openLedgers, openWorkspaces, logCall, logError, logWarning } from "./bindings.ts";
import { resolveSubject } from "../policy/evaluate.ts";
import { NO_MEMBER_RECORD } from "../policy/model.ts";
import type { Source } from "../read/source.ts";
import { openPatStore } from "../personal-access-tokens/pat-store.ts";
import type { PatStore } from "../personal-access-tokens/pat-store.ts";
import { openMemberStore } from "../members/member-store.ts";
import type { MemberStore } from "../members/member-store.ts";
import type { SampleAccounts } from "../sign-in/sample-sign-in.tsx";
import { openSetupStore } from "../members/setup-store.ts";
import type { ApiOptions } from "../pages/json-api.ts";
import type { SetupPageOptions } from "../pages/setup-page.tsx";

/** The services for members of one environment. */
export interface MemberServices {
  readonly members: MemberStore;
  /** The users whom the sample sign-in offers. */
  readonly accounts: SampleAccounts;
  readonly roleChanges: RoleChanges;
  readonly checkPat: PatCheck;
  /**
   * Registers a user who signs in, so that a removal finds the sign-in although it was never used. Closes setup for good when the user
   * has an administering role from the policy file or a group. Never throws.
   */
  readonly onSignedIn: (identity: Identity) => Promise<void>;
  /** Ends the personal access tokens of a user whose account has ended, then the sessions that use them. */
  endPats(subjectId: string): Promise<void>;
  /** Builds the options of the pages and the API. Throws `TypeError` for an invalid GATEHOUSE_SETUP_CODE. */
  buildPageOptions(): Omit<ApiOptions & SetupPageOptions, "sessions" | "origin"> & {
    readonly connections: Connections;
    readonly changeReview: ChangeReview;
  };
  /** Propagates pending changes and removals, deletes what has been kept long enough, and logs problems of the members table. */
  runUpkeep(): Promise<void>;
}

/** What changes of members reach. */
interface MemberServicesDependencies {
  readonly hub: Hub;
  readonly sources: readonly Source[];
  readonly spans: Spans;
  readonly changes: OpenedChanges;
}

/** How long a personal access token is listed after its end. */
const ENDED_PAT_RETENTION_MS = 90 * 86_400_000;
const ENDED_PAUSE_RETENTION_MS = 90 * 86_400_000;
/** Much longer than a command waits for what it has asked to be looked up. */
const LOOK_RETENTION_MS = 3_600_000;

/** Opens the services for members. */
export function openMemberServices(
  config: Gatehouse,
  env: Env,
  dependencies: MemberServicesDependencies,
): MemberServices {
  const { policy, organisation, limits } = config;
  const members = openMemberStore(env.GATEHOUSE_DB);
  const pats = openPatStore(env.GATEHOUSE_DB);
  const closeSetup = openSetupCloser(config, env);
  const { spans } = dependencies;
  const recording = { ...spans, openLedger: openLedgers(env), newId, waitUntil };
  const audited = createWithAudit({ ...recording, policy, organisation, onSubject: closeSetup });
  const withAudit = withCallLog(audited, { ...recording, logCall });
  const removals = openRemovalStore(env.GATEHOUSE_DB);
  const roleChanges = openRoleChanges(config, env, dependencies, { members, pats, removals });
  const onError = (error: unknown): void => logError("people", error);
  const propagateAndErase = async (): Promise<void> => {
    try {
      await roleChanges.propagate();
    } finally {
      // Afterwards, because an erasure looks at which members were removed.
      await eraseRecords(env, dependencies.hub);
    }
  };
  const shared = {
    withAudit,
    policy,
    organisation,
    members,
    pats,
    removals,
    roleChanges,
    onError,
    newId,
    now: Date.now,
  };
  return {
    members,
    accounts: {
      members: policy.members,
      listTableMembers: async () => (await members.list()).map(({ email }) => email),
    },
    roleChanges,
    checkPat: createPatCheck({
      pats,
      ownerSeenSeconds: limits.refreshTokenSeconds,
      now: Date.now,
      waitUntil,
      recordRefusal: async (pat, reason) => recordRefusal(env, pats, pat, reason),
    }),
    async onSignedIn(identity) {
      await closeSetup(resolveSubject(policy, identity, NO_MEMBER_RECORD));
      // The first call registers the user too, and is refused while the table is not available.
      const { subjectId, email, groups } = identity;
      await members.registerSignIn({ subjectId, email, groups, seenMs: Date.now() }).catch(onError);
    },
    async endPats(subjectId) {
      await pats.revokeAll(subjectId, "account ended", Date.now());
      // The upkeep propagates again what fails here.
      waitUntil(roleChanges.propagate().catch(onError));
    },
    buildPageOptions: () => ({
      pats: createPatOperations({ ...shared, limits }),
      administration: createMemberAdministration(shared),
      setup: createSetup({
        ...shared,
        setupStore: openSetupStore(env.GATEHOUSE_DB),
        code: parseSetupCode(Reflect.get(env, "GATEHOUSE_SETUP_CODE")),
      }),
      propagateAndErase,
      answerHeadRequests: async () => openAuditProof(env).answerRequests(),
      recordOperatorReads: async () => recordOperatorReads(env),
      auditReading: createAuditReading({
        ...shared,
        auditRecords: openAuditRecordStore(env.GATEHOUSE_DB),
        findClientNames: async (ids) => findClientNames(createGrantStore(env.GRANT), ids),
      }),
      connections: createConnections(env.GRANT),
      changeReview: openChangeReview(env, dependencies.changes, withAudit),
      reporter: { newId, logDefect: (id, error) => logError(`internal error ${id}`, error) },
    }),
    async runUpkeep() {
      // One that fails does not stop the others.
      const tasks = [
        propagateAndErase,
        async () => pats.purge(Date.now() - ENDED_PAT_RETENTION_MS),
        async () => openPauseStore(env.GATEHOUSE_DB).purge(Date.now() - ENDED_PAUSE_RETENTION_MS),
        async () => removals.purgeLooks(Date.now() - LOOK_RETENTION_MS),
        async () => reportMemberProblems({ policy, members, log: logError }),
      ];
      await settleAll(tasks, async (task) => task());
    },
  };
}

/** Opens the closer of setup in this environment. Every part of the composition root that resolves subjects calls it. */
export function openSetupCloser({ policy }: Gatehouse, env: Env): SetupCloser {
  const onError = (error: unknown): void => logError("setup could not be closed", error);
  return createSetupCloser({ policy, setupStore: openSetupStore(env.GATEHOUSE_DB), onError, now: Date.now });
}

/** Carries out the erasures of audit records that commands have asked for. */
async function eraseRecords(env: Env, sessions: Hub): Promise<void> {
  await carryOutErasures({
    erasures: openErasureStore(env.GATEHOUSE_DB),
    records: openAuditRecordStore(env.GATEHOUSE_DB),
    openLedger: openLedgers(env),
    openWorkspace: openWorkspaces(env),
    sessions,
    now: Date.now,
    onError: (error) => logError("an erasure of audit records", error),
  });
}

function openRoleChanges(
  config: Gatehouse,
  env: Env,
  { hub, sources }: Omit<MemberServicesDependencies, "spans" | "changes">,
  {
    members,
    pats,
    removals,
  }: { readonly members: MemberStore; readonly pats: PatStore; readonly removals: RemovalStore },
): RoleChanges {
  const memberRemovals = createMemberRemovals({
    removals,
    members,
    pats,
    connections: createConnections(env.GRANT),
    sessions: hub,
    openLedger: openLedgers(env),
    openWorkspace: openWorkspaces(env),
    now: Date.now,
  });
  const pauseChanges = createPauseChanges({
    pauses: openPauseStore(env.GATEHOUSE_DB),
    openLedger: openLedgers(env),
    onPropagated: logPause,
    onError: (error) => logError("a pause could not be propagated to a ledger", error),
  });
  const roleChanges = createRoleChanges({
    members,
    pats,
    policy: config.policy,
    mayRead: (subject) => createReadCheck(config.policy, sources, subject),
    openLedger: openLedgers(env),
    // Only the list of resources depends on roles; tools and prompts are the same for all users.
    listeners: {
      ...hub,
      listChanged: async (subjectId) => hub.listChanged(subjectId, { kind: "resources_list_changed" }),
    },
    now: Date.now,
  });
  return {
    ...roleChanges,
    async propagate() {
      const tasks = [
        async () => memberRemovals.carryOut(),
        async () => pauseChanges.propagate(),
        // After removals: it also ends the sessions of a removed member's personal access tokens, which the removal counts.
        async () => roleChanges.propagate(),
      ];
      // One that fails does not stop the others.
      const failures: unknown[] = [];
      for (const task of tasks) await task().catch((error: unknown) => failures.push(error));
      for (const failure of failures.slice(1)) logError("propagation", failure);
      if (failures.length > 0) throw failures[0];
    },
  };
}

/** Logs a pause or its end, without the address of a user. */
function logPause({ kind, target, isPaused, subjectIds }: PropagatedPause): void {
  const name = kind === "user" ? `subject ${subjectIds.join(", ") || "without a ledger"}` : `${kind} ${target}`;
  logWarning(`${isPaused ? "access_paused" : "access_resumed"}: ${name}; every ledger concerned has it.`);
}

const REFUSED_OUTCOME: Outcome = { ...INTERRUPTED_OUTCOME, result: "failed", code: "not_signed_in" };

/**
 * Records in the owner's ledger the first use of an ended personal access token, once for each reason. The call id depends only on the
 * token's id and the reason, so concurrent requests write one record. When the ledger is full, the token is still refused and the next use
 * tries to record again.
 */
async function recordRefusal(
  env: Env,
  pats: PatStore,
  { id, ownerId }: RefusedPat,
  reason: PatEndReason,
): Promise<void> {
  const callerNames = { subjectId: await derivePatSubjectId(id), owner: ownerId, clientId: formatPatClientId(id) };
  const attempt = {
    call: `access-token ${id} ${reason}`,
    ...callerNames,
    operation: "use access token",
    asked: reason,
  };
  try {
    const appended = await openLedgers(env)(ownerId).appendEvent(attempt, REFUSED_OUTCOME, Date.now());
    if (appended.ok) await pats.markRefusalRecorded(id, reason);
  } catch (error) {
    logError("the use of an ended personal access token could not be recorded", error);
  }
}
