// The change that closes set-up, one statement, whether the Worker makes it or wrangler does.
import type { Change } from "./member-statements.ts";

/** Why set-up is closed. */
export type SetupEnd = "used" | "held" | "voided";

export interface SetupClosing {
  /** The subject id of who holds the role, or `operator`. */
  readonly by: string;
  readonly nowMs: number;
  readonly reason: Exclude<SetupEnd, "used">;
}

/** Closes set-up for good. Repeating it changes nothing. */
export function closeSetup({ by, nowMs, reason }: SetupClosing): Change {
  return {
    sql: "INSERT INTO setup (id, used_by, used_ms, reason) VALUES (1, ?1, ?2, ?3) ON CONFLICT DO NOTHING",
    values: [by, nowMs, reason],
  };
}
