// The changes of the members table, each one statement: whole wherever it runs, in the Worker or through wrangler. Every change
// raises the row's version, which is how ledgers come to hear of it.

/** A statement with its values. */
export interface Change {
  readonly sql: string;
  readonly values: readonly (string | number)[];
}

/** Who changes what, and when. */
export interface ChangedBy {
  /** The email of the person, or `operator` for who works through wrangler. */
  readonly by: string;
  readonly nowMs: number;
}

const RAISED = "changed_by = excluded.changed_by, changed_ms = excluded.changed_ms, version = version + 1";

/** Gives a role. Who has it keeps it as it was given. */
export function addRole(email: string, role: string, { by, nowMs }: ChangedBy): Change {
  return {
    sql: `INSERT INTO member (email, roles, changed_by, changed_ms) VALUES (?1, json_object(?2, json_object('by', ?3, 'atMs', ?4)), ?3, ?4)
 ON CONFLICT (email) DO UPDATE SET roles = json_insert(roles, '$.' || json_quote(?2), json_object('by', ?3, 'atMs', ?4)), ${RAISED}`,
    values: [email, role, by, nowMs],
  };
}

/** Takes a role away. */
export function removeRole(email: string, role: string, { by, nowMs }: ChangedBy): Change {
  return {
    sql: "UPDATE member SET roles = json_remove(roles, '$.' || json_quote(?2)), changed_by = ?3, changed_ms = ?4, version = version + 1 WHERE email = ?1",
    values: [email, role, by, nowMs],
  };
}

/** Takes everything away: roles and attributes. */
export function removeMember(email: string, { by, nowMs }: ChangedBy): Change {
  return {
    sql: "UPDATE member SET roles = '{}', attributes = '{}', changed_by = ?2, changed_ms = ?3, version = version + 1 WHERE email = ?1",
    values: [email, by, nowMs],
  };
}

/** Merges attributes; null takes one away (RFC 7396). */
export function setAttributes(email: string, attributes: Readonly<Record<string, unknown>>, at: ChangedBy): Change {
  return {
    sql: `INSERT INTO member (email, attributes, changed_by, changed_ms) VALUES (?1, json_patch('{}', ?2), ?3, ?4)
 ON CONFLICT (email) DO UPDATE SET attributes = json_patch(attributes, ?2), ${RAISED}`,
    values: [email, JSON.stringify(attributes), at.by, at.nowMs],
  };
}
