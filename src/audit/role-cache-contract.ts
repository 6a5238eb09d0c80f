// The interface through which a ledger reads the roles of its owner. The composition root passes in the implementation
// (members/role-cache.ts), so the ledger does not depend on the members table.
import type { Identity } from "../lib/identity.ts";
import type { MemberRecord } from "../policy/model.ts";
import type { PauseSnapshot } from "./pause-model.ts";

/** A member record as it is propagated to ledgers. */
export interface PropagatedMember extends MemberRecord {
  readonly email: string;
  /** Incremented with every change of the member. */
  readonly version: number;
}

/** A ledger's cached copy of its owner's member record and groups. */
export interface RoleCache {
  /** Loads the copy for this identity from the members table unless there is one. Throws when the table is not available. */
  ensureLoaded(identity: Identity): Promise<void>;
  /** Returns the copy; call `ensureLoaded` first. With an identity, returns no roles when the copy now belongs to another address. */
  getMember(identity?: Identity): MemberRecord;
  /**
   * Whether the copy was last compared with the table too long ago. A comparison for a personal access token does not count for its
   * owner: otherwise a token in steady use would keep the owner's new groups from being stored.
   */
  isStale(caller?: "person" | "token"): boolean;
  /** Compares the copy with the table and updates it. Returns whether roles, attributes or groups have changed. */
  refresh(identity: Identity): Promise<boolean>;
  /** Forgets the copy; the next call reads it again. */
  forget(): void;
  /** Applies a propagated member if its version is newer. Returns whether roles or attributes have changed. */
  apply(member: PropagatedMember): boolean;
}

/**
 * Opens the cache in the SQLite database of a ledger, once per object in memory. `now` returns milliseconds since the epoch. `applyPauses`
 * gets the pauses that were read together with a member.
 */
export type OpenRoleCache = (
  sql: SqlStorage,
  now: () => number,
  applyPauses: (snapshot: PauseSnapshot) => void,
) => RoleCache;
