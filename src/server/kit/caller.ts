// Converts between the gateway's caller and the `authInfo` that carries it through the protocol layer to a handler.
import type { AuthInfo, ServerContext } from "@modelcontextprotocol/server";
import type { Caller } from "../../lib/identity.ts";
import { getGrantsListener } from "../../lib/answer-grants.ts";
import { parseIdentity, parseAccessGrant } from "../../lib/identity.ts";
import { getProtocolOrigin } from "../../lib/protocol-origin.ts";
import { getSignInListener } from "../../lib/sign-in-state.ts";
import { parseTraceparent } from "../../lib/trace-context.ts";

/** Builds the `authInfo` of a caller. It omits the access token, which no handler needs. */
export function buildAuthInfo(caller: Caller, scopes: readonly string[]): AuthInfo {
  const { identity, clientId, grant } = caller;
  return { token: "", clientId, scopes: [...scopes], extra: grant === undefined ? { identity } : { identity, grant } };
}

/** Returns the caller in a handler. Throws `TypeError` for a request without a caller, which sign-in rules out. */
export function getCaller(context: ServerContext): Caller {
  const authInfo = context.http?.authInfo;
  if (authInfo === undefined) throw new TypeError("a request reached a handler without a signed-in caller");
  return { ...parseAuthInfo(authInfo), clientTraceId: parseTraceparent(context.mcpReq._meta?.["traceparent"]) };
}

/** Parses a caller from `buildAuthInfo`. Throws `TypeError` when it holds no valid identity. */
export function parseAuthInfo(authInfo: AuthInfo): Caller {
  const { extra, clientId } = authInfo;
  const onGrants = getGrantsListener(authInfo);
  const onSignIn = getSignInListener(authInfo);
  const caller = {
    identity: parseIdentity(extra?.["identity"]),
    clientId,
    grant: parseAccessGrant(extra?.["grant"]),
    onSignIn,
    origin: getProtocolOrigin(authInfo),
  };
  return onGrants === undefined ? caller : { ...caller, onGrants };
}
