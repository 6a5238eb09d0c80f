// The table `pause` in GATEHOUSE_DB: what an operator has paused. Ledgers hold copies; the column `pause_version` of the table `subject`
// says which version a ledger has, so that a propagation that a crash cut off goes on where it was.
import { openStatements } from "../lib/statement-store.ts";
import * as z from "zod";
import { PAUSE_KINDS } from "../audit/pause-model.ts";
import type { Pause, PauseKind, PauseSnapshot } from "../audit/pause-model.ts";
import { formatTerm } from "../audit/record-entry.ts";
import { PAUSES_VERSION, concernsLedger, listPauses, parsePauseSnapshot } from "./pause-statements.ts";

/** What is paused. */
export interface PauseTarget {
  readonly kind: PauseKind;
  readonly target: string;
}

/** A pause as an operator asks for it. */
export interface PauseRequest extends PauseTarget, Pick<Pause, "reason" | "untilMs"> {
  /** The users whose ledgers a pause of a user or personal access token concerns, besides those with the address. */
  readonly subjectIds: readonly string[];
  /** False ends the pause. */
  readonly isPaused: boolean;
  readonly by: string;
  readonly nowMs: number;
}

/** A row of the table. */
export interface StoredPause extends Pause {
  readonly isPaused: boolean;
  readonly subjectIds: readonly string[];
  readonly changedMs: number;
  /** How many ledgers have not been given this change. */
  readonly waitingLedgers: number;
}

/** A change that has reached every ledger. */
export interface PropagatedPause extends PauseTarget {
  readonly isPaused: boolean;
  /** The users whom a pause of a user or personal access token concerns. */
  readonly subjectIds: readonly string[];
}

/** A ledger that lacks pauses, with all that concern it. */
export interface WaitingLedger {
  readonly subjectId: string;
  readonly snapshot: PauseSnapshot;
}

/** Stores pauses. */
export interface PauseStore {
  /** Whether the table exists: commands also open databases that no version with pauses has migrated. */
  isReady(): Promise<boolean>;
  /** Stores a change, in one statement. */
  apply(request: PauseRequest): Promise<void>;
  /** Lists all pauses, the newest change first; with a target only that one. */
  list(target?: PauseTarget): Promise<readonly StoredPause[]>;
  /** Lists at most `limit` ledgers after a subject id that lack a pending change, with the pauses of that moment. */
  listWaiting(afterSubjectId: string, limit: number): Promise<readonly WaitingLedger[]>;
  /** Stores that ledgers have the pauses of a version. */
  markGiven(subjectIds: readonly string[], version: number): Promise<void>;
  /** Marks the changes that every ledger has, and returns them. */
  markPropagated(): Promise<readonly PropagatedPause[]>;
  hasPending(): Promise<boolean>;
  /** Deletes pauses that ended before a time. */
  purge(beforeMs: number): Promise<void>;
  /** Whether a client has an audit record; other clients are not known here. */
  hasClient(id: string): Promise<boolean>;
  /** Lists at most `limit` ids of clients with audit records. */
  listClients(limit: number): Promise<readonly string[]>;
}

const idsSchema = z.string().transform((text) => z.array(z.string()).parse(JSON.parse(text)));
const rowSchema = z.object({
  subject_ids: idsSchema,
  kind: z.enum(PAUSE_KINDS),
  target: z.string(),
  reason: z.string(),
  until_ms: z.number().nullable(),
  is_paused: z.number(),
  changed_by: z.string(),
  changed_ms: z.number(),
  version: z.number(),
  waiting: z.number(),
});
const propagatedSchema = z.object({
  kind: z.enum(PAUSE_KINDS),
  target: z.string(),
  is_paused: z.number(),
  subject_ids: idsSchema,
});

/** The ledgers that lack a row of `pause`. One that was registered after it was propagated has read it with its member. */
const LACKING = `FROM subject WHERE owner_id IS NULL AND pause.propagated_version < pause.version
  AND pause_version < pause.version
  AND ${concernsLedger("subject.subject_id", "subject.email")}`;
/** The beginning of every term of a client. */
const CLIENT_TERM = formatTerm("client", "");

