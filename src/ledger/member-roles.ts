// The roles of a ledger's owner as the ledger asks for them. The composition root passes in the cache that answers: the ledger
// knows nothing of the members table.
import type { Identity } from "../lib/identity.ts";
import type { MemberRecord } from "../policy/model.ts";

/** A member as ledgers are told of it. */
export interface ToldMember extends MemberRecord {
  readonly email: string;
  /** Raised with every change of the member. */
  readonly version: number;
}

export interface MemberCopy {
  /** Makes sure that there is a copy for this identity. Asks the table only if there is none. Throws when that fails. */
  ensure(identity: Identity): Promise<void>;
  /** The copy; `ensure` came before. Given an identity, no roles when the copy has come to be of another address. */
  current(identity?: Identity): MemberRecord;
  /**
   * Whether the copy was compared with the table long ago. A comparison for an access token does not count for a person: a token
   * in steady use would otherwise keep its owner's new groups from being noted.
   */
  isDue(caller?: "person" | "token"): boolean;
  /** Compares with the table. Whether roles, attributes or groups are others than before. */
  compare(identity: Identity): Promise<boolean>;
  /** Takes a newer version. Whether roles or attributes are others than before. */
  take(member: ToldMember): boolean;
}

/** Opens the cache in the SQLite of a ledger, once per object in memory. `now` gives milliseconds since the epoch. */
export type OpenMemberCopy = (sql: SqlStorage, now: () => number) => MemberCopy;
