// The table `member_removal` in GATEHOUSE_DB: members whose access is to end, and what they had. What this database knows ends in the
// transaction that stores the removal; a removal then stays pending until the Worker has ended what is in Durable Objects.
import { openStatements } from "../lib/statement-store.ts";
import * as z from "zod";
import { removeMember } from "./member-statements.ts";
import type { SqlStatement } from "./member-statements.ts";

/** A request to end all access of a user, or only to look at it. */
export interface RemovalRequest {
  /** Unguessable and new. For a removal by an administrator, the id of their audited call. */
  readonly id: string;
  /** Normalized, or the exact spelling of a row that matches no user. */
  readonly email: string;
  /** The email of the administrator, or `operator` for a removal by a command. */
  readonly by: string;
  readonly nowMs: number;
}

const objectsSchema = z.object({
  connections: z.array(z.object({ subjectId: z.string(), id: z.string(), clientName: z.string() })),
  /** Sessions of the 2025 era. */
  sessions: z.number(),
  results: z.number(),
  /** Calls that were running. */
  calls: z.number(),
  /** Questions of tools that the user had not answered. */
  questions: z.number(),
});

/** What a user had in Durable Objects. */
export type HeldObjects = z.output<typeof objectsSchema>;

const patsSchema = z.array(z.object({ id: z.string(), name: z.string() }));

const rowSchema = z.object({
  id: z.string(),
  email: z.string(),
  kind: z.enum(["look", "removal"]),
  requested_by: z.string(),
  requested_ms: z.number(),
  subject_ids: z.string(),
  personal_access_tokens: z.string(),
  browser_sessions: z.number(),
  objects: z.string().nullable(),
  done_ms: z.number().nullable(),
});

/** A stored removal. */
export interface StoredRemoval extends RemovalRequest {
  /** `look`: ends nothing. */
  readonly kind: "look" | "removal";
  /** The subject ids under which the user had signed in. */
  readonly subjectIds: readonly string[];
  /** The personal access tokens that were active. */
  readonly pats: readonly { readonly id: string; readonly name: string }[];
  readonly browserSessions: number;
  /** Undefined until the Worker has looked. */
  readonly objects: HeldObjects | undefined;
  /** Whether the Worker has ended everything; for a look, whether it has looked. */
  readonly isDone: boolean;
}

/** Stores removals. */
export interface RemovalStore {
  /** Whether the table exists: commands also open databases that no version with removals has migrated. */
  isReady(): Promise<boolean>;
  /** Stores a request to look at what a user has. */
  look(request: RemovalRequest): Promise<void>;
  /**
   * Stores a removal. The same transaction takes the roles and attributes of the members table, revokes the user's personal access tokens
   * and ends their browser sessions.
   */
  remove(request: RemovalRequest): Promise<void>;
  find(id: string): Promise<StoredRemoval | undefined>;
  /** Lists at most `limit` pending requests, oldest first. */
  listPending(limit: number): Promise<readonly StoredRemoval[]>;
  /** Stores what a user had in Durable Objects, unless that is stored already: what is left after a crash is not what the user had. */
  storeObjects(id: string, objects: HeldObjects): Promise<void>;
  /** Marks a request as done. Ends once more what a request of the user, which had begun before the removal, may have created since. */
  markDone(request: StoredRemoval, subjectIds: readonly string[], nowMs: number): Promise<void>;
  /** Deletes looks from before a time. Removals are kept. */
  purgeLooks(beforeMs: number): Promise<void>;
}

/** The subject ids of an address: of all ledgers of the user, and of browser sessions whose user has no ledger yet. */
const OWNED_SUBJECTS = `WITH owned (subject_id) AS (
    SELECT subject_id FROM subject WHERE email = ?2 AND owner_id IS NULL
    UNION
    SELECT subject_id FROM browser_session
      WHERE CASE WHEN json_valid(identity) THEN json_extract(identity, '$.email') END = ?2
  )`;