/** Creates the store over GATEHOUSE_DB. */
export function openPauseStore(database: D1Database): PauseStore {
  const { prepare, hasTable } = openStatements(database);
  return {
    isReady: async () => hasTable("pause"),
    // The time makes the version higher than those that ledgers know although this database was restored to before them.
    async apply({ kind, target, subjectIds, reason, untilMs, isPaused, by, nowMs }) {
      await prepare(
        `INSERT INTO pause (kind, target, subject_ids, reason, until_ms, is_paused, changed_by, changed_ms, version)
          VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, max(${PAUSES_VERSION} + 1, ?8))
          ON CONFLICT (kind, target) DO UPDATE SET subject_ids = excluded.subject_ids, reason = excluded.reason,
            until_ms = excluded.until_ms, is_paused = excluded.is_paused, changed_by = excluded.changed_by,
            changed_ms = excluded.changed_ms, version = excluded.version`,
        kind,
        target,
        JSON.stringify(subjectIds),
        reason,
        untilMs,
        isPaused ? 1 : 0,
        by,
        nowMs,
      ).run();
    },
    async list(target) {
      const { results } = await prepare(
        `SELECT *, (SELECT count(*) ${LACKING}) AS waiting FROM pause
          WHERE ?1 IS NULL OR (kind = ?1 AND target = ?2) ORDER BY version DESC`,
        target?.kind ?? null,
        target?.target ?? null,
      ).all();
      return results.map((row) => {
        const parsed = rowSchema.parse(row);
        const { kind, reason, version } = parsed;
        return {
          kind,
          target: parsed.target,
          reason,
          untilMs: parsed.until_ms,
          changedBy: parsed.changed_by,
          version,
          isPaused: parsed.is_paused === 1,
          subjectIds: parsed.subject_ids,
          changedMs: parsed.changed_ms,
          waitingLedgers: parsed.waiting,
        };
      });
    },
    async listWaiting(afterSubjectId, limit) {
      // One statement, so each ledger gets the pauses of one moment with their version.
      const { results } = await prepare(
        `SELECT subject_id, ${PAUSES_VERSION} AS version, ${listPauses("subject.subject_id", "subject.email")} AS pauses
          FROM subject WHERE owner_id IS NULL AND subject_id > ?1 AND EXISTS (
            SELECT 1 FROM pause WHERE propagated_version < version AND subject.pause_version < version
              AND ${concernsLedger("subject.subject_id", "subject.email")})
          ORDER BY subject_id LIMIT ?2`,
        afterSubjectId,
        limit,
      ).all<{ subject_id: string }>();
      return results.map((row) => ({ subjectId: row.subject_id, snapshot: parsePauseSnapshot(row) }));
    },
    async markGiven(subjectIds, version) {
      await prepare(
        `UPDATE subject SET pause_version = ?1
          WHERE pause_version < ?1 AND subject_id IN (SELECT value FROM json_each(?2))`,
        version,
        JSON.stringify(subjectIds),
      ).run();
    },
    async markPropagated() {
      const { results } = await prepare(
        `UPDATE pause SET propagated_version = version
          WHERE propagated_version < version AND NOT EXISTS (SELECT 1 ${LACKING})
          RETURNING kind, target, is_paused, (SELECT json_group_array(subject_id) FROM subject
            WHERE kind IN ('user', 'token') AND ${concernsLedger("subject.subject_id", "subject.email")}) AS subject_ids`,
      ).all();
      return results.map((row) => {
        const { kind, target, is_paused: isPaused, subject_ids: subjectIds } = propagatedSchema.parse(row);
        return { kind, target, isPaused: isPaused === 1, subjectIds };
      });
    },
    hasPending: async () =>
      (await prepare("SELECT 1 FROM pause WHERE propagated_version < version LIMIT 1").first()) !== null,
    async purge(beforeMs) {
      // The newest row stays: the next version must be above all earlier ones.
      await prepare(
        `DELETE FROM pause WHERE propagated_version = version AND version < ${PAUSES_VERSION}
          AND ((is_paused = 0 AND changed_ms < ?1) OR until_ms < ?1)`,
        beforeMs,
      ).run();
    },
    hasClient: async (id) =>
      (await prepare("SELECT 1 FROM audit_term WHERE term = ? LIMIT 1", formatTerm("client", id)).first()) !== null,
    async listClients(limit) {
      // One look-up for each client instead of a scan over all records.
      const { results } = await prepare(
        `WITH RECURSIVE client (term) AS (
            SELECT min(term) FROM audit_term WHERE term > ?1 AND term < ?2
            UNION ALL
            SELECT (SELECT min(t.term) FROM audit_term AS t WHERE t.term > client.term AND t.term < ?2)
              FROM client WHERE client.term IS NOT NULL
          ) SELECT term FROM client WHERE term IS NOT NULL LIMIT ?3`,
        CLIENT_TERM,
        `${CLIENT_TERM.trimEnd()}!`,
        limit,
      ).all<{ term: string }>();
      return results.map(({ term }) => term.slice(CLIENT_TERM.length));
    },
  };
}
