// Reads the email address and the groups from the claims of an OpenID Connect issuer. Pure: oidc.ts verifies the ID token and
// fetches the user info.
import { parseEmailAddress } from "../lib/email-address.ts";
import type { EmailAddress } from "../lib/email-address.ts";
import { describeAddressFault } from "./provider-errors.ts";
import type { OidcSettings } from "./sign-in-settings.ts";

type Claims = Readonly<Record<string, unknown>>;

type OidcClaims =
  | {
      readonly kind: "verified";
      readonly email: EmailAddress;
      readonly groups: readonly string[];
      /** Whether the issuer says that the user has groups which it did not send. */
      readonly isOverflow: boolean;
    }
  /** `unusable`: the address is verified, but `parseEmailAddress` does not accept it. */
  | { readonly kind: "unusable"; readonly reason: string }
  | { readonly kind: "unverified"; readonly reason: string };

/**
 * Reads each claim from the ID token, or from the user info when the ID token does not have it. `email_verified` counts only when it
 * comes from the same place as the address. Refusals have a `reason` for the log.
 */
export function readOidcClaims(
  idToken: Claims,
  userInfo: Claims,
  { groupsClaim, unverifiedEmails }: Pick<OidcSettings, "groupsClaim" | "unverifiedEmails">,
): OidcClaims {
  const claimSets = [idToken, userInfo];
  // The first place with an address decides, even when the address is invalid: the other place may name a different address.
  const emailClaims = claimSets.find(({ email }) => email !== undefined && email !== null && email !== "");
  if (emailClaims === undefined)
    return { kind: "unverified", reason: "there is no email claim; OIDC_SCOPES may lack email" };
  const verified = emailClaims["email_verified"];
  // Some issuers send it as text. An address that the issuer calls unverified is refused, whatever OIDC_UNVERIFIED_EMAILS says.
  const isVerified = verified === true || verified === "true";
  const isAcceptedUnverified = verified === undefined && unverifiedEmails === "accept";
  if (!isVerified && !isAcceptedUnverified)
    return { kind: "unverified", reason: `email_verified is ${verified === undefined ? "not set" : "not true"}` };
  const email = parseEmailAddress(emailClaims["email"]);
  if (email === undefined) return { kind: "unusable", reason: describeAddressFault(emailClaims["email"]) };
  const groupClaims = claimSets.find((claims) => claims[groupsClaim] !== undefined);
  const isOverflow = groupClaims === undefined && claimSets.some((claims) => hasDistributedClaim(claims, groupsClaim));
  return { kind: "verified", email, groups: parseGroupsClaim(groupClaims?.[groupsClaim]), isOverflow };
}

/** Accepts a list of names or a single name, and ignores anything else. */
function parseGroupsClaim(value: unknown): readonly string[] {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  return [...new Set(values.filter((item): item is string => typeof item === "string" && item !== ""))];
}

/** Whether the claim is a distributed claim (OpenID Connect Core §5.6.2), as Entra sends for users with more than 200 groups. */
function hasDistributedClaim(claims: Claims, name: string): boolean {
  const claimNames = claims["_claim_names"];
  return typeof claimNames === "object" && claimNames !== null && name in claimNames;
}
