// Derives the subject that the rest of the server uses from the claims of an identity provider.
import { sha256Hex } from "../lib/crypto.ts";
import type { EmailAddress } from "../lib/email-address.ts";
import type { Identity } from "../lib/identity.ts";

/** The verified result of a sign-in. The sign-in method has parsed the address. */
export interface VerifiedClaims {
  readonly issuer: string;
  /** The provider's stable name for the user. It is unique only together with the issuer (OpenID Connect Core §5.7). */
  readonly subject: string;
  readonly email: EmailAddress;
  /** The user's groups, as the provider names them. */
  readonly groups: readonly string[];
}

/** Derives the identity of verified claims. The subject id has no `:`, which the OAuth provider uses as a separator. */
export async function deriveIdentity({ issuer, subject, email, groups }: VerifiedClaims): Promise<Identity> {
  const subjectId = (await sha256Hex(JSON.stringify([issuer, subject]))).slice(0, 40);
  return { subjectId, email, groups };
}
