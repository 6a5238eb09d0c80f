// Single-use handles as they cross between the protocol layer, which hands them out, and the ledger, which keeps them.

export interface OpenedHandle {
  /** Unguessable. */
  readonly handle: string;
  /** The call that opens it, if the protocol layer has a name for it that outlives a restart. */
  readonly call: string | undefined;
  /** What it may be used for, as a digest: presented with anything else it does not exist. */
  readonly binding: string;
  /** What it stands for, as JSON. */
  readonly state: string;
  readonly ttlSeconds: number;
}

export type SpentHandle =
  /** It was good, and is used up now. */
  | { readonly kind: "fresh"; readonly state: string }
  /** It was used before. `outcome` is what `settle` kept, null while there is none: still under way, or interrupted. */
  | { readonly kind: "spent"; readonly outcome: string | null }
  /** Never opened, expired, or bound to something else. */
  | { readonly kind: "unknown" };
