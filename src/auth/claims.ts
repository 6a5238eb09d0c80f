// From the claims of an OpenID Connect issuer to an address and groups. Pure.
import { parseEmailAddress } from "../lib/email-address.ts";
import type { EmailAddress } from "../lib/email-address.ts";
import { describeAddressFault } from "./fault.ts";
import type { OidcSettings } from "./settings.ts";

type Claims = Readonly<Record<string, unknown>>;

export type OidcClaims =
  | {
      readonly kind: "verified";
      readonly email: EmailAddress;
      readonly groups: readonly string[];
      /** Whether the issuer says that there are groups which it did not send. */
      readonly isOverflow: boolean;
    }
  /** `unusable`: verified, but no address that can be taken (see `parseEmailAddress`). */
  | { readonly kind: "unusable"; readonly reason: string }
  | { readonly kind: "unverified"; readonly reason: string };

/**
 * Reads the ID token first, then the user info, each claim from the first that has it; an address counts only with what the
 * same place says of its verification.
 */
export function readOidcClaims(
  idToken: Claims,
  userInfo: Claims,
  { groupsClaim, unverifiedEmails }: Pick<OidcSettings, "groupsClaim" | "unverifiedEmails">,
): OidcClaims {
  const places = [idToken, userInfo];
  // The first place that says anything decides, also when it says nonsense: the other one may be of another address.
  const addressed = places.find(({ email }) => email !== undefined && email !== null && email !== "");
  if (addressed === undefined)
    return { kind: "unverified", reason: "there is no email claim; OIDC_SCOPES may lack email" };
  const verified = addressed["email_verified"];
  // Some issuers send it as text. Said to be false, it is refused whatever the operator accepts.
  const isVerified = verified === true || verified === "true";
  const isUnsaid = verified === undefined && unverifiedEmails === "accept";
  if (!isVerified && !isUnsaid)
    return { kind: "unverified", reason: `email_verified is ${verified === undefined ? "not there" : "not true"}` };
  const email = parseEmailAddress(addressed["email"]);
  if (email === undefined) return { kind: "unusable", reason: describeAddressFault(addressed["email"]) };
  const grouped = places.find((claims) => claims[groupsClaim] !== undefined);
  const isOverflow = grouped === undefined && places.some((claims) => hasOverflow(claims, groupsClaim));
  return { kind: "verified", email, groups: groupsOf(grouped?.[groupsClaim]), isOverflow };
}

/** A list of names, or one name; anything else is no group. */
function groupsOf(value: unknown): readonly string[] {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  return [...new Set(values.filter((one): one is string => typeof one === "string" && one !== ""))];
}

/** OpenID Connect Core §5.6.2: the claim is elsewhere. Entra does so with more than 200 groups. */
function hasOverflow(claims: Claims, name: string): boolean {
  const elsewhere = claims["_claim_names"];
  return typeof elsewhere === "object" && elsewhere !== null && name in elsewhere;
}
