// The caller as the protocol layer hands it to a handler: parsed from what sign-in put into authInfo.
import type { AuthInfo, ServerContext } from "@modelcontextprotocol/server";
import type { Caller } from "../lib/identity.ts";
import { grantsNoteOf } from "../lib/answer-grants.ts";
import { parseIdentity } from "../lib/identity.ts";

/** Packs a caller for the protocol layer. The token itself goes no further than the border. */
export function toAuthInfo(caller: Caller, scopes: readonly string[]): AuthInfo {
  return { token: "", clientId: caller.clientId, scopes: [...scopes], extra: { identity: caller.identity } };
}

/** Unpacks it in a handler. Throws `TypeError` when a request arrives without one, which no border lets through. */
export function callerOf(context: ServerContext): Caller {
  const authInfo = context.http?.authInfo;
  if (authInfo === undefined) throw new TypeError("a request reached a handler without a signed-in caller");
  return fromAuthInfo(authInfo);
}

/** The reverse of `toAuthInfo`. Throws `TypeError` for anything else. */
export function fromAuthInfo(authInfo: AuthInfo): Caller {
  const noteGrants = grantsNoteOf(authInfo);
  const caller = { identity: parseIdentity(authInfo.extra?.["identity"]), clientId: authInfo.clientId };
  return noteGrants === undefined ? caller : { ...caller, noteGrants };
}
