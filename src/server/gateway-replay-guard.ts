// Adapts the gateway to the protocol runtime's replay guard, which decides whether a stored answer is delivered again.
import type { Gateway } from "../gateway/gateway.ts";
import { AppError } from "../errors.ts";
import type { ReplayGuard } from "../mcp/wire/replay-guard.ts";
import { parseAuthInfo } from "./kit/caller.ts";

/** Creates the guard. `onError` gets the reason why grants could not be compared. A withheld answer stays stored. */
export function createReplayGuard(gateway: Pick<Gateway, "mayReplay">, onError: (error: unknown) => void): ReplayGuard {
  return {
    async authorize(authInfo, answer) {
      try {
        return (await gateway.mayReplay(parseAuthInfo(authInfo), answer)) ? "current" : "changed";
      } catch (error) {
        // Includes a full audit record, which is not a defect: a replay that cannot be recorded is not delivered.
        if (!(error instanceof AppError) || error.code === "source_unavailable") onError(error);
        return "unchecked";
      }
    },
  };
}
