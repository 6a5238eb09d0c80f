// Opens the members and personal access tokens of the test database, and propagates changes as the Worker does.
import { env } from "cloudflare:workers";
import { createReadCheck } from "../../src/gateway/visible-datasets.ts";
import { createRoleChanges } from "../../src/members/role-changes.ts";
import type { RoleChanges, RoleChangesDependencies } from "../../src/members/role-changes.ts";
import { createHub } from "../../src/mcp/subscriptions/hub.ts";
import { deriveIdentity } from "../../src/sign-in/verified-identity.ts";
import type { Policy } from "../../src/policy/model.ts";
import { requireEmailAddress } from "../../src/policy/member-input.ts";
import { openSources } from "../../src/app/open-sources.ts";
import { openPatStore } from "../../src/personal-access-tokens/pat-store.ts";
import { openMemberStore } from "../../src/members/member-store.ts";
import { KEEPING, TOKEN_KEY } from "./governed.ts";
import sample from "../../sample/gatehouse.config.ts";

/** The member store of the test database. */
export const members = openMemberStore(env.GATEHOUSE_DB);
/** The store of personal access tokens of the test database. */
export const accessTokens = openPatStore(env.GATEHOUSE_DB);

/** Derives the subject id of an account of the sample. */
export async function subjectIdOf(email: string): Promise<string> {
  const address = requireEmailAddress(email);
  return (await deriveIdentity({ issuer: "urn:gatehouse:sample", subject: address, email: address, groups: [] }))
    .subjectId;
}

/** The ledger object of a subject. */
export function ledgerOf(subjectId: string) {
  return env.LEDGER.get(env.LEDGER.idFromName(subjectId));
}

/** Creates the propagation of role changes. `reach` opens the ledgers, and tests replace it to make one fail. */
export function roleChanges(
  policy: Policy = sample.policy,
  reach: RoleChangesDependencies["openLedger"] = ledgerOf,
): RoleChanges {
  const hub = createHub(env.HUB);
  const options = { maxQuerySteps: 1_000_000_000, maskingTokenKey: TOKEN_KEY, log: () => {}, ...KEEPING };
  const sources = openSources(policy, env, options);
  return createRoleChanges({
    policy,
    mayRead: (subject) => createReadCheck(policy, sources, subject),
    members,
    pats: accessTokens,
    openLedger: reach,
    listeners: { ...hub, listChanged: (subjectId) => hub.listChanged(subjectId, { kind: "resources_list_changed" }) },
    now: Date.now,
  });
}
