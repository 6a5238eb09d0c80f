// Defines what a change does to a source. The object of a change calls it, and only plans that the policy allows reach it.
import type { ChangePlan, SetValue } from "../policy/change-plan.ts";
import type { VisibleTable } from "./source.ts";
import type { GovernedRow } from "./source.ts";

/** A change in the form in which a source makes it. */
export interface PlannedChange {
  /** The id of the change: unguessable, and new for each one. A source makes it at most once. */
  readonly id: string;
  /** The id of the applied change that this one takes back; null otherwise. */
  readonly undoes: string | null;
  /**
   * Names the images of one preview: unguessable, and new for each one. A change is applied to the rows of exactly the preview that was
   * approved.
   */
  readonly previewId: string;
  /** The columns that the change sets, or that the change which is taken back has set. */
  readonly setColumns: readonly string[];
  /** How many rows the approved preview has; null before the preview. */
  readonly rowCount: number | null;
  /** For an undo, `operation` is that of the change that it takes back, and `where` and `values` are empty. */
  readonly plan: ChangePlan;
}

/** Why a source does not make a change, whatever its rows hold. */
export type Unchangeable =
  /** Its table has a form that Gatehouse does not change, which `detail` names for people. */
  | { readonly kind: "unsupported"; readonly detail: string }
  /** The plan sets a column that only the database sets. */
  | { readonly kind: "computed column"; readonly column: string };

/** The result of `ChangeTarget.preview`. */
export type Preview =
  | {
      readonly kind: "previewed";
      readonly rows: number;
      /** The index in `plan.grants` of the grant that decides. */
      readonly grant: number;
      /** The columns that only the database sets in a new or changed row. */
      readonly computedColumns: readonly string[];
    }
  /** A change of this id was applied before, or never will be. */
  | { readonly kind: "used id" }
  | { readonly kind: "no rows" }
  /** No grant allows a change of this many rows. */
  | { readonly kind: "too many rows"; readonly maxRows: number }
  /** A new row lacks values of columns that must have one; of those that the subject does not see, no name is here. */
  | { readonly kind: "missing values"; readonly columns: readonly string[] }
  /** The rows are larger than what a change may store beside the data. */
  | { readonly kind: "too large" }
  /** Some of the rows are outside of what every grant allows. */
  | { readonly kind: "rows not allowed" }
  /** The subject sees a column that is set only masked on some of the rows. */
  | { readonly kind: "masked column" }
  /** A new value equals what the subject's mask shows of the old one. */
  | { readonly kind: "mask echo" }
  /** A row would leave the subject's sight. */
  | { readonly kind: "leaves sight" }
  /** For an undo: the rows are not as the change left them. */
  | { readonly kind: "drifted" }
  | Unchangeable;

/** Which constraint of the database refused a change. Neither its name nor a value leaves the source. */
export type ConstraintKind = "unique" | "foreign key" | "not null" | "check" | "type" | "other";

/** The result of `ChangeTarget.apply`. Unless it is `applied`, no row has changed, except after `unknown`. */
export type Applied =
  | { readonly kind: "applied"; readonly rows: number }
  /** The rows are not those of the preview. */
  | { readonly kind: "conflict" }
  /** The plan does not allow the change of a row. */
  | { readonly kind: "not allowed" }
  | { readonly kind: "leaves sight" }
  | { readonly kind: "constraint"; readonly constraint: ConstraintKind }
  | Unchangeable
  /** The source did not answer, so it may have been applied: `settle` finds out. */
  | { readonly kind: "unknown"; readonly cause: unknown };

/** The rows of a change, as a viewer sees them now. */
export interface ChangedRows {
  /** How many rows the change has now. */
  readonly total: number;
  /** How many of them the viewer sees. */
  readonly visible: number;
  /** At most the number that was asked for, in the order of the change, with the columns that the viewer sees. */
  readonly rows: readonly GovernedRow[];
  /** The number of each row within the change. */
  readonly numbers: readonly number[];
  readonly columns: readonly string[];
  /** Whether the rows are no longer as they were previewed, or as the change left them. */
  readonly hasDrifted: boolean;
}

/** Rows as an applied change found or left them: they pass the viewer's own rules and masks like current ones. */
export type RestoredRows = Omit<ChangedRows, "hasDrifted">;

/** The images whose rows are shown: those of a preview, or those that a change left. */
export interface ShownImages {
  /** The preview's id, or the change's. */
  readonly id: string;
  readonly phase: "preview" | "after";
}

/** A source that can be changed. Errors of all methods but `apply`: `source_unavailable`. */
export interface ChangeTarget {
  /**
   * Stores the images of the rows that a change concerns, and says whether the plan allows the change of them. Says nothing about rows that
   * the subject does not see: constraints are checked when the change is applied. Can be repeated.
   */
  preview(change: PlannedChange): Promise<Preview>;
  /** Shows the rows of a change under a viewer's own decision. */
  show(images: ShownImages, viewer: VisibleTable, maxRows: number): Promise<ChangedRows>;
  /** Shows the rows as they were before or after an applied change. An undo restores those before. */
  showImages(id: string, phase: "before" | "after", viewer: VisibleTable, maxRows: number): Promise<RestoredRows>;
  /** Whether a viewer would see a new row with these values; false when columns that only the database sets decide it. */
  seesNewRow(viewer: VisibleTable, values: readonly SetValue[]): Promise<boolean>;
  /** Makes a change whole or not at all, if its rows are as they were previewed. A change that was made before stays made once. */
  apply(change: PlannedChange): Promise<Applied>;
  /**
   * Says for certain whether a change was applied. If it was not, it never will be: an apply that is still on its way fails.
   */
  settle(id: string): Promise<"applied" | "not applied">;
  /** Whether an applied change has been taken back, and by which change; null while it has not. */
  findUndo(id: string): Promise<string | null>;
  /** Deletes the images of a preview. Can be repeated. */
  discard(previewId: string): Promise<void>;
}
