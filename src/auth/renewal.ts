// What happens to a grant when its client takes a token: the code's first one, and each refresh, when the identity provider is
// asked for the person again. A group that was taken away is gone with the next access token; an account that was disabled
// ends the grant.
import { GrantType, OAuthError } from "@cloudflare/workers-oauth-provider";
import type { TokenExchangeCallbackOptions, TokenExchangeCallbackResult } from "@cloudflare/workers-oauth-provider";
import { parseIdentity } from "../lib/identity.ts";
import type { Identity } from "../lib/identity.ts";
import type { SignIn } from "./sign-in.ts";
import { identityOf } from "./subject.ts";

export interface RenewalOptions {
  readonly signIn: SignIn;
  /** Ends what else a person has here by their account: sign-ins to our own pages, access tokens. May be called again. */
  readonly endAccount: (userId: string) => Promise<void>;
  readonly log: (message: string) => void;
}

/** What a grant keeps, encrypted by a key that only its client's tokens open. An access token gets the identity alone. */
export interface GrantProps extends Identity {
  readonly renewal: unknown;
}

/** Needs nothing of the environment, so it fits any. */
export type ExchangeTokens = (
  options: Omit<TokenExchangeCallbackOptions, "env">,
) => Promise<TokenExchangeCallbackResult | void>;

/** A client should wait this long before it asks again. */
const RETRY_SECONDS = 30;

/**
 * For the provider's `tokenExchangeCallback`. Throws `OAuthError`: `invalid_grant`, which revokes the grant, when the identity
 * provider says that the person may no longer sign in; `temporarily_unavailable`, which leaves it, when it could not be asked.
 */
export function createTokenExchange({ signIn, endAccount, log }: RenewalOptions): ExchangeTokens {
  return async ({ grantType, props, userId, grantId }) => {
    const renewal: unknown = Reflect.get(Object(props), "renewal");
    if (grantType !== GrantType.REFRESH_TOKEN) {
      const identity = parseIdentity(props);
      // No refresh token for somebody who could not be asked for again.
      return { accessTokenProps: identity, ...(renewal === undefined ? { refreshTokenTTL: 0 } : {}) };
    }
    const renewed = await signIn.renew(renewal);
    switch (renewed.kind) {
      case "current": {
        const current = await identityOf(renewed.signedIn.claims);
        if (current.subjectId !== userId) throw new TypeError("a renewal must be of the same person");
        const newProps: GrantProps = { ...current, renewal: renewed.signedIn.renewal };
        return { accessTokenProps: current, newProps };
      }
      case "ended":
        log(`sign-in: connection ${grantId} ended at its refresh: ${renewed.reason}`);
        // First: where it fails, the connection stays and its next refresh tries again.
        await endAccount(userId);
        throw ended();
      case "sign_in_required":
        log(`sign-in: connection ${grantId} ended at its refresh: ${renewed.reason}`);
        throw ended();
      case "unavailable":
        log(`sign-in: connection ${grantId} could not be renewed now: ${renewed.reason}`);
        throw new OAuthError("temporarily_unavailable", {
          description: "The identity provider cannot be asked at the moment. Try again.",
          statusCode: 503,
          headers: { "Retry-After": String(RETRY_SECONDS) },
        });
    }
  };
}

function ended(): OAuthError {
  return new OAuthError("invalid_grant", { description: "This sign-in has ended. Connect again." });
}
