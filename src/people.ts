// The part of the composition root that is about people: members, access tokens for programs, set-up, and the pages and API for
// them. Built once per environment; holds nobody's state.
import { waitUntil } from "cloudflare:workers";
import { withCallLog } from "./access/call-log.ts";
import { createAdministration } from "./access/administration.ts";
import { mayReadUri } from "./access/catalogue.ts";
import { reportMemberProblems } from "./access/member-report.ts";
import { createOwn } from "./access/own.ts";
import { createRecorder } from "./access/recorded.ts";
import { createRoleChanges } from "./access/role-changes.ts";
import type { RoleChanges } from "./access/role-changes.ts";
import { createSetUp, createSetupCloser, parseSetupCode } from "./access/set-up.ts";
import type { SetupCloser } from "./access/set-up.ts";
import { createAccessTokenCheck } from "./auth/access-tokens.ts";
import type { AccessTokenCheck, AccessTokenEnd, EndedAccessToken } from "./auth/access-tokens.ts";
import { createConnections } from "./auth/connections.ts";
import type { Connections } from "./auth/connections.ts";
import type { Gatehouse } from "./config.ts";
import type { Hub } from "./hub/hub.ts";
import { INTERRUPTED } from "./ledger/record.ts";
import type { Outcome } from "./ledger/record.ts";
import { tokenSubjectId } from "./lib/access-token.ts";
import type { Identity } from "./lib/identity.ts";
import { newId } from "./lib/ids.ts";
import { ledgersOf, logCall, logError } from "./opened.ts";
import { resolveSubject } from "./policy/evaluate.ts";
import { NO_RECORD } from "./policy/model.ts";
import type { Source } from "./sources/source.ts";
import { openAccessTokens } from "./storage/access-tokens.ts";
import type { AccessTokens } from "./storage/access-tokens.ts";
import { openMembers } from "./storage/members.ts";
import type { Members } from "./storage/members.ts";
import { openSetup } from "./storage/setup.ts";
import type { ApiOptions } from "./web/api.ts";
import type { SetUpOptions } from "./web/set-up.tsx";

export interface People {
  readonly members: Members;
  readonly changes: RoleChanges;
  readonly checkAccessToken: AccessTokenCheck;
  /** Closes set-up for good when a person who signs in has an administering role by policy file or group. */
  readonly onSignedIn: (identity: Identity) => Promise<void>;
  /** Ends the access tokens of a person whose account has ended, then what runs under them. */
  endTokensOf(subjectId: string): Promise<void>;
  /** What the pages and the API need. Throws `TypeError` for a secret that cannot be used. */
  pages(): Omit<ApiOptions & SetUpOptions, "sessions" | "origin"> & { readonly connections: Connections };
  /** Propagates pending changes, forgets tokens that ended long ago, and logs which members have less than the table says. */
  upkeep(): Promise<void>;
}

/** What changes of people reach. */
export interface Reach {
  readonly hub: Hub;
  readonly sources: readonly Source[];
}

/** How long an access token that has ended is still listed. */
const ENDED_TOKEN_MS = 90 * 86_400_000;

export function openPeople(config: Gatehouse, env: Env, reach: Reach): People {
  const { policy, organisation, limits } = config;
  const members = openMembers(env.GATEHOUSE_DB);
  const tokens = openAccessTokens(env.GATEHOUSE_DB);
  const closeSetup = openSetupCloser(config, env);
  const framed = createRecorder({ policy, ledgerOf: ledgersOf(env), newId, onSubject: closeSetup, waitUntil });
  const record = withCallLog(framed, { logCall, newId, waitUntil });
  const changes = openRoleChanges(config, env, reach, { members, tokens });
  const onError = (error: unknown): void => logError("people", error);
  const shared = { record, policy, organisation, members, tokens, changes, onError, newId, now: Date.now };
  return {
    members,
    changes,
    checkAccessToken: createAccessTokenCheck({
      tokens,
      ownerSeenSeconds: limits.refreshTokenSeconds,
      now: Date.now,
      waitUntil,
      recordRefusal: async (token, reason) => recordRefusal(env, tokens, token, reason),
    }),
    onSignedIn: async (identity) => closeSetup(resolveSubject(policy, identity, NO_RECORD)),
    async endTokensOf(subjectId) {
      await tokens.revokeAll(subjectId, "account ended", Date.now());
      // What cannot be told now is told by the upkeep.
      waitUntil(changes.tell().catch(onError));
    },
    pages: () => ({
      own: createOwn({ ...shared, limits }),
      administration: createAdministration(shared),
      setUp: createSetUp({
        ...shared,
        setup: openSetup(env.GATEHOUSE_DB),
        code: parseSetupCode(Reflect.get(env, "GATEHOUSE_SETUP_CODE")),
      }),
      changes,
      connections: createConnections(env.GRANT),
      reporter: { newId, logDefect: (id, error) => logError(`internal error ${id}`, error) },
    }),
    async upkeep() {
      await changes.tell();
      await tokens.purge(Date.now() - ENDED_TOKEN_MS);
      await reportMemberProblems({ policy, members, log: logError });
    },
  };
}

/** What closes set-up in this environment. Each part of the composition root that resolves subjects opens one. */
export function openSetupCloser({ policy }: Gatehouse, env: Env): SetupCloser {
  const onError = (error: unknown): void => logError("set-up could not be closed", error);
  return createSetupCloser({ policy, setup: openSetup(env.GATEHOUSE_DB), onError, now: Date.now });
}

function openRoleChanges(
  config: Gatehouse,
  env: Env,
  { hub, sources }: Reach,
  stores: { readonly members: Members; readonly tokens: AccessTokens },
): RoleChanges {
  return createRoleChanges({
    ...stores,
    policy: config.policy,
    mayRead: (subject) => mayReadUri(config.policy, sources, subject),
    ledgerOf: ledgersOf(env),
    // Tools and prompts are the same for everybody.
    listeners: {
      ...hub,
      listChanged: async (subjectId) => hub.listChanged(subjectId, { kind: "resources_list_changed" }),
    },
    now: Date.now,
  });
}

const REFUSED: Outcome = { ...INTERRUPTED, result: "failed", code: "not_signed_in" };

/**
 * Records the first use of an ended access token for a reason, in its owner's ledger. The call's name makes requests that come
 * at once write one record. A full ledger takes none; then the next use tries again, and the token is refused all the same.
 */
async function recordRefusal(
  env: Env,
  tokens: AccessTokens,
  { id, ownerId }: EndedAccessToken,
  reason: AccessTokenEnd,
): Promise<void> {
  const names = { subjectId: await tokenSubjectId(id), owner: ownerId, clientId: `access-token ${id}` };
  const attempt = { call: `access-token ${id} ${reason}`, ...names, operation: "use access token", asked: reason };
  try {
    const noted = await ledgersOf(env)(ownerId).note(attempt, REFUSED, Date.now());
    if (noted.ok) await tokens.markRefusalRecorded(id, reason);
  } catch (error) {
    logError("the use of an ended access token could not be recorded", error);
  }
}
