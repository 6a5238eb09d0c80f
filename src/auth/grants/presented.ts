// What a request to the token endpoint presents: a code, a refresh token, or a token to be revoked. Judged by form alone.

export type Presented = {
  readonly kind: "code" | "refresh" | "revocation";
  readonly token: string;
  readonly userId: string;
  readonly grantId: string;
};

/** The credential of the form, if it has one and it has the provider's form `user:grant:secret`. */
export function readPresented(form: URLSearchParams): Presented | undefined {
  const [kind, field] = fieldOf(form.get("grant_type") ?? "");
  const [token, ...more] = form.getAll(field);
  if (token === undefined || more.length > 0) return undefined;
  const [userId, grantId, secret, ...rest] = token.split(":");
  if (!userId || !grantId || !secret || rest.length > 0) return undefined;
  return { kind, token, userId, grantId };
}

function fieldOf(grantType: string): readonly [Presented["kind"], string] {
  switch (grantType) {
    case "authorization_code":
      return ["code", "code"];
    case "refresh_token":
      return ["refresh", "refresh_token"];
    default:
      // RFC 7009 §2.1: a revocation has no grant type. Any other one the provider refuses.
      return ["revocation", "token"];
  }
}

/** Where a client says who it is (RFC 6749 §2.3, RFC 7521 §4.2). */
const AUTHENTICATION = ["client_id", "client_secret", "client_assertion", "client_assertion_type"];

/**
 * The same client asking to revoke the token: the provider lets exactly the authenticated client to whom it was given do that (RFC
 * 7009 §2.1), so by trying, without keeping what comes of it, one learns whether this is that client.
 */
export function ownershipForm(form: URLSearchParams, token: string): URLSearchParams {
  const question = new URLSearchParams({ token, token_type_hint: "refresh_token" });
  for (const name of AUTHENTICATION) for (const value of form.getAll(name)) question.append(name, value);
  return question;
}
