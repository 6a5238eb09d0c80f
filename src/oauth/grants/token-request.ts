// Finds the credential in a token request: a code, a refresh token, or an access or refresh token to revoke. Checks its syntax only.

/** A credential in a token request, with the user and grant that it names. */
export type PresentedCredential = {
  readonly kind: "code" | "refresh" | "revocation";
  readonly credential: string;
  readonly userId: string;
  readonly grantId: string;
};

/** Parses the credential of a form; undefined unless there is exactly one, in the provider's syntax `user:grant:secret`. */
export function parsePresentedCredential(form: URLSearchParams): PresentedCredential | undefined {
  const [kind, field] = selectCredentialField(form.get("grant_type") ?? "");
  const [credential, ...more] = form.getAll(field);
  if (credential === undefined || more.length > 0) return undefined;
  const [userId, grantId, secret, ...rest] = credential.split(":");
  if (!userId || !grantId || !secret || rest.length > 0) return undefined;
  return { kind, credential, userId, grantId };
}

function selectCredentialField(grantType: string): readonly [PresentedCredential["kind"], string] {
  switch (grantType) {
    case "authorization_code":
      return ["code", "code"];
    case "refresh_token":
      return ["refresh", "refresh_token"];
    default:
      // RFC 7009 §2.1: a revocation has no grant type. The provider refuses other grant types.
      return ["revocation", "token"];
  }
}

/** The fields with which a client authenticates (RFC 6749 §2.3, RFC 7521 §4.2). */
const CLIENT_AUTHENTICATION_FIELDS = ["client_id", "client_secret", "client_assertion", "client_assertion_type"];

/**
 * Builds a request by the same client to revoke the refresh token. The provider allows a revocation only to the authenticated
 * client that the refresh token was issued to (RFC 7009 §2.1), so serving this request in a unit of work that is never
 * committed shows whether the client owns it.
 */
export function buildOwnershipCheck(form: URLSearchParams, refreshToken: string): URLSearchParams {
  const checkForm = new URLSearchParams({ token: refreshToken, token_type_hint: "refresh_token" });
  for (const name of CLIENT_AUTHENTICATION_FIELDS) for (const value of form.getAll(name)) checkForm.append(name, value);
  return checkForm;
}
