// The SQL that finds which pauses concern which ledger: those of its user, of their personal access tokens, of clients and of sources.
import * as z from "zod";
import { PAUSE_KINDS } from "../audit/pause-model.ts";
import type { PauseSnapshot } from "../audit/pause-model.ts";
import type { SqlStatement } from "./member-statements.ts";

/** A condition on a row of `pause`: whether it concerns the ledger of a subject. */
export function concernsLedger(subjectId: string, email: string): string {
  return `(pause.kind IN ('client', 'source') OR (pause.kind = 'user' AND pause.target = ${email})
    OR EXISTS (SELECT 1 FROM json_each(pause.subject_ids) WHERE value = ${subjectId}))`;
}

const pauseSchema = z.object({
  kind: z.enum(PAUSE_KINDS),
  target: z.string(),
  reason: z.string(),
  untilMs: z.number().nullable(),
  changedBy: z.string(),
  version: z.number(),
});
const rowSchema = z.object({
  version: z.number(),
  pauses: z.string().transform((text) => z.array(pauseSchema).parse(JSON.parse(text))),
});

/** Lists the pauses of a ledger as JSON, for a column `pauses`. */
export function listPauses(subjectId: string, email: string): string {
  return `(SELECT json_group_array(json_object('kind', kind, 'target', target, 'reason', reason, 'untilMs', until_ms,
      'changedBy', changed_by, 'version', version))
    FROM pause WHERE is_paused = 1 AND ${concernsLedger(subjectId, email)})`;
}

/** The version of all pauses together. */
export const PAUSES_VERSION = "(SELECT coalesce(max(version), 0) FROM pause)";

/** Selects the pauses of one ledger. */
export function selectPauses(email: string, subjectId: string): SqlStatement {
  return {
    sql: `SELECT ${PAUSES_VERSION} AS version, ${listPauses("?2", "?1")} AS pauses`,
    values: [email, subjectId],
  };
}

/** Parses a row with the columns `version` and `pauses`. */
export function parsePauseSnapshot(row: unknown): PauseSnapshot {
  return rowSchema.parse(row);
}