const INSERT_REQUEST = `INSERT INTO member_removal
  (id, email, requested_by, requested_ms, kind, subject_ids, personal_access_tokens, browser_sessions)
  ${OWNED_SUBJECTS}
  SELECT ?1, ?2, ?3, ?4, ?5,
    (SELECT json_group_array(subject_id) FROM owned),
    (SELECT json_group_array(json_object('id', id, 'name', name)) FROM personal_access_token
      WHERE owner_id IN (SELECT subject_id FROM owned) AND revoked_ms IS NULL AND expires_ms > ?4),
    (SELECT count(*) FROM browser_session WHERE subject_id IN (SELECT subject_id FROM owned))`;

const LISTED_SUBJECTS = "SELECT value FROM json_each(?1)";
const STORED_SUBJECTS = "SELECT value FROM member_removal, json_each(subject_ids) WHERE member_removal.id = ?1";

/** Revokes the personal access tokens of subjects, and ends their browser sessions. `?1` belongs to the subquery `subjects`. */
function endInDatabase(subjects: string, value: string, by: string, nowMs: number): readonly SqlStatement[] {
  return [
    {
      sql: `UPDATE personal_access_token SET revoked_ms = ?3, revoked_by = ?2
        WHERE owner_id IN (${subjects}) AND revoked_ms IS NULL`,
      values: [value, by, nowMs],
    },
    { sql: `DELETE FROM browser_session WHERE subject_id IN (${subjects})`, values: [value] },
  ];
}

/** Creates the store over GATEHOUSE_DB. */
export function openRemovalStore(database: D1Database): RemovalStore {
  const prepare = ({ sql, values }: SqlStatement): D1PreparedStatement => database.prepare(sql).bind(...values);
  const insert = ({ id, email, by, nowMs }: RemovalRequest, kind: StoredRemoval["kind"]): SqlStatement => ({
    sql: INSERT_REQUEST,
    values: [id, email, by, nowMs, kind],
  });
  return {
    isReady: async () => openStatements(database).hasTable("member_removal"),
    async look(request) {
      await prepare(insert(request, "look")).run();
    },
    async remove(request) {
      const { id, email, by, nowMs } = request;
      const ends = endInDatabase(STORED_SUBJECTS, id, by, nowMs);
      await database.batch([insert(request, "removal"), removeMember(email, { by, nowMs }), ...ends].map(prepare));
    },
    async find(id) {
      const row = await database.prepare("SELECT * FROM member_removal WHERE id = ?").bind(id).first();
      return row === null ? undefined : parseRow(row);
    },
    async listPending(limit) {
      const { results } = await database
        .prepare("SELECT * FROM member_removal WHERE done_ms IS NULL ORDER BY requested_ms LIMIT ?")
        .bind(limit)
        .all();
      return results.map(parseRow);
    },
    async storeObjects(id, objects) {
      await prepare({
        sql: "UPDATE member_removal SET objects = ?2 WHERE id = ?1 AND objects IS NULL",
        values: [id, JSON.stringify(objects)],
      }).run();
    },
    async markDone({ id, kind, by }, subjectIds, nowMs) {
      const done = {
        sql: "UPDATE member_removal SET done_ms = ?2 WHERE id = ?1 AND done_ms IS NULL",
        values: [id, nowMs],
      };
      const ends = kind === "look" ? [] : endInDatabase(LISTED_SUBJECTS, JSON.stringify(subjectIds), by, nowMs);
      await database.batch([...ends, done].map(prepare));
    },
    async purgeLooks(beforeMs) {
      await prepare({
        sql: "DELETE FROM member_removal WHERE kind = 'look' AND requested_ms < ?",
        values: [beforeMs],
      }).run();
    },
  };
}

function parseRow(row: unknown): StoredRemoval {
  const {
    id,
    email,
    kind,
    requested_by: by,
    requested_ms: nowMs,
    objects,
    done_ms: doneMs,
    ...rest
  } = rowSchema.parse(row);
  return {
    id,
    email,
    kind,
    by,
    nowMs,
    subjectIds: z.array(z.string()).parse(JSON.parse(rest.subject_ids)),
    pats: patsSchema.parse(JSON.parse(rest.personal_access_tokens)),
    browserSessions: rest.browser_sessions,
    objects: objects === null ? undefined : objectsSchema.parse(JSON.parse(objects)),
    isDone: doneMs !== null,
  };
}
