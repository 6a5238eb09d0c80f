// Converts between the gateway's caller and the `authInfo` that carries it through the protocol layer to a handler.
import type { AuthInfo, ServerContext } from "@modelcontextprotocol/server";
import type { Caller } from "../../lib/identity.ts";
import { getGrantsListener } from "../../lib/answer-grants.ts";
import { parseIdentity } from "../../lib/identity.ts";

/** Builds the `authInfo` of a caller. It omits the access token, which no handler needs. */
export function buildAuthInfo(caller: Caller, scopes: readonly string[]): AuthInfo {
  return { token: "", clientId: caller.clientId, scopes: [...scopes], extra: { identity: caller.identity } };
}

/** Returns the caller in a handler. Throws `TypeError` for a request without a caller, which sign-in rules out. */
export function getCaller(context: ServerContext): Caller {
  const authInfo = context.http?.authInfo;
  if (authInfo === undefined) throw new TypeError("a request reached a handler without a signed-in caller");
  return parseAuthInfo(authInfo);
}

/** Parses a caller from `buildAuthInfo`. Throws `TypeError` when it holds no valid identity. */
export function parseAuthInfo(authInfo: AuthInfo): Caller {
  const onGrants = getGrantsListener(authInfo);
  const caller = { identity: parseIdentity(authInfo.extra?.["identity"]), clientId: authInfo.clientId };
  return onGrants === undefined ? caller : { ...caller, onGrants };
}
