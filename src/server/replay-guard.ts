// The gateway's say on answers that the protocol runtime would deliver again, in the runtime's words.
import type { AuthInfo } from "@modelcontextprotocol/server";
import type { Gateway } from "../access/gateway.ts";
import type { MadeAnswer } from "../access/replay.ts";
import { AppError } from "../errors.ts";
import { fromAuthInfo } from "./caller.ts";

export interface GatewayReplayGuard {
  authorize(authInfo: AuthInfo, answer: MadeAnswer): Promise<"current" | "changed" | "unchecked">;
}

/** `onError` gets why grants could not be compared. The answer stays where it is: it is withheld, not lost. */
export function createReplayGuard(
  gateway: Pick<Gateway, "replay">,
  onError: (error: unknown) => void,
): GatewayReplayGuard {
  return {
    async authorize(authInfo, answer) {
      try {
        return (await gateway.replay(fromAuthInfo(authInfo), answer)) ? "current" : "changed";
      } catch (error) {
        // Also a full record, which is no defect: what cannot be recorded is not delivered.
        if (!(error instanceof AppError) || error.code === "source_unavailable") onError(error);
        return "unchecked";
      }
    },
  };
}
