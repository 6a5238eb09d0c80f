// What describe tells before any column: the sources, and the datasets of one.
import type { SavedDescription } from "./saved.ts";

export interface SourceSummary {
  readonly source: string;
  readonly kind: "d1" | "kv";
  readonly title: string;
  readonly description: string;
  /** Names; of many, groups of those that begin alike. */
  readonly datasets: readonly string[];
}

export interface Overview {
  readonly organisation: string;
  readonly roles: readonly string[];
  readonly sources: readonly SourceSummary[];
  /** Queries that are there to be run by name. */
  readonly saved?: readonly SavedDescription[];
  /** The next step, or why there is nothing. */
  readonly hint: string;
}

export interface SourceOverview {
  readonly source: string;
  readonly title: string;
  readonly description: string;
  readonly datasets?: readonly { readonly dataset: string; readonly description: string }[];
  /** Where there are too many to name: `order* (41)`. */
  readonly groups?: readonly string[];
  /** What is left out, and how to get it. */
  readonly hint?: string;
}
