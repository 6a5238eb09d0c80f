// The part of the composition root that is about people: members, access tokens for programs, set-up, and the pages and API for
// them. Built once per environment; holds nobody's state.
import { waitUntil } from "cloudflare:workers";
import { createAdministration } from "./access/administration.ts";
import { reportMemberProblems } from "./access/member-report.ts";
import { createOwn } from "./access/own.ts";
import { createRecorder } from "./access/recorded.ts";
import type { Recorder } from "./access/recorded.ts";
import { createRoleChanges } from "./access/role-changes.ts";
import type { RoleChanges } from "./access/role-changes.ts";
import { createSetUp, parseSetupCode } from "./access/set-up.ts";
import { createAccessTokenCheck } from "./auth/access-tokens.ts";
import type { AccessTokenCheck } from "./auth/access-tokens.ts";
import { createConnections } from "./auth/connections.ts";
import type { Connections } from "./auth/connections.ts";
import type { Gatehouse } from "./config.ts";
import { AppError } from "./errors.ts";
import type { Hub } from "./hub/hub.ts";
import { newId } from "./lib/ids.ts";
import { ledgersOf, logError } from "./opened.ts";
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
  /** Ends the access tokens of a person whose account has ended, then what runs under them. */
  endTokensOf(subjectId: string): Promise<void>;
  /** What the pages and the API need. Throws `TypeError` for a secret that cannot be used. */
  pages(): Omit<ApiOptions & SetUpOptions, "sessions" | "origin"> & { readonly connections: Connections };
  /** Makes act what nobody told, forgets tokens that ended long ago, and logs which members have less than the table says. */
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
  const record = createRecorder({ policy, ledgerOf: ledgersOf(env), newId, waitUntil });
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
      recordRefusal: refusalRecorder(record),
    }),
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

function openRoleChanges(
  config: Gatehouse,
  env: Env,
  { hub, sources }: Reach,
  stores: { readonly members: Members; readonly tokens: AccessTokens },
): RoleChanges {
  return createRoleChanges({
    ...stores,
    policy: config.policy,
    sources,
    ledgerOf: ledgersOf(env),
    // Tools and prompts are the same for everybody.
    listeners: {
      ...hub,
      listChanged: async (subjectId) => hub.listChanged(subjectId, { kind: "resources_list_changed" }),
    },
    now: Date.now,
  });
}

function refusalRecorder(record: Recorder): Parameters<typeof createAccessTokenCheck>[0]["recordRefusal"] {
  return async (identity, reason) => {
    const caller = { identity, clientId: `access-token ${identity.token?.id ?? ""}` };
    const refused = new AppError("not_signed_in", `The access token is ${reason}.`);
    const asked = { operation: "use access token", asked: reason, maxRows: 0, slot: null };
    await record(caller, asked, async () => Promise.reject(refused)).catch((error: unknown) => {
      // A full record keeps the token out all the same.
      if (error !== refused) logError("access token", error);
    });
  };
}
