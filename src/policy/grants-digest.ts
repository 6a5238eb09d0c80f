// Computes a digest of everything that decides what a subject may see. Equal digests mean equal grants, so an answer computed under one
// may be delivered under the other. Sound but not complete: any change of the rules changes every subject's digest.
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import type { Policy, Subject } from "./model.ts";

/** Increase it when the hashed structure changes. */
const DIGEST_VERSION = 2;

/**
 * Creates the digest function of one policy. A digest is 64 lower-case hex digits and covers what `evaluate` and saved queries read:
 * the policy's sources, datasets, roles, rules and queries, and the subject's id, email, roles, attributes and access token owner.
 * The policy's members and groups count only through the roles and attributes that they give.
 */
export function createGrantsDigest(policy: Policy): (subject: Subject) => string {
  /** Hashed once, because a policy does not change while a Worker runs. */
  let policyDigest: string | undefined;
  return ({ subjectId, email, token, roles, attributes }) => {
    policyDigest ??= hashJson([
      policy.sources,
      policy.datasets,
      policy.roles,
      policy.rules,
      policy.changeRules,
      policy.queries,
    ]);
    const sortedAttributes = Object.entries(attributes).toSorted(([left], [right]) => (left < right ? -1 : 1));
    return hashJson([
      DIGEST_VERSION,
      policyDigest,
      subjectId,
      email,
      token?.ownerId ?? null,
      roles.toSorted(),
      sortedAttributes,
    ]);
  };
}

function hashJson(value: unknown): string {
  return bytesToHex(sha256(utf8ToBytes(JSON.stringify(value))));
}
