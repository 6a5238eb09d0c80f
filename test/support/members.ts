// Members and access tokens of the test's own database, and changes made to act as the Worker makes them.
import { env } from "cloudflare:workers";
import { mayReadUri } from "../../src/access/catalogue.ts";
import { createRoleChanges } from "../../src/access/role-changes.ts";
import type { RoleChanges, RoleChangesDependencies } from "../../src/access/role-changes.ts";
import { createHub } from "../../src/hub/hub.ts";
import { identityOf } from "../../src/auth/subject.ts";
import type { Policy } from "../../src/policy/model.ts";
import { requireEmailAddress } from "../../src/policy/names.ts";
import { openSources } from "../../src/sources/registry.ts";
import { openAccessTokens } from "../../src/storage/access-tokens.ts";
import { openMembers } from "../../src/storage/members.ts";
import { KEEPING, TOKEN_KEY } from "./governed.ts";
import sample from "../../sample/gatehouse.config.ts";

export const members = openMembers(env.GATEHOUSE_DB);
export const accessTokens = openAccessTokens(env.GATEHOUSE_DB);

/** The id of an account of the sample. */
export async function subjectIdOf(email: string): Promise<string> {
  const address = requireEmailAddress(email);
  return (await identityOf({ issuer: "urn:gatehouse:sample", subject: address, email: address, groups: [] })).subjectId;
}

export function ledgerOf(subjectId: string) {
  return env.LEDGER.get(env.LEDGER.idFromName(subjectId));
}

export function roleChanges(
  policy: Policy = sample.policy,
  reach: RoleChangesDependencies["ledgerOf"] = ledgerOf,
): RoleChanges {
  const hub = createHub(env.HUB);
  const options = { maxQuerySteps: 1_000_000_000, tokenKey: TOKEN_KEY, log: () => {}, ...KEEPING };
  const sources = openSources(policy, env, options);
  return createRoleChanges({
    policy,
    mayRead: (subject) => mayReadUri(policy, sources, subject),
    members,
    tokens: accessTokens,
    ledgerOf: reach,
    listeners: { ...hub, listChanged: (subjectId) => hub.listChanged(subjectId, { kind: "resources_list_changed" }) },
    now: Date.now,
  });
}
