// The table `change` in GATEHOUSE_DB: which changes exist, in which state, without their values. A proposal is registered before its object
// stores it, in one transaction with the limits and the search for a repeated one.
import * as z from "zod";
import { APPROVALS, CHANGE_OPERATIONS } from "../policy/change-model.ts";
import { openStatements } from "../lib/statement-store.ts";
import { getOwnerId } from "../lib/identity.ts";
import { CHANGE_STATES, OPEN_STATES, isOpen } from "./change-states.ts";
import type { ChangeState } from "./change-states.ts";
import type { ChangeSummary } from "./change-view.ts";
import type { StoredChange } from "./stored-change.ts";

/** A proposal that asks to be registered. */
export interface NewEntry extends Pick<
  ChangeSummary,
  "id" | "dataset" | "operation" | "undoes" | "proposedMs" | "expiresMs"
> {
  readonly subjectId: string;
  readonly ownerId: string;
  readonly digest: string;
  /** Whether the id was derived from an idempotency key: then only that finds an earlier proposal. */
  readonly hasKey: boolean;
}

/** How many changes may be open at a time. */
export interface OpenLimits {
  readonly perSubject: number;
  readonly perDataset: number;
}

/** What became of the registration. */
export type Registration =
  | {
      readonly kind: "registered";
      /** When the same subject's identical change was applied last; null when it never was. */
      readonly appliedMs: number | null;
    }
  /** The same change is open, or has this id. */
  | { readonly kind: "existing"; readonly id: string }
  /** The key was used for another change. */
  | { readonly kind: "other change" }
  | { readonly kind: "too many"; readonly of: "subject" | "dataset" };

/** A row for lists. */
export interface RegisteredChange extends ChangeSummary {
  readonly subjectId: string;
  readonly ownerId: string;
  readonly reviewers: readonly string[];
}

/** Who may decide. */
export interface WaitingFor {
  readonly subjectId: string;
  readonly roles: readonly string[];
}

/** Stores which changes exist. */
export interface ChangeRegistry {
  register(entry: NewEntry, limits: OpenLimits): Promise<Registration>;
  /** Removes a registration whose proposal was refused. */
  remove(id: string): Promise<void>;
  /** Stores the state of a change, unless a newer one is stored. */
  publish(change: StoredChange): Promise<void>;
  /** Lists at most `limit` changes that wait for this user's own decision, or for one of these roles, oldest first. */
  listWaiting(decider: WaitingFor, nowMs: number, limit: number): Promise<readonly RegisteredChange[]>;
  /** Removes a change that ended long ago. */
  forget(id: string): Promise<void>;
  /** Removes proposals whose objects never stored them. */
  removeUnstored(nowMs: number): Promise<void>;
  /** Lists the last changes of a user and their personal access tokens, newest first. */
  listOwn(ownerId: string, limit: number): Promise<readonly RegisteredChange[]>;
  /** Finds those of these datasets that a change was applied to since a time, with the time of the last one. */
  listChangedSince(datasets: readonly string[], sinceMs: number): Promise<ReadonlyMap<string, number>>;
  /** Finds those of these ids that are not open. */
  listClosed(ids: readonly string[], nowMs: number): Promise<readonly string[]>;
}

const rowSchema = z.object({
  id: z.string(),
  dataset: z.string(),
  operation: z.enum(CHANGE_OPERATIONS),
  undoes: z.string().nullable(),
  subject_id: z.string(),
  owner_id: z.string(),
  requester: z.string().nullable(),
  state: z.enum(CHANGE_STATES),
  approval: z.enum(APPROVALS),
  reviewers: z.string(),
  row_count: z.number(),
  proposed_ms: z.number(),
  expires_ms: z.number(),
});

const STATES = OPEN_STATES.map((state) => `'${state}'`).join(", ");
/** A proposal that has expired may not have said so yet. `?1` is the time. */
const IS_OPEN = `state IN (${STATES}) AND (state <> 'proposed' OR expires_ms > ?1)`;
/** After this time, the object of a proposal that was not published has not stored it. */
const UNSTORED_MS = 86_400_000;
const SELECT = `SELECT *, (SELECT s.email FROM subject AS s WHERE s.subject_id = change.owner_id) AS requester FROM change`;

