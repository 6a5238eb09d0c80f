// Single-use handles of questions to a user: the protocol layer issues them and the ledger stores them. Only types.

/** Describes a handle to store. */
export interface NewHandle {
  /** An unguessable text. */
  readonly handle: string;
  /** The call that opens the handle, if the protocol layer has an id for it that survives a restart. */
  readonly call: string | undefined;
  /** Digest of the only use that the handle allows; with any other digest the handle does not exist. */
  readonly binding: string;
  /** The stored state of the call, as JSON. */
  readonly state: string;
  readonly ttlSeconds: number;
}

/** A handle that a call has opened. */
export interface OpenedHandle {
  readonly handle: string;
  readonly state: string;
  readonly isSpent: boolean;
}

/** Tells what became of a handle that a client presented. */
export type SpentHandle =
  /** The handle was valid, and is now used up. */
  | { readonly kind: "fresh"; readonly state: string }
  /** The handle was used before. `outcome` is null until `recordHandleOutcome` stores it: the call is still running or was interrupted. */
  | { readonly kind: "spent"; readonly state: string; readonly outcome: string | null }
  /** The handle was never opened, has expired, or is bound to another use. */
  | { readonly kind: "unknown" };
