// Names a call of a session so that its handler recognises it when it runs again after a restart.
import type { ServerContext } from "@modelcontextprotocol/server";

/** Returns the name. Undefined in the 2026 era, where requests never run again. */
export function getCallName({ mcpReq, http }: Pick<ServerContext, "mcpReq" | "http">): string | undefined {
  const call = http?.authInfo?.extra?.["call"];
  return typeof call === "string" ? JSON.stringify([call, mcpReq.id]) : undefined;
}