/** Creates the registry over GATEHOUSE_DB. */
export function openChangeRegistry(database: D1Database): ChangeRegistry {
  const { prepare, all, run } = openStatements(database);
  const list = async (sql: string, ...values: readonly unknown[]): Promise<readonly RegisteredChange[]> =>
    (await all(sql, ...values)).map(toRegisteredChange);
  return {
    async register(entry, { perSubject, perDataset }) {
      const { id, dataset, operation, undoes, subjectId, ownerId, digest, hasKey, proposedMs, expiresMs } = entry;
      const openCount = (column: string, parameter: string): string =>
        `(SELECT count(*) FROM change WHERE ${column} = ${parameter} AND ${IS_OPEN})`;
      const identical = `SELECT id FROM change WHERE digest = ?7 AND ?8 = 0 AND id <> ?2 AND ${IS_OPEN} LIMIT 1`;
      const values = [proposedMs, id, dataset, ownerId, perSubject, perDataset, digest, hasKey ? 1 : 0];
      const [, inserted, found] = await database.batch<Record<string, unknown>>([
        // A proposal that died before its object stored it does not keep its key.
        prepare("DELETE FROM change WHERE id = ? AND version = 0 AND expires_ms <= ?", id, proposedMs),
        prepare(
          `INSERT INTO change (id, dataset, operation, undoes, subject_id, owner_id, digest, state, approval, reviewers, row_count,
              proposed_ms, expires_ms, version)
            SELECT ?2, ?3, ?9, ?10, ?11, ?4, ?7, 'proposed', 'reviewer', '[]', 0, ?1, ?12, 0
            WHERE NOT EXISTS (SELECT 1 FROM change WHERE id = ?2) AND NOT EXISTS (${identical})
              AND ${openCount("owner_id", "?4")} < ?5 AND ${openCount("dataset", "?3")} < ?6`,
          ...values,
          operation,
          undoes,
          subjectId,
          expiresMs,
        ),
        prepare(
          `SELECT (SELECT digest FROM change WHERE id = ?2) AS digest, (${identical}) AS identical,
            ${openCount("owner_id", "?4")} >= ?5 AS subject_full, ${openCount("dataset", "?3")} >= ?6 AS dataset_full,
            (SELECT max(closed_ms) FROM change WHERE digest = ?7 AND state = 'applied') AS applied_ms`,
          ...values,
        ),
      ]);
      const answer = found?.results[0] ?? {};
      const appliedMs = typeof answer["applied_ms"] === "number" ? answer["applied_ms"] : null;
      if (inserted?.meta.changes === 1) return { kind: "registered", appliedMs };
      if (typeof answer["digest"] === "string")
        return answer["digest"] === digest ? { kind: "existing", id } : { kind: "other change" };
      if (typeof answer["identical"] === "string") return { kind: "existing", id: answer["identical"] };
      return { kind: "too many", of: answer["subject_full"] === 1 ? "subject" : "dataset" };
    },
    async remove(id) {
      await run("DELETE FROM change WHERE id = ? AND version = 0", id);
    },
    async publish(change) {
      const { id, terms, requester, digest, state, approval, reviewers, rowCount, proposedMs, expiresMs, version } =
        change;
      const closedMs = isOpen(state) ? null : (change.appliedMs ?? change.decision?.atMs ?? change.expiresMs);
      await run(
        `INSERT INTO change (id, dataset, operation, undoes, subject_id, owner_id, digest, state, approval, reviewers, row_count,
            proposed_ms, expires_ms, closed_ms, version)
          VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
          ON CONFLICT (id) DO UPDATE SET state = excluded.state, approval = excluded.approval, reviewers = excluded.reviewers,
            row_count = excluded.row_count, expires_ms = excluded.expires_ms, closed_ms = excluded.closed_ms, version = excluded.version
            WHERE version < excluded.version`,
        id,
        terms.dataset,
        terms.operation,
        terms.undoes,
        requester.subjectId,
        getOwnerId(requester),
        digest,
        state,
        approval,
        JSON.stringify(reviewers),
        rowCount,
        proposedMs,
        expiresMs,
        closedMs,
        version,
      );
    },
    async removeUnstored(nowMs) {
      await run("DELETE FROM change WHERE version = 0 AND proposed_ms <= ?", nowMs - UNSTORED_MS);
    },
    async forget(id) {
      await run("DELETE FROM change WHERE id = ?", id);
    },
    listWaiting: async ({ subjectId, roles }, nowMs, limit) =>
      list(
        `${SELECT} WHERE state = 'proposed' AND version > 0 AND expires_ms > ?1
          AND (approval = 'requester' AND owner_id = ?2 OR approval = 'reviewer' AND owner_id <> ?2
            AND EXISTS (SELECT 1 FROM json_each(reviewers) AS r WHERE r.value IN (SELECT value FROM json_each(?3))))
          ORDER BY proposed_ms LIMIT ?4`,
        nowMs,
        subjectId,
        JSON.stringify(roles),
        limit,
      ),
    listOwn: async (ownerId, limit) =>
      list(`${SELECT} WHERE owner_id = ?1 AND version > 0 ORDER BY proposed_ms DESC LIMIT ?2`, ownerId, limit),
    async listChangedSince(datasets, sinceMs) {
      const rows = await all<{ dataset: string; at_ms: number }>(
        `SELECT dataset, max(closed_ms) AS at_ms FROM change
          WHERE state = 'applied' AND closed_ms >= ?1 AND dataset IN (SELECT value FROM json_each(?2)) GROUP BY dataset`,
        sinceMs,
        JSON.stringify(datasets),
      );
      return new Map(rows.map((row) => [row.dataset, row.at_ms]));
    },
    async listClosed(ids, nowMs) {
      const open = new Set(
        (
          await all<{ id: string }>(
            `SELECT id FROM change WHERE id IN (SELECT value FROM json_each(?2))
              AND (${IS_OPEN} OR version = 0 AND proposed_ms > ?1 - ${UNSTORED_MS})`,
            nowMs,
            JSON.stringify(ids),
          )
        ).map(({ id }) => id),
      );
      return ids.filter((id) => !open.has(id));
    },
  };
}

function toRegisteredChange(value: unknown): RegisteredChange {
  const row = rowSchema.parse(value);
  const state: ChangeState = row.state;
  return {
    id: row.id,
    dataset: row.dataset,
    operation: row.operation,
    undoes: row.undoes,
    subjectId: row.subject_id,
    ownerId: row.owner_id,
    requester: row.requester ?? "",
    state,
    approval: row.approval,
    reviewers: z.array(z.string()).parse(JSON.parse(row.reviewers)),
    rowCount: row.row_count,
    proposedMs: row.proposed_ms,
    expiresMs: row.expires_ms,
  };
}
