// The answers of describe that come before any column: the overview of all sources, and the datasets of one source.
import type { SavedQueryDescription } from "../saved-queries/saved-queries.ts";

/** One source in the overview. */
export interface SourceSummary {
  readonly source: string;
  readonly kind: "d1" | "kv";
  readonly title: string;
  /** Absent if the policy file has none. */
  readonly description?: string;
  /** Dataset ids; if there are many, groups with a common prefix: `shop.order* (41)`. */
  readonly datasets: readonly string[];
}

/** Everything that the user may read. */
export interface Overview {
  readonly organisation: string;
  readonly roles: readonly string[];
  readonly sources: readonly SourceSummary[];
  /** Saved queries that the user may run; absent if there are none. */
  readonly saved?: readonly SavedQueryDescription[];
  /** The next step, or why there is nothing to read. */
  readonly hint: string;
}

/** One source with its datasets. */
export interface SourceOverview {
  readonly source: string;
  readonly title: string;
  readonly description?: string;
  readonly datasets?: readonly { readonly dataset: string; readonly description?: string }[];
  /** Groups with a common prefix, if there are too many tables to list: `order* (41)`. */
  readonly groups?: readonly string[];
  /** What the list leaves out, and how to get it. */
  readonly hint?: string;
}
