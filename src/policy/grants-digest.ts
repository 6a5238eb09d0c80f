// A digest of everything that decides what a subject may see: two equal digests mean equal grants, so that an answer made under
// the one may be delivered under the other. Sound, not complete: any change of the rules changes it, whomever the rules concern.
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import type { Policy, Subject } from "./model.ts";

/** Changes with the form of what is hashed. */
const FORM = 1;

/**
 * Builds the digest of one policy, as 64 lower-case hex digits. It covers what `evaluate` and the saved queries read: sources,
 * datasets, roles, rules and queries of the policy; id, email, roles and attributes of the subject, and whose access token it is.
 * Members and groups of the policy count through the roles and attributes that they give.
 */
export function createGrantsDigest(policy: Policy): (subject: Subject) => string {
  /** Hashed once: a policy does not change under a running Worker. */
  let rules: string | undefined;
  return ({ subjectId, email, token, roles, attributes }) => {
    rules ??= hashOf([policy.sources, policy.datasets, policy.roles, policy.rules, policy.queries]);
    const values = Object.entries(attributes).toSorted(([one], [other]) => (one < other ? -1 : 1));
    return hashOf([FORM, rules, subjectId, email, token?.ownerId ?? null, roles.toSorted(), values]);
  };
}

function hashOf(value: unknown): string {
  return bytesToHex(sha256(utf8ToBytes(JSON.stringify(value))));
}
