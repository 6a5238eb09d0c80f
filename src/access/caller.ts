// Who calls, as the gateway takes it: an identity and the OAuth client that acts for it.
import type { NoteGrants } from "../lib/answer-grants.ts";
import type { Identity } from "../lib/identity.ts";

export interface Caller {
  readonly identity: Identity;
  readonly clientId: string;
  /** Where a call notes the grants that decided it; absent when nothing stores its answer. */
  readonly noteGrants?: NoteGrants;
}
