// The interface of a workspace, which stores the results of one subject's queries as tables, each with its origin. It makes no
// access decisions: the gateway decides which results may still be used.
import type { ColumnLabels } from "../answers/column-labels.ts";
import type { Column } from "../policy/model.ts";
import type { StorageType } from "../sql/result-encoding.ts";
import type { Collation } from "../sql/column-comparisons.ts";
import type { DriverValue } from "../sql/parameters.ts";
import type { SchemaObject } from "../sql/schema-objects.ts";

/** One column of a result. Results of an earlier version have only the first two properties. */
export interface ResultColumn {
  readonly name: string;
  /** The types of its values, in order of appearance; empty if all values are null. */
  readonly types: readonly StorageType[];
  /** The type of the table's column; absent if it has none, so that it stores every value unchanged. */
  readonly declaredType?: "TEXT" | "NUMERIC" | "INTEGER" | "REAL";
  readonly collation?: Collation;
  /** See `Column`. */
  readonly comparedAs?: Column["comparedAs"];
  /** What its values come from; if absent, they may come from everything that the result's origin names. */
  readonly labels?: ColumnLabels;
}

/** A result to store. */
export interface NewResult {
  /** The call that produced the result. Storing again for the same call changes nothing. */
  readonly call: string;
  /** The number that the ledger assigned: 58 for `r58`. */
  readonly number: number;
  /** The subject whose ledger commits the call: the owner of a personal access token, or the user. */
  readonly ownerId: string;
  readonly columns: readonly ResultColumn[];
  /** Each row as `encodeRow` encodes it. */
  readonly rows: readonly string[];
  /** The index of the first row of each page. */
  readonly pages: readonly number[];
  /** The origin as JSON, which only the gateway reads. */
  readonly origin: string;
}

/** A result in the workspace. */
export interface StoredResult {
  /** `r1`, `r2`, …: also the table name. Ids are never reused. */
  readonly id: string;
  readonly columns: readonly ResultColumn[];
  readonly rows: number;
  readonly pages: readonly number[];
  readonly origin: string;
  readonly keptAtMs: number;
  readonly expiresAtMs: number;
}

/** One SQL statement with its parameters. */
export interface WorkspaceStatement {
  readonly sql: string;
  readonly parameters: readonly DriverValue[];
}

/** One row of a statement's result. */
export type WorkspaceRecord = Readonly<Record<string, SqlStorageValue>>;

/** The content of a workspace. */
export interface OpenedWorkspace {
  /** Oldest first. */
  readonly results: readonly StoredResult[];
  /** The schema objects of all result tables. */
  readonly objects: readonly SchemaObject[];
}

/** The result of `Workspace.keep`. `lastNumber`: the highest number that the workspace has used, when it has used this one. */
export type KeepResult = { readonly ok: true } | { readonly ok: false; readonly lastNumber: number };

/**
 * The workspace of one subject. All methods can be repeated safely. `committedCalls` are the calls that the ledger named as committed:
 * their pending results become usable.
 */
export interface Workspace {
  /** Lists the usable results, oldest first. Creates the tables of the used ones, and returns the schema objects of all result tables. */
  open(usedIds: readonly string[], committedCalls?: readonly string[]): Promise<OpenedWorkspace>;
  /**
   * Stores a result as pending: no call can use it until the ledger names its own call as committed, and it is deleted when the ledger
   * says that the call was not. If it needs room, it deletes the oldest pending results; the oldest usable ones go only when it becomes
   * usable.
   */
  keep(result: NewResult, committedCalls: readonly string[]): Promise<KeepResult>;
  /** Runs statements one after the other without interleaving. Throws with SQLite's message. */
  run(statements: readonly WorkspaceStatement[]): Promise<readonly (readonly WorkspaceRecord[])[]>;
  /** Deletes results. */
  drop(ids: readonly string[]): Promise<void>;
}

/** The workspace as the removal of a member uses it. Both methods can be repeated. */
export interface ClearableWorkspace {
  /** Counts the results that have not expired, pending ones included. */
  countResults(): Promise<number>;
  /** Deletes all results. From now on a result with a number up to `lastNumber`, of a call that ran meanwhile, cannot be stored. */
  clear(lastNumber: number): Promise<void>;
}
