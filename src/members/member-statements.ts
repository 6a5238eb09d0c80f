// The changes of the members table. Each is one statement, so it is atomic in the Worker and in commands. Every change increments the
// row's version, by which pending changes are found and propagated to ledgers.

/** An SQL statement with its values. */
export interface SqlStatement {
  readonly sql: string;
  readonly values: readonly (string | number)[];
}

/** Who makes a change, and when. */
export interface ChangeAuthor {
  /** The email of the admin, or `operator` for a change by a command. */
  readonly by: string;
  readonly nowMs: number;
}

const SET_CHANGE_COLUMNS = "changed_by = excluded.changed_by, changed_ms = excluded.changed_ms, version = version + 1";

/** Adds a role to a member. A member who already has it keeps the original entry. */
export function addRole(email: string, role: string, { by, nowMs }: ChangeAuthor): SqlStatement {
  return {
    sql: `INSERT INTO member (email, roles, changed_by, changed_ms)
      VALUES (?1, json_object(?2, json_object('by', ?3, 'atMs', ?4)), ?3, ?4)
      ON CONFLICT (email) DO UPDATE SET
        roles = json_insert(roles, '$.' || json_quote(?2), json_object('by', ?3, 'atMs', ?4)), ${SET_CHANGE_COLUMNS}`,
    values: [email, role, by, nowMs],
  };
}

/** Removes a role from a member. */
export function removeRole(email: string, role: string, { by, nowMs }: ChangeAuthor): SqlStatement {
  return {
    sql: `UPDATE member SET roles = json_remove(roles, '$.' || json_quote(?2)), changed_by = ?3, changed_ms = ?4, version = version + 1
      WHERE email = ?1`,
    values: [email, role, by, nowMs],
  };
}

/** Removes all roles and attributes of a member. Keeps the row, so that the change is propagated. */
export function removeMember(email: string, { by, nowMs }: ChangeAuthor): SqlStatement {
  return {
    sql: `UPDATE member SET roles = '{}', attributes = '{}', changed_by = ?2, changed_ms = ?3, version = version + 1
      WHERE email = ?1`,
    values: [email, by, nowMs],
  };
}

/** Merges attributes into a member's; null removes one (RFC 7396). */
export function setAttributes(
  email: string,
  attributes: Readonly<Record<string, unknown>>,
  author: ChangeAuthor,
): SqlStatement {
  return {
    sql: `INSERT INTO member (email, attributes, changed_by, changed_ms) VALUES (?1, json_patch('{}', ?2), ?3, ?4)
      ON CONFLICT (email) DO UPDATE SET attributes = json_patch(attributes, ?2), ${SET_CHANGE_COLUMNS}`,
    values: [email, JSON.stringify(attributes), author.by, author.nowMs],
  };
}
