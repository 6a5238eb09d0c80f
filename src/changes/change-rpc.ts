// What callers ask of a ChangeObject, and what it answers. Only types.
import type { PlannedChange, Preview } from "../read/change-target.ts";
import type { ChangeState } from "./change-states.ts";
import type { Decider, StoredChange } from "./stored-change.ts";

/** A proposal that the policy allows as far as its columns and values tell. */
export interface Proposal extends Pick<
  StoredChange,
  "id" | "terms" | "reason" | "requester" | "clientId" | "digest" | "proposedMs" | "expiresMs"
> {
  readonly planned: PlannedChange;
  /** Whether the requester confirms even where the policy asks for no person. */
  readonly needsConfirmation: boolean;
}

/** What became of a proposal. */
export type Proposed =
  | {
      readonly kind: "stored";
      readonly change: StoredChange;
      /** Whether this proposal is the first one of the change. */
      readonly isNew: boolean;
    }
  | { readonly kind: "refused"; readonly preview: Exclude<Preview, { readonly kind: "previewed" }> };

/** A decision as the object takes it. */
export interface DecisionRequest {
  readonly approves: boolean;
  readonly proof: string;
  readonly by: Decider;
  /** The client whose form was answered; null for a page of this server. */
  readonly formClient: string | null;
}

/** What became of a decision. */
export type Decided =
  | { readonly kind: "taken"; readonly change: StoredChange }
  /** It was decided before, or has expired. */
  | { readonly kind: "closed"; readonly state: ChangeState }
  /** The proof is of another change, or the decider may not decide. */
  | { readonly kind: "refused" };

/** The object as its callers see it. */
export interface ChangeRpc {
  propose(proposal: Proposal): Promise<Proposed>;
  read(): Promise<StoredChange | null>;
  decide(request: DecisionRequest): Promise<Decided>;
  /** Waits until a person has decided and the change was applied or ended, at most so long. */
  waitForEnd(maxMs: number): Promise<void>;
}
