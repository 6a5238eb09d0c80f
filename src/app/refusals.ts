// Decides for which cause a response refused its request before the user was known; such requests are counted, and none has a record.
import { AUTHORIZE_PATH } from "../oauth/authorize.tsx";
import { REGISTRATION_PATH, TOKEN_PATH } from "../oauth/oauth-provider.ts";
import { CALLBACK_PATH } from "../sign-in/sign-in.ts";
import type { RefusalCause } from "../audit/refused-requests.ts";

/** Finds the cause of a refusal by the rate limit of a network. */
export function findRateLimitCause({ url }: Request): RefusalCause {
  switch (new URL(url).pathname) {
    case TOKEN_PATH:
      return "rate_limit_token";
    case REGISTRATION_PATH:
      return "rate_limit_registration";
    default:
      return "rate_limit_pages";
  }
}

/**
 * Finds the cause when the provider or a page refused a request whose user it does not know; undefined for any other response. At the
 * endpoint only a 401 is one: every other refusal there comes after sign-in.
 */
export function findRefusalCause(request: Request, { status }: Response, mcpPath: string): RefusalCause | undefined {
  if (status < 400 || status >= 500) return undefined;
  const { pathname } = new URL(request.url);
  switch (pathname) {
    case mcpPath:
      if (status !== 401) return undefined;
      return request.headers.has("Authorization") ? "invalid_access_token" : "no_access_token";
    case TOKEN_PATH:
      return "token_request";
    case REGISTRATION_PATH:
      return "registration";
    case AUTHORIZE_PATH:
      return "authorization";
    case CALLBACK_PATH:
      return "sign_in";
    default:
      // Pages and the API answer 401 without a session; their other refusals may have a user.
      return status === 401 ? "sign_in" : status === 404 && !request.headers.has("Cookie") ? "wrong_path" : undefined;
  }
}
