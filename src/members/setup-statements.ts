// The change that closes setup: one statement for the Worker and for commands.
import type { SqlStatement } from "./member-statements.ts";

/** Why setup was closed although its code was not used. `held`: an administering role was held. `voided`: an operator voided the code. */
type SetupClosingReason = "held" | "voided";

/** Describes the closing of setup. */
export interface SetupClosing {
  /** The subject id of the user who holds the role, `policy or members` when the user is not known, or `operator`. */
  readonly by: string;
  readonly nowMs: number;
  readonly reason: SetupClosingReason;
}

/** Closes setup permanently. Repeating it changes nothing. */
export function closeSetup({ by, nowMs, reason }: SetupClosing): SqlStatement {
  return {
    sql: "INSERT INTO setup (id, used_by, used_ms, reason) VALUES (1, ?1, ?2, ?3) ON CONFLICT DO NOTHING",
    values: [by, nowMs, reason],
  };
}
