// From what an identity provider says to the subject that everything else knows.
import { sha256Hex } from "../lib/crypto.ts";
import type { EmailAddress } from "../lib/email-address.ts";
import type { Identity } from "../lib/identity.ts";

/** What a sign-in learned: the provider, its own name for the person, and their address, which the sign-in has parsed. */
export interface VerifiedClaims {
  readonly issuer: string;
  /** The provider's stable name for the person (OpenID Connect Core §5.7: only issuer and subject together are). */
  readonly subject: string;
  readonly email: EmailAddress;
  /** The person's groups, in the provider's names. */
  readonly groups: readonly string[];
}

/** The identity of verified claims. The id has no `:`, which the OAuth provider keeps for itself. */
export async function identityOf({ issuer, subject, email, groups }: VerifiedClaims): Promise<Identity> {
  const subjectId = (await sha256Hex(JSON.stringify([issuer, subject]))).slice(0, 40);
  return { subjectId, email, groups };
}
