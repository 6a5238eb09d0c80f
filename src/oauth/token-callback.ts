// Updates a grant when its client gets an access token: for the code, and at each refresh, when it asks the identity provider
// for the user again. A removed group is gone with the next access token; a disabled account ends the grant.
import { GrantType, OAuthError } from "@cloudflare/workers-oauth-provider";
import type { TokenExchangeCallbackOptions, TokenExchangeCallbackResult } from "@cloudflare/workers-oauth-provider";
import { parseIdentity } from "../lib/identity.ts";
import type { Identity } from "../lib/identity.ts";
import type { SignIn } from "../sign-in/sign-in.ts";
import { deriveIdentity } from "../sign-in/verified-identity.ts";

interface TokenExchangeOptions {
  readonly signIn: SignIn;
  /** Ends the account's other access: browser sessions and personal access tokens. Idempotent. */
  readonly endAccount: (userId: string) => Promise<void>;
  readonly log: (message: string) => void;
}

/** Props of a grant, stored under a key that only its client's tokens can decrypt. An access token gets the identity only. */
export interface GrantProps extends Identity {
  readonly renewal: unknown;
}

/** The provider's callback without its environment, so that it fits any. */
export type ExchangeTokens = (
  options: Omit<TokenExchangeCallbackOptions, "env">,
) => Promise<TokenExchangeCallbackResult | void>;

/** How long a client should wait before it tries again. */
const RETRY_SECONDS = 30;

/**
 * Creates the provider's `tokenExchangeCallback`. It throws `OAuthError`: `invalid_grant`, which revokes the grant, when the
 * identity provider says that the user may no longer sign in; `temporarily_unavailable`, which keeps the grant, when the
 * identity provider cannot be reached.
 */
export function createTokenExchange({ signIn, endAccount, log }: TokenExchangeOptions): ExchangeTokens {
  return async ({ grantType, props, userId, grantId }) => {
    const renewal: unknown = Reflect.get(Object(props), "renewal");
    if (grantType !== GrantType.REFRESH_TOKEN) {
      const identity = parseIdentity(props);
      // No refresh token when the identity provider could not be asked for this user again.
      return { accessTokenProps: identity, ...(renewal === undefined ? { refreshTokenTTL: 0 } : {}) };
    }
    const renewed = await signIn.renew(renewal);
    switch (renewed.kind) {
      case "current": {
        const identity = await deriveIdentity(renewed.signedIn.claims);
        if (identity.subjectId !== userId)
          throw new TypeError("the identity provider renewed the sign-in of another user");
        const newProps: GrantProps = { ...identity, renewal: renewed.signedIn.renewal };
        return { accessTokenProps: identity, newProps };
      }
      case "ended":
        log(`sign-in: connection ${grantId} ended at its refresh: ${renewed.reason}`);
        // First: if it fails, the connection stays, and its next refresh tries again.
        await endAccount(userId);
        throw createEndedError();
      case "sign_in_required":
        log(`sign-in: connection ${grantId} ended at its refresh: ${renewed.reason}`);
        throw createEndedError();
      case "unavailable":
        log(`sign-in: connection ${grantId} could not be renewed now: ${renewed.reason}`);
        throw new OAuthError("temporarily_unavailable", {
          description: "The identity provider is unavailable. Try again.",
          statusCode: 503,
          headers: { "Retry-After": String(RETRY_SECONDS) },
        });
    }
  };
}

function createEndedError(): OAuthError {
  return new OAuthError("invalid_grant", { description: "This sign-in has ended. Connect again." });
}
