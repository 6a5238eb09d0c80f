// The id of a call in a caller's `authInfo`, by which a handler recognises a call of a session that runs again after a restart.
import type { AuthInfo, ServerContext } from "@modelcontextprotocol/server";

const KEY = "call";

/** Returns `authInfo` with the id of a call. */
export function withCall(authInfo: AuthInfo, id: string): AuthInfo {
  return { ...authInfo, extra: { ...authInfo.extra, [KEY]: id } };
}

/** Reads the id. Undefined in the 2026 era, where calls never run again. */
export function readCall({ extra }: AuthInfo): string | undefined {
  const id = extra?.[KEY];
  return typeof id === "string" ? id : undefined;
}

/** Returns the `extra` of an `authInfo` without the id of its call. */
export function withoutCall(extra: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const { [KEY]: _id, ...others } = extra;
  return others;
}

/** Names one request of a call: a call may hold several. Undefined where `readCall` is. */
export function getCallName({ mcpReq, http }: Pick<ServerContext, "mcpReq" | "http">): string | undefined {
  const id = http?.authInfo === undefined ? undefined : readCall(http.authInfo);
  return id === undefined ? undefined : JSON.stringify([id, mcpReq.id]);
}
