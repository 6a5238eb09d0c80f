// What the pages and tools show of a change, under the rights of the viewer. Only types: change-review.ts makes them.
import type { Identity } from "../lib/identity.ts";
import type { Approval, ChangeOperation } from "../policy/change-model.ts";
import type { JsonCell } from "../sql/result-encoding.ts";
import type { ChangeState } from "./change-states.ts";
import type { DecisionPlace } from "./stored-change.ts";

/** A value of a row before or after the change. */
export type ShownValue =
  | { readonly kind: "value"; readonly value: JsonCell }
  /** Only the database computes it: a default, a number that it counts up, a generated column. */
  | { readonly kind: "set by the database" }
  /** The viewer does not see the column, or sees it masked and the new value is not theirs. */
  | { readonly kind: "not visible" };

/** A column of the preview. */
export interface ShownColumn {
  readonly name: string;
  /** Whether the change sets it. */
  readonly isSet: boolean;
  /** Whether people outside the organisation write its text. */
  readonly isUntrusted: boolean;
}

/** A row before and after the change, in the order of the columns. Null: the row does not exist then. */
export interface ShownRow {
  readonly before: readonly ShownValue[] | null;
  readonly after: readonly ShownValue[] | null;
}

/** Whether the viewer may do something, and otherwise why not, as a sentence for people. */
export type Permission = { readonly isAllowed: true } | { readonly isAllowed: false; readonly why: string };

/** What a list says of a change. */
export interface ChangeSummary {
  readonly id: string;
  /** `source.table`. */
  readonly dataset: string;
  readonly operation: ChangeOperation;
  /** The id of the change that this one takes back; null for a change of its own. */
  readonly undoes: string | null;
  readonly state: ChangeState;
  readonly approval: Approval;
  readonly rowCount: number;
  /** The email address of the user who asked for it, or whose personal access token did. */
  readonly requester: string;
  /** Milliseconds since the epoch. */
  readonly proposedMs: number;
  /** When it expires if no one decides. */
  readonly expiresMs: number;
}

/** A change as one viewer may see it. */
export interface ChangeView extends ChangeSummary {
  readonly isOwn: boolean;
  /** The OAuth client id, or how a personal access token is named. */
  readonly client: string;
  /** Why the assistant asks for it, in its own words: text of a model, which may repeat what outsiders wrote. */
  readonly reason: string;
  /** Why it ended without being applied, as a sentence; null in other states. */
  readonly explanation: string | null;
  /** What a person decided, with their address; null before a decision, and when the policy asks for no person. */
  readonly decision: {
    readonly approves: boolean;
    readonly by: string;
    readonly place: DecisionPlace;
    readonly atMs: number;
  } | null;
  readonly appliedMs: number | null;
  readonly columns: readonly ShownColumn[];
  /** Before the change is applied, they are as they are now. */
  readonly rows: readonly ShownRow[];
  /** How many of the change's rows the viewer may not see. */
  readonly unseenRows: number;
  /** Whether the rows are no longer as they were previewed, or as the change left them. */
  readonly hasDrifted: boolean;
  /** Binds a decision to exactly this change: a form sends it back. */
  readonly proof: string;
  readonly mayDecide: Permission;
  /** Whether the viewer may say no: also where they may not approve, because the rows have changed or they do not see all of them. */
  readonly mayDeny: boolean;
  readonly mayUndo: Permission;
}

/** A person's decision. */
export interface Decision {
  readonly approves: boolean;
  /** `ChangeView.proof` of what the person saw. */
  readonly proof: string;
}

/** The changes that concern a signed-in user. */
export interface ConcerningChanges {
  /** Those that wait for their decision, oldest first. */
  readonly waiting: readonly ChangeSummary[];
  /** Their own recent ones, newest first. */
  readonly own: readonly ChangeSummary[];
}

/**
 * What the pages of a signed-in user do with changes. The identity comes from a browser session: neither an MCP session nor a personal
 * access token reaches this. Every method records the call.
 */
export interface ChangeReview {
  list(viewer: Identity): Promise<ConcerningChanges>;
  /** Errors: `not_found` for an id that does not exist and for a change that the viewer may not see, without distinction. */
  view(viewer: Identity, id: string): Promise<ChangeView>;
  /**
   * Stores the decision and applies an approved change. Returns the state afterwards. Errors: `not_found`; `not_allowed` when the viewer
   * may not decide; `invalid_input` when it was decided before, has expired, or `proof` is of something else.
   */
  decide(viewer: Identity, id: string, decision: Decision): Promise<ChangeState>;
  /** Proposes to take an applied change back, and returns the id of that change. Errors: `not_found`, `not_allowed`, `invalid_input`. */
  undo(viewer: Identity, id: string): Promise<string>;
}
